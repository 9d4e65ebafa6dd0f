import pytest

from qkdlab import simulation
from qkdlab.calibration import clock_offset, gate_delay
from qkdlab.datatypes import SourceSettings, SynchronisationSettings
from qkdlab.errors import BadInput
from qkdlab.instruments.simulated_tagger import SimulatedTagger


def link(offset_ppm=3.0, delay_ps=(0, 130, -260, 45), seed=5, distance_km=20.0):
    detectors = simulation.DetectorSettings(delay_ps=delay_ps, key_basis_probability=0.5, efficiency=0.3)
    tables = {"source": SourceSettings(intensities=(0.5, 0.15, 0.001), clock_hz=1e8),
              "synchronisation": SynchronisationSettings(frame_slots=1 << 16, header_slots=1 << 12),
              "channel": simulation.ChannelSettings(distance_km=distance_km), "detectors": detectors,
              "clock": simulation.ClockSettings(offset_ppm=offset_ppm)}
    return simulation.simulate(tables, seed)


def measured(what, made, **options):
    return what(SimulatedTagger(made), made.source, made.sync, made.receiver, **{"seconds": 0.4, "block_seconds": 0.02,
                                                                                 **options})


@pytest.mark.parametrize("offset_ppm", [-7.5])
def test_the_clock_of_the_link(offset_ppm):
    made = link(offset_ppm)
    found = measured(clock_offset, made)
    clock = made.clock
    # the tagger's clock runs fast by offset + drift t: fewer pulses fall into its second
    truth = (1 / (1 + clock.offset_ppm * 1e-6 + clock.drift_per_s * 0.4) - 1) * 1e6
    value = found.values["offset_ppm"]
    assert abs(value.value - truth) < 4 * value.uncertainty and value.uncertainty < 0.05
    assert found.simulated and found.beyond() is None
    assert measured(clock_offset, link(offset_ppm), most_ppm=1.0).beyond()


def test_the_delays_of_the_detectors():
    made = link()
    found = measured(gate_delay, made)
    for detector, truth in ((1, 130), (2, -260), (3, 45)):
        value = found.values[f"delay_{detector}_ps"]
        assert abs(value.value - truth) < 4 * value.uncertainty and value.uncertainty < 15, (detector, str(value))
    sigma = simulation.settings.arrival_sigma_ps(made.channel, made.detectors)
    assert found.values["jitter_ps"].value == pytest.approx(sigma, rel=0.1)
    assert found.beyond() is None and "cable" in measured(gate_delay, link(), most_ps=200.0).beyond()


def test_no_light_is_told_with_the_reason():
    with pytest.raises(BadInput, match="clock was not found"):
        measured(clock_offset, link(distance_km=900.0))


@pytest.mark.parametrize("wrong", [{"seconds": 0}, {"seconds": 0.09}, {"block_seconds": -1}, {"seconds": float("nan")}])
def test_silly_times_are_refused(wrong):
    with pytest.raises(BadInput):
        measured(clock_offset, link(), **wrong)
