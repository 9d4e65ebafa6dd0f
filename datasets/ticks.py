"""Counts of a device's ticks to whole picoseconds and back, in integers."""

from fractions import Fraction

import numpy as np

from qkdlab.errors import BadInput

__all__ = ["Unwrap", "exact_tick", "from_ps", "most_ticks", "to_ps"]

MOST = 2**63 - 1


def exact_tick(tick_ps):
    """A tick as a fraction, or BadInput."""
    try:
        unit = Fraction(str(tick_ps)) if isinstance(tick_ps, float) else Fraction(tick_ps)
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        unit = Fraction(0)
    if not Fraction(1, 1000) <= unit <= 10**9 or unit.denominator > 10**6:
        raise BadInput("a time from 0.001 to 10^9 ps is expected", field="tick_ps", value=tick_ps)
    return unit


def most_ticks(unit_ps):
    """The largest count whose time is below 2^63 ps."""
    return min(MOST, MOST // unit_ps)


def to_ps(ticks, unit_ps):
    """Times of counts.

    Parameters
    ----------
    ticks : np.ndarray
        int64 (M,), at most :func:`most_ticks`; may be written over.
    unit_ps : fractions.Fraction
        The tick in ps.

    Returns
    -------
    np.ndarray
        int64 (M,), rounded down where a tick is no whole number of ps: exactly, where the denominator is at most 10^6.
    """
    whole, down = unit_ps.numerator, unit_ps.denominator
    if down == 1:
        if whole != 1:
            ticks *= whole
        return ticks
    if down > 10**6:                                   # a unit that was a float
        part = np.floor(ticks * float(unit_ps % 1)).astype(np.int64)
        ticks *= int(unit_ps)
        return ticks + part
    largest = max(abs(int(ticks.max(initial=0))), abs(int(ticks.min(initial=0))))
    if largest * whole <= MOST:
        ticks *= whole
        return _divide(ticks, down)
    turns, ticks = np.divmod(ticks, down)
    ticks *= whole
    return turns * whole + _divide(ticks, down)


def _divide(ticks, down):
    """Rounded down, in place; a shift, which is much faster, where it is a power of two."""
    if down & (down - 1) == 0:
        ticks >>= down.bit_length() - 1
    else:
        ticks //= down
    return ticks


def from_ps(time_ps, unit_ps, path):
    """Counts whose times (by :func:`to_ps`) are these.

    Raises
    ------
    BadInput
        Where a time is that of no count, naming file, field and value.
    """
    whole, down = unit_ps.numerator, unit_ps.denominator
    if whole == down == 1:
        return time_ps
    turns, rest = np.divmod(time_ps, whole)
    ticks = turns * down - (-rest * down) // whole     # rounded up: the only count that can have been rounded down to this
    wrong = to_ps(ticks.copy(), unit_ps) != time_ps
    if wrong.any():
        raise BadInput(f"not a multiple of the tick of {_shown(unit_ps)} ps", where=path, field="time_ps",
                       value=int(time_ps[np.argmax(wrong)]))
    return ticks


def _shown(unit_ps):
    return int(unit_ps) if unit_ps == int(unit_ps) else float(unit_ps)


class Unwrap:
    """Counts of a few bits, which begin again at 0 each time they are full, as counts that go on.

    A step back by more than 1/64 of the range is taken as a wrap, a smaller one as events out of order; likewise for a
    step forward by nearly the whole range (out of order over a wrap) behind the first wrap. Nothing shows a wrap within
    which no event fell.

    Parameters
    ----------
    bits : int
        Of the counter.
    most : int
        The largest count to return.
    """

    def __init__(self, bits, most):
        self._bits, self._most, self._wraps, self._last = bits, (most + 1) >> bits, 0, None

    def __call__(self, counts):
        """Counts from 0 to 2^bits - 1 (int64) as (counts that go on, how many of them stay within `most`)."""
        if not len(counts):
            return counts, 0
        period = 1 << self._bits
        far = period - (period >> 6)
        steps = np.diff(counts, prepend=counts[0] if self._last is None else self._last)
        self._last = counts[-1]
        if steps.min() >= -(period >> 6) and steps.max() <= far:
            used = len(counts) if self._wraps < self._most else 0
            return counts + period * min(self._wraps, self._most), used
        wraps = self._wraps + np.cumsum((steps < -(period >> 6)).astype(np.int64) - (steps > far))
        wraps -= np.minimum(np.minimum.accumulate(wraps), 0)              # nothing lies before the first round
        self._wraps = int(wraps[-1])
        beyond = wraps >= self._most
        used = int(np.argmax(beyond)) if beyond.any() else len(counts)
        return counts + period * np.where(beyond, 0, wraps), used
