"""Measurement-device-independent key, an endless block, with two decoys on either side.

Alice and Bob both send; an untrusted station between them announces Bell measurements. The model of the link is that of
Ma and Razavi, PRA 86, 062319 (2012); the bounds for three intensities mu > nu > omega on both sides and the rate are
those of Xu, Curty, Qi and Lo, New J. Phys. 15, 113007 (2013). Key basis Z, test basis X. Arrays broadcast in every
function.

The finite-size analysis (Curty et al., Nat. Commun. 5, 3732 (2014)) is not here: these rates are no keys.
"""

from typing import NamedTuple

import numpy as np

from ..errors import BadInput
from .arguments import share, within
from .photons import binary_entropy

__all__ = ["Announced", "announced", "error_upper", "rate", "single_photons", "yield_lower"]


class Announced(NamedTuple):
    """Probabilities per pair of pulses: announced, and announced with unequal bits (after the agreed flip)."""

    key: np.ndarray
    key_errors: np.ndarray
    test: np.ndarray
    test_errors: np.ndarray


def announced(mu_a, mu_b, eta_a, eta_b, p_dark=0.0, e_det=0.0):
    """What the station announces when both send phase-randomised pulses in the same basis.

    With ``a' = eta_a mu_a + eta_b mu_b``, ``x = sqrt(eta_a mu_a eta_b mu_b)/2``, ``y = (1 - pd) e^(-a'/4)``::

        Q_Z = QC + QE,    E_Z Q_Z = ed QC + (1 - ed) QE
        QC  = 2 (1-pd)^2 e^(-a'/2) [1 - (1-pd) e^(-eta_a mu_a/2)] [1 - (1-pd) e^(-eta_b mu_b/2)]
        QE  = 2 pd (1-pd)^2 e^(-a'/2) [I0(2x) - (1-pd) e^(-a'/2)]
        Q_X = 2 y^2 [1 + 2 y^2 - 4 y I0(x) + I0(2x)],    E_X Q_X = Q_X/2 - (1 - 2 ed) y^2 [I0(2x) - 1]

    The brackets are summed from positive terms: as printed they cancel at high loss.

    Parameters
    ----------
    mu_a, mu_b : array_like
        Mean photon numbers.
    eta_a, eta_b : array_like
        Transmittances to the station, detectors included.
    p_dark : array_like
        Dark counts of each of the four detectors, per gate.
    e_det : array_like
        Misalignment.

    Returns
    -------
    Announced

    Raises
    ------
    BadInput

    References
    ----------
    Ma and Razavi (2012), appendix; Xu et al. (2013), section on the system model.
    """
    a, b, pd, ed = (within("mu_a", mu_a, 0, 10) * within("eta_a", eta_a, 0, 1),
                    within("mu_b", mu_b, 0, 10) * within("eta_b", eta_b, 0, 1),
                    within("p_dark", p_dark, 0, 0.5), within("e_det", e_det, 0, 0.5))
    dark, both, x2 = np.log1p(-pd), a + b, a * b / 4                                     # x2 is x^2
    correct = 2 * (1 - pd) ** 2 * np.exp(-both / 2) * np.expm1(dark - a / 2) * np.expm1(dark - b / 2)
    wrong = 2 * pd * (1 - pd) ** 2 * np.exp(-both / 2) * (_bessel(4 * x2) - np.expm1(dark - both / 2))
    y, rest = (1 - pd) * np.exp(-both / 4), -np.expm1(dark - both / 4)                   # rest = 1 - y
    test = 2 * y**2 * (2 * rest**2 + 4 * rest * _bessel(x2) + _bessel_difference(x2))
    test_errors = test / 2 - (1 - 2 * ed) * y**2 * _bessel(4 * x2)
    return Announced((correct + wrong)[()], (ed * correct + (1 - ed) * wrong)[()], test[()], test_errors[()])


def _bessel(z2):
    """I0(z) - 1 from z^2, by its power series (z is at most 10 here)."""
    return _series(z2 / 4, lambda k: 1.0)


def _bessel_difference(x2):
    """I0(2x) - 1 - 4 [I0(x) - 1], whose first terms cancel."""
    return _series(x2, lambda k: 1 - 4.0 ** (1 - k))


def _series(t, weight):
    """Sum over k >= 1 of weight(k) t^k / k!^2."""
    total, term = np.zeros(np.shape(t)), np.ones(np.shape(t))
    for k in range(1, 40):
        term = term * t / k**2
        total = total + weight(k) * term
    return total


def single_photons(eta_a, eta_b, p_dark=0.0, e_det=0.0):
    """Yield and error yield of two single photons: the truth that the decoys bound.

    ``Y11 = (1-pd)^2 [eta_a eta_b/2 + (2 eta_a + 2 eta_b - 3 eta_a eta_b) pd + 4 (1-eta_a)(1-eta_b) pd^2]`` in either
    basis; ``e11 Y11 = Y11/2 - (1/2 - ed)(1-pd)^2 eta_a eta_b/2`` in the test basis.

    Parameters
    ----------
    eta_a, eta_b, p_dark, e_det : array_like
        As :func:`announced`.

    Returns
    -------
    y11, e11_y11 : float or ndarray

    Raises
    ------
    BadInput

    References
    ----------
    Ma and Razavi (2012). Where (1 - pd^2) stands for (1 - pd)^2 in the error, the generating function says otherwise.
    """
    eta_a, eta_b = within("eta_a", eta_a, 0, 1), within("eta_b", eta_b, 0, 1)
    pd, ed = within("p_dark", p_dark, 0, 0.5), within("e_det", e_det, 0, 0.5)
    pair = eta_a * eta_b / 2
    y11 = (1 - pd) ** 2 * (pair + (2 * eta_a + 2 * eta_b - 3 * eta_a * eta_b) * pd
                           + 4 * (1 - eta_a) * (1 - eta_b) * pd**2)
    return y11[()], (y11 / 2 - (0.5 - ed) * (1 - pd) ** 2 * pair)[()]


