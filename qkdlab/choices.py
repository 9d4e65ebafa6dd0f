"""What Alice prepares, slot by slot: drawn from a key stream, stored as a repeating pattern, or recorded. Alice only.

Each kind answers two questions: ``at(slots)`` for single slots, without making those before them, and
``train(first_slot, n)`` for consecutive ones. Where a synchronisation string is agreed (``sync``), its public slots
override the choice.
"""

import numpy as np
from scipy.special import chdtrc

from . import _ext, preamble
from .datatypes import PulseTrain
from .entropy import entropy
from .errors import BadInput

__all__ = ["DrawnChoices", "RecordedChoices", "StoredPattern", "encode",
           "frequencies_depart", "load_choices", "refuse_simulated"]

LAST_SLOT = 1 << 62
_ONE_IN_A_BILLION = 1e-9     # of honest lists are called dishonest
_AT_ONCE = 1 << 20           # symbols in one call of the kernel: milliseconds, then Python may be interrupted


class Choices:
    """What the three kinds share: checks, and the public slots. A kind provides ``_at`` and ``_train``.

    Parameters
    ----------
    source : SourceSettings
    sync : SynchronisationSettings or None
        None: no slot is public.

    Attributes
    ----------
    repeats_after : int or None
        Slots after which the same choices come again (bits sent twice are no key); None: never.
    """

    repeats_after = None

    def __init__(self, source, sync):
        if sync is not None and len(source.intensities) < 2:
            raise BadInput("the synchronisation string needs a second, weaker intensity", field="intensities",
                           value=list(source.intensities))
        self.source, self.sync = source, sync

    def at(self, slots):
        """Symbols of single slots.

        Parameters
        ----------
        slots : array_like of int64, shape (n,)
            In any order, 0 to 2^62 - 1.

        Returns
        -------
        ndarray of uint8, shape (n,)

        Raises
        ------
        BadInput
            Where a slot is out of range, or outside of a recorded list.
        """
        slots = np.ascontiguousarray(slots, np.int64)
        if len(slots):
            self._check(int(slots.min()), int(slots.max()))
        symbols = self._at(slots)
        public = np.flatnonzero(preamble.is_header(self.sync, slots))
        if len(public):
            symbols[public] = preamble.header_symbols(self.source, self.sync, slots[public])
        return symbols

    def departure(self):
        """How stored choices depart from the probabilities that the source states, in words; or None.

        A chi-square test of how often each (bit, basis, intensity) occurs, where chance alone would fail one honest
        list in a billion. Choices drawn from the key stream follow the probabilities by construction.
        """
        return None

    def covers(self, slots):
        """Whether each slot was prepared at all, bool (n,): a recorded list ends, and Bob may detect beyond its end."""
        return (slots >= 0) & (slots < LAST_SLOT)

    def train(self, first_slot, n):
        """The symbols of `n` consecutive slots from `first_slot` on, as a PulseTrain. Raises as :meth:`at`."""
        first_slot, n = int(first_slot), int(n)
        if n < 0:
            raise BadInput("must be at least 0", field="n", value=n)
        if n:
            self._check(first_slot, first_slot + n - 1)
        symbols = self._train(first_slot, n)
        if self.sync is not None and n:
            frame = self.sync.frame_slots
            for start in range(first_slot - first_slot % frame, first_slot + n, frame):
                low, high = max(start, first_slot), min(start + self.sync.header_slots, first_slot + n)
                if low < high:
                    symbols[low - first_slot : high - first_slot] = preamble.header_symbols(
                        self.source, self.sync, np.arange(low, high))
        return PulseTrain(first_slot, symbols)

    def _check(self, first, last):
        if first < 0 or last >= LAST_SLOT:
            raise BadInput("must be from 0 to 2^62 - 1", field="slot", value=first if first < 0 else last)


