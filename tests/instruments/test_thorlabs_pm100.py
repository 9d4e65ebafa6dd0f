import pytest
from fake_devices import Script, TcpFake

from qkdlab.instruments.errors import InstrumentTimeout
from qkdlab.instruments.thorlabs_pm100 import connect

STATE = {b"*IDN?": b"THORLABS,PM100D,P0001234,2.4.0\n", b"SYST:ERR?": b'+0,"No error"\n',
         b"SENS:CORR:WAV? MIN": b"8.00000000E+02\n", b"SENS:CORR:WAV? MAX": b"1.70000000E+03\n"}


def test_the_manuals_commands():
    script = Script([(b"SENS:CORR:WAV 1550", b""), (b"SENS:CORR:WAV?", b"1.55000000E+03\n"),
                     (b"MEAS:POW?", b"1.23456789E-06\n"), (b"SENS:POW:RANG:AUTO 0", b""), (b"SENS:POW:RANG:UPP 0.001", b""),
                     (b"SENS:AVER:COUN 10", b""), (b"SYST:SENS:IDN?", b"S154C,12345,05-Jan-2024,1,0,33\n"),
                     (b"SENS:CORR:COLL:ZERO:INIT", b""), (b"SENS:CORR:COLL:ZERO:STAT?", b"1\n"),
                     (b"SENS:CORR:COLL:ZERO:STAT?", b"0\n")], STATE)
    with TcpFake(script) as fake, connect(fake.address) as meter:
        meter.wavelength_nm = 1550
        assert meter.wavelength_nm == 1550 and meter.power_w == 1.23456789e-6
        meter.set(auto_range=False, range_w=1e-3, averages=10)
        assert meter.sensor.startswith("S154C")
        meter.zero()
        assert script.is_done()


def test_zeroing_that_takes_too_long_is_given_up():
    script = Script([(b"SENS:CORR:COLL:ZERO:INIT", b""), (b"SENS:CORR:COLL:ZERO:ABOR", b"")],
                    STATE | {b"SENS:CORR:COLL:ZERO:STAT?": b"1\n"})
    with TcpFake(script) as fake, connect(fake.address) as meter:
        with pytest.raises(InstrumentTimeout, match="zeroing"):
            meter.zero(timeout_s=0.1)
        assert script.is_done()


def test_a_dark_sensor_out_of_range_is_no_number():
    from qkdlab.instruments.errors import DeviceError

    with TcpFake(Script([(b"MEAS:POW?", b"9.91000000E+37\n")], STATE)) as fake, connect(fake.address) as meter:
        with pytest.raises(DeviceError):
            _ = meter.power_w
