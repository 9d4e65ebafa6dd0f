"""What holds for every driver on the menu."""

import contextlib
import importlib
import inspect
import json
import struct
import threading
import time

import numpy as np
import pytest
from fake_devices import HttpFake, TcpFake, ZmqFake, serial_port, wrong_values

from qkdlab import instruments
from qkdlab.errors import BadInput
from qkdlab.instruments import interfaces
from qkdlab.instruments.errors import DeviceError, InstrumentError, InstrumentInUse, InstrumentTimeout
from qkdlab.instruments.instrument import Instrument

WIRED = {                        # name: (answers beyond the identity, what ends a request or its size)
    "keysight_attenuator": ({b"MAX": b"60", b"MIN": b"0"}, b"\n"), "exfo_attenuator": ({b"MAX": b"60", b"MIN": b"1"}, b"\n"),
    "thorlabs_pm100": ({b"MIN": b"800", b"MAX": b"1700"}, b"\n"), "thorlabs_mbx": ({b": ": b"1"}, b"\n"),
    "thorlabs_cld": ({b"LIM?": b"0.1"}, b"\n"), "koheron_laser": ({}, b"\r\n"),
    "keysight_33500": ({b"MIN": b"0", b"MAX": b"1e7"}, b"\n"), "id120": ({}, b"\n"), "thorlabs_osw": ({b"S?": b"1"}, b"\n"),
    "agiltron_switch": ({}, 4), "oz_epc": ({}, b"\r\n"), "thorlabs_mpc320": ({}, 6), "meerstetter_tec": ({}, b"\r"),
}
OTHERS = {"id900", "quantis_appliance", "quantis_device", "otdr_file", "swabian", "simulated_tagger", "pymeasure_adapter",
          "qcodes_adapter"}
# These stand behind a library, a file or somebody else's driver: the same contract is in the files of their own tests.
ALL = sorted([*WIRED, "id900", "quantis_appliance"])


def answer_of(name):
    answers, _ = WIRED[name]

    def answer(request):
        if name == "agiltron_switch":
            return bytes([1, 0x11, 0, 1])
        if name == "thorlabs_mpc320":
            return struct.pack("<HHBBI8sH", 6, 84, 0x81, 0x50, 7, b"MPC320", 44) + bytes(70)
        if name == "meerstetter_tec":
            import binascii

            reply = b"!" + request[1:7] + b"00000000" * (b"?VR" in request)
            return reply + b"%04X\r" % binascii.crc_hqx(reply, 0)
        if name == "oz_epc":
            return b"Voltage(mV): CH1 +0 CH2 +0 CH3 +0 CH4 +0\r\nDone\r\n"
        if name == "koheron_laser":
            return request + b"\r\n0\r\n>>"
        if request == b"*IDN?":
            return b"Maker,Box,1,2\n"
        for word, reply in answers.items():
            if word in request:
                return reply + b"\n"
        return b"0\n" if request.endswith(b"?") else None

    return answer


@contextlib.contextmanager
def fake_of(name):
    if name == "id900":
        fake = ZmqFake(lambda text: "IDQ,ID900,1,2" if text == "*IDN?" else "0")
    elif name == "quantis_appliance":
        rng = np.random.default_rng(6)
        fake = HttpFake(lambda path, query: rng.bytes(int(query["size"])))
    else:
        end = WIRED[name][1]
        fake = TcpFake(answer_of(name), **({"size": end} if isinstance(end, int) else {"end": end}))
    with fake:
        yield fake


@contextlib.contextmanager
def opened(name, address, **options):
    device = instruments.menu.get(name).connect(address, **options)
    try:
        yield device
    finally:
        with contextlib.suppress(InstrumentError):       # the fakes know no numbers: a safe state may be refused
            device.close()


def driver_classes():
    """Every driver's class on the menu, by the menu's name."""
    for name in instruments.menu.names():
        module = instruments.menu.get(name)
        for one in vars(module).values():
            if inspect.isclass(one) and issubclass(one, Instrument) and one.__module__.endswith(name):
                yield pytest.param(one, id=name)


def test_the_menu_is_what_is_tested():
    assert set(instruments.menu.names()) == set(WIRED) | OTHERS
    for name in instruments.menu.names():
        module = importlib.import_module(f"qkdlab.instruments.{name}")
        assert module.__doc__ and module.connect.__doc__


@pytest.mark.parametrize("driver", list(driver_classes()))
def test_each_keeps_the_promises_of_its_kinds(driver):
    assert driver.kinds
    if driver.__name__ == "Swabian":
        return                                           # its settings are those of its inputs
    for kind in driver.kinds:
        assert getattr(interfaces, kind.__name__) is kind
        for base in kind.__mro__:
            if getattr(base, "_is_protocol", False):
                for member in (*base.__dict__.get("__annotations__", ()), *(m for m in vars(base) if m[0] != "_")):
                    assert inspect.getattr_static(driver, member, None) is not None, f"{kind.__name__}.{member}"


