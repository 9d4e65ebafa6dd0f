"""What a calibration is: values with units and uncertainties, when it was made, how long it holds, what it may be."""

import hashlib
import json
import math
from dataclasses import dataclass, field

from ..errors import BadInput

__all__ = ["Calibration", "Limit", "Value"]


@dataclass(frozen=True, slots=True)
class Value:
    """A measured quantity.

    Attributes
    ----------
    value : float
    unit : str
        "" for a plain number.
    uncertainty : float
        One standard deviation, of chance and of what else is known to blur it.
    """

    value: float
    unit: str
    uncertainty: float

    def __post_init__(self):
        for name in ("value", "uncertainty"):
            number = getattr(self, name)
            if isinstance(number, bool | str) or not math.isfinite(number):
                raise BadInput("a finite number is expected", field=name, value=number)
            object.__setattr__(self, name, float(number))
        if self.uncertainty < 0:
            raise BadInput("must be at least 0", field="uncertainty", value=self.uncertainty)

    def __str__(self):
        digits = 4 if self.uncertainty <= 0 else min(9, max(0, 1 - math.floor(math.log10(self.uncertainty))))
        return f"{self.value:.{digits}f} ± {self.uncertainty:.{digits}f} {self.unit}".rstrip()


@dataclass(frozen=True, slots=True)
class Limit:
    """Between what a value must lie, inclusive, and why.

    Attributes
    ----------
    low, high : float or None
        In the value's unit; None: no limit on that side.
    why : str
        What it means to be beyond, and where the number comes from.
    """

    low: float | None
    high: float | None
    why: str

    def __post_init__(self):
        for name in ("low", "high"):
            end = getattr(self, name)
            if end is not None and not math.isfinite(end):
                raise BadInput("a finite number is expected", field=name, value=end)
        if self.low is not None and self.high is not None and self.low > self.high:
            raise BadInput("must be at most the upper one", field="low", value=self.low)

    def holds(self, value):
        """Whether a value lies inside."""
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def __str__(self):
        if self.low is None or self.high is None:
            return f"at most {self.high:g}" if self.low is None else f"at least {self.low:g}"
        return f"from {self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Calibration:
    """One calibration as it was made.

    Attributes
    ----------
    name : str
        What was calibrated; the next one of the same thing has the same name.
    values : dict of str to Value
    made_at : float
        Seconds since 1970.
    valid_for_s : float
        How long it holds.
    limits : dict of str to Limit
        By the name of the value.
    devices : dict of str to str
        Role to identity, as the devices themselves said.
    simulated : bool
        Whether any of the devices is simulated.
    table : dict of str to list of float
        The raw readings, column by column.
    note : str
        Anything worth knowing, in words.
    """

    name: str
    values: dict
    made_at: float
    valid_for_s: float
    limits: dict = field(default_factory=dict)
    devices: dict = field(default_factory=dict)
    simulated: bool = False
    table: dict = field(default_factory=dict, repr=False)
    note: str = ""

    def __post_init__(self):
        if not isinstance(self.name, str) or not self.name.strip():
            raise BadInput("a name is expected", where="calibration", field="name", value=self.name)
        if not self.values:
            raise BadInput("at least one value is expected", where=self.name, field="values", value=self.values)
        for name, low in (("made_at", -math.inf), ("valid_for_s", 0)):
            number = getattr(self, name)
            if isinstance(number, bool | str) or not math.isfinite(number) or number <= low:
                raise BadInput("a number of seconds above 0 is expected", where=self.name, field=name, value=number)
        for name in self.limits:
            if name not in self.values:
                raise BadInput("is no value of this calibration", where=self.name, field="limits", value=name)

    @property
    def expires_at(self):
        """Seconds since 1970."""
        return self.made_at + self.valid_for_s

    def beyond(self):
        """Which value is outside of its limits and what that means, in words; or None."""
        for name, limit in self.limits.items():
            if not limit.holds(self.values[name].value):
                return f"{name} is {self.values[name]}, it must be {limit}: {limit.why}"
        return None

    def to_table(self):
        """As plain values, for JSON."""
        return {"name": self.name, "made_at": self.made_at, "valid_for_s": self.valid_for_s,
                "values": {n: [v.value, v.unit, v.uncertainty] for n, v in self.values.items()},
                "limits": {n: [x.low, x.high, x.why] for n, x in self.limits.items()},
                "devices": dict(self.devices), "simulated": bool(self.simulated), "note": self.note,
                "table": {n: [float(x) for x in column] for n, column in self.table.items()}}

    @property
    def id(self):
        """First 16 hex digits of the SHA-256 of all that is in it: the same id, the same calibration."""
        return hashlib.sha256(self.text().encode()).hexdigest()[:16]

    def text(self):
        """Canonical JSON."""
        return json.dumps(self.to_table(), sort_keys=True, allow_nan=False, separators=(",", ":"))

    @classmethod
    def from_table(cls, table, where=""):
        """Undoes :meth:`to_table`.

        Raises
        ------
        BadInput
            Naming `where` and what is wrong.
        """
        try:
            return cls(**{**table, "values": {n: Value(*v) for n, v in table["values"].items()},
                          "limits": {n: Limit(*x) for n, x in table["limits"].items()}})
        except BadInput as error:
            raise error.at(where) from None
        except (TypeError, KeyError, AttributeError) as error:
            raise BadInput(f"not a calibration ({error})", where=where) from None
