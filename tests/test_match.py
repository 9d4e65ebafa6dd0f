import numpy as np
import pytest
from reference import match as reference

SIZES = [0, 1, 63, 64, 65, 1001]
RATES = [round(f * 2**64 / 1e12) for f in (5e7, 319_678_167.6, 1e9 * (1 + 15e-6), 2.5e9, 1e11)]
COSINE = np.rint(np.cos(2 * np.pi * np.arange(256) / 256) * 2**20).astype(np.int32)


def tags(n, seed, start):
    """Sorted times from `start` on, detectors, delays of both signs."""
    rng = np.random.default_rng(seed)
    time = start + np.sort(rng.integers(0, 10**9, n))
    return time, rng.integers(0, 4, n).astype(np.uint8), rng.integers(-10_000, 10_000, 4)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("step", [None, 0, -1])
def test_inputs_equal_twin(kernel, n, step):
    """In order, in order with equal times, and with one step back anywhere."""
    rng = np.random.default_rng(n)
    channel, table = rng.integers(0, 256, n, dtype=np.uint8), rng.integers(0, 256, 256, dtype=np.uint8)
    for at in range(1, n, 37) if step is not None else [0]:
        time = np.arange(n) * 3 - 10**12
        time[at:] += 0 if step is None else step - 3
        ours, twins = np.full(n, 7, np.uint8), np.full(n, 7, np.uint8)
        got = kernel("match").inputs(time, channel, table, ours)
        assert got == reference.inputs(time, channel, table, twins)
        assert np.array_equal(ours, twins) and got[1] == (step != -1)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("rate", RATES)
def test_phasors_equal_twin(kernel, n, rate):
    time, detector, _ = tags(n, n, 10**18)
    sums = [np.ones((4, 1001, 2), np.int64) for _ in range(2)]
    count = [np.zeros(4, np.int64) for _ in range(2)]
    kernel("match").phasors(time, detector, 10**18, rate, 10**6, COSINE, sums[0], count[0])
    reference.phasors(time, detector, 10**18, rate, 10**6, COSINE, sums[1], count[1])
    assert np.array_equal(*sums) and np.array_equal(*count)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("bins", [2, 1024])
def test_histogram_equals_twin(kernel, n, rate, bins):
    time, detector, delay = tags(n, n, 10**18)
    counts = [np.ones((4, bins), np.int32) for _ in range(2)]
    # two hours after the clock's last node: the product no longer fits 64 bits
    kernel("match").histogram(time, detector, delay, 10**18 - 7 * 10**15, 2**64 - 5, rate, counts[0])
    reference.histogram(time, detector, delay, 10**18 - 7 * 10**15, 2**64 - 5, rate, counts[1])
    assert np.array_equal(*counts)


