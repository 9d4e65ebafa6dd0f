"""Detector head, switches, polarisation controllers, random sources, Swabian's module."""

import json
import math
import struct

import numpy as np
import pytest
from dialogue import ask, plugged, still

from qkdlab.instruments.servers import SimulatedBench, World


def test_the_detector_in_its_own_units():
    head = plugged("id120", dead_time_unit_s=1e-9)
    assert ask(head, "BIAS:VOLTAGE?;:THRESHOLD:VOLTAGE?;:DEADTIME:TIME?") == "190000000;200000;50"
    assert ask(head, "DEADTIME:TIME 130;TIME?") == "120"      # in steps of 40
    assert ask(head, "BIAS:VOLTAGE:CAPABILITY?") == "0,250000000,80000"
    assert ask(head, "DEADTIME:TIME 20;:SYST:ERR?").startswith("-222")
    assert ask(head, "INFO:PRODUCT_NAME?;:OUTPUT1:POLARITY NEGATIVE;POLARITY?") == "ID120;NEGATIVE"
    assert head.world.refresh().detectors.dead_time_ps == 120_000


def test_the_dead_time_is_in_microseconds():
    head = plugged("id120")
    ask(head, "DEADTIME:TIME 40")
    assert head.world.refresh().detectors.dead_time_ps == 40_000_000


def test_more_bias_more_counts_and_the_counter_follows_the_closed_form():
    world = still()
    head = plugged("id120", world)
    world.attenuator("voa", attenuation_db=20.0)
    before = int(ask(head, "COUNTERS:DETECTION_COUNT?"))
    expected = world.rates().click_hz.sum()
    assert abs(before - expected) < 5 * math.sqrt(expected)
    ask(head, "BIAS:VOLTAGE 195E6")
    ratio = int(ask(head, "COUNTERS:DETECTION_FREQ?")) / before
    assert ratio == pytest.approx(math.expm1(-15 / 8) / math.expm1(-10 / 8), rel=0.02)


def test_the_cooler_takes_time_and_heat_cuts_the_bias():
    world = still()
    head = plugged("id120", world)
    ask(head, "REG:TEMP_SET_POINT -20000")
    assert ask(head, "REG:STATE?") == "RUNNING"
    world.clock.advance(15)
    warmer = float(ask(head, "REG:MEASURED_TEMP?")) / 1e3
    assert warmer == pytest.approx(-20 - 20 * math.exp(-1), abs=0.05)
    world.clock.advance(150)
    assert ask(head, "REG:STATE?") == "STABLE"
    assert int(ask(head, "INFO:BIAS_BREAKDOWN_VOLTAGE?")) == pytest.approx(188e6, rel=1e-3)
    ask(head, "REG:RUN FALSE")
    world.clock.advance(200)
    assert ask(head, "REG:RUN?;STATE?") == "FALSE;OFF"
    assert float(ask(head, "REG:MEASURED_TEMP?")) == pytest.approx(23e3, abs=50)
    head.fault("over_temperature")
    assert ask(head, "REG:STATE?;:BIAS:ERROR_STATUS?") == "ERROR;1" and world.refresh().detectors.efficiency == 0


def test_switches_let_the_light_through_or_not():
    world = still()
    osw, agiltron = plugged("thorlabs_osw", world, drowsy=True), plugged("agiltron_switch", world)
    assert ask(osw, "S?", "\r\n") == "" and ask(osw, "S?", "\r\n") == "1"              # the first question is slept through
    assert world.attenuation_db == 0
    assert ask(osw, "S 2", "\r\n") == "" and ask(osw, "S?", "\r\n") == "2" and world.attenuation_db == 60
    ask(osw, "S 1")
    world.clock.advance(0.1)
    assert agiltron.exchange(bytes.fromhex("01120003")) == bytes.fromhex("01120003") and world.attenuation_db == 60
    assert agiltron.exchange(bytes.fromhex("01110000")) == bytes.fromhex("01110003")
    assert agiltron.exchange(bytes.fromhex("01120009")) == b"" == agiltron.exchange(bytes.fromhex("02110000"))
    agiltron.exchange(bytes.fromhex("01120001"))
    world.clock.advance(0.1)
    assert world.attenuation_db == 0


# --------------------------------------------------------------------------------------------------- paddles


def apt(code, data=b"", first=0, second=0):
    if data:
        return struct.pack("<HHBB", code, len(data), 0x50 | 0x80, 0x01) + data
    return struct.pack("<HBBBB", code, first, second, 0x50, 0x01)


