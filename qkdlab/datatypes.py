"""The vocabulary: every type that flows through the house. Read this first.

Times are integer picoseconds, slots are integers (slot ``k`` is Alice's pulse number ``k``), arrays are read-only,
units are in the names. Basis codes: 0 is the key basis (its bits make key), 1 is the test basis (its errors bound the
phase error). Intensity 0 is the signal, the last one the weakest.

A *symbol* is one byte that says what Alice prepared in a slot: bit 0 = bit value, bit 1 = basis, bits 2.. = intensity.

The settings are made in :mod:`qkdlab.public_settings` and offered here as well.
"""

import dataclasses
from dataclasses import dataclass, field

import numpy as np

from .bits import Bits
from .errors import BadInput
from .public_settings import DistillSettings, ReceiverSettings, SourceSettings, SynchronisationSettings

__all__ = [
    "BASES",
    "Bound",
    "Clicks",
    "DecoyCounts",
    "DistillSettings",
    "Event",
    "OtdrEvent",
    "OtdrTrace",
    "PulseTrain",
    "ReceiverSettings",
    "Reconciliation",
    "SecretKey",
    "SiftedKey",
    "SourceSettings",
    "SynchronisationSettings",
    "TimeTags",
]

BASES = ("key", "test")


def _array(owner, name, dtype):
    """Freeze one array field of a frozen dataclass: contiguous, of this dtype, read-only (copied only if need be)."""
    array = np.ascontiguousarray(getattr(owner, name), dtype=dtype)
    if array.flags.writeable:
        array = array.view()
        array.flags.writeable = False
    object.__setattr__(owner, name, array)


@dataclass(frozen=True, slots=True)
class PulseTrain:
    """What Alice prepared in consecutive slots. Alice only."""

    first_slot: int
    symbols: np.ndarray = field(repr=False)      # uint8 (N,)

    def __post_init__(self):
        _array(self, "symbols", np.uint8)

    @property
    def bit(self):
        """uint8 (N,)"""
        return self.symbols & 1

    @property
    def basis(self):
        """uint8 (N,): 0 key, 1 test"""
        return (self.symbols >> 1) & 1

    @property
    def intensity(self):
        """uint8 (N,): index into the intensities"""
        return self.symbols >> 2

    def __len__(self):
        return len(self.symbols)


@dataclass(frozen=True, slots=True)
class TimeTags:
    """A stretch of detector clicks in time order. Bob only."""

    time_ps: np.ndarray          # int64 (M,), non-decreasing
    channel: np.ndarray = field(repr=False)      # uint8 (M,), input number
    lost: int = 0                # clicks that the tagger says it lost within this stretch

    def __post_init__(self):
        _array(self, "time_ps", np.int64)
        _array(self, "channel", np.uint8)
        if len(self.time_ps) != len(self.channel):
            raise ValueError(f"{len(self.time_ps)} times but {len(self.channel)} channels")

    def __len__(self):
        return len(self.time_ps)


@dataclass(frozen=True, slots=True)
class Clicks:
    """Detections in Alice's slot numbers, one a slot. Bob only."""

    slot: np.ndarray             # int64 (K,), strictly increasing
    basis: np.ndarray            # uint8 (K,)
    outcome: np.ndarray = field(repr=False)      # uint8 (K,)

    def __post_init__(self):
        _array(self, "slot", np.int64)
        _array(self, "basis", np.uint8)
        _array(self, "outcome", np.uint8)

    def __len__(self):
        return len(self.slot)


@dataclass(frozen=True, slots=True)
class SiftedKey:
    """Bits of one party in slots where both chose the same basis. One per side."""

    bits: Bits
    slot: np.ndarray             # int64 (n,)
    basis: int                   # 0 key, 1 test
    intensity: np.ndarray        # uint8 (n,), announced by Alice

    def __post_init__(self):
        _array(self, "slot", np.int64)
        _array(self, "intensity", np.uint8)

    def __len__(self):
        return len(self.bits)


@dataclass(frozen=True, slots=True)
class DecoyCounts:
    """What was counted aloud. Public. Arrays are int64 (intensity, basis); basis 0 is key, 1 is test."""

    sent: np.ndarray             # pulses sent (expected number where Alice's choices were not all counted)
    clicks: np.ndarray           # detections where both chose this basis
    errors: np.ndarray           # of those, how many bits differ

    def __post_init__(self):
        for name in ("sent", "clicks", "errors"):
            _array(self, name, np.int64)
        if not self.sent.shape == self.clicks.shape == self.errors.shape or self.sent.ndim != 2 \
                or self.sent.shape[1] != 2:
            raise ValueError(f"three (intensity, basis) arrays are expected, got shapes {self.sent.shape}, "
                             f"{self.clicks.shape}, {self.errors.shape}")

    def __add__(self, other):
        return DecoyCounts(self.sent + other.sent, self.clicks + other.clicks, self.errors + other.errors)

    @classmethod
    def zeros(cls, n_intensities):
        """Nothing counted yet."""
        return cls(*(np.zeros((n_intensities, 2), np.int64) for _ in range(3)))

    def qber(self, basis):
        """Error rate in a basis (0 key, 1 test), or None where nothing was detected: undefined is not zero."""
        n = int(self.clicks[:, basis].sum())
        return int(self.errors[:, basis].sum()) / n if n else None


