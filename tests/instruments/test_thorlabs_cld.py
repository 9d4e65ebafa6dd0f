import pytest
from fake_devices import Script, TcpFake

from qkdlab.errors import BadInput
from qkdlab.instruments.thorlabs_cld import connect

STATE = {b"*IDN?": b"THORLABS,ITC4020,M00123456,1.2.0/1.2.0/1.0.0\n", b"SYST:ERR?": b'+0,"No error"\n',
         b"SOUR:CURR:LIM?": b"1.000000E-01\n"}


def test_the_programmers_reference():
    script = Script([(b"SOUR2:TEMP:SPO 25", b""), (b"OUTP2:STAT ON", b""), (b"SOUR:FUNC:MODE CURR", b""),
                     (b"SOUR:FUNC:MODE?", b"CURR\n"), (b"SOUR:CURR 0.05", b""), (b"OUTP:STAT ON", b""),
                     (b"OUTP:STAT?", b"1\n"), (b"MEAS:CURR?", b"4.999000E-02\n"), (b"MEAS:TEMP?", b"2.501000E+01\n"),
                     (b"MEAS:POW2?", b"1.000000E-03\n"), (b"OUTP:STAT OFF", b"")], STATE)
    with TcpFake(script) as fake:
        with connect(fake.address) as laser:
            laser.set(target_c=25, cooling=True, mode="current")
            assert laser.mode == "current"
            laser.set(current_a=0.05, emission=True)
            assert (laser.emission, laser.measured_current_a, laser.temperature_c, laser.power_w) == (
                True, 0.04999, 25.01, 1e-3)
        assert script.is_done()                          # the light is off


def test_the_limit_of_the_current_moves_with_the_device():
    script = Script(always=STATE | {b"OUTP:STAT OFF": b"", b"SOUR:CURR:LIM 0.2": b""})
    with TcpFake(script) as fake, connect(fake.address) as laser:
        with pytest.raises(BadInput, match="0.1 A"):
            laser.current_a = 0.15
        script.always[b"SOUR:CURR:LIM?"] = b"2.0E-01\n"
        laser.current_limit_a = 0.2
        assert laser.limits["current_a"] == (0, 0.2)