class DrawnChoices(Choices):
    """Choices drawn from the ChaCha12 keystream of a 32-byte key: slot k is had without making the first k.

    Parameters
    ----------
    source : SourceSettings
        Probabilities are drawn as multiples of 2^-16 (intensity) and 2^-15 (basis); ``source.achieved_*`` are exact.
    sync : SynchronisationSettings or None
    key : bytes
        32 bytes: from :func:`qkdlab.entropy.entropy` for a real key, from a seeded generator in a simulation.
    """

    def __init__(self, source, sync, key):
        super().__init__(source, sync)
        if not isinstance(key, bytes | bytearray) or len(key) != 32:
            raise BadInput("32 bytes are expected", field="key")
        self.key = bytes(key)
        self._key_words = np.frombuffer(self.key, "<u4").astype(np.uint32)
        self._rule = source.basis_threshold, source.intensity_thresholds

    def _at(self, slots):
        symbols = np.empty(len(slots), np.uint8)
        for i in range(0, len(slots), _AT_ONCE):
            piece = slice(i, i + _AT_ONCE)
            _ext.encode.symbols_at(self._key_words, slots[piece], *self._rule, symbols[piece])
        return symbols

    def _train(self, first_slot, n):
        symbols = np.empty(n, np.uint8)
        for i in range(0, n, _AT_ONCE):
            _ext.encode.symbols(self._key_words, first_slot + i, *self._rule, symbols[i : i + _AT_ONCE])
        return symbols


class StoredPattern(Choices):
    """A stored pattern that the source plays again and again: slot k holds ``symbols[k % N]``.

    Parameters
    ----------
    source : SourceSettings
    sync : SynchronisationSettings or None
    symbols : array_like of uint8, shape (N,), N >= 1
    """

    def __init__(self, source, sync, symbols):
        super().__init__(source, sync)
        self.symbols = _valid_symbols(symbols, source)
        self.repeats_after = len(self.symbols)

    def departure(self):
        return frequencies_depart(self.symbols, self.source)

    def _at(self, slots):
        return self.symbols[slots % len(self.symbols)]

    def _train(self, first_slot, n):
        skip = first_slot % len(self.symbols)
        return np.resize(np.roll(self.symbols, -skip), n)


class RecordedChoices(Choices):
    """A recorded list of choices, which ends where it ends: a slot outside raises BadInput.

    Parameters
    ----------
    source : SourceSettings
    sync : SynchronisationSettings or None
    symbols : array_like of uint8, shape (N,), N >= 1
    first_slot : int
        The slot of ``symbols[0]``.
    """

    def __init__(self, source, sync, symbols, first_slot=0):
        super().__init__(source, sync)
        self.symbols = _valid_symbols(symbols, source)
        self.first_slot = int(first_slot)
        super()._check(self.first_slot, self.first_slot + len(self.symbols) - 1)

    def _check(self, first, last):
        end = self.first_slot + len(self.symbols)
        if first < self.first_slot or last >= end:
            raise BadInput(f"outside of the recorded choices, which are slots {self.first_slot} to {end - 1}",
                           field="slot", value=first if first < self.first_slot else last)

    def departure(self):
        slots = np.arange(self.first_slot, self.first_slot + len(self.symbols))
        return frequencies_depart(self.symbols[~preamble.is_header(self.sync, slots)], self.source)

    def covers(self, slots):
        return (slots >= self.first_slot) & (slots < self.first_slot + len(self.symbols))

    def _at(self, slots):
        return self.symbols[slots - self.first_slot]

    def _train(self, first_slot, n):
        skip = first_slot - self.first_slot if n else 0
        return self.symbols[skip : skip + n].copy()


def refuse_simulated(choices, simulated):
    """BadInput where choices drawn from a simulated random source would feed a key that is not marked as simulated."""
    if getattr(choices, "simulated", False) and not simulated:
        raise BadInput("a simulated random source must never make a key that is marked as real", field="choices",
                       value=type(choices).__name__)