@dataclass(frozen=True, slots=True)
class Bound:
    """What a proof says of a block. Public; every intermediate visible, every assumption named.

    ``length`` is the number of secret bits (0 with a ``reason`` where there is no key), ``signed_length`` the value
    before it was floored at 0 (None where a bound is undefined).
    """

    proof: str
    length: int
    signed_length: float | None
    reason: str | None
    s0: float | None             # vacuum counts in the key basis, lower bound
    s1: float | None             # single-photon counts in the key basis, lower bound
    s0_test: float | None
    s1_test: float | None
    v1_test: float | None        # single-photon errors in the test basis, upper bound
    phase_error: float | None    # of the single photons in the key basis, upper bound
    leak_bits: float
    epsilons: dict = field(default_factory=dict)       # name: value, each failure probability spent
    assumptions: tuple[str, ...] = ()
    details: dict = field(default_factory=dict)        # further intermediates of this proof, by their names in the paper


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The outcome of error correction for one party."""

    bits: Bits                   # corrected (Alice's: unchanged)
    leak_bits: int               # parities that Alice revealed
    transcript_bits: int         # all that was said in both directions, in bits
    rounds: int                  # message round trips
    verified: bool               # the verification hash agreed (False until it was compared)
    corrected: int = 0           # bits that were flipped


@dataclass(frozen=True, slots=True)
class SecretKey:
    """A key of one party. Its bits are never shown, logged or written into a run."""

    bits: Bits
    key_id: str                  # public, equal on both sides, says nothing about the bits
    epsilons: dict
    provenance: dict             # simulated or real, settings digest, recording, where the seeds came from

    def __repr__(self):
        kind = "simulated" if self.provenance.get("simulated") else "real"
        return f"<SecretKey {self.key_id}: {len(self.bits)} bits, {kind}>"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, with values to plot or log (see :mod:`qkdlab.session` for the steps and their values)."""

    step: str
    block: int
    values: dict

    def __getitem__(self, name):
        return self.values[name]


@dataclass(frozen=True, slots=True)
class OtdrEvent:
    """Something an OTDR found on a fibre: a splice, a connector, the end."""

    distance_m: float
    loss_db: float
    reflectance_db: float        # 0 where there is none, else negative
    slope_db_per_km: float       # of the fibre before it
    kind: str                    # in words
    code: str = ""               # as in the file
    comment: str = ""


@dataclass(frozen=True, slots=True)
class OtdrTrace:
    """What an OTDR saw of a fibre."""

    distance_m: np.ndarray = field(repr=False)   # float64 (N,), along the fibre
    power_db: np.ndarray = field(repr=False)     # float64 (N,), backscattered, below the top of the scale (one way)
    wavelength_nm: float
    pulse_width_ns: int
    refractive_index: float      # group index by which times became distances
    events: tuple[OtdrEvent, ...]
    start_m: float               # of the fibre, as the instrument set it
    length_m: float
    total_loss_db: float | None  # as stated; None where the instrument left it out
    return_loss_db: float | None
    backscatter_db: float
    end_threshold_db: float      # loss that counts as the end of the fibre
    averages: int
    recorded_unix_s: int
    about: dict = field(default_factory=dict, repr=False)       # instrument, cable, places: the file's own words
    warnings: tuple[str, ...] = ()

    def __post_init__(self):
        _array(self, "distance_m", np.float64)
        _array(self, "power_db", np.float64)

    def __len__(self):
        return len(self.power_db)

    @property
    def event_loss_db(self):
        """Loss of the fibre by its events: slope times span, and the splices between the ends."""
        spans = zip(self.events, self.events[1:], strict=False)
        fibre = sum(b.slope_db_per_km * (b.distance_m - a.distance_m) / 1000 for a, b in spans)
        return fibre + sum(e.loss_db for e in self.events[1:-1])

    def fit_db_per_km(self, start_m, stop_m):
        """Loss per km of a straight line through the trace from `start_m` to `stop_m` (least squares).

        Raises
        ------
        BadInput
            Where fewer than two points lie there.
        """
        inside = (self.distance_m >= start_m) & (self.distance_m <= stop_m)
        if np.count_nonzero(inside) < 2:
            raise BadInput(f"the trace runs from {self.distance_m[0]:.0f} to {self.distance_m[-1]:.0f} m: a stretch of it "
                           "is expected", field="start_m", value=(start_m, stop_m))
        return float(-1000 * np.polynomial.polynomial.polyfit(self.distance_m[inside], self.power_db[inside], 1)[1])

    def inspect(self):
        """What it holds, ready for JSON; the trace itself as its extent."""
        table = {"format": "sor", "kind": "OTDR trace", "points": len(self),
                 "spacing_m": float(self.distance_m[1] - self.distance_m[0]) if len(self) > 1 else None,
                 "range_m": float(len(self) * (self.distance_m[-1] - self.distance_m[0]) / max(len(self) - 1, 1)),
                 "power_db": [float(self.power_db.min()), float(self.power_db.max())]}
        left_out = ("distance_m", "power_db", "warnings")
        table |= {f.name: as_table(getattr(self, f.name)) for f in dataclasses.fields(self) if f.name not in left_out}
        return table | {"event_loss_db": self.event_loss_db, "complete": True, "warnings": list(self.warnings)}


def as_table(value):
    """Dataclasses, arrays and numpy scalars as plain values, for JSON. Refuses key bits."""
    if isinstance(value, Bits | SecretKey | SiftedKey | PulseTrain | TimeTags | Clicks):
        raise TypeError(f"a {type(value).__name__} is never written out")
    if dataclasses.is_dataclass(value):
        return {f.name: as_table(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {str(k): as_table(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [as_table(v) for v in value]
    return value
