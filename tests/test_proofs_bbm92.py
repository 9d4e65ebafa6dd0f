"""Entangled pairs: the closed form against the sum over pair numbers, limits, the threshold."""

import math
from fractions import Fraction

import numpy as np
import pytest

from qkdlab.errors import BadInput
from qkdlab.proofs import bbm92


def by_pairs(mu, eta_a, eta_b, y0_a, y0_b, e_det, most=60):
    """Gain and error gain as sums over the number of pairs, in exact fractions.

    n pairs are m photons in one polarisation and n - m in the other on both sides, all m equally likely; the bits agree as
    far as which arms stay silent on the two sides does.
    """
    lam, a, b = Fraction(mu) / 2, Fraction(eta_a), Fraction(eta_b)
    ya, yb, ed = Fraction(y0_a), Fraction(y0_b), Fraction(e_det)
    gain = correlated = Fraction(0)
    for n in range(most):
        p = (n + 1) * lam**n / (1 + lam) ** (n + 2)
        gain += p * (1 - (1 - ya) * (1 - a) ** n) * (1 - (1 - yb) * (1 - b) ** n)
        # m photons in one mode, n - m in the other, on both sides: the difference of "one arm silent" probabilities
        bracket = sum(((1 - a) ** (n - m) - (1 - a) ** m) * ((1 - b) ** (n - m) - (1 - b) ** m) for m in range(n + 1))
        correlated += p * bracket / (n + 1)
    return float(gain), float(gain / 2 - (Fraction(1, 2) - ed) * correlated)


@pytest.mark.parametrize("link", [("0.2", "0.3", "0.1", "0.001", "0.0001", "0.015"), ("1", "0.5", "0.5", "0", "0", "0"),
                                  ("0.05", "1", "0.9", "0.01", "0", "0.1"), ("0.5", "0.01", "0.02", "1e-5", "0", "0.03")])
def test_closed_form_equals_the_sum_over_pair_numbers(link):
    values = [Fraction(x) for x in link]
    gain, wrong = by_pairs(*link)
    found = bbm92.coincidences(*map(float, values))
    assert found.gain == pytest.approx(gain, rel=1e-13)
    assert found.error * found.gain == pytest.approx(wrong, rel=1e-12)


def printed(mu, eta_a, eta_b, y0_a, y0_b, e_det):
    """The paper's gain and error gain, as printed."""
    lam = mu / 2
    a, b = 1 + eta_a * lam, 1 + eta_b * lam
    c = a + b - 1 - eta_a * eta_b * lam
    q = 1 - (1 - y0_a) / a**2 - (1 - y0_b) / b**2 + (1 - y0_a) * (1 - y0_b) / c**2
    return q, q / 2 - 2 * (0.5 - e_det) * eta_a * eta_b * lam * (1 + lam) / (a * b * c)


def test_printed_form_and_high_loss():
    link = (0.3, 0.2, 0.4, 1e-3, 2e-3, 0.02)
    found, (gain, wrong) = bbm92.coincidences(*link), printed(*link)
    assert found.gain == pytest.approx(gain, rel=1e-12) and found.gain * found.error == pytest.approx(wrong, rel=1e-12)
    # 2 x 60 dB: two photons arrive by chance; the printed form has no digit left, the sum of pairs has all
    gain, wrong = by_pairs("0.1", "1/1000000", "1/1000000", "0", "0", "0.01", most=30)
    far = bbm92.coincidences(0.1, 1e-6, 1e-6, 0, 0, 0.01)
    assert far.gain == pytest.approx(gain, rel=1e-12) and far.gain * far.error == pytest.approx(wrong, rel=1e-10)
    assert abs(printed(0.1, 1e-6, 1e-6, 0, 0, 0.01)[0] / gain - 1) > 1e-6


def test_threshold_is_that_of_bb84():
    """Published: 11.00 %."""
    assert bbm92.threshold() == pytest.approx(0.1100, abs=5e-5)
    assert bbm92.secret_fraction(0.1099) > 0 == bbm92.secret_fraction(0.1101)
    assert bbm92.secret_fraction(0) == 1 and bbm92.secret_fraction([0.5, 0.9, 1.0]).tolist() == [0, 0, 0]
    assert bbm92.threshold([1.0, 1.16, 1.22]).tolist() == sorted(bbm92.threshold([1.0, 1.16, 1.22]), reverse=True)
    assert bbm92.secret_fraction(0.05, 0.02) > bbm92.secret_fraction(0.05)


def test_monotone_and_broadcasting():
    loss_db = np.arange(0, 100, 5)
    eta = 10 ** (-loss_db / 20)
    rates = bbm92.rate(0.1, eta, eta, 1e-6, 1e-6, 0.01, f_ec=1.1)
    assert rates.shape == loss_db.shape and rates[0] > 0 and (np.diff(rates) <= 0).all() and rates[-1] == 0
    errors = bbm92.rate(0.1, 0.1, 0.1, 1e-6, 1e-6, np.array([0.0, 0.01, 0.03, 0.06, 0.12, 0.5]))
    assert (np.diff(errors) <= 0).all() and errors[0] > 0 == errors[-1]
    grid = bbm92.rate(np.linspace(0.01, 0.5, 4)[:, None], eta, 0.3)
    assert grid.shape == (4, len(eta)) and grid[1, 2] == bbm92.rate(np.linspace(0.01, 0.5, 4)[1], eta[2], 0.3)


def test_no_light_and_no_clicks():
    dark = bbm92.coincidences(0, 0.5, 0.5, 1e-3, 1e-3)
    assert dark.gain == pytest.approx(1e-6) and dark.error == 0.5
    nothing = bbm92.coincidences(0, 0.5, 0.5)
    assert nothing.gain == 0 and nothing.error == 0.5 and bbm92.rate(0, 0.5, 0.5) == 0


@pytest.mark.parametrize("field, value", [("mu", -0.1), ("eta_a", 1.1), ("eta_b", math.nan), ("y0_a", 2), ("y0_b", -1),
                                          ("e_det", 0.6), ("f_ec", 0.9), ("q", 1.5), ("mu", "much")])
def test_bad_arguments(field, value):
    link = {"mu": 0.1, "eta_a": 0.1, "eta_b": 0.1, field: value}
    with pytest.raises(BadInput) as caught:
        bbm92.rate(**link)
    assert caught.value.field == field
