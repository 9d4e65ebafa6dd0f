"""Each driver against the simulated device of the same name: two readings of one manual, made to agree."""

import contextlib
import math
import time
import types

import pytest
from fake_devices import wrong_values

from qkdlab import instruments
from qkdlab.errors import BadInput
from qkdlab.instruments import instrument
from qkdlab.instruments.errors import DeviceError, InstrumentDisconnected, InstrumentError, InstrumentTimeout
from qkdlab.instruments.servers import SimulatedBench, World
from qkdlab.instruments.servers import menu as servers

NAMES = sorted(set(servers.names()) & set(instruments.menu.names()))
ON_A_LINE = [name for name in NAMES if name not in ("quantis_device", "swabian")]
each = pytest.mark.parametrize("name", NAMES)
NOT_ANY_TIME = {                 # what a device refuses in the state it is in after power-on
    "keysight_33500": {"pulse_width_s", "low_v", "high_v"}, "thorlabs_mbx": {"bias_v"}}


@contextlib.contextmanager
def wired(name, speed=0, **options):
    with SimulatedBench(World(seed=1, speed=speed), [name]) as bench:
        module = instruments.menu.get(name)
        if name == "swabian":
            device = module.connect(library=bench.device(name).module, **options)
        else:
            more = {"target": bench.address(name, "datalink")} if name == "id900" else {}
            device = module.connect(bench.address(name), **more, **options)
        with device:
            yield device, bench


def test_every_simulated_device_has_a_driver():
    assert set(servers.names()) <= set(instruments.menu.names())


@each
def test_tells_who_it_is_and_all_its_values(name):
    with wired(name) as (device, _):
        assert len(device.identity()) > 5
        record = device.snapshot()
        assert record.keys() == {n for n, p in device.parameters().items() if p.snapshot}
        assert not [entry for entry in record.values() if "error" in entry]
        assert device.settings() is not None


@each
def test_what_is_set_is_read_back(name, monkeypatch):
    monkeypatch.setattr(instrument, "time", types.SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: None))
    with wired(name) as (device, _):                     # a paddle moves a step an answer: who waits in between loses time
        for setting, p in device.parameters().items():
            if p.set is None or setting in NOT_ANY_TIME.get(name, ()):
                continue
            low, high = p.limits(device)
            value = getattr(device, setting)
            if p.kind is float and low is not None and high is not None:
                value = low + (0.4 if name == "thorlabs_cld" else 0.1) * (high - low)
            setattr(device, setting, value)
            read = getattr(device, setting)
            step = 0.005 * max(abs(high or 0), abs(low or 0)) if p.kind is float else 0
            assert read == value or math.isclose(read, value, rel_tol=1e-6, abs_tol=step), setting


@each
def test_out_of_range_is_refused_and_not_sent(name):
    with wired(name) as (device, bench):
        before, said = device.snapshot(), len(bench.transcript(name))
        for setting, p in device.parameters().items():
            for wrong in wrong_values(p, *p.limits(device)) if p.set is not None else [3]:
                with pytest.raises(BadInput, match=setting):
                    setattr(device, setting, wrong)
        assert len(bench.transcript(name)) == said
        settable = [n for n, p in device.parameters().items() if p.set is not None]
        assert [device.snapshot()[n]["value"] for n in settable] == [before[n]["value"] for n in settable]


@pytest.mark.parametrize(("fault", "raised"), [
    ("delay", InstrumentTimeout), ("half_line", InstrumentTimeout), ("stall", InstrumentTimeout),
    ("disconnect", InstrumentDisconnected)])
@pytest.mark.parametrize("name", ON_A_LINE)
def test_a_fault_is_a_typed_error_and_the_next_exchange_is_right(name, fault, raised):
    if name == "id900":                                  # ZeroMQ gives whole messages or none, and connects by itself
        fault, raised = fault.replace("half_line", "stall"), InstrumentTimeout
    with wired(name) as (device, bench):
        right, patience_s = device.identity(), device.transport.timeout_s
        device.transport.timeout_s = 0.15 if raised is InstrumentTimeout else patience_s
        bench.fault(name, fault, 1, **({"seconds": 60.0} if fault == "delay" else {}))
        with pytest.raises(raised):
            device._identify(device.transport)
        device.transport.timeout_s = patience_s
        bench.clear(name)
        for _ in range(3):
            assert device._identify(device.transport) == right
        assert device.transport.reopened == 1


@pytest.mark.parametrize("name", [n for n in ON_A_LINE if n != "agiltron_switch"])      # its frames have no checksum
def test_garbled_answers_give_typed_errors_and_no_wrong_numbers(name):
    with wired(name) as (device, bench):
        patience_s, device.transport.timeout_s = device.transport.timeout_s, 0.3         # what has no end is waited for
        bench.fault(name, "garble", 1)
        numbers = [p for p in device.parameters().values() if p.get is not None and p.kind is float and p.snapshot]
        with contextlib.suppress(InstrumentError):
            for p in numbers[:1]:
                assert math.isfinite(p.read(device))     # a digit may be another digit: no line protocol can tell
        device.transport.timeout_s = patience_s
        bench.clear(name)
        for p in numbers[:1]:
            before = p.read(device)
            assert p.read(device) == pytest.approx(before, rel=0.5)


def test_the_attenuator_turns_the_counts_of_the_tagger():
    with SimulatedBench(World(seed=3, speed=0), ["keysight_attenuator", "id900"]) as bench:
        connect = {name: instruments.menu.get(name).connect for name in ("keysight_attenuator", "id900")}
        with connect["keysight_attenuator"](bench.address("keysight_attenuator")) as voa, \
                connect["id900"](bench.address("id900"), target=bench.address("id900", "datalink")) as tagger:
            voa.set(shutter_open=True, attenuation_db=0)
            bright = tagger.count_1
            voa.attenuation_db = 10
            for _ in range(20):                          # the filter turns in the time of the world, a step a command
                dim = tagger.count_1
            assert 0.05 * bright < dim < 0.2 * bright
            voa.safe_state()
            assert tagger.count_1 < 0.05 * bright


def test_tags_stream_from_the_simulated_box():
    with wired("id900") as (tagger, bench):
        tagger.stretch_s = 0.2
        tagger.start()
        blocks = tagger.blocks(0.2)
        first, second = next(blocks), next(blocks)
        tagger.stop()
        rest = list(blocks)
        assert set(first.channel.tolist()) == {1, 2, 3, 4} and first.lost == 0
        assert 0 <= first.time_ps[0] and first.time_ps[-1] <= 0.2e12 < 0.2e12 + 1e5 <= second.time_ps[0] < 0.21e12
        rate = bench.world.rates().click_hz.sum()
        assert len(first) == pytest.approx(0.2 * rate, rel=0.05)
        assert all(len(block) for block in rest)


def test_a_refused_setting_carries_the_devices_words():
    with wired("keysight_33500") as (device, _):
        with pytest.raises(DeviceError, match="Settings conflict") as caught:
            device.high_v = device.low_v - 1
        assert "Keysight33500" in str(caught.value)
