"""One physics behind all devices: what is turned here is seen there, by as much as the formulas say."""

import math

import numpy as np
import pytest
from dialogue import sent

from qkdlab.datatypes import SourceSettings
from qkdlab.errors import BadInput
from qkdlab.instruments.servers import World
from qkdlab.instruments.servers.optics import retarder
from qkdlab.instruments.servers.world import WorldSettings
from qkdlab.simulation import ClockSettings, simulate


def still(seed=1, **options):
    """A world whose clock stands, of a link that the closed form knows: no public slots, the first pulse at once."""
    source = SourceSettings(intensities=(0.5, 0.1, 0.0005))
    tables = {"source": source, "synchronisation": None, "clock": ClockSettings(offset_ps=0)}
    return World(simulate(tables, seed), seed=seed, speed=0, **options)


def agree(measured, expected, variance):
    """Within five standard deviations."""
    assert abs(measured - expected) < 5 * math.sqrt(variance), (measured, expected)


def test_three_decibels_halve_the_counts_of_the_tags_themselves():
    world = still()
    stage = world.attenuator("voa", attenuation_db=10.0)
    before, expected = len(world.take(0.05)), world.rates().click_hz.sum() * 0.05
    agree(before, expected, expected)
    stage.filter.go(10.0 + 10 * math.log10(2))
    world.clock.advance(10)
    after, expected = len(world.take(0.05)), world.rates().click_hz.sum() * 0.05
    agree(after, expected, expected)
    assert after / before == pytest.approx(0.5, abs=0.01)


def test_counters_and_tags_tell_the_same():
    world = still()
    world.attenuator("voa", attenuation_db=10.0)
    tags = np.bincount(world.take(0.1).channel, minlength=4)
    counts = np.mean([world.counts(0.1, np.random.default_rng(i)) for i in range(50)], axis=0)
    assert np.all(np.abs(tags - counts) < 5 * np.sqrt(tags * (1 + 1 / 50)))


def test_a_motor_takes_its_time():
    world = still()
    stage = world.attenuator("voa", rate_db_per_s=10, lag_s=0.1)
    stage.filter.go(20)
    assert stage.filter.remaining_s == pytest.approx(2.1)
    world.clock.advance(1.1)
    assert stage.loss_db == pytest.approx(10) and stage.filter.moving
    stage.filter.stop()
    assert stage.loss_db == pytest.approx(10) and not stage.filter.moving
    stage.open = False
    assert stage.loss_db == 100


def test_the_bias_moves_decoy_and_vacuum_as_the_sine_says():
    world, s = still(), WorldSettings()
    assert sent(world) == pytest.approx(world.link.source.intensities)
    world.drift_bias(0.6)
    floor, phi = 10 ** (-s.extinction_db / 10), math.pi / 2 * 0.6 / s.v_pi_v
    decoy = math.asin(math.sqrt((0.2 - floor) / (1 - floor)))
    expected = [0.5 * (floor + (1 - floor) * math.sin(theta - phi) ** 2) for theta in (math.pi / 2, decoy, 0)]
    assert sent(world) == pytest.approx(expected)


def test_the_gains_of_the_tags_follow_the_bias():
    def decoy_gain(volts):
        world = still(seed=3)
        world.attenuator("voa", attenuation_db=10.0)
        world.drift_bias(volts)
        world.link._keep_truth = True
        world.take(0.2)
        slot = np.concatenate([truth.slot[truth.slot >= 0] for truth in world.link.truth])
        hits = np.bincount(world.link.choices.at(slot) >> 2, minlength=3)
        return hits, np.array(world.emitted.intensities)

    (before, mu), (after, drifted) = decoy_gain(0.0), decoy_gain(-1.0)
    for k in (1, 2):
        ratio = drifted[k] / mu[k]
        agree(after[k], before[k] * ratio, before[k] * ratio * (1 + ratio))
    assert after[1] > 1.5 * before[1] and after[2] > 50 * before[2] and after[0] < before[0]