def test_paddles_turn_the_polarisation_and_tell_when_they_are_there():
    world = still()
    paddles = plugged("thorlabs_mpc320", world)
    aligned = world.gains().qber[0, 0]
    assert paddles.exchange(apt(0x0453, struct.pack("<Hi", 2, 765))) == b""
    status = paddles.exchange(apt(0x0490, first=2))
    code, size, target, source, channel, counts, _, _, bits = struct.unpack("<HHBBHiHhI", status)
    assert (code, size, target, source, channel) == (0x0491, 14, 0x81, 0x50, 2) and 685 < counts < 765
    assert bits & 0x10 and bits & 0x80000000 and not bits & 0x400
    world.clock.advance(5)
    assert paddles.exchange() == bytes.fromhex("640402000150")
    # three half-wave plates at one angle, the middle one turned by a: S1 turns by 4 a, S2 likewise
    a = math.radians(80 / 1370 * 170)
    e = (1 - math.cos(4 * a)) / 2
    assert world.polarisation.error == pytest.approx(e) and world.gains().qber[0, 0] > aligned + 0.9 * e
    paddles.exchange(apt(0x0453, struct.pack("<Hi", 2, 685)))
    world.clock.advance(5)
    assert world.gains().qber[0, 0] == pytest.approx(aligned)


def test_messages_of_the_protocols_document():
    paddles = plugged("thorlabs_mpc320")
    assert paddles.exchange(bytes.fromhex("310500005001")) == bytes.fromhex("32050c008150 0000 3200 0000 1900 1900 1900")
    paddles.exchange(bytes.fromhex("3005 0C00 D0 01 0000 6400 0500 0A00 1400 1E00"))
    assert paddles.exchange(bytes.fromhex("310500005001"))[6:] == bytes.fromhex("0000 6400 0500 0A00 1400 1E00")
    info = paddles.exchange(apt(0x0005))
    assert len(info) == 90 and info[:6] == bytes.fromhex("060054008150") and info[10:16] == b"MPC320"
    assert paddles.exchange(apt(0x0211, first=4)) == bytes.fromhex("120204010150")
    paddles.exchange(apt(0x0210, first=4, second=2))
    assert paddles.exchange(apt(0x0211, first=4)) == bytes.fromhex("120204020150")
    paddles.exchange(apt(0x0453, struct.pack("<Hi", 4, 0)))   # a paddle that is off does not move
    assert struct.unpack_from("<i", paddles.exchange(apt(0x0490, first=4)), 8) == (685,)
    assert paddles.exchange(apt(0x0999) + apt(0x0490, first=3)) == b""


def test_home_jog_stop_and_updates():
    world = still()
    paddles = plugged("thorlabs_mpc320", world)
    paddles.exchange(apt(0x0443, first=1))
    world.clock.advance(10)
    assert paddles.exchange() == bytes.fromhex("440401000150")
    paddles.exchange(apt(0x046A, first=1, second=1))
    world.clock.advance(1)
    paddles.exchange()
    counts, _, _, bits = struct.unpack_from("<iHhI", paddles.exchange(apt(0x0490, first=1)), 8)
    assert counts == 25 and bits & 0x400
    paddles.exchange(apt(0x0453, struct.pack("<Hi", 1, 1370)))
    assert paddles.exchange(apt(0x0465, first=1, second=1)) == bytes.fromhex("660401000150")
    world.clock.advance(10)
    assert paddles.exchange() == b""
    paddles.exchange(apt(0x0011))
    world.clock.advance(0.2)
    assert len(paddles.exchange()) == 3 * 20 and paddles.exchange() == b""
    paddles.exchange(apt(0x0012))
    world.clock.advance(0.2)
    assert paddles.exchange() == b""


def test_squeezers():
    world = still()
    epc = plugged("oz_epc", world)
    assert ask(epc, "V2,2200", "\r\n") == "Done"
    assert ask(epc, "V?", "\r\n") == "Voltage(mV): CH1 +0 CH2 +2200 CH3 +0 CH4 +0\r\nDone"
    # the second squeezer's axis is S2: S1 turns by 180 * 2200 / 3000 degrees, S2 stays
    assert world.polarisation.error == pytest.approx((1 - math.cos(math.pi * 2200 / 3000)) / 4)
    ask(epc, "VZ2", "\r\n")
    assert world.polarisation.error == pytest.approx(0)
    assert ask(epc, "V1,6000", "\r\n") == "Error\r\nDone" == ask(epc, "nonsense", "\r\n")
    assert ask(epc, "F3,25", "\r\n") == "Done" and "CH3 25" in ask(epc, "F?", "\r\n")
    assert ask(epc, "MAC", "\r\n") == "Done" and "AC" in ask(epc, "M?", "\r\n") and ask(epc, "ENVF1") == "Done"
    errors = []
    for _ in range(20):
        world.clock.advance(0.013)
        errors.append(world.polarisation.error)
    assert max(errors) > 0.3 and ask(epc, "VF1") == "Done" and "CH1 0" in ask(epc, "VF?")


