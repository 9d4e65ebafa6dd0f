import math

import numpy as np
import pytest

from qkdlab.bits import Bits
from qkdlab.errors import BadInput
from qkdlab.postprocessing.cascade_plan import VARIANTS
from qkdlab.postprocessing.monte_carlo import correct_patterns, error_patterns, simulate_frames
from qkdlab.postprocessing.reconcile import reconcile


def reconciled(n, positions, ends, qber, **agreed):
    """The same keys with all their bits: leak, transcript, rounds and errors left of each."""
    rng, rows, start = np.random.default_rng(0), [], 0
    for key, end in enumerate(ends):
        alice = rng.integers(0, 2, n, dtype=np.uint8)
        bob = alice.copy()
        bob[positions[start:end] - key * n] ^= 1
        done = reconcile(Bits.from_numpy(alice), Bits.from_numpy(bob), qber, **agreed)
        left = int((done.bits.to_numpy() != alice).sum())
        rows.append((done.leak_bits, done.transcript_bits, done.rounds, left))
        start = end
    return rows


@pytest.mark.parametrize("n, qber, estimate, keys", [
    (1, 0.3, 0.1, 9), (64, 0.1, 0.1, 9), (4097, 0.02, 0.02, 5), (10_000, 0.01, 0.01, 20), (10_000, 0.08, 0.056, 10),
    (100_000, 0.01, 0.01, 3), (100_000, 0.05, 0.065, 2), (250_001, 0.02, 0.02, 2), (20_000, 0.03, 1e-9, 2),
    (20_000, 0.4, 0.49, 2),
])
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_same_counts_as_with_keys(n, qber, estimate, keys, variant):
    positions, ends = error_patterns(n, qber, keys, np.random.default_rng(n))
    agreed = dict(seed=12, variant=variant)
    found = correct_patterns(n, positions, ends, estimate, **agreed)
    assert list(zip(found.leak_bits, found.transcript_bits, found.rounds, found.remaining, strict=True)) \
        == reconciled(n, positions, ends, estimate, **agreed)
    assert found.errors.sum() == len(positions)


def test_a_failure_is_counted_like_one_with_keys():
    """Small keys with far too large blocks fail now and then, and then on the same patterns."""
    positions, ends = error_patterns(64, 0.2, 500, np.random.default_rng(3))
    VARIANTS["blind"] = type(VARIANTS["default"])(first_block_errors=2, later_block_errors=(4,), checks=1)
    try:
        found = correct_patterns(64, positions, ends, 0.1, seed=2, variant="blind")
        rows = reconciled(64, positions, ends, 0.1, seed=2, variant="blind")
    finally:
        del VARIANTS["blind"]
    assert found.remaining.tolist() == [row[3] for row in rows]
    assert 20 < found.failures < 480


def test_errors_are_geometric():
    """Gaps of independent errors: mean and variance of their number, and of the distance between two."""
    n, qber, keys = 1000, 0.03, 20_000
    positions, ends = error_patterns(n, qber, keys, np.random.default_rng(1))
    assert np.all(np.diff(positions) > 0)
    counts = np.diff(ends, prepend=0)
    assert counts.mean() == pytest.approx(n * qber, abs=5 * math.sqrt(n * qber / keys))
    assert counts.var() == pytest.approx(n * qber * (1 - qber), rel=0.05)
    gaps = np.diff(positions)
    for k in (1, 2, 10, 100):
        p = (1 - qber) ** k
        assert np.mean(gaps > k) == pytest.approx(p, abs=5 * math.sqrt(p * (1 - p) / len(gaps)))
    places = np.histogram(positions % n, bins=20, range=(0, n))[0]
    assert np.all(np.abs(places - len(positions) / 20) < 5 * math.sqrt(len(positions) / 20))


def test_a_seed_fixes_all():
    a, b, c = (simulate_frames(5000, 0.02, 300, seed) for seed in (1, 1, 2))
    assert np.array_equal(a.leak_bits, b.leak_bits)
    assert not np.array_equal(a.leak_bits, c.leak_bits)
    assert len(a.errors) == 300
    assert simulate_frames(5000, 0.02, 0, 1).failures == 0


def test_efficiency_counts_actual_errors():
    found = simulate_frames(10_000, 0.02, 200, 5)
    rate = found.errors / 10_000
    least = 10_000 * -(rate * np.log2(rate) + (1 - rate) * np.log2(1 - rate)).sum()
    assert found.efficiency == pytest.approx(found.leak_bits.sum() / least)
    assert simulate_frames(10, 1e-9, 3, 5).efficiency == math.inf


@pytest.mark.parametrize("changed", [{"n": 0}, {"n": -1}, {"n": 1.5}, {"qber": 0}, {"qber": 0.5}, {"qber": math.nan},
                                     {"frames": -1}, {"frames": 2.5}, {"seed": -1}, {"seed": "x"}, {"estimated_qber": 0.7},
                                     {"variant": "best"}, {"frame_bits": 0}])
def test_bad_arguments(changed):
    with pytest.raises(BadInput, match="expected|unknown"):
        simulate_frames(**{"n": 100, "qber": 0.1, "frames": 2, "seed": 1} | changed)


@pytest.mark.parametrize("positions, ends", [([3, 3], [2]), ([5, 3], [2]), ([100], [1]), ([-1], [1]), ([1, 2], [1]),
                                             ([1], [[1]]), ([0.5], [1]), ([1, 150], [2, 2])])
def test_bad_patterns(positions, ends):
    with pytest.raises(BadInput, match="expected|order|fit|rise"):
        correct_patterns(100, np.array(positions), np.array(ends), 0.1, seed=1)


# ---------------------------------------------------------------------------------------------------------- statistics


def failures(frames):
    """Of so many frames of 1e4 bits at each of five error rates, known or mis-estimated by 30 %."""
    return sum(simulate_frames(10_000, qber, frames, seed=77, estimated_qber=qber * estimate).failures
               for qber in (0.01, 0.02, 0.03, 0.05, 0.08) for estimate in (0.7, 1.0, 1.3))


def test_no_frame_fails():
    assert failures(2000) == 0


@pytest.mark.slow
def test_frames_fail_twice_in_a_million():
    """What the 20 checks promise: an error that is left passes them with probability 2^-20 each time they are all even."""
    assert failures(200_000) <= 15               # of 3,000,000: 6 are expected, 15 with a chance below 1 in 1000


@pytest.mark.slow
@pytest.mark.parametrize("qber, goal", [(0.01, 1.026), (0.02, 1.036), (0.03, 1.038), (0.05, 1.052), (0.08, 1.070)])
def test_efficiency_of_long_keys(qber, goal):
    """Mean f over 2000 keys of 1e5 bits, over the entropy of the actual error rates."""
    assert simulate_frames(100_000, qber, 2000, seed=4).efficiency <= goal
