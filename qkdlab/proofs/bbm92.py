"""Entangled pairs, an endless block: Ma, Fung and Lo, PRA 76, 012307 (2007), on BBM92; and the ideal qubit's rate.

The pump makes n pairs with probability ``(n + 1) lam^n / (1 + lam)^(n + 2)``, lam = mu/2 being half the mean number of
pairs per pulse. Neither the source nor its place need be trusted; both detectors must be alike in both bases.

A finite block is analysed like a decoy block whose detections were all single photons (Tomamichel and Leverrier,
Quantum 1, 14 (2017)); the menu of this room has no such analysis yet. Arrays broadcast in every function.
"""

from typing import NamedTuple

import numpy as np

from .arguments import share, within
from .crossing import last_positive
from .photons import binary_entropy

__all__ = ["Coincidences", "coincidences", "rate", "secret_fraction", "threshold"]


class Coincidences(NamedTuple):
    """What a source and two receivers give per pulse."""

    gain: np.ndarray             # probability that both click (in any bases)
    error: np.ndarray            # of these, with equal bases, the share of different bits


def coincidences(mu, eta_a, eta_b, y0_a=0.0, y0_b=0.0, e_det=0.0):
    """Gain and error rate of a pair source between two receivers.

    With ``lam = mu/2``, ``A = 1 + eta_a lam``, ``B = 1 + eta_b lam``, ``C = A + B - 1 - eta_a eta_b lam``::

        Q  = 1 - (1 - y0_a)/A^2 - (1 - y0_b)/B^2 + (1 - y0_a)(1 - y0_b)/C^2
        EQ = Q/2 - 2 (1/2 - e_det) eta_a eta_b lam (1 + lam)/(A B C)

    computed as a sum of positive terms, since at high loss the printed one is a small difference of ones.

    Parameters
    ----------
    mu : array_like
        Mean number of pairs per pulse.
    eta_a, eta_b : array_like
        Probabilities that a photon of a pair is detected by Alice, by Bob.
    y0_a, y0_b : array_like
        Probabilities of a background click.
    e_det : array_like
        Probability that a photon goes to the wrong detector.

    Returns
    -------
    Coincidences

    Raises
    ------
    BadInput
        Naming the argument outside its range.

    References
    ----------
    Ma, Fung and Lo (2007): overall gain and overall QBER of a parametric source, section III.
    """
    lam = within("mu", mu, 0, 100) / 2
    eta_a, eta_b = within("eta_a", eta_a, 0, 1), within("eta_b", eta_b, 0, 1)
    y0_a, y0_b, e_det = within("y0_a", y0_a, 0, 1), within("y0_b", y0_b, 0, 1), within("e_det", e_det, 0, 0.5)
    a, b = 1 + eta_a * lam, 1 + eta_b * lam
    pair = eta_a * eta_b * lam * (1 + lam)                       # = A B - C
    c = a * b - pair
    silent_a, silent_b = (1 - y0_a) / a**2, (1 - y0_b) / b**2
    clicks_a, clicks_b = ((a - 1) * (a + 1) + y0_a) / a**2, ((b - 1) * (b + 1) + y0_b) / b**2
    gain = clicks_a * clicks_b + silent_a * silent_b * pair * (a * b + c) / c**2
    wrong = gain / 2 - (1 - 2 * e_det) * pair / (a * b * c)
    return Coincidences(gain[()], np.clip(share(wrong, gain), 0, 0.5)[()])


def secret_fraction(bit_error, phase_error=None, f_ec=1.0):
    """Secret bits per sifted bit of a qubit protocol: ``1 - f h(bit error) - h(phase error)``, not below 0.

    Parameters
    ----------
    bit_error, phase_error : array_like
        Error rates; the second equals the first where it is not given (both bases err alike).
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
    Shor and Preskill, PRL 85, 441 (2000), for BB84; Koashi and Preskill, PRL 90, 057902 (2003), for a source that is
    not trusted (BBM92).
    """
    bit = within("bit_error", bit_error, 0, 1)
    phase = bit if phase_error is None else within("phase_error", phase_error, 0, 1)
    f_ec = within("f_ec", f_ec, 1, 1e6)
    fraction = 1 - f_ec * binary_entropy(np.minimum(bit, 0.5)) - binary_entropy(np.minimum(phase, 0.5))
    return np.maximum(fraction, 0.0)[()]


def rate(mu, eta_a, eta_b, y0_a=0.0, y0_b=0.0, e_det=0.0, *, f_ec=1.0, q=0.5):
    """Secret bits per pulse: ``q Q [1 - f h(E) - h(E)]``, not below 0.

    Parameters
    ----------
    mu, eta_a, eta_b, y0_a, y0_b, e_det
        As :func:`coincidences`.
    f_ec : array_like
        Efficiency of error correction.
    q : array_like
        Share of the coincidences with equal bases (1/2 for fair choices, close to 1 for biased ones).

    Returns
    -------
    float or ndarray

    Raises
    ------
    BadInput

    References
    ----------
    Ma, Fung and Lo (2007): key rate of BBM92, section IV.
    """
    gain, error = coincidences(mu, eta_a, eta_b, y0_a, y0_b, e_det)
    return within("q", q, 0, 1) * gain * secret_fraction(error, f_ec=f_ec)


def threshold(f_ec=1.0):
    """Error rate up to which BB84 and BBM92 with qubits give key by one-way correction: 11.00 % for f = 1.

    Parameters
    ----------
    f_ec : array_like

    Returns
    -------
    float or ndarray

    Raises
    ------
    BadInput

    References
    ----------
    Shor and Preskill, PRL 85, 441 (2000): 1 - 2 h(Q) = 0.
    """
    f_ec = within("f_ec", f_ec, 1, 1e6)
    return last_positive(lambda error: secret_fraction(error, f_ec=f_ec), 0, 0.5, f_ec.shape)
