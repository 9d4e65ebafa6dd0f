import numpy as np
import pytest
from dialogue import still

from qkdlab.calibration import intensity_ratios, intensity_ratios_from_counts, level_player
from qkdlab.datatypes import DecoyCounts, SourceSettings
from qkdlab.errors import BadInput
from qkdlab.instruments import keysight_33500, thorlabs_pm100
from qkdlab.instruments.servers import SimulatedBench, World


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


def test_levels_played_one_by_one_through_generator_and_meter_on_the_wire():
    world = World(seed=2, speed=0)
    options = {"keysight_33500": {"drives_modulator": True}}
    with SimulatedBench(world, ["keysight_33500", "thorlabs_pm100"], options=options) as bench, \
            keysight_33500.connect(bench.address("keysight_33500"), simulated=True) as generator, \
            thorlabs_pm100.connect(bench.address("thorlabs_pm100"), simulated=True) as meter:
        generator.set(high_v=world.settings.v_pi_v / 2, low_v=-world.settings.v_pi_v / 2, output=True)
        source = world.link.source
        floor = 10 ** (-world.settings.extinction_db / 10)
        share = (np.array(source.intensities) / source.intensities[0] - floor) / (1 - floor)
        levels = 4 / np.pi * np.arcsin(np.sqrt(np.clip(share, 0, 1))) - 1
        pattern = np.tile(levels, 8)
        play = level_player(generator, levels, pattern, 1e8)
        found = intensity_ratios(play, meter, source, readings=3, wait=world.clock.sleep)
        assert found.simulated and found.beyond() is None, found
        assert found.values["relative_1"].value == pytest.approx(1, abs=0.02)
        assert bench.device("keysight_33500").waveform(1) == pytest.approx(pattern, abs=1e-4)
        levels[1] += 0.05                                # as a driver whose gain is off
        found = intensity_ratios(level_player(generator, levels, pattern, 1e8), meter, source, readings=3,
                                 wait=world.clock.sleep)
        assert "relative_1" in found.beyond()
    with pytest.raises(BadInput, match="-1 to 1"):
        level_player(None, [1.5, 0], pattern, 1e8)


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
