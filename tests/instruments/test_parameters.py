import json

import pytest
from fake_devices import Script, TcpFake, until

from qkdlab.errors import BadInput
from qkdlab.instruments.errors import DeviceError, InstrumentInUse
from qkdlab.instruments.instrument import Instrument, ScpiInstrument
from qkdlab.instruments.parameters import parameter
from qkdlab.settings import to_table

IDN = b"Maker,Box,1,2\n"


class Box(ScpiInstrument):
    """A box with one of each."""

    places = {"slot": 1}

    attenuation_db = parameter(get=":INP{slot}:ATT?", set=":INP{slot}:ATT {value}dB", unit="dB", low=0, high=60,
                               help="attenuation")
    current_a = parameter(get="CURR?", set="CURR {value}", scale=1e3, unit="A", low=0, high="CURR? MAX", help="current")
    mode = parameter(str, get="MODE?", set="MODE {value}", choices={"off": "0", "peak": "1"}, help="mode")
    shutter_open = parameter(bool, get="OPEN?", set="OPEN {value}", help="light passes")
    count = parameter(int, get="COUNT?", set="COUNT {value}", low=1, high=9, help="averages")
    power_w = parameter(get="POW?", unit="W", help="power seen")
    note = parameter(str, set="NOTE {value}", choices=("a", "b"), help="not readable")


STATE = {b"*IDN?": IDN, b"CURR? MAX": b"200\n", b"SYST:ERR?": b'+0,"No error"\n', b":INP2:ATT?": b"1.25E+01\n",
         b"CURR?": b"50\n", b"MODE?": b"1\n", b"OPEN?": b"ON\n", b"COUNT?": b"+3\n", b"POW?": b"1e-9\n"}
SILENT = (b":INP", b"CURR ", b"MODE ", b"OPEN ", b"COUNT ", b"NOTE ")


@pytest.fixture
def fake():
    script = Script(always=dict(STATE))

    def answer(request):
        return None if request.startswith(SILENT) and not request.endswith(b"?") else script(request)

    with TcpFake(answer) as fake:
        fake.state = script.always
        yield fake


@pytest.fixture
def box(fake):
    with Box(fake.address, slot=2) as box:
        yield box


def test_reading_and_setting(box, fake):
    assert (box.attenuation_db, box.current_a, box.mode, box.shutter_open, box.count, box.power_w) == (
        12.5, 0.05, "peak", True, 3, 1e-9)
    before = len(fake.received)
    box.attenuation_db, box.current_a, box.mode, box.shutter_open, box.count, box.note = 7, 0.11, "off", False, 4, "b"
    sent = [line for line in fake.received[before:] if line != b"SYST:ERR?\n"]
    assert sent == [b":INP2:ATT 7dB\n", b"CURR 110\n", b"MODE 0\n", b"OPEN 0\n", b"COUNT 4\n", b"NOTE b\n"]
    assert box.note == "b"


@pytest.mark.parametrize("name, value, words", [
    ("attenuation_db", 60.5, "at most 60 dB; 0 to 60 dB"), ("attenuation_db", -0.1, "at least 0 dB"),
    ("attenuation_db", float("nan"), "finite"), ("attenuation_db", "7", "number"), ("attenuation_db", True, "number"),
    ("current_a", 0.21, "at most 0.2 A"), ("mode", "on", "one of off, peak"), ("shutter_open", 1, "bool"),
    ("count", 2.5, "whole"), ("count", 10, "at most 9"), ("power_w", 1.0, "only be read"), ("note", "c", "one of a, b"),
    ("atenuation_db", 7, "attenuation_db"),
])
def test_what_is_out_of_range_is_refused_before_a_byte_is_sent(box, fake, name, value, words):
    before = list(fake.received)
    with pytest.raises(BadInput, match=words) as caught:
        setattr(box, name, value)
    with pytest.raises(BadInput):
        box.set(**{"current_a": 0.1, "attenuation_db": 3, name: value})
    assert fake.received == before
    assert caught.value.field == name and "Box at tcp://" in str(caught.value)
    assert repr(value) in str(caught.value)


def test_limits_come_from_the_device(box):
    assert Box.current_a.limits() == (0, None) and Box.current_a.limits(box) == (0, 0.2)
    assert Box.attenuation_db.metadata(box) == {"help": "attenuation", "unit": "dB", "low": 0, "high": 60,
                                                "choices": None, "open_low": False}


