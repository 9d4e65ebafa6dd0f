"""Asymptotic, two decoys: Ma, Qi, Zhao and Lo, PRA 72, 012326 (2005).

The rate of an endless block: expected counts are taken to be those observed. **It says nothing about a finite block**,
and no epsilon belongs to it. For comparing links and for teaching; a key needs one of the other analyses.

Three intensities mu > nu1 + nu2, nu1 > nu2 >= 0 (nu2 = 0: vacuum + weak). Only the signal makes key. Gains are
detections over pulses sent where those were counted; else over the probabilities, which gives the same length.
"""

import math

import numpy as np

from ..datatypes import Bound, as_table
from .arguments import share, within
from .assumptions import ASSUMPTIONS
from .counts import require_intensities
from .guards import inconsistency
from .photons import Estimate, binary_entropy, error_entropy

__all__ = ["bound", "check", "gains", "infinite_decoys", "optimal_intensity", "single_photons",
           "without_decoys"]

WORDS = (
    "ASYMPTOTIC: an endless block. No statement about this finite one, no epsilon, not composable",
    "fewer than one single-photon error counts as one, so that no error seen is not none",
)


def check(source):
    """Refuse a source that this analysis was not made for (:class:`~qkdlab.errors.BadInput`)."""
    require_intensities(source, 3, "ma2005")


def bound(counts, source, security):
    """Key bits of the signal by equation (1): ``Q_1 [1 - h(e_1)] - Q_mu f h(E_mu)`` times the signals sent.

    Parameters
    ----------
    counts : DecoyCounts
        ``sent`` may be all 0: not counted.
    source : Source
    security : Security
        Only the leak (`f_ec` for the signal's errors, or `leak_bits`) and `clamp` enter.

    Returns
    -------
    Bound
        Counts of the signal: s0 = Y_0 e^-mu, s1 = Q_1, v1_test = e_1 Q_1 times the signals sent; phase_error = e_1.

    Raises
    ------
    BadInput
        If the source has not three intensities with mu > nu1 + nu2.
    """
    check(source)
    sent = np.array(counts.sent, dtype=float)
    if not (sent > 0).all():
        sent = np.repeat(np.array(source.probabilities)[:, None], 2, axis=1)
    key, test = (_photons(counts.clicks[:, b], sent[:, b], source, security.clamp) for b in (0, 1))
    v1 = _errors(counts.errors[:, 1], sent[:, 1], source)
    n, errors = key.n, int(counts.errors[0, 0])
    entropy = error_entropy(errors, n)
    leak = security.leak(n, errors, entropy)
    reason, phi, signed = inconsistency(source, key, test), None, None
    if reason is None:
        phi = min(max(v1, 1.0) / test.s1, 1.0)
        private = key.s1 * (1 - float(binary_entropy(min(phi, 0.5))))
        signed = private - leak
        if phi >= 0.5:
            reason = f"the phase error rate is bounded by {phi:.4g} only: at 1/2 Eve may know every bit"
        elif signed < 1:
            reason = f"{private:,.0f} bits are private, but correction costs {leak:,.0f}"
    details = {"key": {"n_minus": key.minus, "n_plus": key.plus}, "test": {"n_minus": test.minus, "n_plus": test.plus},
               "n_key": n, "n_test": test.n, "qber_key": errors / n if n else None,
               "f_ec": leak / (n * entropy) if entropy else security.f_ec, "composable": False,
               "length_kind": "asymptotic"}
    return Bound("ma2005", math.floor(signed) if reason is None else 0, signed, reason, key.s0, key.s1, test.s0,
                 test.s1, max(v1, 0.0), phi, leak, {}, (*WORDS, *ASSUMPTIONS), as_table(details))


def _photons(n, sent, source, clamp):
    """Vacuum and single-photon detections of the signal in one basis, equations (18) and (21), (34) for nu2 = 0."""
    mu, nu1, nu2 = source.intensities
    gain = np.exp(source.intensities) * n / sent                     # Q_k e^k
    y0 = (nu1 * gain[2] - nu2 * gain[1]) / (nu1 - nu2)
    y0 = max(y0, 0.0) if clamp else y0
    y1 = mu / (mu * nu1 - mu * nu2 - nu1**2 + nu2**2) * (
        gain[1] - gain[2] - (nu1**2 - nu2**2) / mu**2 * (gain[0] - y0))
    y1 = max(y1, 0.0) if clamp else y1
    signals = sent[0] * math.exp(-mu)
    return Estimate(int(n[0]), gain, gain, float(signals * y0), float(signals * mu * y1))


def _errors(m, sent, source):
    """Single-photon errors of the signal in the test basis, equation (25); (37) for nu2 = 0 and errors of 1/2 there."""
    mu, nu1, nu2 = source.intensities
    rate = np.exp(source.intensities) * m / sent                     # E_k Q_k e^k
    return float(sent[0] * math.exp(-mu) * mu * (rate[1] - rate[2]) / (nu1 - nu2))


# ----------------------------------------------------------------- infinitely many decoys: the single photons are known


