"""Two streams of time tags."""

import numpy as np

from qkdlab import streams
from qkdlab.benchmarks.measure import Case, Peer
from qkdlab.datatypes import TimeTags

__all__ = ["cases"]


def cases(size):
    """Equally long, 10 tags a microsecond each."""
    n = 500_000 if size == "quick" else 5_000_000
    rng = np.random.default_rng(1)
    a, b = (TimeTags(np.cumsum(rng.integers(0, 200_000, n)), np.full(n, c, np.uint8)) for c in range(2))
    yield Case("merge two streams", "tags", 2 * n / 1e6, lambda: streams.merge(a, b),
               (Peer("numpy", lambda: lambda: by_sorting(a, b)),), goal=150)
    yield Case("coincidences, 1 ns", "tags", 2 * n / 1e6, lambda: streams.coincidences(a.time_ps, b.time_ps, 500),
               (Peer("numpy", lambda: lambda: by_searching(a.time_ps, b.time_ps)),), goal=100)


def by_sorting(a, b):
    time_ps = np.concatenate([a.time_ps, b.time_ps])
    order = np.argsort(time_ps, kind="stable")
    return time_ps[order], np.concatenate([a.channel, b.channel])[order]


def by_searching(a, b):
    return int((np.searchsorted(b, a + 500, side="right") - np.searchsorted(b, a - 500)).sum())