def test_a_refusal_of_the_device_carries_its_words(box, fake):
    replies = [b'+0,"No error"\n', b'-222,"Data out of range"\n']
    answer = fake.answer
    fake.answer = lambda request: replies.pop() if request == b"SYST:ERR?" else answer(request)
    with pytest.raises(DeviceError, match="Data out of range") as caught:
        box.count = 5
    assert caught.value.reply == '-222,"Data out of range"' and "COUNT 5" in str(caught.value)
    assert replies == []                                 # the queue was emptied


@pytest.mark.parametrize("name, reply", [
    (b":INP2:ATT?", b"\n"), (b":INP2:ATT?", b"NAN\n"), (b":INP2:ATT?", b"9.91E+37\n"), (b":INP2:ATT?", b"inf\n"),
    (b"MODE?", b"7\n"), (b"OPEN?", b"maybe\n"), (b"COUNT?", b"2.5\n"),
])
def test_an_answer_without_sense_is_an_error_not_a_guess(box, fake, name, reply):
    fake.state[name] = reply
    with pytest.raises(DeviceError) as caught:
        for one in ("attenuation_db", "mode", "shutter_open", "count"):
            getattr(box, one)
    assert caught.value.reply == reply.decode().strip()


def test_the_snapshot_is_best_effort(box, fake):
    fake.state[b"MODE?"] = b"7\n"
    record = box.snapshot()
    assert record["attenuation_db"]["value"] == 12.5 and record["attenuation_db"]["unit"] == "dB"
    assert record["attenuation_db"]["time"] > 1.7e9
    assert set(record["mode"]) == {"error"} and "'7'" in record["mode"]["error"]
    assert set(record["note"]) == {"error"} and set(record) == set(Box.parameters())
    json.dumps(record)
    before = len(fake.received)
    assert box.snapshot(refresh=False)["attenuation_db"] == record["attenuation_db"]
    assert len(fake.received) == before
    assert "over" in box.snapshot(timeout_s=-1)["power_w"]["error"]
    fake.close()
    assert all("error" in entry for entry in box.snapshot().values())


def test_settings_for_a_panel(box, fake):
    settings = box.settings()
    assert to_table(settings) == {"attenuation_db": 12.5, "current_a": 0.05, "mode": "peak", "shutter_open": True,
                                  "count": 3}
    with pytest.raises(BadInput, match="at most 0.2 A"):
        settings.replace(current_a=1.0)
    changed = settings.replace(attenuation_db=3.0)
    box.set(**to_table(changed))
    assert b":INP2:ATT 3dB\n" in fake.received


def test_the_panel_has_the_limits_of_the_device(box):
    from qkdlab.widgets.settings_panel import SettingsPanel

    panel = SettingsPanel(box.settings())
    assert (panel.controls["current_a"].max, panel.controls["current_a"].description) == (0.2, "current (A)")
    assert panel.controls["mode"].options == ("off", "peak") and "power_w" not in panel.controls
    panel.controls["attenuation_db"].value = 7.5
    box.set(**to_table(panel.value))
    assert box.snapshot(refresh=False)["attenuation_db"]["value"] == 7.5


def test_first_values_and_places(fake):
    with Box(fake.address, slot=3, attenuation_db=8):
        assert b":INP3:ATT 8dB\n" in fake.received
    for wrong in ({"slot": "1:ATT 0"}, {"attenuation_db": 99}, {"atenuation_db": 3}):
        with pytest.raises(BadInput):
            Box(fake.address, **wrong)
    with Box(fake.address, session="Anna"), pytest.raises(InstrumentInUse, match="Anna"):
        Box(fake.address)


def test_a_simulated_device_that_says_so_is_believed(fake):
    with Box(fake.address) as box:
        assert not box.simulated
    with Box(fake.address, simulated=True) as box:
        assert box.simulated
    fake.state[b"*IDN?"] = b"qkdlab,simulated box,1,2\n"
    with Box(fake.address) as box:
        assert box.simulated


def test_closing_goes_by_the_safe_state(fake):
    class Laser(Instrument):
        def safe_state(self):
            self.tell("OUTP OFF")

    with pytest.raises(RuntimeError), Laser(fake.address):
        raise RuntimeError
    Laser(fake.address).close()
    until(lambda: fake.received.count(b"OUTP OFF\n") == 2)
    broken = Laser(fake.address)
    fake.close()
    broken.close()


