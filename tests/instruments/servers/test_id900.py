"""The time controller: counters, wiring, histograms, streams."""

import json
import time

import numpy as np
import pytest
from dialogue import ask, plugged, still

from qkdlab.datatypes import TimeTags
from qkdlab.instruments.servers import World


class Sink:
    """Takes what the data link would send."""

    with_reference = False

    def __init__(self, channel, with_reference=False):
        self.channel, self.with_reference, self.parts, self.ended = channel, with_reference, [], 0

    def write(self, words):
        self.parts.append(np.array(words, np.int64))

    def end(self):
        self.ended += 1

    def close(self):
        pass

    closing = type("Flag", (), {"set": lambda self: None})()


def recorded(box, *sinks):
    """Play what is set and wait for the end; the tags that each sink got, per sending."""
    box.link._sinks = dict(enumerate(sinks))
    assert say(box, "REC:ENAB ON;:REC:PLAY") == ""
    deadline = time.monotonic() + 60
    while say(box, "REC:STAGe?") == "PLAYING" and time.monotonic() < deadline:
        time.sleep(0.002)
    assert all(sink.ended == 1 for sink in sinks) and say(box, "SYST:ERR?").startswith("0,")
    return [sink.parts for sink in sinks]


def say(box, line):
    return ask(box, line, "")


@pytest.fixture
def box():
    device = plugged("id900")
    yield device
    device.close()


def test_counters_halve_with_three_decibels(box):
    voa = plugged("keysight_attenuator", box.world)
    ask(voa, "OUTP ON;INP:ATT 10;*OPC?")

    def counts():
        return np.array(say(box, ";:".join(f"INPU{i}:COUN?" for i in range(1, 5))).split("\n"), int)

    before = counts()
    ask(voa, "INP:ATT 13.0103;*OPC?")
    after, expected = counts(), box.world.rates().click_hz
    assert np.all(np.abs(after - expected) < 5 * np.sqrt(expected))
    chi2 = np.sum((after - before / 2) ** 2 / (after + before / 4))
    assert chi2 < 30, chi2                                    # four degrees of freedom; dead time adds a little


def test_settings_of_the_inputs(box):
    assert say(box, "INPU1:ENAB OFF;ENAB?;COUN?;:INPUt1:ENABle ON") == "OFF\n0"
    assert say(box, "INPU1:THRE 1500mV;THRE?;COUN?;THRE 100mV") == "1.500V\n0"
    assert say(box, "STAR:COUN:INTE 1000000000;:STAR:COUN?") == "954"
    assert say(box, "INPU2:COUN:MODE ACCU;:INPU2:COUN:INTE 1000000") == ""
    first, second = (int(say(box, "INPU2:COUN?")) for _ in range(2))
    assert second > first
    assert say(box, "INPU2:RESE;:INPU9:COUN?;:SYST:ERR?").startswith("-114")
    assert say(box, "DEVI:RES HIRES;:DEVI:RES:BWID?;:DEVI:CONFI:LOAD COUNT") == "1"
    assert say(box, "INPU1:HIRES:ERROR?") == "0"
    box.fault("over_temperature")
    assert say(box, "INPU1:HIRES:ERROR?;:DEVI:SAMP:RECA;:INPU1:HIRES:ERROR?") == "1\n0"


def test_numbers_with_units_and_names_of_blocks(box):
    assert say(box, "REC:DUR 3000 GTB;DUR?;NUM INF;NUM?") == "3000000000000\nINF"
    assert say(box, "RAW1:STOP:LINK?;:RAW1:STOP:LINK INPUt3;:RAW1:STOP:LINK?;:RAW1:REF:LINK?") == "INPU1\nINPU3\nNONE"
    for name in ("INPU5", "DELA", "STAR1", "FOO", "GEN0"):
        assert say(box, f"RAW1:STOP:LINK {name};:SYST:ERR?").startswith("-224"), name
    assert say(box, "REC:PWID 0.1E12;:SYST:ERR?").startswith("-222")          # at least 0.2 s
    assert say(box, "REC:PLAY;:SYST:ERR?").startswith("-221")                 # not enabled
    assert say(box, "REC:ENAB ON;PWID 0.2E12;PPER 0.2E12;PLAY;:SYST:ERR?").startswith("-221")          # no gap


