import numpy as np
import pytest
from reference import streams as reference

from qkdlab import streams
from qkdlab.datatypes import TimeTags
from qkdlab.errors import BadInput


def stream(n, seed, step=5):
    rng = np.random.default_rng(seed)
    return np.cumsum(rng.integers(0, step, n)) - step, rng.integers(0, 256, n, dtype=np.uint8)


SIZES = [(0, 0), (0, 5), (1, 0), (1, 1), (63, 64), (64, 65), (1000, 3), (5000, 20_000)]


@pytest.mark.parametrize("n, m", SIZES)
def test_kernels_equal_twin(kernel, n, m):
    fast = kernel("streams")
    a, b = stream(n, 1), stream(m, 2)
    ours, twins = ((np.empty(n + m, np.int64), np.empty(n + m, np.uint8)) for _ in range(2))
    fast.merge(*a, *b, *ours)
    reference.merge(*a, *b, *twins)
    for got, expected in zip(ours, twins, strict=True):
        assert np.array_equal(got, expected)
    for earliest, latest in (-3, 3), (0, 0), (5, 9), (-10**12, 10**12), (2, 1):
        assert fast.coincidences(a[0], b[0], earliest, latest) == reference.coincidences(a[0], b[0], earliest, latest)


def test_kernel_refuses_what_does_not_fit(kernel):
    a, b = stream(5, 1), stream(6, 2)
    for n, m in (10, 11), (11, 10), (12, 12):
        with pytest.raises(ValueError, match="expected"):
            kernel("streams").merge(*a, *b, np.empty(n, np.int64), np.empty(m, np.uint8))


@pytest.mark.parametrize("n, m", SIZES)
@pytest.mark.parametrize("at_once", [1, 7, 1 << 22])
def test_merge_in_pieces(monkeypatch, n, m, at_once):
    monkeypatch.setattr(streams, "_AT_ONCE", at_once)
    a, b = stream(n, 3), stream(m, 4)
    merged = streams.merge(TimeTags(*a, lost=2), TimeTags(*b, lost=3))
    time, channel = np.empty(n + m, np.int64), np.empty(n + m, np.uint8)
    reference.merge(*a, *b, time, channel)
    assert np.array_equal(merged.time_ps, time)
    assert np.array_equal(merged.channel, channel)
    assert merged.lost == 5


@pytest.mark.parametrize("at_once", [1, 100, 1 << 22])
@pytest.mark.parametrize("window, delay", [(0, 0), (10, 0), (3, 50), (100, -1000)])
def test_coincidences_are_pairs(monkeypatch, at_once, window, delay):
    monkeypatch.setattr(streams, "_AT_ONCE", at_once)
    a, b = stream(300, 5, 20)[0], stream(400, 6, 15)[0]
    pairs = np.abs(b[None, :] - a[:, None] - delay) <= window
    assert streams.coincidences(a, b, window, delay) == pairs.sum() > 0
    assert streams.coincidences(a[:0], b, window) == streams.coincidences(a, b[:0], window) == 0


@pytest.mark.parametrize("changed", [
    {"a_ps": np.zeros(3)}, {"a_ps": [[1]]}, {"b_ps": np.array([2, 1])}, {"window_ps": -1}, {"window_ps": 1.5},
    {"delay_ps": 2**63}, {"delay_ps": None},
])
def test_bad_input(changed):
    with pytest.raises(BadInput, match="expected|step back|at least|63 bits"):
        streams.coincidences(**{"a_ps": np.array([1, 2]), "b_ps": np.array([1, 2]), "window_ps": 1} | changed)