def gains(mu, eta, y0, e_det):
    """Gain and error gain of the paper's channel, equations (10) and (11). Arrays broadcast.

    ``Q = y0 + 1 - e^(-eta mu)``, ``E Q = y0/2 + e_det (1 - e^(-eta mu))``: a photon and a background click together
    count twice, which matters where y0 is not small.

    Parameters
    ----------
    mu : array_like
        Mean photon number.
    eta : array_like
        Transmittance, detectors included.
    y0 : array_like
        Background clicks per pulse.
    e_det : array_like
        Probability that a photon goes to the wrong detector.

    Returns
    -------
    gain, error_gain : float or ndarray

    Raises
    ------
    BadInput
        Naming the argument outside its range.
    """
    mu, eta = within("mu", mu, 0, 10), within("eta", eta, 0, 1)
    y0, e_det = within("y0", y0, 0, 1), within("e_det", e_det, 0, 0.5)
    light = -np.expm1(-eta * mu)
    return (y0 + light)[()], (y0 / 2 + e_det * light)[()]


def single_photons(eta, y0, e_det):
    """Yield and error rate of single photons in this channel: ``Y_1 = y0 + eta``, ``e_1 = (y0/2 + e_det eta)/Y_1``.

    Equations (7) and (9) with one photon, in the paper's approximation of small y0. Parameters as :func:`gains`.

    Returns
    -------
    y1, e1 : float or ndarray
        e1 is 1/2 where nothing is detected.

    Raises
    ------
    BadInput
    """
    eta, y0, e_det = within("eta", eta, 0, 1), within("y0", y0, 0, 1), within("e_det", e_det, 0, 0.5)
    y1 = y0 + eta
    return y1[()], share(y0 / 2 + e_det * eta, y1)[()]


def infinite_decoys(mu, eta, y0, e_det, *, f_ec=1.0, q=0.5):
    """Secret bits per pulse where decoys beyond number tell Y_1 and e_1, equation (1); not below 0. Arrays broadcast.

    ``q { Y_1 mu e^-mu [1 - h(e_1)] - Q f h(E) }``

    Parameters
    ----------
    mu, eta, y0, e_det
        As :func:`gains`.
    f_ec : array_like
        Efficiency of error correction.
    q : array_like
        Share of the pulses with equal bases (1/2: standard BB84).

    Returns
    -------
    float or ndarray

    Raises
    ------
    BadInput
    """
    f_ec, q = within("f_ec", f_ec, 1, 1e6), within("q", q, 0, 1)
    gain, wrong = gains(mu, eta, y0, e_det)
    y1, e1 = single_photons(eta, y0, e_det)
    mu, error = np.asarray(mu, dtype=float), share(wrong, gain)
    secret = y1 * mu * np.exp(-mu) * (1 - binary_entropy(np.minimum(e1, 0.5)))
    return (q * np.maximum(secret - gain * f_ec * binary_entropy(np.minimum(error, 0.5)), 0.0))[()]


def without_decoys(mu, eta, y0, e_det, *, f_ec=1.0, q=0.5):
    """Secret bits per pulse where one intensity is all there is; not below 0. Arrays broadcast.

    The yields are not known then, so every pulse of two or more photons is taken to be detected and known to Eve, and all
    errors to lie among the others: with ``P = 1 - (1 + mu) e^-mu``,
    ``q { (Q - P) [1 - h(E Q / (Q - P))] - Q f h(E) }``.

    Parameters
    ----------
    mu, eta, y0, e_det, f_ec, q
        As :func:`infinite_decoys`.

    Returns
    -------
    float or ndarray

    Raises
    ------
    BadInput

    References
    ----------
    Gottesman, Lo, Lutkenhaus and Preskill, Quantum Inf. Comput. 4, 325 (2004); Ma et al. (2005), section II.
    """
    f_ec, q = within("f_ec", f_ec, 1, 1e6), within("q", q, 0, 1)
    gain, wrong = gains(mu, eta, y0, e_det)
    mu = np.asarray(mu, dtype=float)
    untagged = np.maximum(gain - (-np.expm1(-mu) - mu * np.exp(-mu)), 0.0)
    secret = untagged * (1 - binary_entropy(np.minimum(share(wrong, untagged), 0.5)))
    return (q * np.maximum(secret - gain * f_ec * binary_entropy(np.minimum(share(wrong, gain), 0.5)), 0.0))[()]


def optimal_intensity(e_det, f_ec=1.0):
    """Signal intensity that is best on a lossy link with little background, equation (12). Arrays broadcast.

    Solves ``(1 - mu) e^-mu = f h(e_det) / (1 - h(e_det))``, valid for y0 << eta << 1.

    Parameters
    ----------
    e_det : array_like
        Probability that a photon goes to the wrong detector.
    f_ec : array_like
        Efficiency of error correction.

    Returns
    -------
    float or ndarray
        0 where no intensity gives key.

    Raises
    ------
    BadInput
    """
    from scipy.special import lambertw

    h = binary_entropy(within("e_det", e_det, 0, 0.5))
    f_ec = within("f_ec", f_ec, 1, 1e6)
    cost = np.divide(f_ec * h, 1 - h, out=np.full(np.shape(f_ec * h), np.inf), where=np.asarray(h) < 1)
    return np.clip(1 - lambertw(np.minimum(cost, 1.0) * math.e).real, 0.0, 1.0)[()]
