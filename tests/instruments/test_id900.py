import json
import re
import threading
import time
import types

import numpy as np
import pytest
import zmq
from fake_devices import ZmqFake

from qkdlab.errors import BadInput
from qkdlab.instruments import id900
from qkdlab.instruments.errors import DeviceError, InstrumentDisconnected
from qkdlab.instruments.id900 import GAP_PS, connect
from qkdlab.ports import free_ports

WIDTH = 200_000_000_000


class Controller:
    """The two services by their documented words; plays `stretches` of times, one list of arrays an input."""

    def __init__(self, stretches, split=None):
        self.stretches, self.split, self.settings, self.errors = stretches, split, {"REC:PWID": str(WIDTH)}, {}
        self.pairs, self.ids, self.refuse, self.stay_open = {}, {}, False, False
        self.control = ZmqFake(self.command)
        self.target = ZmqFake(self.link)

    def command(self, text):
        if text == "*IDN?":
            return "IDQ,ID900,ABC123,2.1"
        if text.endswith("?"):
            return self.settings.get(text[:-1], self.errors.get(text, "0"))
        name, _, value = text.partition(" ")
        self.settings[name] = value
        if text == "REC:PLAY":
            for n, pair in self.pairs.items():
                flat = np.concatenate([np.asarray(s, np.uint64) for s in self.stretches.get(n, [[]])])
                for piece in np.array_split(flat, self.split or 1):
                    if len(piece):
                        pair.send(piece.tobytes())
        return ""

    def link(self, text):
        if text == "list":
            return "[]"
        if self.refuse:
            return json.dumps({"error": {"description": "no such box"}})
        if found := re.fullmatch(r"start-stream --address 127.0.0.1 --channel (\d) --stream-port (\d+)", text):
            n, port = map(int, found.groups())
            self.pairs[n] = zmq.Context.instance().socket(zmq.PAIR)
            bound(self.pairs[n], port)
            self.ids[f"id{n}"] = n
            return json.dumps({"id": f"id{n}"})
        number = self.ids[text.removeprefix("stop --id ")]
        if not self.stay_open:
            self.pairs[number].send(b"")
        return json.dumps({"status": {}})

    def close(self):
        self.control.close()
        self.target.close()
        for pair in self.pairs.values():
            pair.close(0)


def bound(socket, port):
    """ZeroMQ lets go of a port some time after the socket that was closed."""
    for _ in range(200):
        try:
            return socket.bind(f"tcp://127.0.0.1:{port}")
        except zmq.ZMQError:
            time.sleep(0.05)
    raise AssertionError(f"port {port} is still in use")


@pytest.fixture
def made():
    opened = []

    def make(stretches, channels=(1, 2), **options):
        base = free_ports(4) - 1
        controller = Controller(stretches, **options)
        opened.append(controller)
        tagger = connect(controller.control.address, channels=channels, stream_port=base, timeout_s=20,
                         target=controller.target.address)
        opened.append(tagger)
        return controller, tagger

    yield make
    for one in reversed(opened):
        one.close()


def later(seconds, verb):
    timer = threading.Timer(seconds, verb)
    timer.start()
    return timer


def test_settings_in_the_makers_words(made):
    controller, tagger = made({})
    assert tagger.identity() == "IDQ,ID900,ABC123,2.1"
    tagger.set(threshold_1_v=0.1, edge_2="falling")
    assert controller.settings["INPU1:THRE"] == "100mV" and controller.settings["INPU2:EDGE"] == "FALLING"
    assert tagger.threshold_1_v == pytest.approx(0.1)
    for text, volts in (("0.25", 0.25), ("-300 mV", -0.3), ("1.5V", 1.5)):
        controller.settings["INPU1:THRE"] = text
        assert tagger.threshold_1_v == pytest.approx(volts)
    controller.settings["INPU3:COUN"] = "1234"
    assert tagger.count_3 == 1234
    tagger.stretch_s = 0.5
    assert controller.settings["REC:PWID"] == "500000000000"
    assert controller.settings["REC:PPER"] == str(500_000_000_000 + GAP_PS)
    for wrong in ({"stretch_s": 0.1}, {"edge_1": "up"}):
        with pytest.raises(BadInput):
            tagger.set(**wrong)


