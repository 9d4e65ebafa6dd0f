"""What both parties agree on before they begin, and Eve may know: the source, the public string, the receiver, and how bits
become key."""

from dataclasses import dataclass

import numpy as np

from .errors import BadInput
from .settings import Settings, setting

__all__ = ["DistillSettings", "ReceiverSettings", "SourceSettings", "SynchronisationSettings"]


@dataclass(frozen=True, slots=True)
class SourceSettings(Settings):
    """What Alice's source sends, as both parties and Eve know it."""

    intensities: tuple[float, ...] = setting(
        (0.5, 0.1, 0.0), help="mean photon numbers, strongest (signal) first", unit="photons/pulse", low=0, high=10
    )
    probabilities: tuple[float, ...] = setting(
        (0.7, 0.2, 0.1), help="how often each intensity is chosen; they sum to 1", low=0, high=1
    )
    key_basis_probability: float = setting(0.9, help="how often Alice prepares in the key basis", low=0, high=1)
    clock_hz: float = setting(1e9, help="pulse rate", unit="Hz", low=1e3, high=1e11)

    def check(self):
        if not 1 <= len(self.intensities) <= 8:
            raise BadInput("1 to 8 intensities are expected", field="intensities", value=list(self.intensities))
        if any(a <= b for a, b in zip(self.intensities, self.intensities[1:], strict=False)):
            raise BadInput("must be strictly decreasing", field="intensities", value=list(self.intensities))
        if self.intensities[0] == 0:
            raise BadInput("the signal intensity must be above 0", field="intensities", value=list(self.intensities))
        if len(self.probabilities) != len(self.intensities):
            raise BadInput(f"one for each of the {len(self.intensities)} intensities is expected",
                           field="probabilities", value=list(self.probabilities))
        if abs(sum(self.probabilities) - 1) > 1e-9:
            raise BadInput(f"must sum to 1, they sum to {sum(self.probabilities):.9g}",
                           field="probabilities", value=list(self.probabilities))
        if any(p == 0 for p in self.achieved_probabilities):
            raise BadInput("each must be at least 2^-16, the resolution of the choice", field="probabilities",
                           value=list(self.probabilities))

    @property
    def intensity_thresholds(self):
        """Cumulated probabilities in units of 2^-16, int64 (K,): a 16-bit draw u chooses the first k with u < t[k]."""
        return np.rint(np.cumsum(self.probabilities) * 65536).astype(np.int64)

    @property
    def basis_threshold(self):
        """Key-basis probability in units of 2^-15: a 15-bit draw below it chooses the key basis."""
        return round(self.key_basis_probability * 32768)

    @property
    def achieved_probabilities(self):
        """Exact probabilities of the intensities as drawn (multiples of 2^-16): these enter the proofs."""
        return tuple(float(p) for p in np.diff(self.intensity_thresholds, prepend=0) / 65536)

    @property
    def achieved_key_basis_probability(self):
        """Exact probability of the key basis as drawn (a multiple of 2^-15)."""
        return self.basis_threshold / 32768

    @property
    def period_ps(self):
        """Nominal time between pulses in ps (float)."""
        return 1e12 / self.clock_hz


@dataclass(frozen=True, slots=True)
class SynchronisationSettings(Settings):
    """The public string by which Bob finds Alice's slot numbers. Slots are grouped in frames; the first
    ``header_slots`` of each carry the string (see :mod:`qkdlab.preamble`) and never make key."""

    frame_slots: int = setting(1 << 20, help="slots from one header to the next", unit="slots", low=1 << 10)
    header_slots: int = setting(1 << 15, help="public slots at the start of each frame", unit="slots", low=1 << 6)
    string_seed: int = setting(0, help="public number that selects the string", low=0, high=(1 << 63) - 1)

    def check(self):
        if self.header_slots % 2:
            raise BadInput("must be even", field="header_slots", value=self.header_slots)
        if self.header_slots > self.frame_slots // 2:
            raise BadInput("must be at most half of frame_slots", field="header_slots", value=self.header_slots)


@dataclass(frozen=True, slots=True)
class ReceiverSettings(Settings):
    """Bob's four threshold detectors behind a passive basis choice, as both parties know them."""

    channels: tuple[int, ...] = setting(
        (0, 1, 2, 3), help="input numbers of the tagger: key basis bit 0, bit 1, test basis bit 0, bit 1", low=0, high=63
    )
    gate_ps: int | None = setting(None, help="width of the gate around the pulse; absent: chosen from the data",
                                  unit="ps", low=1)
    blank_ps: int | None = setting(None, help="a click counts only if no detector had clicked for so long before its gate: "
                                              "the longest dead time; absent: off", unit="ps", low=0, high=10**10)

    def check(self):
        if len(self.channels) != 4 or len(set(self.channels)) != 4:
            raise BadInput("four different input numbers are expected", field="channels", value=list(self.channels))


@dataclass(frozen=True, slots=True)
class DistillSettings(Settings):
    """How sifted bits become key."""

    proof: str = setting("lim2014", help="security analysis",
                         choices=("lim2014", "rusca2018", "wiesemann2024", "linear", "ma2005"))
    eps_sec: float = setting(1e-9, help="secrecy failure probability", low=0, high=1, open_low=True)
    eps_cor: float = setting(1e-15, help="probability that the keys differ unnoticed", low=0, high=1, open_low=True)
    tails: str = setting("hoeffding", help="concentration bound of the decoy counts", choices=("hoeffding", "chernoff"))
    sampling: str = setting("serfling", help="bound from the test basis to the key basis",
                            choices=("serfling", "hypergeometric", "gamma", "yin"))
    clamp: bool = setting(True, help="lower bounds of counts are cut at 0 (valid, and matters for small blocks)")
    abort_qber: float = setting(0.11, help="test-basis error rate above which a block is given up: the rate at which "
                                           "ideal BB84 yields nothing, 1 - 2 h(Q) = 0", low=0, high=0.5)
    block_key_bits: int = setting(10_000_000, help="sifted key bits that make one block", unit="bits", low=1000)
    frame_bits: int = setting(100_000, help="sifted bits corrected together in one Cascade frame", unit="bits", low=64)