def frequencies_depart(symbols, source):
    """See ``Choices.departure``; `symbols` are those of secret slots."""
    basis = np.array([source.achieved_key_basis_probability, 1 - source.achieved_key_basis_probability])
    expected = len(symbols) * np.einsum("k,b,v->kbv", source.achieved_probabilities, basis, [0.5, 0.5]).ravel()
    found = np.bincount(symbols, minlength=len(expected))
    possible = expected > 0
    chi2 = float(((found - expected)[possible] ** 2 / expected[possible]).sum())
    if not found[~possible].any() and chdtrc(possible.sum() - 1, chi2) >= _ONE_IN_A_BILLION:
        return None
    share = found.reshape(-1, 4).sum(axis=1) / max(len(symbols), 1)
    key = found.reshape(-1, 2, 2).sum(axis=(0, 2))[0] / max(len(symbols), 1)
    ones = found[1::2].sum() / max(len(symbols), 1)
    return (f"the sender's stored choices are not what the source states (chi-square {chi2:,.0f} over {possible.sum() - 1} "
            f"degrees of freedom): intensities {', '.join(f'{s:.4f}' for s in share)}, key basis {key:.4f}, ones {ones:.4f}")


def _valid_symbols(symbols, source):
    """A read-only array of valid symbols (a copy, unless it was read-only), or BadInput naming the first bad one."""
    symbols = np.asarray(symbols)
    if symbols.dtype != np.uint8 or symbols.ndim != 1:
        raise BadInput("a 1-D array of uint8 is expected", field="symbols",
                       value=f"{symbols.dtype} of shape {symbols.shape}")
    if not len(symbols):
        raise BadInput("at least one symbol is expected", field="symbols", value="none")
    limit = len(source.intensities) << 2
    if symbols.max() >= limit:
        at = int(np.argmax(symbols >= limit))
        raise BadInput(f"intensity index must be below {limit >> 2}, the number of intensities",
                       field=f"symbols[{at}]", value=int(symbols[at]) >> 2)
    if symbols.flags.writeable:
        symbols = symbols.copy()
        symbols.flags.writeable = False
    return symbols


def load_choices(path, source, sync=None, repeat=False):
    """Choices from a NumPy file.

    Parameters
    ----------
    path : path-like
        A ``.npy`` file: one symbol per slot, uint8 (N,), bit | basis << 1 | intensity index << 2.
    source : SourceSettings
    sync : SynchronisationSettings or None
    repeat : bool
        True: a pattern that repeats. False: a recording that starts at slot 0 and ends.

    Returns
    -------
    StoredPattern or RecordedChoices

    Raises
    ------
    BadInput
        Naming the file, the field and the value.
    """
    try:
        with open(path, "rb") as file:
            if file.read(6) != b"\x93NUMPY":
                raise BadInput("not a NumPy .npy file", where=path)
            file.seek(0)
            symbols = np.load(file, allow_pickle=False)
    except FileNotFoundError:
        raise BadInput("no such file", where=path) from None
    except OSError as error:
        raise BadInput(error.strerror or str(error), where=path) from None
    except (ValueError, EOFError) as error:
        raise error if isinstance(error, BadInput) else BadInput(f"not readable: {error}", where=path) from None
    symbols.flags.writeable = False
    try:
        return (StoredPattern if repeat else RecordedChoices)(source, sync, symbols)
    except BadInput as error:
        raise error.at(path) from None


def encode(settings, n_pulses, rng=None):
    """Draw what Alice prepares in the first `n_pulses` slots.

    Parameters
    ----------
    settings : SourceSettings
    n_pulses : int
        At least 0.
    rng : numpy.random.Generator, optional
        Where the 32-byte key of the draw comes from: the same state gives the same choices. Absent: the operating
        system's entropy, as a real key needs.

    Returns
    -------
    PulseTrain

    Raises
    ------
    BadInput
        Where `n_pulses` is negative or not a whole number.
    """
    if n_pulses != int(n_pulses) or n_pulses < 0:
        raise BadInput("a whole number of at least 0 is expected", field="n_pulses", value=n_pulses)
    key = entropy(32) if rng is None else rng.bytes(32)
    return DrawnChoices(settings, None, key).train(0, n_pulses)