def test_laser_off_is_dark_and_half_power_is_half_the_light():
    world = still()
    world.attenuator("voa", attenuation_db=20.0)
    full = world.rates().click_hz.sum()
    power = [0.5e-3]
    world.lasers["laser"] = lambda: power[0]
    dark = 4 * world.link.detectors.dark_rate_hz
    assert (world.rates().click_hz.sum() - dark) == pytest.approx((full - dark) / 2, rel=0.02)
    power[0] = 0.0
    assert world.rates().click_hz.sum() == pytest.approx(dark, rel=0.02)
    assert len(world.take(0.01)) < 60


def test_twisted_fibre_makes_errors_and_the_opposite_twist_mends_them():
    world = still()
    aligned = world.gains().qber[0, 0]
    world.polarisation.twist(0.0, 0.6)
    # A retarder along S1 leaves S1 and turns S2 by its angle: the mean error is (1 - cos) / 4.
    e = (1 - math.cos(0.6)) / 4
    assert world.refresh().channel.misalignment == pytest.approx(0.01 + 0.98 * e)
    assert world.gains().qber[0, 0] > aligned + 0.8 * e
    world.polarisation.twist(0.0, -0.6)
    assert world.gains().qber[0, 0] == pytest.approx(aligned)


def test_a_retarder_is_a_rotation_and_a_half_wave_plate_mirrors():
    rotation = retarder(0.3, 1.1)
    assert rotation @ rotation.T == pytest.approx(np.eye(3)) and np.linalg.det(rotation) == pytest.approx(1)
    assert retarder(math.pi / 8, math.pi) @ [1, 0, 0] == pytest.approx([0, 1, 0])


def test_the_transmitter_warms_up_and_takes_the_bias_along():
    world = still()
    world.temperature.go(35.0)
    world.clock.advance(20.0)                    # one time constant
    warmer = 10 * (1 - math.exp(-1))
    assert world.temperature.value == pytest.approx(25 + warmer)
    assert world.modulator.error_v == pytest.approx(-0.05 * warmer)


def test_the_head_makes_the_detectors():
    world = still()
    assert world.refresh().detectors == world.head._nominal
    world.head.bias_v += 5
    more = world.refresh().detectors
    assert more.efficiency / 0.2 == pytest.approx(math.expm1(-15 / 8) / math.expm1(-10 / 8), rel=2e-3)
    assert more.dark_rate_hz == pytest.approx(150, rel=2e-3)
    world.head.bias_v -= 5
    world.head.cool(True, -32.0)
    world.clock.advance(1000)
    warm = world.refresh().detectors             # 8 K: dark counts double, and the excess falls by 3.2 V
    assert warm.dark_rate_hz == pytest.approx(2 * 100 * 0.68, rel=0.02) and warm.efficiency < 0.2
    world.head.threshold_v = 2.0
    assert world.refresh().detectors.efficiency < 1e-6
    world.head.threshold_v, world.head.bias_v = 0.0, 100.0
    assert world.refresh().detectors.dark_rate_hz == pytest.approx(1e7) and world.link.detectors.efficiency == 0


def test_the_seed_fixes_the_tags():
    a, b, c = (World(seed=s, speed=0).take(0.01).time_ps for s in (5, 5, 6))
    assert np.array_equal(a, b) and not np.array_equal(a[: len(c)], c[: len(a)])


def test_what_cannot_be_is_refused():
    for speed in (-1, math.nan, "fast"):
        with pytest.raises(BadInput, match="speed"):
            World(speed=speed)
    with pytest.raises(BadInput, match="seconds"):
        still().take(0)
    with pytest.raises(BadInput, match="seconds"):
        still().clock.advance(-1)
    with pytest.raises(BadInput, match="v_pi_v"):
        WorldSettings(v_pi_v=0)