def test_tags_of_all_inputs_on_one_axis(made):
    rng = np.random.default_rng(2)
    stretches = {n: [np.sort(rng.integers(0, WIDTH, 3000)) for _ in range(5)] for n in (1, 2)}
    controller, tagger = made(stretches, split=4)
    tagger.start()
    assert controller.settings["REC:NUM"] == "INF" and controller.settings["RAW2:SEND"] == "ON"
    timer = later(0.3, tagger.stop)
    blocks = list(tagger.blocks(0.4))                    # two stretches a block
    timer.join()
    period = WIDTH + GAP_PS
    wanted = np.sort(np.concatenate([s + k * period for ss in stretches.values() for k, s in enumerate(ss)]))
    assert [len(b) for b in blocks] == [12000, 12000, 6000]
    assert (np.concatenate([b.time_ps for b in blocks]) == wanted).all()
    assert sum((b.channel == 2).sum() for b in blocks) == 15000 and sum(b.lost for b in blocks) == 0
    assert controller.settings["REC:STOP"] == "" and controller.settings["RAW1:SEND"] == "OFF"
    assert "stop --id id2" in controller.target.received


def test_losses_are_told(made):
    controller, tagger = made({1: [[1, 2], [1]], 2: [[1, 3], [1]]})
    tagger.start()
    controller.errors = {"RAW1:ERRORS?": "7", "RAW2:ERRORS?": "2"}
    timer = later(0.1, tagger.stop)
    assert [b.lost for b in tagger.blocks(0.2)] == [9, 0]
    timer.join()


def test_a_silent_input_does_not_hold_up_the_others(made):
    _, tagger = made({1: [[1, 2], [1], [1]]})
    tagger.start()
    blocks = tagger.blocks(0.2)
    first = next(blocks)
    assert first.time_ps.tolist() == [1, 2]
    tagger.stop()
    assert sum(len(b) for b in blocks) == 2


def test_an_input_that_falls_silent_is_not_counted_as_lost_for_ever(made):
    often = list(range(100))
    _, tagger = made({1: [often, often, often], 2: [often]})
    tagger.transport.timeout_s = 2.0
    tagger.start()
    with pytest.raises(InstrumentDisconnected, match="nothing came from input 2"):
        for tags in tagger.blocks(0.2):
            assert tags.lost == 0


def test_streams_that_never_end_are_left(made):
    controller, tagger = made({1: [[1], [1]], 2: [[1], [1]]})
    controller.stay_open = True
    tagger.start()
    tagger.stop()
    start = time.monotonic()
    assert sum(len(b) for b in tagger.blocks(0.2)) == 4 and time.monotonic() - start < 20


def test_refusals(made):
    controller, tagger = made({})
    with pytest.raises(BadInput, match="start"):
        next(tagger.blocks(1))
    controller.refuse = True
    with pytest.raises(DeviceError, match="no such box"):
        tagger.start()
    for wrong in ((), (1, 1), (0,), (5,)):
        with pytest.raises(BadInput, match="channels"):
            connect(controller.control.address, channels=wrong)


def test_it_can_be_started_again(made):
    controller, tagger = made({1: [[1, 2]], 2: [[3]]})
    tagger.transport.timeout_s = 20
    for _ in range(2):
        for pair in controller.pairs.values():
            pair.close(0)
        tagger.start()
        tagger.stop()
        assert sum(len(b) for b in tagger.blocks(0.2)) == 3


def test_what_the_computer_slept_through_is_no_silence(made, monkeypatch):
    controller, tagger = made({1: [[1, 2], [1]]})
    slept_s = 0.0

    def monotonic():
        nonlocal slept_s
        if tagger._recording.is_begun() and not slept_s:         # input 1 has got past the stretch, input 2 said nothing yet
            controller.pairs[2].send(np.array([1, 3, 1], np.uint64).tobytes())
            assert tagger._streams[2].socket.poll(60_000)
            slept_s = 30.0
        return time.monotonic() + slept_s

    tagger.start()
    monkeypatch.setattr(id900, "time", types.SimpleNamespace(monotonic=monotonic))
    blocks = tagger.blocks(0.2)
    first = next(blocks)
    assert first.time_ps.tolist() == [1, 1, 2, 3] and first.lost == 0 and slept_s
    tagger.stop()
    assert sum(len(b) for b in blocks) == 2
