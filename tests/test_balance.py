"""qkdlab.postprocessing.balance: detectors that are blind, all the time or for a while."""

import numpy as np
import pytest

from qkdlab.postprocessing.balance import STRETCH, Balance


def clicks(n, seed=3):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2, n).astype(np.uint8), rng.integers(0, 2, n).astype(np.uint8)


def judged(basis, outcome, pieces):
    balance = Balance()
    for a, b in zip(np.array_split(basis, pieces), np.array_split(outcome, pieces), strict=True):
        balance.add(a, b)
    return balance.one_sided()


@pytest.mark.parametrize("n", [0, 1, STRETCH, 100_000])
def test_fair_detectors_pass(n):
    assert judged(*clicks(n), 1) is None


def test_an_honest_mismatch_passes():
    rng = np.random.default_rng(1)
    assert judged(np.zeros(200_000, np.uint8), (rng.random(200_000) < 0.4).astype(np.uint8), 7) is None


@pytest.mark.parametrize("basis_name, which", [("key", 0), ("test", 1)])
@pytest.mark.parametrize("length", [3 * STRETCH, 50_000])
def test_a_detector_blinded_for_a_while_is_named(basis_name, which, length):
    basis, outcome = clicks(100_000)
    outcome[30_000 : 30_000 + 2 * length][basis[30_000 : 30_000 + 2 * length] == which] = 1       # bit 0 falls silent
    words = judged(basis, outcome, 1)
    assert f"the {basis_name} basis' detector for bit 0 has only" in words and "Is it blind?" in words


def test_pieces_make_no_difference():
    basis, outcome = clicks(20_000)
    outcome[9_000:13_000] = 0
    assert judged(basis, outcome, 1) == judged(basis, outcome, 13) == judged(basis, outcome, 999) is not None
