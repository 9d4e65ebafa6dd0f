"""A small source of time tags with known truth, for tests of what comes after the detectors."""

from dataclasses import dataclass

import numpy as np

from qkdlab.choices import DrawnChoices
from qkdlab.datatypes import TimeTags


@dataclass
class Truth:
    """A recording and what is true of it, tag by tag."""

    tags: TimeTags
    slot: np.ndarray             # Alice's slot; -1 for noise


def simulate(source, sync, *, seconds, loss_db, seed=1, start_s=0.0, ppm=0.0, drift=0.0, jitter_ps=60.0, dark_hz=200.0,
             delays_ps=(0, 0, 0, 0), origin_ps=10**12, alice_s=None, choices=None):
    """Tags of `seconds` of a link; Bob begins `start_s` after Alice (negative: before her).

    Bob's clock shows ``origin_ps`` at his start, runs `ppm` too fast there and drifts by `drift` (1/s) from then on.
    `alice_s`: Alice sends for so long (default: for ever).
    """
    rng = np.random.default_rng(seed)
    choices = choices or DrawnChoices(source, sync, rng.bytes(32))
    first = max(0, int(np.ceil(start_s * source.clock_hz)))
    last = int((start_s + seconds if alice_s is None else min(alice_s, start_s + seconds)) * source.clock_hz)
    slots = _lit_slots(rng, choices, source, first, last, 10 ** (-loss_db / 10))
    symbols = choices.at(slots)
    basis = np.where(rng.random(len(slots)) < 0.5, symbols >> 1 & 1, rng.integers(0, 2, len(slots)))
    bit = np.where(basis == (symbols >> 1 & 1), symbols & 1, rng.integers(0, 2, len(slots)))
    arrival = slots / source.clock_hz - start_s + rng.normal(0, jitter_ps * 1e-12, len(slots))
    dark = rng.uniform(0, seconds, rng.poisson(4 * dark_hz * seconds))
    seconds_in = np.concatenate([arrival, dark])
    detector = np.concatenate([2 * basis + bit, rng.integers(0, 4, len(dark))]).astype(np.uint8)
    truth = np.concatenate([slots, np.full(len(dark), -1)])
    shown = seconds_in * (1 + ppm * 1e-6) + 0.5 * drift * seconds_in**2
    time_ps = origin_ps + np.rint(shown * 1e12).astype(np.int64) + np.array(delays_ps)[detector]
    order = np.argsort(time_ps, kind="stable")
    return Truth(TimeTags(time_ps[order], detector[order]), truth[order])


def _lit_slots(rng, choices, source, first, last, transmittance):
    """Slots in which a photon is detected, by thinning from the strongest intensity."""
    strongest = -np.expm1(-source.intensities[0] * transmittance)
    n = rng.binomial(max(last - first, 0), strongest)
    slots = np.unique(rng.integers(first, last, n)) if n else np.empty(0, np.int64)
    chance = -np.expm1(-np.array(source.intensities) * transmittance) / strongest
    return slots[rng.random(len(slots)) < chance[choices.at(slots) >> 2]]


def blocks(tags, size):
    """The same tags in stretches of `size`."""
    for at in range(0, len(tags), size):
        yield TimeTags(tags.time_ps[at : at + size], tags.channel[at : at + size])
