import pytest
from fake_devices import Script, TcpFake

from qkdlab.instruments.errors import DeviceError, InstrumentTimeout
from qkdlab.instruments.thorlabs_mbx import connect

IDN = {b"*IDN?": b"THORLABS,MX40B,M00412345,1.3.0\n"}


def test_a_set_is_answered_and_the_answer_is_read():
    script = Script([(b"VOA:ATTEN: 7.5", b"1\n"), (b"VOA:ATTEN?", b"7.50\n"), (b"VOA:MEASURED?", b"7.48\n"),
                     (b"MZM:MODE: 2", b"1\n"), (b"MZM:MODE?", b"2\n"), (b"MZM:HOLD:VOLTAGE: -2500", b"1\n"),
                     (b"MZM:VOLTAGE?", b"-2.500\n"), (b"MZM:HOLD:RATIO: 5000", b"1\n"), (b"MZM:SETPOINT?", b"1\n"),
                     (b"MZM:TAP:MW?", b"0.25\n"), (b"VOA:MODE: 1", b"1\n"), (b"VOA:OUTPUT:MW: 0.5", b"1\n"),
                     (b"VOA:POWER: 1", b"1\n"), (b"VOA:MODE: 0", b"1\n"), (b"VOA:ATTEN: 20", b"1\n")], IDN)
    with TcpFake(script) as fake:
        with connect(fake.address) as box:
            box.attenuation_db = 7.5
            assert box.attenuation_db == 7.5 and box.measured_attenuation_db == 7.48     # not the 1 that answers the set
            box.bias_mode = "auto null"
            assert box.bias_mode == "auto null"
            box.bias_v = -2.5
            assert box.bias_v == -2.5
            box.ratio = 50
            assert box.bias_locked and box.tap_power_w == 0.25e-3
            box.set(attenuator_mode="power", output_power_w=0.5e-3, attenuator_on=True)
        assert script.is_done() and fake.connections == 1


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n", b"\n\r"])
def test_any_end_of_a_line(end):
    replies = {b"*IDN?": IDN[b"*IDN?"].strip() + end, b"VOA:ATTEN: 20": b"1" + end, b"VOA:ATTEN?": b"20.0" + end}
    with TcpFake(Script(always=replies)) as fake, connect(fake.address) as box:
        box.attenuation_db = 20
        assert box.attenuation_db == 20 and fake.connections == 1


def test_refusals_in_words():
    replies = IDN | {b"VOA:ATTEN: 20": b"1\n", b"MZM:MODE: 1": b"Err: Laser is locked\n", b"VOA:MODE: 0": b"0\n"}
    with TcpFake(Script(always=replies)) as fake, connect(fake.address) as box:
        with pytest.raises(DeviceError, match="Laser is locked") as caught:
            box.bias_mode = "auto peak"
        assert caught.value.reply == "Err: Laser is locked"
        with pytest.raises(DeviceError, match="answered by 1"):
            box.attenuator_mode = "attenuation"


def test_calibration_of_the_bias():
    script = Script([(b"MZM:RESET", b"1\n"), (b"MZM:CALIBRATING?", b"1\n"), (b"MZM:CALIBRATING?", b"0\n"),
                     (b"MZM:RESET", b"1\n")], IDN | {b"VOA:ATTEN: 20": b"1\n"})
    with TcpFake(script) as fake, connect(fake.address) as box:
        box.calibrate()
        script.always[b"MZM:CALIBRATING?"] = b"1\n"
        with pytest.raises(InstrumentTimeout, match="calibration"):
            box.calibrate(timeout_s=0.1)
        assert script.is_done()