@pytest.mark.parametrize("driver", list(driver_classes()))
def test_each_setting_says_what_it_means_and_in_which_unit(driver):
    units = {"db": "dB", "v": "V", "a": "A", "w": "W", "c": "degC", "s": "s", "hz": "Hz", "nm": "nm", "deg": "deg",
             "ohm": "ohm", "ps": "ps", "percent": "%", "bytes": "bytes"}
    for name, p in driver.parameters().items():
        meta = p.metadata()
        assert meta["help"] and set(meta) == {"help", "unit", "low", "high", "choices", "open_low"}
        assert p.get is not None or p.set is not None
        if meta["unit"]:
            assert units[name.rpartition("_")[2]] == meta["unit"], f"{name} in {meta['unit']}"
        elif p.kind is float:
            assert name in ("ratio", "zero_offset")


@pytest.mark.parametrize("name", ALL)
def test_life_of_a_device(name):
    connect = instruments.menu.get(name).connect
    with fake_of(name) as fake:
        device = connect(fake.address, session="Anna")
        assert device.identity() and device.simulated is False
        assert isinstance(device, interfaces.TimeTagger) == (name == "id900")
        with pytest.raises(InstrumentInUse, match="Anna"):
            connect(fake.address)
        patience_s, device.transport.timeout_s = device.transport.timeout_s, 0.3         # some values the fake knows not
        record = device.snapshot(timeout_s=1)
        device.transport.timeout_s = patience_s
        json.dumps(record)
        assert set(record) == set(device.parameters())
        assert all(set(entry) in ({"value", "unit", "time"}, {"error"}) for entry in record.values())
        with pytest.raises(BadInput, match="no such setting"):
            device.attenuation = 3
        with contextlib.suppress(DeviceError):
            device.safe_state()
        device.transport.record()
        with contextlib.suppress(InstrumentError):
            device.close()
        device.close()
        with opened(name, fake.address) as device:
            fake.close()
            device.transport.timeout_s = 0.1
            for _ in range(3):
                with pytest.raises(InstrumentError):
                    device.read(1) if name == "quantis_appliance" else device.transport.query(_identity_request(name))


@pytest.mark.parametrize("fault", ["half", "late"])
@pytest.mark.parametrize("name", sorted(WIRED))
def test_half_an_answer_or_a_late_one_is_none(name, fault):
    with fake_of(name) as fake:
        with opened(name, fake.address) as device:
            good, release, request = fake.answer, threading.Event(), _identity_request(name)
            wanted = device._identify(device.transport)

            def answer(text):
                fake.answer = good
                reply = good(text)
                if fault == "late":
                    release.wait(60)
                    return reply.replace(b"1", b"9")
                return reply[: len(reply) // 2]

            fake.answer = answer
            with pytest.raises(InstrumentTimeout):
                device.transport.query(request, timeout_s=0.1, framing=device.framing)
            release.set()
            for _ in range(3):
                assert device._identify(device.transport) == wanted
            assert device.transport.reopened == 1


@pytest.mark.parametrize("name", ["agiltron_switch", "meerstetter_tec", "oz_epc", "thorlabs_mbx", "thorlabs_mpc320"])
def test_a_driver_that_works_on_tcp_works_on_a_serial_port(name):
    with fake_of(name) as fake, serial_port(fake.address) as path:
        with opened(name, f"serial://{path}?baud=9600") as device:
            assert device._identify(device.transport) == device.identity()


def _identity_request(name):
    from qkdlab.instruments.thorlabs_mpc320 import Message

    return {"agiltron_switch": b"\x01\x11\x00\x00", "thorlabs_mpc320": Message(5), "meerstetter_tec": "?VR006801",
            "oz_epc": "V?", "thorlabs_osw": "S?", "koheron_laser": "model"}.get(name, "*IDN?")


@pytest.mark.parametrize("name", ALL)
def test_what_is_out_of_range_is_refused_before_a_byte_is_sent(name):
    with fake_of(name) as fake:
        with opened(name, fake.address) as device:
            sent = len(fake.received)
            tried = 0
            for setting, p in device.parameters().items():
                for wrong in wrong_values(p, *p.limits(device)) if p.set is not None else [3]:
                    tried += p.set is not None
                    with pytest.raises(BadInput) as caught:
                        setattr(device, setting, wrong)
                    assert caught.value.field == setting and device.name in str(caught.value)
                    with pytest.raises(BadInput):        # one that is right beside it is not sent either
                        device.set(**{other: device.known[other][0] for other in list(device.known)[:1]}, **{setting: wrong})
            assert len(fake.received) == sent and (tried or name == "quantis_appliance")


@pytest.mark.parametrize("name", ALL)
def test_a_dead_address_cannot_be_opened(name):
    with fake_of(name) as fake:
        address = fake.address
    begun = time.monotonic()
    with pytest.raises(InstrumentError):
        instruments.menu.get(name).connect(address, timeout_s=0.2)
    assert time.monotonic() - begun < 30


def test_all_are_let_go_at_the_end():
    with fake_of("thorlabs_osw") as fake:
        device = instruments.menu.get("thorlabs_osw").connect(fake.address)
        instruments.close_all()
        assert device.transport.closed
        instruments.menu.get("thorlabs_osw").connect(fake.address).close()


def test_the_simulated_tagger_is_a_time_tagger():
    from qkdlab.instruments.simulated_tagger import SimulatedTagger

    assert SimulatedTagger.kinds == (interfaces.TimeTagger,) and issubclass(SimulatedTagger, object)
    for member in ("identity", "snapshot", "safe_state", "close", "start", "stop", "blocks", "__enter__", "__exit__"):
        assert callable(getattr(SimulatedTagger, member))
