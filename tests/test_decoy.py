import importlib

import numpy as np
import pytest
from reference import decoy as reference

from qkdlab import proofs
from qkdlab.datatypes import DecoyCounts


@pytest.mark.parametrize("n", [0, 1, 2, 63, 64, 65, 100_003])
@pytest.mark.parametrize("rows, high", [(1, 1), (3, 3), (3, 5), (8, 8), (256, 256)])
def test_tally_equals_twin(kernel, n, rows, high):
    rng = np.random.default_rng(n + rows)
    intensity = rng.integers(0, high, n).astype(np.uint8)
    basis, error = rng.integers(0, 4, (2, n)).astype(np.uint8)
    fast = rng.integers(0, 1000, (2, rows, 2))          # adds to what is there
    slow = fast.copy()
    kernel("decoy").tally(intensity, basis, error, fast)
    reference.tally(intensity, basis, error, slow)
    assert np.array_equal(fast, slow)


def test_tally_counts_by_intensity_and_basis(kernel):
    out = np.zeros((2, 2, 2), np.int64)
    kernel("decoy").tally(*(np.array(a, np.uint8) for a in ([0, 0, 1, 1, 1], [0, 1, 1, 1, 0], [1, 0, 1, 1, 0])), out)
    assert out[0].tolist() == [[1, 1], [1, 2]]
    assert out[1].tolist() == [[1, 0], [0, 2]]


# ----------------------------------------------------------------------------------------------- the plan of a run

LIM = np.array([5e-3, 4e-2, 0.0, -1.0])                 # misalignment, afterpulses, dead time, Bob as Alice
FLAGS = [(chernoff, gamma, clamp) for chernoff in (False, True) for gamma in (False, True) for clamp in (False, True)]
PRICE = np.array([np.log(21e9), 6 * np.log2(21e9) + np.log2(2e15), 1.16])


def random_settings(n, rng):
    mu1 = rng.uniform(0.05, 1, n)
    mu3 = rng.choice([0, 2e-4, 1e-3], n)
    mu2 = mu3 + (mu1 - 2 * mu3) * rng.uniform(0.02, 0.95, n)
    return np.column_stack([mu1, mu2, mu3, rng.dirichlet([1, 1, 1], n), rng.uniform(0.02, 0.99, n)])


def random_slots(n, rng):
    shares = rng.random(n) + 0.1
    return np.column_stack([shares / shares.sum(), 10 ** -rng.uniform(0.5, 4, n), 10 ** -rng.uniform(4, 8, n)])


@pytest.mark.parametrize("n", [0, 1, 2, 63, 64, 65, 3001])
@pytest.mark.parametrize("slots, receiver, passive, by_key", [
    (1, LIM, False, True), (1, LIM, False, False), (5, np.array([0.01, 0.02, 50.0, 0.7]), True, False),
    (5, np.array([0.0, 0.0, 5.0, -1.0]), True, True), (17, np.array([0.03, 0.0, 1000.0, 0.5]), False, False)])
def test_expected_counts_equal_the_twin(kernel, n, slots, receiver, passive, by_key):
    rng = np.random.default_rng(n)
    settings, slots = random_settings(n, rng), random_slots(slots, rng)
    fast, slow = np.full((2, n, 13), np.nan)
    kernel("decoy").expect(settings, slots, receiver, passive, 1e9, by_key, fast)
    reference.expect(settings, slots, receiver, passive, 1e9, by_key, slow)
    assert np.allclose(fast, slow, rtol=1e-12, atol=0)
    if by_key:
        assert np.allclose(fast[:, 1:7:2].sum(axis=1), 1e9, rtol=1e-12)