def test_sub_acquisitions_start_at_0_and_leave_a_gap(box):
    say(box, "RAW1:STOP:LINK INPU1;:RAW1:SEND ON;:REC:NUM 2;PWID 200000000000;PPER 210000000000")
    plugged("keysight_attenuator", box.world)                # closed: dark counts only, few tags
    (parts,) = recorded(box, Sink(1))
    assert len(parts) == 2
    twin = World(seed=1, speed=0)
    plugged("keysight_attenuator", twin)
    zero = twin.tagger_ps
    restart = zero + 210_000_000_000             # by the tagger's own clock, which runs 2 ppm faster than the link's
    first, second = ([twin.take(twin.seconds_until(begin + i * 50_000_000_000)) for i in range(1, 5)]
                     for begin in (zero, restart) if begin == zero or twin.take(twin.seconds_until(begin)))
    for got, tags, start in ((parts[0], first, zero), (parts[1], second, restart)):
        expected = np.concatenate([t.time_ps[t.channel == 0] for t in tags]) - start
        assert np.array_equal(got, expected) and got[0] >= 0 and got[-1] < 200_000_000_000 + 10**6


def test_an_acquisition_without_end_goes_on_until_it_is_stopped(box):
    box.recorder._buffer_tags = 500
    plugged("keysight_attenuator", box.world)                # closed: dark counts only
    sink = Sink(1)
    box.link._add(sink, 1, {})
    say(box, "RAW1:STOP:LINK INPU1;:RAW1:SEND ON;:REC:ENAB ON;DUR INF;PLAY")
    deadline = time.monotonic() + 60
    while len(sink.parts) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert say(box, "REC:STAG?;STOP") == "PLAYING"
    box.recorder._join()
    times = np.concatenate(sink.parts)
    assert sink.ended == 1 and np.all(np.diff(times) >= 0) and times[-1] > 10**12 and say(box, "REC:STAG?") == "STOPPED"


def test_who_opens_a_stream_after_the_stop_hears_nothing_of_what_was_before(box):
    plugged("keysight_attenuator", box.world)                # closed: dark counts only
    say(box, "RAW1:STOP:LINK INPU1;:RAW1:SEND ON;:REC:ENAB ON;NUM INF;PWID 200000000000;PPER 210000000000")
    old, new = Sink(1), Sink(1)
    box.link._add(old, 1, {})
    say(box, "REC:PLAY")
    box.fault("stall")                                       # the acquisition hangs in the middle of a stretch
    box.recorder.stop()
    box.link._add(new, 1, {})
    box.clear("stall")
    box.recorder._join()
    assert old.ended == 1 and new.ended == 0 and not new.parts
    say(box, "REC:NUM 1;PLAY")
    box.recorder._join()
    assert old.ended == 2 and new.ended == 1 and len(new.parts) == 1


def test_delay_edge_combiner_and_reference(box):
    for line in ("DELA3:LINK INPU1;VALU 1234", "TSCO1:FIR:LINK DELA3", "RAW1:STOP:LINK TSCO1", "RAW1:SEND ON",
                 "RAW2:STOP:LINK INPU1", "RAW2:REF:LINK STAR", "RAW2:SEND ON", "RAW3:STOP:LINK INPU1", "RAW3:SEND ON",
                 "INPU2:EDGE FALLING", "RAW4:STOP:LINK GEN1", "RAW4:SEND ON", "GEN1:PPER 1000000000", "GEN1:PLAY",
                 "REC:NUM 1", "REC:DUR 20000000000"):
        assert say(box, line) == ""
    delayed, since, plain, ticks = (np.concatenate(p) for p in
                                    recorded(box, Sink(1), Sink(2), Sink(3), Sink(4)))
    assert np.array_equal(delayed, plain + 1234)
    assert np.array_equal(ticks[:20], np.arange(20) * 10**9) and len(ticks) <= 21
    # the first pulse at STARt is Alice's first slot, at 1.23 ms of the tagger's clock; then one per 2^20 slots
    assert len(since) <= len(plain) and since.min() >= 0 and since.max() < 2**20 * 1000 + 10**4
    assert np.array_equal(since[:50], (plain[plain >= 1_234_567_890] - 1_234_567_890)[:50])
    say(box, "TSCO1:OPOU MUTE")
    (muted,) = recorded(box, Sink(1))
    assert muted == []


