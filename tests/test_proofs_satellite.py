"""Passes: counts are summed before they are bounded."""


import numpy as np
import pytest

from qkdlab.errors import BadInput
from qkdlab.proofs.optimise import optimise
from qkdlab.proofs.satellite import optimise_pass
from qkdlab.simulation import LinkModel

RECEIVER = LinkModel(1.0, dark_probability=5e-7, misalignment=0.005, afterpulse_probability=1e-3)


def zenith_pass(seconds=421, altitude_km=500, zenith_db=27):
    """Transmittance in each second: distance of a circular orbit, and more air at low elevation."""
    angle = np.linspace(-seconds / 2, seconds / 2, seconds) * 7.6 / (6371 + altitude_km)
    radius = 6371 + altitude_km
    distance = np.sqrt(6371**2 + radius**2 - 2 * 6371 * radius * np.cos(angle))
    sine = (radius * np.cos(angle) - 6371) / distance
    return 10 ** -((zenith_db + 20 * np.log10(distance / altitude_km) + 1.5 * (1 / np.maximum(sine, 0.05) - 1)) / 10)


def test_a_steady_pass_is_a_link():
    steady = optimise_pass(RECEIVER, np.full(50, 1e-3), 1e8)
    alone = optimise(RECEIVER.replace(transmittance=1e-3), n_pulses=5e9)
    assert steady.used.all() and steady.optimum.length == pytest.approx(alone.length, rel=1e-3)
    assert steady.rate_per_pulse == pytest.approx(alone.rate_per_pulse, rel=1e-3)


def test_one_block_gives_more_than_the_sum_of_its_slots():
    eta = zenith_pass()[::20]
    whole = optimise_pass(RECEIVER, eta, 1e9).optimum.length
    parts = [optimise(RECEIVER.replace(transmittance=a), n_pulses=1e9).length for a in eta]
    assert whole > 1.5 * sum(parts) > 0
    # And less than if loss were the same all the time: the counts are not those of the mean transmittance alone.
    assert whole < optimise(RECEIVER.replace(transmittance=eta.max()), n_pulses=1e9 * len(eta)).length


def test_slots_that_cost_more_than_they_give_are_left_out():
    eta = zenith_pass()
    dark = np.where(np.arange(len(eta)) < 120, 2e-4, 5e-7)          # the ground station's city in the first two minutes
    chosen, every = (optimise_pass(RECEIVER, eta, 1e7, dark_probability=dark, choose=c) for c in (True, False))
    assert every.used.all() and not chosen.used[:120].any() and chosen.used[150:270].all()
    assert chosen.optimum.length > 1.5 * every.optimum.length and chosen.optimum.length > 10_000
    within = chosen.optimum.n_pulses
    assert within == pytest.approx(1e7 * chosen.used.sum())
    assert chosen.rate_per_pulse == chosen.optimum.length / (1e7 * len(eta))


def test_slots_of_unlike_length():
    eta = zenith_pass()[::40]
    fine = optimise_pass(RECEIVER, np.repeat(eta, 4), 1e9, choose=False).optimum
    coarse = optimise_pass(RECEIVER, eta, np.full(len(eta), 4e9), choose=False).optimum
    assert fine.length == pytest.approx(coarse.length, rel=1e-4)


@pytest.mark.parametrize("arguments, field", [
    (([1.5, 0.1], 1e9), "transmittance"), (([0.1, 0.1], [1e9] * 3), "n_pulses"), (([0.1, 0.1], [1e9, 0]), "n_pulses"),
])
def test_bad_passes(arguments, field):
    with pytest.raises(BadInput) as caught:
        optimise_pass(RECEIVER, *arguments)
    assert caught.value.field == field
    with pytest.raises(BadInput):
        optimise_pass(RECEIVER, [0.1, 0.1], 1e9, dark_probability=[1e-6])
