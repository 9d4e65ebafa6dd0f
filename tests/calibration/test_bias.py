import math

import pytest
from dialogue import still

from qkdlab.calibration import Stopped, bias_lock, bias_scan
from qkdlab.errors import BadInput
from qkdlab.instruments import thorlabs_mbx
from qkdlab.instruments.errors import InstrumentTimeout
from qkdlab.instruments.servers import SimulatedBench


@pytest.fixture
def world():
    return still()


@pytest.fixture
def box(world):
    with SimulatedBench(world, ["thorlabs_mbx"]) as bench, \
            thorlabs_mbx.connect(bench.address("thorlabs_mbx"), simulated=True) as device:
        yield device


def scan(world, box, **changed):
    return bias_scan(box, box, **{"reading": "tap_power_w", "from_v": -6.0, "to_v": 8.0, "points": 57,
                                  "wait": world.clock.sleep, **changed})


def agrees(value, truth, most=None):
    assert abs(value.value - truth) < 4 * value.uncertainty, (str(value), truth)
    assert most is None or value.uncertainty < most


@pytest.mark.parametrize("pushed_v", [0.0, -1.7, 2.4])
def test_the_scan_finds_what_the_world_holds(world, box, pushed_v):
    world.drift_bias(pushed_v)
    found = scan(world, box)
    agrees(found.values["v_pi_v"], world.settings.v_pi_v, 0.05)
    agrees(found.values["best_bias_v"], world.modulator.best_bias_v, 0.05)
    assert found.values["visibility"].value > 0.98 and found.beyond() is None
    assert len(found.table["bias_v"]) == len(found.table["power_w"]) == 57
    assert found.simulated and "MBX" in found.devices["modulator"]


def test_the_trough_that_was_asked_for(world, box):
    assert scan(world, box, near_v=10.0).values["best_bias_v"].value == pytest.approx(11.3, abs=0.1)


def test_the_old_mode_comes_back_also_after_a_stop_and_an_error(world, box):
    scan(world, box)
    assert box.bias_mode == "auto null"
    box.bias_mode, box.bias_v = "manual", 1.25

    def stop(share, **reading):
        if share > 0.4:
            raise Stopped

    with pytest.raises(Stopped):
        scan(world, box, progress=stop)
    assert box.bias_mode == "manual" and box.bias_v == 1.25
    with pytest.raises(AttributeError):
        scan(world, box, reading="no_such_value")
    assert box.bias_mode == "manual" and box.bias_v == 1.25


@pytest.mark.parametrize("changed", [{"from_v": 3.0, "to_v": 3.0}, {"to_v": 11.0}, {"from_v": math.nan}, {"points": 4},
                                     {"points": 10**6}, {"points": 20.5}, {"to_v": "8"}, {"valid_for_s": 0}])
def test_silly_ranges_are_refused(world, box, changed):
    with pytest.raises(BadInput):
        scan(world, box, **changed)
    assert box.bias_mode == "auto null"


def test_a_range_without_crest_and_trough_gives_no_number(world, box):
    with pytest.raises(BadInput, match="widen"):
        scan(world, box, from_v=0.0, to_v=2.0)


def test_no_light_is_told():
    class Dead:
        bias_v, bias_mode, power_w = 0.0, "manual", 0.0

    with pytest.raises(BadInput, match="light"):
        bias_scan(Dead(), Dead(), from_v=-5, to_v=5, wait=lambda s: None)


def test_progress_goes_from_0_to_1(world, box):
    told = []
    scan(world, box, points=11, from_v=-8.0, to_v=9.0, progress=lambda share, **reading: told.append((share, reading)))
    assert [share for share, _ in told] == pytest.approx([i / 11 for i in range(1, 12)])
    assert set(told[0][1]) == {"bias_v", "power_w"}


def test_the_lock_is_where_the_scan_found_the_trough(world, box):
    expected = scan(world, box).values["best_bias_v"].value
    found = bias_lock(box, expected_v=expected, wait=world.clock.sleep)
    agrees(found.values["bias_v"], world.modulator.best_bias_v, 0.01)
    assert found.beyond() is None and box.bias_locked
    world.drift_bias(1.0)
    assert "fringe" in bias_lock(box, expected_v=expected, wait=world.clock.sleep).beyond()


def test_a_lock_that_never_comes_leaves_the_old_mode(world, box):
    box.bias_mode = "hold quadrature +"
    world.clock.advance(3)
    with pytest.raises(InstrumentTimeout, match="no lock"):
        bias_lock(box, mode="manual", timeout_s=1.0, wait=world.clock.sleep)
    assert box.bias_mode == "hold quadrature +"
