"""Faults that every device has, and the shape of a conversation, without sockets."""

import time
import types

import pytest
from dialogue import ask, plugged, still
from hypothesis import given, settings
from hypothesis import strategies as st

from qkdlab.errors import BadInput
from qkdlab.instruments.servers import World, menu
from qkdlab.instruments.servers import device as device_module

TALKERS = {"keysight_attenuator": b"*IDN?\n", "thorlabs_mbx": b"VOA:ATT?\n", "koheron_laser": b"ilaser\r\n",
           "oz_epc": b"V?\r\n", "thorlabs_osw": b"S?\r\n", "agiltron_switch": b"\x01\x11\x00\x00",
           "meerstetter_tec": b"#0200010?VR03E801", "thorlabs_mpc320": b"\x05\x00\x00\x00\x50\x01",
           "quantis_appliance": b"GET /api/2.0/streambytes?size=16 HTTP/1.1\r\n\r\n", "id900": b"*IDN?"}


DEVICES = {}


def question(name):
    from qkdlab.instruments.servers.meerstetter_tec import checksum

    data = TALKERS[name]
    if name == "meerstetter_tec":
        data = b"#020001?VR03E801"
        data += checksum(data) + b"\r"
    return data


@pytest.fixture(params=TALKERS)
def talker(request):
    device = plugged(request.param)
    device.question = question(request.param)
    yield device
    device.close()


def test_every_device_on_the_menu_says_what_it_is():
    for name in menu.names():
        module = menu.get(name)
        assert isinstance(module.SERVES, str) and "\n" not in module.SERVES
        device = module.device(still())
        assert device.name == name and device.faults
        device.close()


def test_the_same_seed_gives_the_same_dialogue(talker):
    again = plugged(talker.name)
    assert again.exchange(talker.question) == talker.exchange(talker.question) != b""
    again.close()


def test_a_command_may_come_in_pieces(talker):
    if talker.scheme == "zmq":
        return                                   # messages come whole
    answers = [talker.exchange(talker.question[i : i + 1]) for i in range(len(talker.question))]
    assert b"".join(answers) == plugged(talker.name).exchange(talker.question) and not any(answers[:-2])


def test_stall(talker):
    talker.fault("stall")
    assert not talker.exchange(talker.question) and not talker.exchange()
    talker.clear("stall")
    assert talker.exchange(talker.question)


def test_half_an_answer_once(talker):
    whole = plugged(talker.name).exchange(talker.question)
    talker.fault("half_line", times=1)
    assert talker.exchange(talker.question) == whole[: len(whole) // 2]
    assert len(talker.exchange(talker.question)) == len(whole)


def test_garbled(talker):
    whole = plugged(talker.name).exchange(talker.question)
    talker.fault("garble", times=1)
    broken = talker.exchange(talker.question)
    assert broken != whole and len(broken) == len(whole)
    if whole.endswith(b"\n"):
        assert broken.endswith(b"\n")


@pytest.mark.parametrize("name", ["koheron_laser", "id900"])
def test_late(name, monkeypatch):
    now_s = 5.0
    monkeypatch.setattr(device_module, "time", types.SimpleNamespace(monotonic=lambda: now_s))
    device = plugged(name)
    device.fault("delay", seconds=0.3)
    assert not device.exchange(question(name))
    now_s = 5.29
    assert not device.exchange()
    now_s = 5.31
    assert device.exchange()


def test_disconnected(talker):
    talker.fault("disconnect")
    line = talker.converse()
    assert not line.exchange(talker.question) and line.closed
    assert talker.converse().exchange(talker.question)       # the next connection works


@pytest.mark.parametrize("name", TALKERS)
@settings(max_examples=40, deadline=None)
@given(data=st.lists(st.binary(max_size=40), max_size=4))
def test_no_bytes_bring_a_device_down(name, data):
    device = DEVICES.setdefault(name, plugged(name))
    line = device.converse()
    for piece in data:
        line.exchange(piece)
    assert device.converse().exchange(question(name))


def test_unknown_faults_are_refused(talker):
    with pytest.raises(BadInput, match="stall"):
        talker.fault("earthquake")


def test_stuck_values():
    world = still()
    meter, voa = plugged("thorlabs_pm100", world), plugged("keysight_attenuator", world)
    ask(voa, "OUTP ON")
    world.clock.advance(1)
    bright = ask(meter, "MEAS:POW?")
    meter.fault("stuck")
    first = ask(meter, "MEAS:POW?")
    ask(voa, "INP:ATT 40;*OPC?")
    assert ask(meter, "MEAS:POW?") == first and float(first) == pytest.approx(float(bright), rel=0.01)
    meter.fault("stuck", value=1e-6)
    assert float(ask(meter, "MEAS:POW?")) == pytest.approx(1e-6)
    meter.clear()
    assert float(ask(meter, "MEAS:POW?")) == pytest.approx(float(bright) * 1e-4, rel=0.01)


def test_transcript():
    device = plugged("keysight_attenuator")
    ask(device, "*IDN?")
    heard, said = device.transcript
    assert (heard.sent, heard.data, said.sent) == (False, b"*IDN?", True) and said.data.startswith(b"Agilent")
    device.exchange(b"x" * 5000 + b"\n")
    assert len(device.transcript[-1].data) == 256


def test_waiting_takes_world_time_and_the_clock_may_run_fast():
    device = plugged("exfo_attenuator", World(speed=10.0))
    assert ask(device, "ATT 60;*OPC?") == ""                 # two seconds of the world
    deadline, answer = time.monotonic() + 60, b""
    while not answer and time.monotonic() < deadline:
        time.sleep(0.002)
        answer = device.exchange()
    assert answer == b"1\n"