@pytest.mark.parametrize("chernoff, gamma, clamp", FLAGS)
def test_bounds_equal_the_twin(kernel, chernoff, gamma, clamp):
    rng = np.random.default_rng(1)
    settings = random_settings(60 if gamma else 500, rng)        # gamma has an exact bound beside it, slow in the twin
    counts = np.empty((len(settings), 13))
    for amount, eta in ((3e6, 0.1), (3e8, 0.03), (1e11, 1e-3), (1e14, 1e-5)):
        reference.expect(settings, np.array([[1, eta, 1e-6]]), LIM, False, amount, False, counts)
        fast, slow = np.full((2, len(settings), 9), np.nan)
        kernel("decoy").bounds(settings, counts, PRICE, chernoff, gamma, clamp, fast)
        reference.bounds(settings, counts, PRICE, chernoff, gamma, clamp, slow)
        known = np.isfinite(slow[:, 7])
        assert not np.isnan(fast).any() and np.array_equal(known, np.isfinite(fast[:, 7]))
        # Of the detections, weighted, of which the bounds are differences.
        key, test = (scale_of(settings, counts[:, 1 + basis:7:2]) for basis in (0, 1))
        for column, scale in enumerate((key, key, test, test, test)):
            assert (np.abs(fast[:, column] - slow[:, column]) <= 1e-12 * scale).all(), column
        assert fast[:, [6, 8]] == pytest.approx(slow[:, [6, 8]], rel=1e-12)
        assert (fast[~known, 5] == 1).all() and (fast[~known, 7] == -np.inf).all()
        fast, slow, key, test = fast[known], slow[known], key[known], test[known]
        steady = fast[:, 3] > 1e-4 * test                          # else s1_test is all rounding
        one = 1 / slow[:, 1] if gamma else 0                       # exact bounds are whole numbers of errors
        assert (np.abs(fast[:, 5] - slow[:, 5]) <= 1e-8 + one)[steady].all()
        assert (np.abs(fast[:, 7] - slow[:, 7]) <= 1e-7 * key + gamma * 40)[steady].all()


def scale_of(settings, n):
    return n.sum(axis=1) / settings[:, 3:6].min(axis=1) / (settings[:, 1] - settings[:, 2]) ** 2


@pytest.mark.parametrize("tails", ["hoeffding", "chernoff"])
@pytest.mark.parametrize("sampling", ["serfling", "gamma"])
@pytest.mark.parametrize("clamp", [True, False])
def test_bounds_equal_the_analysis(kernel, tails, sampling, clamp):
    """Whole counts: the compiled length is that of proofs.bound, to the last digits."""
    rng = np.random.default_rng(2)
    settings, compared = random_settings(30, rng), 0
    for amount, eta in ((1e9, 0.05), (1e12, 1e-3)):
        counts, fast = np.empty((len(settings), 13)), np.empty((len(settings), 9))
        reference.expect(settings, np.array([[1, eta, 1e-6]]), LIM, False, amount, False, counts)
        counts[:, 1:] = np.rint(counts[:, 1:])
        kernel("decoy").bounds(settings, counts, PRICE, tails == "chernoff", sampling == "gamma", clamp, fast)
        for row, count, out in zip(settings, counts, fast, strict=True):
            n, m = count[1:7].reshape(3, 2), count[7:].reshape(3, 2)
            bound = proofs.bound(DecoyCounts(np.zeros((3, 2)), n, m), intensities=row[:3],
                                 probabilities=row[3:6] / row[3:6].sum(), eps_sec=1e-9, eps_cor=1e-15, f_ec=1.16,
                                 tails=tails, sampling=sampling, clamp=clamp)
            assert (bound.signed_length is None) == np.isinf(out[7])
            if bound.signed_length is None or (sampling == "gamma" and bound.v1_test < 30):
                continue
            compared += 1
            of_proof = [bound.s0, bound.s1, bound.s0_test, bound.s1_test, bound.v1_test, bound.phase_error,
                        bound.leak_bits, bound.signed_length, n[:, 0].sum()]
            weighted = n[:, 0].sum() / min(row[3:6]) / (row[1] - row[2])           # the bounds are differences of such
            assert out == pytest.approx(of_proof, rel=1e-12, abs=1e-12 * weighted)
    assert compared > 25


