"""MDI: the generating function gives the single-photon yields, the bounds bracket them, limits and refusals."""

import math

import numpy as np
import pytest

from qkdlab.errors import BadInput
from qkdlab.proofs import mdi

LINKS = [(0.3, 0.3, 1e-3, 0.015), (0.5, 0.1, 1e-2, 0.05), (0.9, 0.4, 0.0, 0.0)]


def mixed_derivative(f, width=0.5, n=9):
    """d^2 f / da db at 0 by interpolation on Chebyshev nodes of [0, width]^2."""
    nodes = width / 2 * (1 + np.cos(np.pi * (np.arange(n) + 0.5) / n))
    values = np.array([[f(a, b) for b in nodes] for a in nodes])
    powers = np.linalg.inv(np.vander(nodes / width, n, increasing=True))
    return (powers @ values @ powers.T)[1, 1] / width**2


@pytest.mark.parametrize("link", LINKS)
def test_yields_are_the_derivatives_of_the_gains(link):
    eta_a, eta_b, pd, ed = link
    y11, e11_y11 = mdi.single_photons(*link)

    def weighted(which):
        return lambda a, b: math.exp(a + b) * getattr(mdi.announced(a, b, eta_a, eta_b, pd, ed), which)

    assert mixed_derivative(weighted("key")) == pytest.approx(y11, rel=1e-7)
    assert mixed_derivative(weighted("test")) == pytest.approx(y11, rel=1e-7)
    assert mixed_derivative(weighted("test_errors")) == pytest.approx(e11_y11, rel=1e-7, abs=1e-9)


def printed(mu_a, mu_b, eta_a, eta_b, pd, ed):
    """The gains as printed, with NumPy's Bessel function."""
    both, x = eta_a * mu_a + eta_b * mu_b, math.sqrt(eta_a * mu_a * eta_b * mu_b) / 2
    y = (1 - pd) * math.exp(-both / 4)
    correct = 2 * (1 - pd) ** 2 * math.exp(-both / 2) * (1 - (1 - pd) * math.exp(-eta_a * mu_a / 2)) * (
        1 - (1 - pd) * math.exp(-eta_b * mu_b / 2))
    wrong = 2 * pd * (1 - pd) ** 2 * math.exp(-both / 2) * (np.i0(2 * x) - (1 - pd) * math.exp(-both / 2))
    test = 2 * y**2 * (1 + 2 * y**2 - 4 * y * np.i0(x) + np.i0(2 * x))
    return (correct + wrong, ed * correct + (1 - ed) * wrong, test,
            test / 2 - 2 * (0.5 - ed) * y**2 * (np.i0(2 * x) - 1))


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("mu", [(0.5, 0.3), (2.0, 0.1), (8.0, 5.0)])
def test_gains_are_the_printed_ones(link, mu):
    assert mdi.announced(*mu, *link) == pytest.approx(printed(*mu, *link), rel=1e-10)


def test_gains_keep_their_digits_at_high_loss():
    """At 2 x 50 dB without dark counts two photons of 4 give an announcement: proportional to the square of eta."""
    near, far = (mdi.announced(0.4, 0.4, eta, eta, 0, 0.01) for eta in (1e-5, 1e-8))
    for a, b in zip(near, far, strict=True):
        assert b / a == pytest.approx(1e-6, rel=1e-4)


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("intensities", [(0.5, 0.1, 0.0), (0.4, 0.05, 0.001), (0.3, 0.2, 0.1)])
def test_bounds_bracket_the_truth(link, intensities):
    mu = np.array(intensities)
    found = mdi.announced(mu[:, None], mu, *link)
    y11, e11_y11 = mdi.single_photons(*link)
    lower = mdi.yield_lower(found.key, intensities), mdi.yield_lower(found.test, intensities)
    assert 0 < lower[0] <= y11 * (1 + 1e-9) and 0 < lower[1] <= y11 * (1 + 1e-9)
    upper = mdi.error_upper(found.test_errors, lower[1], intensities)
    assert e11_y11 / y11 <= upper * (1 + 1e-9) + 1e-12
    if intensities == (0.5, 0.1, 0.0):
        assert lower[0] > 0.8 * y11


def test_weaker_decoys_come_closer():
    y11, _ = mdi.single_photons(0.1, 0.1, 1e-6, 0.015)
    gaps = []
    for nu in (0.2, 0.1, 0.05, 0.01):
        mu = np.array((0.5, nu, 0.0))
        gaps.append(y11 - mdi.yield_lower(mdi.announced(mu[:, None], mu, 0.1, 0.1, 1e-6, 0.015).key, mu))
    assert gaps == sorted(gaps, reverse=True) and gaps[-1] < 0.03 * y11


def test_rate_falls_with_loss_and_with_errors():
    eta = 10 ** (-np.arange(0, 50, 2.5) / 10)
    rates = mdi.rate((0.4, 0.05, 0.0), eta, eta, 1e-7, 0.015, f_ec=1.16)
    assert rates.shape == eta.shape and rates[0] > 0 == rates[-1] and (np.diff(rates) <= 0).all()
    errors = mdi.rate((0.4, 0.05, 0.0), 0.1, 0.1, 1e-7, np.linspace(0, 0.2, 9))
    assert errors[0] > 0 == errors[-1] and (np.diff(errors) <= 0).all()
    assert mdi.rate((0.4, 0.05, 0.0), eta[2], eta[2], 1e-7, 0.015, f_ec=1.16) == pytest.approx(rates[2], rel=1e-12)


def test_one_side_alone_is_dark():
    """An intercept that announces at random (half of the bits differ) leaves nothing."""
    found = mdi.announced(0.5, 0.0, 0.1, 0.1, 1e-6, 0.015)
    assert found.test_errors / found.test == pytest.approx(0.5, abs=1e-9)
    assert mdi.error_upper(np.full((3, 3), 1e-6), 0.0, (0.5, 0.1, 0)) == 0.5
    assert mdi.rate((0.5, 0.1, 0), 0.0, 0.0) == 0


@pytest.mark.parametrize("call, field", [
    (lambda: mdi.announced(-1, 0.1, 0.1, 0.1), "mu_a"), (lambda: mdi.announced(0.1, 0.1, 2, 0.1), "eta_a"),
    (lambda: mdi.single_photons(0.1, 0.1, 0.6), "p_dark"), (lambda: mdi.rate((0.1, 0.5, 0), 0.1, 0.1), "intensities"),
    (lambda: mdi.rate((0.5, 0.1), 0.1, 0.1), "intensities"), (lambda: mdi.rate((0.5, 0.1, 0), 0.1, 0.1, f_ec=0), "f_ec"),
    (lambda: mdi.yield_lower(np.zeros((2, 2)), (0.5, 0.1, 0)), "gains"),
    (lambda: mdi.error_upper(np.zeros((3, 3)), math.nan, (0.5, 0.1, 0)), "y11")])
def test_bad_arguments(call, field):
    with pytest.raises(BadInput) as caught:
        call()
    assert caught.value.field == field