def yield_lower(gains, intensities):
    """Yield of two single photons at least, from the gains of nine pairs of intensities.

    With ``W_ab = Q_ab e^(a+b)``::

        {(mu^2-om^2)(mu-om) [W_nunu + W_omom - W_nuom - W_omnu] - (nu^2-om^2)(nu-om) [W_mumu + W_omom - W_muom -
        W_ommu]} / {(mu-om)^2 (nu-om)^2 (mu-nu)}

    Parameters
    ----------
    gains : array_like, shape (..., 3, 3)
        Probability of an announcement by Alice's and Bob's intensity, strongest first.
    intensities : sequence of three float
        mu > nu > omega >= 0, the same on both sides.

    Returns
    -------
    float or ndarray
        Not below 0.

    Raises
    ------
    BadInput

    References
    ----------
    Xu et al. (2013): the lower bound of Y11 with two decoys.
    """
    mu, nu, om = _ordered(intensities)
    strong, weak = _differences(within("gains", gains, 0, 1), (mu, nu, om))
    y11 = ((mu**2 - om**2) * (mu - om) * weak - (nu**2 - om**2) * (nu - om) * strong) / (
        (mu - om) ** 2 * (nu - om) ** 2 * (mu - nu))
    return np.clip(y11, 0, 1)[()]


def error_upper(error_gains, y11, intensities):
    """Error rate of two single photons at most: ``[WE_nunu + WE_omom - WE_nuom - WE_omnu] / ((nu-om)^2 Y11)``.

    Parameters
    ----------
    error_gains : array_like, shape (..., 3, 3)
        Probability of an announcement with unequal bits in the test basis.
    y11 : array_like
        Lower bound of the yield in that basis.
    intensities : sequence of three float

    Returns
    -------
    float or ndarray
        At most 1/2 (which is also the answer where y11 is 0).

    Raises
    ------
    BadInput

    References
    ----------
    Xu et al. (2013): the upper bound of e11 with two decoys.
    """
    mu, nu, om = _ordered(intensities)
    y11 = within("y11", y11, 0, 1)
    _, weak = _differences(within("error_gains", error_gains, 0, 1), (mu, nu, om))
    return np.clip(share(weak / (nu - om) ** 2, y11), 0, 0.5)[()]


def _differences(gains, intensities):
    """Gains times e^(a+b), in second difference against the weakest: of the strongest pair and of the middle pair."""
    if gains.shape[-2:] != (3, 3):
        raise BadInput("three intensities on either side are expected: the last two axes have length 3", field="gains",
                       value=list(gains.shape))
    weight = np.exp(np.add.outer(intensities, intensities))
    w = gains * weight
    return tuple(w[..., k, k] + w[..., 2, 2] - w[..., k, 2] - w[..., 2, k] for k in (0, 1))


def _ordered(intensities):
    values = within("intensities", intensities, 0, 10)
    if values.shape != (3,) or not values[0] > values[1] > values[2]:
        raise BadInput("three, strongest first, are expected", field="intensities", value=values.tolist())
    return tuple(values.tolist())


def rate(intensities, eta_a, eta_b, p_dark=0.0, e_det=0.0, *, f_ec=1.0):
    """Secret bits per pair of pulses sent in the key basis at the signal intensity, not below 0.

    ``mu^2 e^(-2 mu) Y11_Z [1 - h(e11_X)] - Q_mumu f h(E_mumu)``, with both single-photon terms from the decoy bounds.

    Parameters
    ----------
    intensities : sequence of three float
        mu > nu > omega >= 0.
    eta_a, eta_b, p_dark, e_det : array_like
        As :func:`announced`.
    f_ec : array_like
        Efficiency of error correction.

    Returns
    -------
    float or ndarray

    Raises
    ------
    BadInput

    References
    ----------
    Xu et al. (2013): the asymptotic key rate.
    """
    mu, _, _ = values = _ordered(intensities)
    f_ec = within("f_ec", f_ec, 1, 1e6)
    link = (np.expand_dims(np.asarray(v, dtype=float), (-2, -1)) for v in (eta_a, eta_b, p_dark, e_det))
    found = announced(np.array(values)[:, None], np.array(values), *link)
    y11_test = yield_lower(found.test, values)
    e11 = error_upper(found.test_errors, y11_test, values)
    signal, wrong = found.key[..., 0, 0], found.key_errors[..., 0, 0]
    secret = mu**2 * np.exp(-2 * mu) * yield_lower(found.key, values) * (1 - binary_entropy(e11))
    return np.maximum(secret - signal * f_ec * binary_entropy(np.minimum(share(wrong, signal), 0.5)), 0.0)[()]
