"""A setting of a device, declared once: name, type, unit, range, choices and meaning.

The declaration is an attribute of the driver's class. Reading the attribute asks the device, assigning it checks the value
and then sets the device; the widget and the record take name, unit and range from the same place::

    attenuation_db = parameter(get=":INP{slot}:ATT?", set=":INP{slot}:ATT {value}dB", unit="dB", low=0, high=60,
                               help="attenuation")
"""

import math
import time

from qkdlab.errors import BadInput
from qkdlab.instruments.errors import DeviceError
from qkdlab.settings import checked

__all__ = ["parameter"]

_WORDS = {"1": True, "ON": True, "TRUE": True, "0": False, "OFF": False, "FALSE": False}


class parameter:  # noqa: N801  (reads as a word of the declaration, like `property`)
    """One setting, or one value to be read, of a device.

    Parameters
    ----------
    kind : type
        float, int, bool or str.
    help : str
        What it means.
    get, set : str or callable, optional
        What to send, with ``{value}`` and the device's places (``{slot}``, ``{channel}``) filled in; or ``get(device)``
        that returns the reply and ``set(device, value)``. A setting without ``set`` is read-only, one without ``get`` is
        remembered as it was set last.
    unit : str
        Unit of the value on our side.
    low, high : number, str or callable, optional
        Inclusive limits. A text is a query by which the device tells the limit once, when it is opened (in the units of
        the device, as ``get``); a callable is asked ``low(device)``.
    choices : sequence or dict, optional
        The values allowed; a dict gives for each the text that the device says and takes.
    scale : float
        Number on the wire = our value times `scale`.
    parse : callable, optional
        Reply to a number or text, before `scale` and `choices`.
    snapshot : bool
        Whether it belongs to the device's snapshot.
    moves_limits : bool
        Setting it changes the limits of others, which are asked again.
    step : float
        How far apart two readings of a setting may be that did not move, where that is much of its range.
    holds : callable, optional
        ``holds(device)`` tells whether it stays as it was set; absent: always. Some the device itself follows up.
    """

    def __init__(self, kind=float, *, help, get=None, set=None, unit="", low=None, high=None, choices=None, scale=1,
                 parse=None, snapshot=True, moves_limits=False, step=0.0, holds=None):
        self.kind, self.help, self.unit, self.low, self.high, self.scale = kind, help, unit, low, high, scale
        self.get, self.set, self.parse, self.snapshot = get, set, parse, snapshot
        self.moves_limits, self.step, self.holds = moves_limits, step, holds
        self.words = dict(choices) if isinstance(choices, dict) else None
        self.choices = None if choices is None or kind is bool else tuple(choices)
        self.name = ""
        if isinstance(set, str) and kind is float:      # no binary tails on the wire
            self.set = set.replace("{value}", "{value:.12g}")

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, device, owner=None):
        return self if device is None else self.read(device)

    def __set__(self, device, value):
        self.write(device, self.check(device, value))

    # ------------------------------------------------------------------------------------------------- declaration

    def limits(self, device=None):
        """(low, high) at this device; None where there is none, or where only the device knows and none is given."""
        if device is not None and self.name in device.limits:
            return device.limits[self.name]
        return tuple(end if isinstance(end, int | float) else None for end in (self.low, self.high))

    def ask_limits(self, device):
        """The limits, those read from the device that it alone knows."""
        return tuple(self._limit(device, end) for end in (self.low, self.high))

    def _limit(self, device, end):
        if isinstance(end, str):
            return self._value(device, device.ask(end.format(**device.places)))
        return end(device) if callable(end) else end

    def metadata(self, device=None):
        """The declaration as :func:`qkdlab.settings.setting` keeps it, for widgets and records."""
        low, high = self.limits(device)
        return {"help": self.help, "unit": self.unit, "low": low, "high": high, "choices": self.choices,
                "open_low": False}

    def check(self, device, value):
        """`value` as the declared type and in range.

        Raises
        ------
        BadInput
            Naming device, setting, value and limits. Nothing was sent.
        """
        if self.set is None:
            raise BadInput("can only be read", where=device.name, field=self.name, value=value)
        meta = self.metadata(device)
        try:
            value = checked(value, self.kind, self.name, meta)
            if self.kind is int and abs(value) >= 1 << 63:
                raise BadInput("no device counts so far", field=self.name)
            return value
        except BadInput as error:
            low, high = meta["low"], meta["high"]
            span = "" if low is None or high is None else f"; {low:g} to {high:g} {self.unit}".rstrip()
            raise BadInput(error.why + span, where=device.name, field=self.name, value=value) from None

    # ---------------------------------------------------------------------------------------------------- exchange

    def write(self, device, value):
        """Send a value that was checked."""
        if callable(self.set):
            self.set(device, value)
        else:
            device.tell(self.set.format(value=self._wire(value), **device.places))
        device.known[self.name] = value, time.time()
        device.written[self.name] = value, time.monotonic()
        if self.moves_limits:
            device.ask_limits()

    def _wire(self, value):
        if self.words is not None:
            return self.words[value]
        if self.kind is bool:
            return int(value)
        return value * self.scale if self.scale != 1 else value

    def read(self, device):
        """The value now, from the device.

        Raises
        ------
        InstrumentError
            Where the device does not answer, or not with a value of this kind.
        """
        if self.get is None:
            if self.name not in device.known:
                raise DeviceError(f"{self.name} cannot be read from the device and was not set yet", device=device.name)
            return device.known[self.name][0]
        value = self._value(device, self.get(device) if callable(self.get) else
                            device.ask(self.get.format(**device.places)))
        device.known[self.name] = value, time.time()
        return value

    def _value(self, device, reply):
        """The reply as a value on our side; never NaN, never a guess."""
        try:
            raw = reply if self.parse is None else self.parse(reply)
            if self.words is not None:
                said = str(raw).strip().upper()
                for value, word in self.words.items():
                    if said == str(word).upper():
                        return value
            if self.kind is bool:
                return raw if isinstance(raw, bool) else _WORDS[str(raw).strip().upper()]
            if self.words is not None:
                raise ValueError
            if self.kind is str:
                return str(raw).strip()
            number = float(raw) if self.scale == 1 else float(f"{float(raw) / self.scale:.12g}")    # 1550, not 1549.9999
            if not math.isfinite(number) or abs(number) >= 9.9e37:      # SCPI writes 9.9e37 for infinity, 9.91e37 for NaN
                raise ValueError
            if self.kind is int and number != int(number):
                raise ValueError
            return self.kind(number)
        except (ValueError, KeyError, IndexError, TypeError, OverflowError):
            unit = f" in {self.unit}" if self.unit else ""
            raise DeviceError(f"{self.name}: not a {self.kind.__name__}{unit}", device=device.name, reply=reply) from None
