import numpy as np
import pytest
from scipy.stats import binom, poisson

from qkdlab.errors import BadInput
from qkdlab.proofs import tails


def test_hoeffding_as_in_lim_2014():
    lower, upper = tails.hoeffding(60_000, 21_810_000, 1e-9 / 21)
    deviation = np.sqrt(21_810_000 / 2 * np.log(21 / 1e-9))
    assert upper - 60_000 == pytest.approx(deviation, rel=1e-12) == 60_000 - lower


@pytest.mark.parametrize("name", tails.TAILS)
@pytest.mark.parametrize("eps", [0.1, 1e-3])
@pytest.mark.parametrize("expected", [0.3, 2.0, 17.0, 240.0])
def test_bounds_fail_no_more_often_than_said(name, eps, expected):
    """Exactly, for binomial counts: add up the probabilities of all counts whose bound misses the expectation."""
    total = 400
    count = np.arange(total + 1)
    chance = binom.pmf(count, total, expected / total)
    lower, upper = tails.expectation(name, count, total, eps)
    assert chance[lower > expected].sum() <= eps
    assert chance[upper < expected].sum() <= eps


@pytest.mark.parametrize("eps", [0.1, 1e-3])
@pytest.mark.parametrize("expected", [0.3, 2.0, 17.0, 240.0])
def test_chernoff_holds_for_rare_counts(eps, expected):
    count = np.arange(2000)
    chance = poisson.pmf(count, expected)
    lower, upper = tails.chernoff(count, None, eps)
    assert chance[lower > expected].sum() <= eps
    assert chance[upper < expected].sum() <= eps
    low, high = tails.chernoff_count(expected, eps)
    assert chance[count < low].sum() <= eps and chance[count > high].sum() <= eps


def test_chernoff_solves_its_equations():
    b = np.log(21 / 1e-9)
    count = np.array([0.0, 1.0, 40.0, 1e4, 1e9])
    lower, upper = tails.chernoff(count, None, 1e-9 / 21)
    assert np.allclose((upper - count) ** 2 / (2 * upper), b, rtol=1e-6)
    assert (lower < count).all() and lower[0] == pytest.approx(-b)
    low, high = tails.chernoff_count(count[1:], 1e-9 / 21)
    assert np.allclose((high - count[1:]) ** 2 / (2 * count[1:] + high - count[1:]), b, rtol=1e-6)


def test_chernoff_beats_hoeffding_for_a_weak_intensity_only():
    weak = [t(1000, 10**7, 1e-10) for t in (tails.hoeffding, tails.chernoff)]
    assert weak[1][0] > weak[0][0] and weak[1][1] < weak[0][1]


@pytest.mark.parametrize("name", tails.TAILS)
def test_arrays_broadcast(name):
    count = np.array([[10, 20, 30], [1, 2, 3]])
    lower, upper = tails.expectation(name, count, count.sum(axis=1, keepdims=True), 1e-9)
    assert lower.shape == upper.shape == (2, 3)
    one = tails.expectation(name, 2, 6, 1e-9)
    assert (lower[1, 1], upper[1, 1]) == one


def test_unknown_name():
    with pytest.raises(BadInput, match="tails"):
        tails.expectation("gauss", 1, 1, 0.1)
