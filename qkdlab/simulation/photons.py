"""Photons on their way: from Alice's pulses to the detectors that they reach.

A phase-randomised coherent pulse gives independent Poisson numbers of photons in the four detectors. So detected
photons are made as one Poisson process over the slots at the brightest intensity, and thinned by what Alice sent in the
slots that were hit: the cost goes with detections, not with pulses.
"""

import math

import numpy as np

from .expected import split_gains

__all__ = ["arrivals", "brightest_mean", "emitted", "split_arrivals"]


def brightest_mean(source, channel, detectors):
    """Mean number of detected photons of a pulse of the brightest intensity, all four detectors together."""
    return source.intensities[0] * channel.transmittance * detectors.efficiency


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


def true_means(choices, modulator, slot, symbols):
    """Mean photon number of single pulses, float64 (n,), and the largest that there is."""
    if modulator is None:
        means = np.array(choices.source.intensities)
        return means[symbols >> 2], means[0]
    means = modulator.means(choices.source)
    before = symbols >> 2
    if modulator.pattern_effect:
        known = choices.covers(slot - 1)
        before = before.copy()
        before[known] = choices.at(slot[known] - 1) >> 2
    return means[before, symbols >> 2], means.max()


def arrivals(choices, channel, detectors, eve, interceptor, first_slot, n_slots, rng, modulator=None):
    """Photons that make an avalanche, if the detector is ready; those of split pulses apart (:func:`split_arrivals`).

    Parameters
    ----------
    choices : see :mod:`qkdlab.choices`
    channel, detectors, eve : ChannelSettings, DetectorSettings, EveSettings
    interceptor : Interceptor
    first_slot, n_slots : int
    rng : numpy.random.Generator
    modulator : ModulatorSettings, optional

    Returns
    -------
    slot : ndarray of int64, shape (n,), non-decreasing
    detector : ndarray of uint8, shape (n,)
        2 * basis + outcome.
    """
    brightest = choices.source.intensities[0] if modulator is None else modulator.means(choices.source).max()
    if not brightest:
        return np.empty(0, np.int64), np.empty(0, np.uint8)
    seen = channel.transmittance * detectors.efficiency
    slot = first_slot + poisson_slots(n_slots, brightest * seen, rng)
    slot = slot[choices.covers(slot)]
    symbols = choices.at(slot)
    kept = rng.random(len(slot)) < true_means(choices, modulator, slot, symbols)[0] / brightest
    if eve.split_fraction:
        kept &= ~interceptor.splits(slot, eve.split_fraction)
    slot, symbols = slot[kept], symbols[kept]
    sent = interceptor.resend(slot, symbols, eve.intercept_fraction)
    detector = _measured(sent, channel, detectors, rng)
    if eve.faked_fraction:
        faked, hers = interceptor.fake(slot, symbols, eve.faked_fraction, detectors.key_basis_probability)
        detector = np.where(faked, hers, detector)
        once = ~faked | (np.diff(slot, prepend=-1) != 0)          # she makes him click once a pulse
        slot, detector = slot[once], detector[once]
    return slot, detector


def split_arrivals(choices, channel, detectors, eve, interceptor, first_slot, n_slots, rng, modulator=None):
    """Photons that come through where Eve splits pulses; see :func:`.expected.split_gains`.

    Parameters
    ----------
    choices, channel, detectors, eve, interceptor, first_slot, n_slots, rng, modulator
        As for :func:`arrivals`.

    Returns
    -------
    slot, detector : ndarray
        As from :func:`arrivals`.
    photons : ndarray of uint8, shape (n,)
        How many Alice emitted in this slot.
    """
    passed, _ = split_gains(choices.source, channel, detectors)
    brightest = choices.source.intensities[0] if modulator is None else modulator.means(choices.source).max()
    most = _several(brightest)
    slot = first_slot + np.unique(poisson_slots(n_slots, -math.log1p(-most * passed), rng))
    slot = slot[choices.covers(slot)]
    slot = slot[interceptor.splits(slot, eve.split_fraction)]
    mean, _ = true_means(choices, modulator, slot, symbols := choices.at(slot))
    kept = rng.random(len(slot)) * most < _several(mean)
    slot, symbols, mean = slot[kept], symbols[kept], mean[kept]
    photons = _at_least_two(mean, rng)
    found = rng.binomial(photons - 1, detectors.efficiency)
    slot, symbols, photons = (np.repeat(a, found) for a in (slot, symbols, photons))
    return slot, _measured(symbols, channel, detectors, rng), photons.astype(np.uint8)


def emitted(choices, channel, detectors, slot, rng, modulator=None):
    """How many photons Alice emitted in slots of which some were detected: those, and a Poisson number of lost ones.

    Parameters
    ----------
    slot : ndarray of int64, shape (n,), non-decreasing
        One entry for each detected photon.

    Returns
    -------
    ndarray of uint8, shape (n,)
    """
    first = np.flatnonzero(np.diff(slot, prepend=-1))
    found = np.diff(first, append=len(slot))
    mean, _ = true_means(choices, modulator, slot[first], choices.at(slot[first]))
    lost = rng.poisson(mean * (1 - channel.transmittance * detectors.efficiency))
    return np.repeat(np.minimum(found + lost, 63).astype(np.uint8), found)


def _measured(symbols, channel, detectors, rng):
    """Detector that each photon reaches, uint8 (n,)."""
    basis = (rng.random(len(symbols)) >= detectors.key_basis_probability).astype(np.uint8)
    wrong = np.where(basis == symbols >> 1 & 1, channel.misalignment, 0.5)
    outcome = (symbols & 1) ^ (rng.random(len(symbols)) < wrong)
    return basis << 1 | outcome


def _several(mean):
    """Probability of two photons or more."""
    return 1 - (1 + mean) * np.exp(-mean)


def _at_least_two(mean, rng):
    """Poisson numbers, given that they are two or more, by inversion; int64 (n,)."""
    draw = rng.random(len(mean)) * _several(mean)
    n, term = np.full(len(mean), 2), mean**2 * np.exp(-mean) / 2
    left = draw - term
    for k in range(3, 60):
        more = left > 0
        if not more.any():
            break
        n[more] = k
        term = term * mean / k
        left -= term
    return n