@pytest.mark.parametrize("bins", [1, 2, 65, 1024])
@pytest.mark.parametrize(("width", "windows"), [(1, 1), (0.3, 0.2), (0.5, 1), (1, 0.5), (0, 1)])
@pytest.mark.parametrize("top", [1, 4, 2**40])
def test_moments_equal_twin(kernel, bins, width, windows, top):
    """Windows of any width that begin anywhere; some hold equally many."""
    rng = np.random.default_rng(bins)
    counts, turns = rng.integers(0, top, bins), rng.integers(-(2**20), 2**20, (4, bins)).astype(np.int32)
    width, windows = max(1, round(width * bins)), max(1, round(windows * bins))
    for first in {0, bins // 3, bins - 1}:
        ours, twins = np.empty(4, np.int64), np.empty(4, np.int64)
        got = kernel("match").moments(counts, turns, first, width, windows, ours)
        assert got == reference.moments(counts, turns, first, width, windows, twins)
        assert np.array_equal(ours, twins)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(("back", "slot"), [(7 * 10**15, -(10**12)), (-(10**9), 3 * 10**14), (0, 0)])
@pytest.mark.parametrize(("low", "width"), [(2**63 - 2**62, 2**63), (2**63 + 2**62, 2**63), (1, 2**64 - 1), (0, 0)])
def test_gate_equals_twin(kernel, n, rate, back, slot, low, width):
    """Also before the node (negative spans), at negative slots, and with gates across the end of a slot."""
    time, detector, delay = tags(n, n + 1, 10**18)
    results = []
    for gate in (kernel("match").gate, reference.gate):
        slots, which = np.full(n, -1, np.int64), np.full(n, 9, np.uint8)
        counts = np.zeros((4, 64), np.int32)
        kept = gate(time, detector, delay, 10**18 - back, slot, 2**64 - 1, rate, low, width, slots, which, counts)
        results.append((kept, slots[:kept].tolist(), which[:kept].tolist(), counts.tolist()))
    assert results[0] == results[1]


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("rate", RATES[1:3])
@pytest.mark.parametrize(("low", "width"), [(2**63 - 2**62, 2**63), (0, 2**62), (1, 2**64 - 2), (5, 0)])
def test_strays_equal_twin_and_complete_the_gate(kernel, n, rate, low, width):
    time, detector, delay = tags(n, n + 1, 10**18)
    results = []
    for strays in (kernel("match").strays, reference.strays):
        slots, which = np.full(n, -1, np.int64), np.full(n, 9, np.uint8)
        kept = strays(time, detector, delay, 10**18 - 10**9, -7, 2**64 - 1, rate, low, width, slots, which)
        results.append((kept, slots[:kept].tolist(), which[:kept].tolist()))
    assert results[0] == results[1]
    gated = kernel("match").gate(time, detector, delay, 10**18 - 10**9, -7, 2**64 - 1, rate, low, width,
                                 np.empty(n, np.int64), np.empty(n, np.uint8), np.zeros((4, 64), np.int32))
    assert gated + results[0][0] == n, "each tag is in the gate or a stray"


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("reach", [1, 3, 50])
@pytest.mark.parametrize("last", [-(1 << 62), -2, 10**9])
def test_blank_equals_twin(kernel, n, reach, last):
    rng = np.random.default_rng(n)
    slot, busy = np.unique(rng.integers(0, 4 * n + 1, n)), np.sort(rng.integers(0, 4 * n + 1, n // 2))
    live = [np.full(len(slot), 7, np.uint8) for _ in range(2)]
    assert kernel("match").blank(slot, busy, last, reach, live[0]) == reference.blank(slot, busy, last, reach, live[1])
    assert np.array_equal(*live)
    plain = [all(not s - reach <= b < s for b in [*busy.tolist(), *([last] if not (busy < s).any() else [])])
             for s in slot.tolist()]
    assert last > 0 or live[0].tolist() == plain


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("frame", [1, 64, 1000])
def test_tally_equals_twin(kernel, n, frame):
    rng = np.random.default_rng(n)
    slot, detector = rng.integers(-(2**40), 2**40, n), rng.integers(0, 4, n).astype(np.uint8)
    counts = [np.zeros((4, frame), np.int32) for _ in range(2)]
    kernel("match").tally(slot, detector, counts[0])
    reference.tally(slot, detector, counts[1])
    assert np.array_equal(*counts)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("offset", [-700, 0, 10**15])
def test_place_equals_twin(kernel, n, offset):
    rng = np.random.default_rng(n)
    slot, detector = rng.integers(-1000, 5000, n), rng.integers(0, 4, n).astype(np.uint8)
    pattern, offsets = rng.integers(0, 2, 100).astype(np.uint8), offset + rng.integers(-5, 5, 4)
    results = []
    for place in (kernel("match").place, reference.place):
        slots, which, score = np.empty(n, np.int64), np.empty(n, np.uint8), np.zeros(2, np.int64)
        kept = place(slot, detector, offsets, 1000, 200, pattern, slots, which, score)
        results.append((kept, slots[:kept].tolist(), which[:kept].tolist(), score.tolist()))
    assert results[0] == results[1]
    assert all(s >= 0 and s % 1000 >= 200 for s in results[0][1])


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("disorder", [0, 3, 10**9])
def test_settle_equals_twin(kernel, n, disorder):
    rng = np.random.default_rng(n)
    slot = np.sort(rng.integers(0, 2 * n + 1, n)) + rng.integers(0, disorder + 1, n)
    detector = rng.integers(0, 4, n).astype(np.uint8)
    pairs = [(slot.copy(), detector.copy()) for _ in range(2)]
    kernel("match").settle(*pairs[0])
    reference.settle(*pairs[1])
    assert np.array_equal(pairs[0][0], pairs[1][0]) and np.array_equal(pairs[0][1], pairs[1][1])


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("slots", [1, 40, 10**6])
def test_combine_and_decide_equal_twin(kernel, n, slots):
    rng = np.random.default_rng(n)
    slot, detector = np.sort(rng.integers(0, slots, n)), rng.integers(0, 4, n).astype(np.uint8)
    table, draws = rng.integers(0, 4, (16, 4)).astype(np.uint8), rng.integers(0, 4, n).astype(np.uint8)
    results = []
    for m in (kernel("match"), reference):
        out, fired = np.empty(n, np.int64), np.empty(n, np.uint8)
        count = m.combine(slot, detector, out, fired)
        basis, outcome = np.empty(count, np.uint8), np.empty(count, np.uint8)
        m.decide(fired[:count], table, draws, basis, outcome)
        patterns = np.empty(count, np.uint8)
        patterns = patterns[: m.several(fired[:count], patterns)]
        results.append((out[:count].tolist(), fired[:count].tolist(), patterns.tolist(), basis.tolist(), outcome.tolist()))
    assert results[0] == results[1]
    assert np.all(np.diff(results[0][0]) > 0)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("half", [32, 100, 512])
@pytest.mark.parametrize("first", [0, 3, 40])
def test_matches_equal_twin(kernel, n, half, first):
    rng = np.random.default_rng(n)
    candidates, rows = 33, 7
    patterns = np.zeros((candidates + rows, (half + 63) // 64), np.uint64)
    patterns[:] = rng.integers(0, 2**64, patterns.shape, dtype=np.uint64)
    row, place = rng.integers(0, rows + 1, n), rng.integers(0, half, n)
    scores = [(np.empty(candidates, np.int64), np.empty(candidates, np.int64)) for _ in range(2)]
    kernel("match").matches(row, place, patterns, first, *scores[0])
    reference.matches(row, place, patterns, first, *scores[1])
    assert np.array_equal(scores[0], scores[1])
