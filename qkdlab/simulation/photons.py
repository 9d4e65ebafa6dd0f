"""Photons on their way: from Alice's pulses to the detectors that they reach.

A phase-randomised coherent pulse gives independent Poisson numbers of photons in the four detectors. So detected
photons are made as one Poisson process over the slots at the brightest intensity, and thinned by what Alice sent in the
slots that were hit: the cost goes with detections, not with pulses.
"""

import math

import numpy as np

__all__ = ["arrivals", "brightest_mean"]


def brightest_mean(source, channel, detectors):
    """Mean number of detected photons of a pulse of the brightest intensity, all four detectors together."""
    return max(source.intensities) * channel.transmittance * detectors.efficiency


def poisson_slots(n_slots, mean, rng):
    """Slots 0 to n_slots - 1 in order, each as often as a Poisson draw of this mean says, by exponential gaps.

    Returns int64 (n,).
    """
    if mean <= 0 or n_slots <= 0:
        return np.empty(0, np.int64)
    parts, at = [], 0.0
    while at < n_slots:
        expected = (n_slots - at) * mean
        gaps = rng.standard_exponential(int(expected + 4 * math.sqrt(expected)) + 16)
        gaps /= mean
        gaps[0] += at
        parts.append(np.cumsum(gaps, out=gaps))
        at = gaps[-1]
    where = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return where[: np.searchsorted(where, n_slots)].astype(np.int64)


def arrivals(choices, channel, detectors, eve, interceptor, first_slot, n_slots, rng, source=None):
    """Photons that make an avalanche, if the detector is ready.

    Parameters
    ----------
    choices : see :mod:`qkdlab.choices`
    channel, detectors, eve : ChannelSettings, DetectorSettings, EveSettings
    interceptor : Interceptor
    first_slot, n_slots : int
    rng : numpy.random.Generator
    source : SourceSettings or Emission, optional
        What is sent, where it is not what was agreed.

    Returns
    -------
    slot : ndarray of int64, shape (n,), non-decreasing
    detector : ndarray of uint8, shape (n,)
        2 * basis + outcome.
    """
    source = source or choices.source
    slot = first_slot + poisson_slots(n_slots, brightest_mean(source, channel, detectors), rng)
    slot = slot[choices.covers(slot)]
    symbols = choices.at(slot)
    relative = np.array(source.intensities) / (max(source.intensities) or 1.0)
    kept = rng.random(len(slot)) < relative[symbols >> 2]
    slot, symbols = slot[kept], symbols[kept]
    symbols = interceptor.resend(slot, symbols, eve.intercept_fraction)
    basis = (rng.random(len(slot)) >= detectors.key_basis_probability).astype(np.uint8)
    wrong = np.where(basis == symbols >> 1 & 1, channel.misalignment, 0.5)
    outcome = (symbols & 1) ^ (rng.random(len(slot)) < wrong)
    return slot, basis << 1 | outcome
