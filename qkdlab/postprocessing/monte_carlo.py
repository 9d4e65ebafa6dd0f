"""Leak, rounds and failures of error correction over many keys, from their errors alone.

Parities are linear: where the parties' parities differ is the parity of the errors there. So what Cascade asks, finds
and reveals is a function of the error pattern, and statistics need no keys (``_ext/cascade_errors.pxd``). The counts
are those of :func:`qkdlab.postprocessing.reconcile.reconcile` on keys that differ in that pattern, bit for bit.
"""

import math
from dataclasses import dataclass

import numpy as np

from .. import _ext
from ..errors import BadInput
from .cascade_plan import FRAME_BITS, Agreement, whole
from .reconcile import transcript_bits

__all__ = ["Statistics", "correct_patterns", "error_patterns", "simulate_frames"]

_ERRORS_AT_ONCE = 100_000     # some 5 ms of work, then Python may be interrupted


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts of each key, int64 arrays of shape (keys,)."""

    n: int                       # bits of a key
    errors: np.ndarray           # where the parties differed
    leak_bits: np.ndarray        # parities that Alice revealed
    transcript_bits: np.ndarray  # all that was said in both directions
    rounds: np.ndarray
    remaining: np.ndarray        # errors not found; verification would refuse the key

    @property
    def failures(self):
        """Number of keys with errors left."""
        return int(np.count_nonzero(self.remaining))

    @property
    def efficiency(self):
        """f: revealed parities over ``n h(errors / n)``, both summed over the keys; infinite where there are no errors."""
        rate = self.errors[(0 < self.errors) & (self.errors < self.n)] / self.n
        least = self.n * float(np.sum(-rate * np.log2(rate) - (1 - rate) * np.log2(1 - rate)))
        return float(self.leak_bits.sum()) / least if least else math.inf


def simulate_frames(n, qber, frames, seed, estimated_qber=None, variant="default", frame_bits=FRAME_BITS):
    """Correct many keys with independent errors.

    Parameters
    ----------
    n : int
        Bits of a key, at least 1.
    qber : float
        Probability of an error, between 0 and 0.5 (excluded).
    frames : int
        Number of keys.
    seed : int, at least 0
        Fixes the errors and the orders of the passes, which are new every few keys.
    estimated_qber : float, optional
        What the block sizes are made for; absent: `qber`.
    variant, frame_bits
        As of :func:`qkdlab.postprocessing.reconcile.reconcile`.

    Returns
    -------
    Statistics

    Raises
    ------
    BadInput
        Where an argument is out of range.
    """
    n, frames, seed = whole(n, "n", 1, 2**62), whole(frames, "frames", 0, 2**62), whole(seed, "seed", 0, 2**128)
    qber = Agreement(n, qber, 0).qber
    rng = np.random.default_rng(seed)
    at_once = max(1, round(_ERRORS_AT_ONCE / (n * qber)))
    parts = []
    for first in range(0, max(frames, 1), at_once):
        positions, ends = error_patterns(n, qber, min(at_once, frames - first), rng)
        parts.append(correct_patterns(n, positions, ends, qber if estimated_qber is None else estimated_qber,
                                      seed=int(rng.integers(2**63)), variant=variant, frame_bits=frame_bits))
    fields = Statistics.__dataclass_fields__
    return Statistics(n, **{name: np.concatenate([getattr(part, name) for part in parts])
                            for name in fields if name != "n"})


def error_patterns(n, qber, keys, rng):
    """Independent errors by the gaps between them, whose law is geometric: the cost is that of the errors.

    Parameters
    ----------
    n : int
        Bits of a key.
    qber : float
    keys : int
    rng : numpy.random.Generator

    Returns
    -------
    positions : ndarray of int64, shape (errors,)
        Bits that differ, counted from the first bit of the first key.
    ends : ndarray of int64, shape (keys,)
        Where each key's errors end in `positions`.
    """
    total, last, parts = n * keys, -1, []
    scale = -1 / math.log1p(-qber)
    while last < total - 1:
        expected = (total - 1 - last) * qber
        gaps = rng.standard_exponential(int(expected + 5 * math.sqrt(expected)) + 10)
        gaps *= scale
        # Truncated, an exponential variable is a geometric one. A gap beyond the end is cut: it is not looked at.
        steps = np.minimum(gaps, total, out=gaps).astype(np.int64)
        steps += 1
        steps[0] += last
        parts.append(np.cumsum(steps, out=steps))
        last = int(steps[-1])
    positions = np.concatenate(parts) if parts else np.zeros(0, np.int64)
    ends = np.searchsorted(positions, n * np.arange(1, keys + 1))
    return positions[: ends[-1] if keys else 0], ends


def correct_patterns(n, positions, ends, qber, *, seed, variant="default", frame_bits=FRAME_BITS):
    """What correcting keys with these errors takes.

    Parameters
    ----------
    n : int
        Bits of a key.
    positions, ends : ndarray of int64
        As :func:`error_patterns` gives them.
    qber : float
        Estimated error rate.
    seed, variant, frame_bits
        As of :func:`qkdlab.postprocessing.reconcile.reconcile`.

    Returns
    -------
    Statistics

    Raises
    ------
    BadInput
        Where an argument is out of range, or the positions are not in order.
    """
    agreed = Agreement(n, qber, seed, variant, frame_bits)
    positions, ends = _column(positions, "positions"), _column(ends, "ends")
    if not agreed.n:
        raise BadInput("at least 1 bit is expected", where="reconcile", field="n", value=n)
    plan, _ = agreed.plan()
    starts = np.cumsum([0, *agreed.frame_lengths()])
    starts = (agreed.n * np.arange(len(ends))[:, None] + starts[:-1]).ravel()
    begins = np.searchsorted(positions, starts)
    frame_ends = np.append(begins, len(positions))[1:]
    counts = np.zeros((len(ends), 4), np.int64)
    errors = np.diff(ends, prepend=0)
    if len(positions) and not 0 <= positions[0] <= positions[-1] < agreed.n * len(ends):
        raise BadInput(f"positions in {len(ends)} keys of {n} bits are expected", where="reconcile", field="positions")
    try:
        within = (positions - np.repeat(starts, frame_ends - begins)).astype(np.uint32)
        if not np.array_equal(ends, frame_ends[plan.frames - 1 :: plan.frames]):
            raise ValueError("ends do not fit the positions")
        _ext.cascade.run_sparse(plan, within, frame_ends, counts)
    except ValueError as error:
        raise BadInput(str(error), where="reconcile", field="positions") from None
    leak_bits, spoken_bytes, rounds, corrected = counts.T
    return Statistics(agreed.n, errors, leak_bits, transcript_bits(spoken_bytes, rounds), rounds, errors - corrected)


def _column(values, name):
    values = np.asarray(values)
    if values.ndim != 1 or (len(values) and values.dtype.kind not in "ui"):
        raise BadInput(f"a 1-D array of whole numbers is expected, got {values.dtype} of {values.ndim} dimensions",
                       where="reconcile", field=name)
    return np.ascontiguousarray(values, np.int64)
