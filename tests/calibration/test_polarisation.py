import math

import numpy as np
import pytest

from qkdlab.calibration import Stopped, polarisation_compensation
from qkdlab.errors import BadInput
from qkdlab.instruments import oz_epc, thorlabs_mpc320
from qkdlab.instruments.servers import SimulatedBench, World


def sifted(world, rng, clicks_hz=50_000):
    """Test-basis counts as the link would sift them: their error rate is the world's own."""
    def measure(seconds):
        gains = world.gains()
        qber = float(gains.errors[0, 1] / gains.clicks[0, 1])
        clicks = int(rng.poisson(clicks_hz * seconds))
        return int(rng.binomial(clicks, qber)), clicks

    return measure


# Three half-wave paddles turn the polarisation about the circular axis only; two half-wave twists of the fibre do the same.
@pytest.mark.parametrize("kind, twists", [("thorlabs_mpc320", ((0.0, math.pi), (0.3, math.pi))), ("oz_epc", ((0.9, 1.9),))])
def test_a_twisted_fibre_is_compensated(kind, twists):
    world, rng = World(seed=1, speed=100), np.random.default_rng(7)     # moves take a hundredth of their time
    with SimulatedBench(world, [kind]) as bench:
        driver = {"thorlabs_mpc320": thorlabs_mpc320, "oz_epc": oz_epc}[kind]
        with driver.connect(bench.address(kind), simulated=True) as controller:
            for axis, angle in twists:
                world.polarisation.twist(axis, angle)
            before = world.polarisation.error
            found = polarisation_compensation(controller, sifted(world, rng), seconds=0.5, finest=0.02)
            floor = world.link.channel.misalignment
            assert before > 0.1 and world.polarisation.error < 0.015
            gains = world.gains()
            truth, value = float(gains.errors[0, 1] / gains.clicks[0, 1]), found.values["qber"]
            assert abs(value.value - truth) < 4 * value.uncertainty and value.value < 0.05 and floor < 0.02
            assert found.beyond() is None and found.simulated and found.note == ""
            assert set(controller.actuators) < set(found.values)
            for name in controller.actuators:
                assert getattr(controller, name) == pytest.approx(found.values[name].value, abs=0.2)


class Controller:
    """One actuator; the error rate is a parabola about 0.5."""

    actuators = ("volts",)

    class _Described:
        unit = "V"

        def limits(self, device):
            return 0.0, 1.0

        def __get__(self, device, owner=None):
            return self if device is None else device.__dict__.get("at", 0.5)

        def __set__(self, device, value):
            device.__dict__["at"] = value

    volts = _Described()


def parabola(controller, clicks=100_000, least=0.02):
    return lambda seconds: (round(clicks * (least + 0.4 * (controller.volts - 0.5) ** 2)), clicks)


def test_at_the_best_place_it_stays():
    controller = Controller()
    found = polarisation_compensation(controller, parabola(controller), seconds=0.1)
    assert controller.volts == 0.5 and "left as it was" in found.note and found.values["volts"].value == 0.5


def test_a_stop_and_an_error_bring_it_back():
    controller = Controller()
    controller.volts = 0.125

    def stop(share, **reading):
        if share > 0.5:
            raise Stopped

    with pytest.raises(Stopped):
        polarisation_compensation(controller, parabola(controller), seconds=0.1, progress=stop)
    assert controller.volts == 0.125
    with pytest.raises(BadInput, match="no clicks"):
        polarisation_compensation(controller, lambda seconds: (0, 0), seconds=0.1)
    assert controller.volts == 0.125
    found = polarisation_compensation(controller, parabola(controller), seconds=0.1)
    assert controller.volts == pytest.approx(0.5, abs=0.02) and found.values["qber"].value == pytest.approx(0.02, abs=1e-3)


@pytest.mark.parametrize("wrong", [{"seconds": 0}, {"points": 2}, {"finest": 0.0}, {"span": 2.0}, {"confirm": 0},
                                   {"most_qber": 0.9}])
def test_silly_arguments_are_refused(wrong):
    with pytest.raises(BadInput):
        polarisation_compensation(Controller(), parabola(Controller()), **{"seconds": 0.1, **wrong})
