import numpy as np
import pytest
from dialogue import still

from qkdlab.calibration import Stopped, dark_counts, detector_balance, detector_counter, tagger_counter
from qkdlab.datatypes import TimeTags
from qkdlab.errors import BadInput
from qkdlab.instruments import id120, keysight_attenuator
from qkdlab.instruments.servers import SimulatedBench


def of_world(world, seed=3):
    rng = np.random.default_rng(seed)
    return lambda seconds: world.counts(seconds, rng)


def test_the_dark_rate_of_the_world_behind_a_shutter_on_the_wire():
    world = still()
    with SimulatedBench(world, ["keysight_attenuator", "id120"]) as bench, \
            keysight_attenuator.connect(bench.address("keysight_attenuator"), simulated=True) as voa, \
            id120.connect(bench.address("id120"), simulated=True) as detector:
        voa.shutter_open = True
        p = world.link.detectors.afterpulse_probability
        found = dark_counts(detector_counter(detector, wait=world.clock.sleep), voa, seconds=20.0, repeats=5,
                            afterpulse_probability=p)
        value, truth = found.values["detector_0_hz"], 4 * world.head.settings().dark_rate_hz
        assert abs(value.value - truth) < 4 * value.uncertainty and value.uncertainty < 0.01 * truth
        assert voa.shutter_open and detector.integration_time_s == 1.0
        assert found.simulated and set(found.devices) == {"detectors", "shutter"}


def test_the_dark_rate_of_each_detector():
    world = still()
    world.attenuator("voa")
    truth, p = world.head.settings().dark_rate_hz, world.link.detectors.afterpulse_probability
    pulls = []
    for seed in range(20):
        found = dark_counts(of_world(world, seed), world.attenuators["voa"], seconds=50.0, closed=("open", False),
                            afterpulse_probability=p)
        pulls += [(v.value - truth) / v.uncertainty for v in found.values.values()]
    # 80 normal numbers: chi-square between its 1e-6 quantiles
    assert 37 < np.sum(np.square(pulls)) < 148 and world.attenuators["voa"].open


def test_the_shutter_comes_back_after_a_stop_and_an_error():
    world = still()
    shutter = world.attenuator("voa")

    def stop(share, **reading):
        raise Stopped

    def broken(seconds):
        raise OSError("gone")

    for count, progress in ((of_world(world), stop), (broken, lambda share, **reading: None)):
        with pytest.raises((Stopped, OSError)):
            dark_counts(count, shutter, seconds=1.0, closed=("open", False), progress=progress)
        assert shutter.open


def test_too_many_dark_counts_are_out_of_limits_and_none_are_not_zero_for_certain():
    world = still()
    shutter = world.attenuator("voa")
    world.head.temperature.jump(20.0)                    # warm by 60 K, and no cooler: 2^7.5 times as many, less excess
    world.head.bias_v += 24
    found = dark_counts(of_world(world), shutter, seconds=1.0, closed=("open", False), most_hz=1e3)
    assert "cool the detector" in found.beyond()
    none = dark_counts(lambda seconds: np.zeros(4, np.int64), shutter, seconds=2.0, closed=("open", False))
    assert none.values["detector_2_hz"].value == 0 and none.values["detector_2_hz"].uncertainty == 0.5


def test_alike_detectors_are_balanced_within_the_uncertainty():
    world = still()
    pulls = []
    for seed in range(30):
        found = detector_balance(of_world(world, seed), seconds=0.01, dead_time_s=world.head.dead_time_ps * 1e-12)
        for basis in ("key_1_to_0", "test_1_to_0"):
            pulls.append((found.values[basis].value - 1) / found.values[basis].uncertainty)
    assert 23 < np.sum(np.square(pulls)) < 122           # 60 normal numbers
    assert found.beyond() is None


def test_a_weak_detector_is_found():
    counts = np.array([100_000, 70_000, 10_000, 9_900])
    found = detector_balance(lambda seconds: counts, seconds=1.0, dark_hz=[1000.0] * 4)
    assert found.values["key"].value == pytest.approx(69 / 99) and "equal detectors" in found.beyond()
    with pytest.raises(BadInput, match="dark counts"):
        detector_balance(lambda seconds: counts, seconds=1.0, dark_hz=[0, 0, 0, 9_900.0])
    with pytest.raises(BadInput, match="four detectors"):
        detector_balance(lambda seconds: counts[:2], seconds=1.0)


@pytest.mark.parametrize("wrong", [{"seconds": 0}, {"seconds": -1.0}, {"seconds": 1e9}, {"repeats": 0},
                                   {"afterpulse_probability": 1.5}, {"valid_for_s": -1}])
def test_silly_arguments_are_refused(wrong):
    world = still()
    with pytest.raises(BadInput):
        dark_counts(of_world(world), world.attenuator("voa"), closed=("open", False), **{"seconds": 0.1, **wrong})


class Tagger:
    """Three blocks of tags, then nothing."""

    stopped = 0

    def start(self):
        pass

    def blocks(self, block_seconds):
        for i in range(3):
            yield TimeTags(np.arange(4) + i * 10, np.array([0, 2, 2, 9], np.uint8))

    def stop(self):
        self.stopped += 1


def test_counting_with_a_tagger():
    tagger = Tagger()
    count = tagger_counter(tagger, (0, 1, 2, 3))
    assert count(0.2).tolist() == [2, 0, 4, 0] and tagger.stopped == 1
    with pytest.raises(BadInput, match="multiple"):
        count(0.25)
    with pytest.raises(BadInput, match="ended before"):
        count(1.0)
    assert tagger.stopped == 2
