"""Two streams of time tags: merged into one in time order, or compared for coincidences."""

import numpy as np

from . import _ext
from .datatypes import TimeTags
from .errors import BadInput

__all__ = ["coincidences", "merge"]

_AT_ONCE = 1 << 22           # tags in one call of a kernel: some 20 ms, then Python may be interrupted


def merge(a, b):
    """All tags of two stretches in time order; of equal times those of `a` come first.

    Parameters
    ----------
    a, b : TimeTags
        Each in time order.

    Returns
    -------
    TimeTags
        With the losses of both.
    """
    n = len(a) + len(b)
    time_ps, channel = np.empty(n, np.int64), np.empty(n, np.uint8)
    i = j = 0
    while i < len(a) or j < len(b):
        # A piece of a, and of b what comes before the piece's end; after the end of a the rest of b.
        i_stop = min(i + _AT_ONCE, len(a))
        j_stop = min(j + _AT_ONCE, len(b))
        if i_stop < len(a) or j_stop < len(b):
            i_stop, j_stop = _cut(a.time_ps, b.time_ps, i, j, i_stop, j_stop)
        piece = slice(i + j, i_stop + j_stop)
        _ext.streams.merge(a.time_ps[i:i_stop], a.channel[i:i_stop], b.time_ps[j:j_stop], b.channel[j:j_stop],
                           time_ps[piece], channel[piece])
        i, j = i_stop, j_stop
    return TimeTags(time_ps, channel, a.lost + b.lost)


def _cut(a, b, i, j, i_stop, j_stop):
    """Shorten the pieces a[i:i_stop] and b[j:j_stop] so that nothing left over belongs before what is taken."""
    if i < i_stop and j < j_stop:
        if a[i_stop - 1] <= b[j_stop - 1]:
            j_stop = j + int(np.searchsorted(b[j:j_stop], a[i_stop - 1], side="left"))
        else:
            i_stop = i + int(np.searchsorted(a[i:i_stop], b[j_stop - 1], side="right"))
    return i_stop, j_stop


def coincidences(a_ps, b_ps, window_ps, delay_ps=0):
    """Number of pairs whose times agree within a window: ``|b - a - delay| <= window``.

    Parameters
    ----------
    a_ps, b_ps : ndarray of int64, shape (n,) and (m,)
        Times in ps, each non-decreasing.
    window_ps : int
        Half of the window, at least 0.
    delay_ps : int
        By how much `b` is late.

    Returns
    -------
    int
        Of uncorrelated streams of rates r and s over a time T one expects ``r s T (2 window + 1 ps)``.

    Raises
    ------
    BadInput
        Where an array is of another kind or not in order, or a number is out of range.
    """
    a, b = _times(a_ps, "a_ps"), _times(b_ps, "b_ps")
    window, delay = (_whole(value, name) for value, name in ((window_ps, "window_ps"), (delay_ps, "delay_ps")))
    if window < 0:
        raise BadInput("must be at least 0", field="window_ps", value=window)
    if len(a) and not -(2**63) <= int(a[0]) + delay - window <= int(a[-1]) + delay + window < 2**63:
        raise BadInput("times, window and delay must fit 63 bits together", field="delay_ps", value=delay)
    pairs = low = 0
    for i in range(0, len(a), _AT_ONCE):
        piece = a[i : i + _AT_ONCE]
        high = int(np.searchsorted(b, piece[-1] + delay + window, side="right"))
        more, passed = _ext.streams.coincidences(piece, b[low:high], delay - window, delay + window)
        pairs, low = pairs + more, low + passed
    return pairs


def _times(values, name):
    values = np.asarray(values)
    if values.dtype != np.int64 or values.ndim != 1:
        raise BadInput(f"a 1-D int64 array is expected, got {values.dtype} of {values.ndim} dimensions", field=name)
    back = np.flatnonzero(values[1:] < values[:-1])
    if len(back):
        raise BadInput(f"times must not step back, number {back[0] + 1} does", field=name, value=int(values[back[0] + 1]))
    return np.ascontiguousarray(values)


def _whole(value, name):
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise BadInput("a whole number of ps is expected", field=name, value=value)
    return int(value)
