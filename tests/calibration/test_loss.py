import numpy as np
import pytest
from dialogue import still

from qkdlab.calibration import loss_by_otdr, loss_by_power_meter
from qkdlab.datasets import sor
from qkdlab.datatypes import OtdrEvent, OtdrTrace
from qkdlab.errors import BadInput
from qkdlab.instruments import thorlabs_pm100
from qkdlab.instruments.servers import SimulatedBench


@pytest.mark.parametrize("insertion_db, attenuation_db", [(3.0, 0.0), (2.5, 17.0)])
def test_the_loss_between_two_places_of_the_world(insertion_db, attenuation_db):
    world = still()
    names = {"meter": "thorlabs_pm100", "fibre": "exfo_attenuator"}
    with SimulatedBench(world, names, options={"fibre": {"insertion_db": insertion_db}}) as bench, \
            thorlabs_pm100.connect(bench.address("meter"), simulated=True) as meter:
        line = world.attenuators["fibre"]
        line.open = True
        line.filter.go(attenuation_db)
        world.clock.advance(60)

        class Before:
            simulated = True

            def identity(self):
                return "a meter at the near end"

            @property
            def power_w(self):
                return world.power_w(before="fibre")

        found = loss_by_power_meter(Before(), meter, same_meter=True, dark_w=(0.0, 20e-12), wait=world.clock.sleep)
        value = found.values["loss_db"]
        assert abs(value.value - line.loss_db) < 4 * value.uncertainty and value.uncertainty < 0.01
        assert found.simulated
        two = loss_by_power_meter(Before(), meter, wait=world.clock.sleep).values["loss_db"]
        assert two.uncertainty == pytest.approx(4.343 * 0.05 * 2**0.5, rel=0.01)      # the scales of two meters
        assert "bent fibre" in loss_by_power_meter(Before(), meter, most_db=1.0, wait=world.clock.sleep).beyond()


def test_no_light_is_no_loss():
    class Meter:
        def __init__(self, *power):
            self._power = list(power)

        @property
        def power_w(self):
            self._power.append(self._power.pop(0))
            return self._power[0]

    with pytest.raises(BadInput, match="no light"):
        loss_by_power_meter(Meter(1e-3), Meter(1e-12, -1e-12, 2e-12), wait=lambda s: None)
    with pytest.raises(BadInput):
        loss_by_power_meter(Meter(1e-3), Meter(1e-3), readings=2)


def trace(slopes, splices, lengths, noise_db, seed=1, stated=None):
    rng = np.random.default_rng(seed)
    ends = np.concatenate([[0.0], np.cumsum(lengths)])
    x = np.arange(0, ends[-1] + 1, 5.0)
    loss = np.interp(x, ends, np.concatenate([[0.0], np.cumsum(np.array(slopes) * np.array(lengths) / 1000)]))
    for at, step in zip(ends[1:-1], splices, strict=True):
        loss = loss + step * (x > at)
    events = tuple(OtdrEvent(d, step, 0.0, slope, "splice") for d, step, slope in
                   zip(ends, [0.0, *splices, 0.0], [0.0, *slopes], strict=True))
    return OtdrTrace(x, loss + noise_db * rng.standard_normal(len(x)), 1550.0, 100, 1.468, events, 0.0, ends[-1], stated,
                     None, -80.0, 3.0, 1, 0)


def test_the_loss_of_a_made_up_fibre():
    found = loss_by_otdr(trace([0.19, 0.21], [0.08], [10_000.0, 15_000.0], 0.02, stated=5.14))
    value, truth = found.values["loss_db"], 1.9 + 0.08 + 3.15
    assert abs(value.value - truth) < 3 * value.uncertainty and value.uncertainty < 0.05
    assert found.values["length_m"].value == 25_000
    assert "planned" in loss_by_otdr(trace([0.2], [], [50_000.0], 0.0), most_db=8.0).beyond()
    with pytest.raises(BadInput, match="two events"):
        loss_by_otdr(OtdrTrace(np.zeros(3), np.zeros(3), 1550.0, 1, 1.5, (), 0, 0, None, None, 0, 0, 1, 0))


def test_real_traces_within_what_the_instruments_state(shared):
    files = sorted((shared / "otdr").glob("*.sor"))
    assert files
    for path in files:
        found = sor.read(path)
        value = loss_by_otdr(found).values["loss_db"]
        assert found.total_loss_db is None or abs(value.value - found.total_loss_db) < 3 * value.uncertainty