# --------------------------------------------------------------------------------------------------- random sources


def get(device, path):
    head, _, body = device.exchange(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()).partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    return int(head.split()[1]), body


def test_the_appliance_serves_http():
    import urllib.request

    with SimulatedBench(still(), ["quantis_appliance"]) as bench:
        root = bench.address("quantis_appliance")
        with urllib.request.urlopen(f"{root}/api/2.0/streambytes?size=100000", timeout=60) as answer:
            data = np.frombuffer(answer.read(), np.uint8)
    assert len(data) == 100_000
    ones = int(np.unpackbits(data).sum())
    assert abs(ones - 400_000) < 5 * math.sqrt(200_000)


def test_numbers_of_the_appliance():
    device = plugged("quantis_appliance")
    code, body = get(device, "/api/2.0/int?min=-3&max=3&quantity=500")
    assert code == 200 and set(json.loads(body)) == set(range(-3, 4)) and len(json.loads(body)) == 500
    values = json.loads(get(device, "/api/2.0/double?min=2&max=4&quantity=100")[1])
    assert 2 <= min(values) < 2.3 and 3.7 < max(values) <= 4
    words = json.loads(get(device, "/api/2.0/hexbytes?DataLength=8&quantity=3")[1])
    assert [len(bytes.fromhex(w)) for w in words] == [8, 8, 8]
    for path, code in (("/api/2.0/streambytes?size=-1", 400), ("/api/2.0/streambytes", 400), ("/nothing", 404),
                       ("/api/2.0/int?min=5&max=1", 400), ("/api/2.0/int?min=a&max=1", 400),
                       ("/api/2.0/streambytes?size=99999999999", 400)):
        assert get(device, path)[0] == code, path
    assert b" 405 " in device.exchange(b"POST /api/2.0/int HTTP/1.1\r\n\r\n")


def test_sources_that_fail():
    device = plugged("quantis_appliance")
    device.fault("bias", probability=0.7)
    data = np.frombuffer(get(device, "/api/2.0/streambytes?size=10000")[1], np.uint8)
    assert np.unpackbits(data).mean() == pytest.approx(0.7, abs=0.01)
    device.clear()
    device.fault("repeat")
    assert get(device, "/api/2.0/streambytes?size=32")[1][:16] == get(device, "/api/2.0/streambytes?size=32")[1][16:]


def test_the_card_is_read_like_a_file():
    with SimulatedBench(World(seed=4), ["quantis_device"]) as bench:
        path = bench.address("quantis_device").removeprefix("file://")
        with open(path, "rb", buffering=0) as card:
            data = b"".join(card.read(1000) for _ in range(20))
        assert len(set(data)) == 256
        again = plugged("quantis_device", World(seed=4))
        assert again.exchange()[:1000] == data[:1000]


# --------------------------------------------------------------------------------------------------- Swabian


def test_the_vendors_module_gives_the_worlds_tags():
    world = still()
    module = plugged("swabian", world).module
    tagger = module.createTimeTagger()
    assert module.scanTimeTagger() == (tagger.getSerial(),)
    stream = module.TimeTagStream(tagger, 10_000_000, [1, 2, 3, 4])
    buffer = stream.getData()
    expected = World(seed=1, speed=0).take(0.01)
    assert buffer.size == len(expected) and np.array_equal(buffer.getTimestamps(), expected.time_ps)
    assert np.array_equal(buffer.getChannels(), expected.channel + 1) and not buffer.hasOverflows
    assert buffer.getTimestamps().dtype == np.int64 and buffer.getChannels().dtype == np.int32
    tagger.setTriggerLevel(1, 2.0)
    tagger.setInputDelay(2, 700)
    assert set(np.unique(stream.getData().getChannels())) == {2, 3, 4}
    stream.stop()
    assert stream.getData().size == 0


def test_falling_edges_overflows_and_a_lost_tagger():
    device = plugged("swabian")
    module = device.module
    tagger = module.createTimeTagger(device.serial)
    stream = module.TimeTagStream(tagger, 10_000_000, [1, -1])
    buffer = stream.getData()
    channel, time = buffer.getChannels(), buffer.getTimestamps()
    assert np.array_equal(time[channel == 1] + 10_000, time[channel == -1]) and np.all(np.diff(time) >= 0)
    device.fault("overflow", tags=50)
    broken = stream.getData()
    assert broken.hasOverflows and broken.getEventTypes()[:4].tolist() == [2, 4, 3, 0] and broken.getMissedEvents()[1] == 50
    device.fault("disconnect", times=100)
    assert module.scanTimeTagger() == ()
    with pytest.raises(RuntimeError):
        stream.getData()
    with pytest.raises(RuntimeError):
        module.createTimeTagger()
