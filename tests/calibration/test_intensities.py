import numpy as np
import pytest
from dialogue import still

from qkdlab.calibration import intensity_ratios, intensity_ratios_from_counts
from qkdlab.datatypes import DecoyCounts, SourceSettings
from qkdlab.errors import BadInput


class OneLevel:
    """A meter behind the world's modulator, which sends one level only."""

    simulated = True

    def __init__(self, world, seed=1):
        self._world, self._rng, self.level = world, np.random.default_rng(seed), None

    def identity(self):
        return "a meter"

    def play(self, index):
        self.level = index

    @property
    def power_w(self):
        light = self._world.laser_power_w * self._world.modulator.transmissions()[self.level]
        return light * (1 + 2e-3 * self._rng.standard_normal())


def test_what_was_commanded_is_what_was_measured_until_the_bias_drifts():
    world = still()
    meter, source = OneLevel(world), world.link.source
    found = intensity_ratios(meter.play, meter, source, wait=world.clock.sleep)
    assert found.beyond() is None and meter.level is None and found.simulated
    world.drift_bias(0.8)
    found = intensity_ratios(meter.play, meter, source, wait=world.clock.sleep)
    truth = world.modulator.transmissions()
    for level in (1, 2):
        value = found.values[f"ratio_{level}"]
        assert abs(value.value - truth[level] / truth[0]) < 4 * value.uncertainty
    assert "scan the bias" in found.beyond()


def test_the_pattern_comes_back_after_an_error():
    played = []

    class Broken:
        @property
        def power_w(self):
            raise OSError("gone")

    with pytest.raises(OSError):
        intensity_ratios(played.append, Broken(), SourceSettings(), wait=lambda s: None)
    assert played == [0, None]


def counted(world, seed, pulses=400_000_000):
    rng, source = np.random.default_rng(seed), world.link.source
    gains = world.gains().clicks
    basis = np.array([source.achieved_key_basis_probability, 1 - source.achieved_key_basis_probability])
    sent = np.rint(pulses * np.outer(source.achieved_probabilities, basis)).astype(np.int64)
    return DecoyCounts(sent=sent, clicks=rng.binomial(sent, gains), errors=np.zeros_like(sent))


@pytest.mark.parametrize("pushed_v", [0.0, 0.8])
def test_the_same_from_what_bob_counted(pushed_v):
    world = still()
    world.drift_bias(pushed_v)
    truth = world.modulator.intensities()
    # both bases have dark counts; the chance of one in a slot, averaged as the clicks are
    dark = float(np.mean(counted_dark(world)))
    pulls = []
    for seed in range(10):
        found = intensity_ratios_from_counts(counted(world, seed), world.link.source, dark_probability=dark,
                                             dark_uncertainty=dark * 0.05)
        pulls += [(found.values[f"ratio_{i}"].value - truth[i] / truth[0]) / found.values[f"ratio_{i}"].uncertainty
                  for i in (1, 2)]
    assert max(map(abs, pulls)) < 5
    assert (found.beyond() is None) == (pushed_v == 0)


def counted_dark(world):
    """Gain of the vacuum, by closed form: the gains with the light turned off."""
    gains, source = world.gains().clicks, world.link.source
    mu = world.modulator.intensities()
    # two intensities and one transmittance: Q = Y + eta mu to first order, the smallest two levels
    slope = (gains[1] - gains[2]) / (mu[1] - mu[2])
    share = np.array([source.achieved_key_basis_probability, 1 - source.achieved_key_basis_probability])
    return float(np.dot(share, gains[2] - slope * mu[2]))


def test_no_light_gives_no_number():
    counts = DecoyCounts(*(np.zeros((3, 2), np.int64) for _ in range(3)))
    with pytest.raises(BadInput, match="shutter"):
        intensity_ratios_from_counts(counts, SourceSettings())
    with pytest.raises(BadInput):
        intensity_ratios(lambda level: None, None, SourceSettings(), readings=1)
