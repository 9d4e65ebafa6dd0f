"""Two streams of time tags in plain NumPy."""

import numpy as np


def merge(a_time, a_channel, b_time, b_channel, time, channel):
    both = np.concatenate([a_time, b_time])
    order = np.argsort(both, kind="stable")
    time[:] = both[order]
    channel[:] = np.concatenate([a_channel, b_channel])[order]


def coincidences(a, b, earliest, latest):
    first, last = np.searchsorted(b, a + earliest, side="left"), np.searchsorted(b, a + latest, side="right")
    return int(np.maximum(last - first, 0).sum()), int(first.max(initial=0))