@pytest.mark.parametrize("chernoff, gamma, clamp", FLAGS)
def test_worth_equals_the_twin(kernel, chernoff, gamma, clamp):
    rng = np.random.default_rng(3)
    settings, slots = random_settings(60 if gamma else 1000, rng), random_slots(3, rng)
    fast, slow = np.empty((2, len(settings)))
    for amount, by_key in ((1e8, False), (1e12, False), (1e4, True), (1e9, True)):
        task = settings, slots, LIM, False, amount, by_key, PRICE, chernoff, gamma, clamp
        kernel("decoy").worth(*task, fast)
        reference.worth(*task, slow)
        key = slow > 0
        assert fast[key] == pytest.approx(slow[key], rel=1e-6) and np.array_equal(key, fast > 0)
        assert (fast[slow <= -1e30] < -4e29).all(), "where there is no key nothing may look like one"
    assert key.sum() > 20


def test_worth_refuses_settings_that_no_analysis_takes(kernel):
    good = [0.5, 0.2, 1e-3, 0.5, 0.3, 0.2, 0.8]
    wrong = [[0.5, 0.5, 0.001], [0.5, 0.2, 0.2], [0.3, 0.2, 0.1], [11, 0.2, 0.001], [0.5, 0.2, -1e-3], [np.nan, 0.2, 0]]
    settings = np.array([good, *(w + good[3:] for w in wrong), good[:6] + [1.0], good[:3] + [0.0, 0.5, 0.5, 0.8]])
    out = np.empty(len(settings))
    kernel("decoy").worth(settings, np.array([[1, 0.1, 1e-7]]), LIM, False, 1e12, False, PRICE, False, False, True, out)
    assert out[0] > 0 and (out[1:] == -8e30).all()


@pytest.mark.parametrize("step", [[0.5] * 5, [0, 0, 0.5, 0.5, 0.5], [0, 0, 0, 0, 0.5], [0] * 5])
def test_climb_reaches_the_peak_of_the_twin(kernel, step):
    rng = np.random.default_rng(4)
    slots = np.stack([random_slots(2, rng) for _ in range(2)])
    slots[:, :, 1], slots[:, :, 2] = [[0.01, 0.02], [0.003, 0.001]], 1e-6
    start = np.array([[-0.2, -0.7, -0.5, -1.5, 1.5]] * 2)
    task = slots, LIM, False, np.array([1e11, 3e11]), False, PRICE, False, False, True, np.array(step, float), 1.0, 2e-4
    fast, slow = start.copy(), start.copy()
    peaks, settings = np.empty((2, 2)), np.empty((2, 2, 7))
    for _ in range(2):
        used = kernel("decoy").climb(fast, *task, 1500, 1e-9, peaks[0], settings[0])
        reference.climb(slow, *task, 500, 1e-9, peaks[1], settings[1])
    assert peaks[0] == pytest.approx(peaks[1], rel=2e-6) and (peaks > 0).all() and used < 2 * 1500
    held = np.array(step) == 0
    assert np.array_equal(fast[:, held], start[:, held])
    again = np.empty(2)
    for i in range(2):
        kernel("decoy").worth(settings[0, i:i + 1], slots[i], LIM, False, task[3][i], False, PRICE, False, False, True,
                              again[i:i + 1])
    assert np.array_equal(again, peaks[0])


def test_all_instruction_paths_agree_to_the_last_bit():
    from qkdlab import _ext

    rng = np.random.default_rng(5)
    settings, slots, results = random_settings(2000, rng), random_slots(3, rng), []
    for path in _ext.paths:
        kernel, out = importlib.import_module(f"qkdlab._ext.{path}.decoy"), np.empty(len(settings))
        kernel.worth(settings, slots, LIM, False, 1e10, False, PRICE, False, True, True, out)
        x, best, at = np.zeros((1, 5)), np.empty(1), np.empty((1, 7))
        kernel.climb(x, slots[None], LIM, False, np.array([1e12]), False, PRICE, True, False, True, np.full(5, 0.5), 1.0,
                     0.0, 1000, 1e-9, best, at)
        results.append((out.tobytes(), x.tobytes(), best.tobytes(), at.tobytes()))
    assert len(set(results)) == 1
