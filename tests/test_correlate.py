import numpy as np
import pytest
from reference import correlate as reference

SIZES = [0, 1, 2, 63, 64, 65, 1000]


def times(n, step, seed=0):
    return np.cumsum(np.random.default_rng(seed).integers(0, step, n)) + 10**17


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("step", [2, 1000, 10**9])
@pytest.mark.parametrize("longest, most, rate, bits", [
    (0, 5, 0, 1), (5000, 1, 0, 10), (5000, 10**6, 0, 4), (10**10, 7, 2**54 + 12345, 5), (10**6, 20, 2**61 + 3, 22),
])
def test_kernel_equals_twin(kernel, n, step, longest, most, rate, bits):
    fast, tags = kernel("correlate"), times(n, step)
    for first in (0, n // 3, n):
        ours, twins = (np.zeros(fast.bin_of(longest, bits) + 1, np.int64) for _ in range(2))
        fast.lags(tags, first, longest, most, rate, bits, ours)
        reference.lags(tags, first, longest, most, rate, bits, twins)
        assert np.array_equal(ours, twins)


@pytest.mark.parametrize("bits", [1, 5, 24])
def test_bins(kernel, bits):
    """Every lag has a bin, the bins are in order without a gap, and grow by the octave."""
    fast = kernel("correlate")
    lags = [*range(200), *(2**k + d for k in range(8, 62) for d in (-1, 0, 1))]
    bins = [fast.bin_of(lag, bits) for lag in lags]
    assert bins == [reference.bin_of(lag, bits) for lag in lags] and bins == sorted(bins)
    assert bins[: min(2 << bits, 200)] == list(range(min(2 << bits, 200)))
    assert fast.bin_of(2**40, bits) - fast.bin_of(2**39, bits) == 2**bits


@pytest.mark.parametrize("changed", [
    {"time": np.array([2, 1])}, {"time": np.array([-(2**62) * 2, 2**62])}, {"first": -1}, {"longest": -1},
    {"longest": 2**62}, {"most": -1}, {"rate": 2**62}, {"bits": 0}, {"bits": 25}, {"counts": np.zeros(3, np.int64)},
])
def test_kernel_refuses_what_does_not_fit(kernel, changed):
    given = {"time": times(5, 10), "first": 0, "longest": 100, "most": 3, "rate": 0, "bits": 3,
             "counts": np.zeros(100, np.int64)}
    kernel("correlate").lags(*given.values())
    with pytest.raises(ValueError, match="expected"):
        kernel("correlate").lags(*(given | changed).values())
    with pytest.raises(ValueError, match="expected"):
        kernel("correlate").bin_of(-1, 3)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("length", [0, 1, 63, 500])
@pytest.mark.parametrize(("scores", "first"), [(0, 0), (1, -3), (65, 0), (1000, -500), (20_000, -9000)])
def test_pattern_equals_twin(kernel, n, length, scores, first):
    """Also where a score is the sum of more signs than fit a byte, and where the scores take several tiles."""
    rng = np.random.default_rng(n)
    place, sign = np.sort(rng.integers(-scores // 2 - 2, 8, n)), rng.integers(-1, 2, length).astype(np.int8)
    ours, twins = (np.full(scores, 5, np.int32) for _ in range(2))
    kernel("correlate").pattern(place, sign, first, ours)
    reference.pattern(place, sign, first, twins)
    assert np.array_equal(ours, twins)


def test_many_clicks_in_one_place(kernel):
    score = np.zeros(9, np.int32)
    kernel("correlate").pattern(np.full(1000, 2), np.array([1, 1, -1], np.int8), -5, score)
    assert score.tolist() == [0, 0, 0, 1000, 1000, -1000, 0, 0, 0]


@pytest.mark.parametrize("changed", [
    {"place": np.array([2, 1])}, {"place": np.array([2**60 + 1])}, {"place": np.array([-(2**61)])},
    {"sign": np.array([2], np.int8)}, {"sign": np.array([-2], np.int8)}, {"first": 2**60 + 1},
])
def test_pattern_refuses_what_does_not_fit(kernel, changed):
    given = {"place": np.arange(5), "sign": np.ones(3, np.int8), "first": 0, "score": np.zeros(9, np.int32)}
    kernel("correlate").pattern(*given.values())
    with pytest.raises(ValueError, match="expected"):
        kernel("correlate").pattern(*(given | changed).values())