def test_pairs_with_a_reference_index(box):
    say(box, "RAW1:STOP:LINK INPU1;:RAW1:REF:LINK STAR;:RAW1:SEND ON;:REC:NUM 1;DUR 5000000000")
    pairs, since = (np.concatenate(p) for p in recorded(box, Sink(1, True), Sink(1)))
    pairs = pairs.reshape(-1, 2)
    assert np.array_equal(pairs[:, 0], since) and np.all(np.diff(pairs[:, 1]) >= 0)
    assert pairs[0, 1] == 0 and pairs[-1, 1] == 3


def test_a_histogram_of_differences(box):
    say(box, "DELA1:LINK INPU1;VALU 700;:HIST1:REF:LINK INPU1;:HIST1:STOP:LINK DELA1;:HIST1:MIN 0;BWID 100;BCOU 16")
    say(box, "REC:NUM 1;DUR 5000000000")
    recorded(box)
    counts = json.loads(say(box, "HIST1:DATA?"))
    assert len(counts) == 16 and counts[7] > 1000 and sum(counts) == counts[7]
    assert say(box, "HIST1:FLUS;DATA?") == json.dumps([0] * 16)
    assert say(box, "HIST1:BCOU 16384;:SYST:ERR?").startswith("-222")


def test_differences_against_all_pairs():
    from qkdlab.instruments.servers.recorder import _differences

    rng = np.random.default_rng(5)
    a, b = (np.sort(rng.integers(0, 5000, n)) for n in (300, 401))
    expected = np.histogram((b[None] - a[:, None]).ravel(), np.arange(-200, 301, 20))[0]
    inside = _differences(a, b, -200, 20, 25)
    expected[-1] -= np.sum(b[None] - a[:, None] == 300)      # NumPy's last bin is closed
    assert np.array_equal(inside, expected)


def test_lost_tags_are_counted(box):
    say(box, "RAW1:STOP:LINK INPU1;:RAW1:SEND ON;:RAW3:STOP:LINK INPU1;:RAW3:SEND ON;:REC:NUM 1;DUR 5000000000")
    box.fault("lost", tags=100)
    broken, whole = (np.concatenate(p) for p in recorded(box, Sink(1), Sink(3)))
    assert np.array_equal(broken, whole[100:]) and say(box, "RAW1:ERRORS?;:RAW3:ERRORS?") == "100\n0"
    assert say(box, "RAW1:ERRORS:CLEAR;:RAW1:ERRORS?") == "0"


def test_replayed_blocks():
    blocks = [TimeTags(np.arange(10) * 7 + 100 * k, np.arange(10) % 4) for k in range(2)]
    box = plugged("id900", still(), replay=blocks)
    say(box, "RAW1:STOP:LINK INPU1;:RAW1:SEND ON;:REC:NUM 3")
    (parts,) = recorded(box, Sink(1))
    assert [p.tolist() for p in parts] == [[0, 28, 56]] * 3
    box.close()


def test_files(tmp_path):
    box = plugged("id900", folder=tmp_path)
    link = box.link

    def command(line):
        return json.loads(link.exchange(line.encode()))

    say(box, "RAW1:STOP:LINK INPU1;:RAW1:SEND ON;:REC:ENAB ON;NUM 1;DUR 2000000000")
    assert command("start-save --address x --channel 1 --filename tags.bin --format bin") == {"id": 1}
    assert command("start-save --address x --channel 1 --filename tags.txt --format ascii") == {"id": 2}
    for wrong in ("start-save --channel 1 --filename ../outside.bin", "start-save --channel 9 --filename a",
                  "start-save --channel 1", "start-save --channel 1 --filename a --format xml", "fly", "", "stop --id 7",
                  "stop", 'stop "'):
        assert command(wrong or " ")["error"]["description"], wrong
    assert not (tmp_path.parent / "outside.bin").exists()
    say(box, "REC:PLAY")
    deadline = time.monotonic() + 60
    while say(box, "REC:STAG?") == "PLAYING" and time.monotonic() < deadline:
        time.sleep(0.002)
    assert command("stop --id 1") == {"id": 1} and command("stop --id 2") == {"id": 2}
    words = np.fromfile(tmp_path / "tags.bin", "<u8")
    assert len(words) > 100 and np.array_equal(words, np.loadtxt(tmp_path / "tags.txt", np.int64))
    box.close()
