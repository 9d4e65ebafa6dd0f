"""What the decoy analyses share: the photon statistics of a phase-randomised source and the counts weighted by it."""

from dataclasses import dataclass

import numpy as np

from .tails import expectation

__all__ = ["Estimate", "binary_entropy", "error_entropy", "tau", "weighted"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the counts of one basis say of its photon numbers."""

    n: int                       # detections that these bounds are about
    minus: np.ndarray            # e^k/p_k times the expected detections of intensity k: lower bounds
    plus: np.ndarray             # upper bounds
    s0: float                    # vacuum detections, lower bound
    s1: float                    # single-photon detections, lower bound
    s0_upper: float | None = None


def tau(photons, intensities, probabilities):
    """Probability that Alice sends `photons` photons, over all intensities.

    ``sum_k p_k e^-k k^n / n!``

    Parameters
    ----------
    photons : int
        Photon number, 0 or 1 (or a little more).
    intensities, probabilities : array_like, shape (..., K)

    Returns
    -------
    float or ndarray, shape (...)

    References
    ----------
    Lim et al., PRA 89, 022307 (2014), below eq. (2).
    """
    mu, p = np.asarray(intensities, dtype=float), np.asarray(probabilities, dtype=float)
    factorial = np.prod(np.arange(1, photons + 1, dtype=float))
    return (p * np.exp(-mu) * mu**photons / factorial).sum(axis=-1)


def weighted(count, source, eps, tails, clamp, clip_total=False):
    """``e^k/p_k`` times bounds on the expected counts: what an analysis calls n_k^- and n_k^+ (or m_k^-, m_k^+).

    Parameters
    ----------
    count : ndarray, shape (K,)
        Detections or errors of one basis by intensity.
    source : Source
    eps : float
        Failure probability of each of these bounds.
    tails : str
        See :mod:`qkdlab.proofs.tails`.
    clamp : bool
        Cut the lower bounds at 0. An expected count is not negative, so this is sound.
    clip_total : bool
        With `clamp`, also cut both bounds at the total, which no expected count exceeds.

    Returns
    -------
    minus, plus : ndarray, shape (K,)
    """
    total = count.sum()
    lower, upper = expectation(tails, count, total, eps)
    if clamp:
        lower = np.maximum(lower, 0)
        if clip_total:
            lower, upper = np.minimum(lower, total), np.minimum(upper, total)
    weight = np.exp(source.intensities) / np.array(source.probabilities)
    return weight * lower, weight * upper


def binary_entropy(x):
    """Binary entropy h(x) in bits; 0 at 0 and 1. Arrays broadcast."""
    x = np.asarray(x, dtype=float)
    inside = (x > 0) & (x < 1)
    y = np.where(inside, x, 0.5)
    return np.where(inside, -y * np.log2(y) - (1 - y) * np.log2(1 - y), 0.0)[()]


def error_entropy(errors, n):
    """h of an error rate, in bits. Above one half it stays 1: more errors never cost less (0 where `n` is 0)."""
    return float(binary_entropy(min(errors / n, 0.5))) if n else 0.0
