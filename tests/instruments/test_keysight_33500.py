import numpy as np
import pytest
from fake_devices import Script, TcpFake

from qkdlab.errors import BadInput
from qkdlab.instruments.keysight_33500 import connect

STATE = {b"*IDN?": b"Agilent Technologies,33522B,MY12345678,2.09-1.19-2.00-52-00\n", b"SYST:ERR?": b'+0,"No error"\n',
         b"SOUR2:FREQ? MIN": b"+1.000000000000000E-06\n", b"SOUR2:FREQ? MAX": b"+3.000000000000000E+07\n"}


def test_pulses_and_a_pattern():
    script = Script([(b"SOUR2:FUNC PULS", b""), (b"SOUR2:FREQ 10000000", b""), (b"SOUR2:FUNC:PULS:WIDT 2e-08", b""),
                     (b"SOUR2:VOLT:LOW 0", b""), (b"SOUR2:VOLT:HIGH 2.5", b""), (b"OUTP2 ON", b""), (b"OUTP2?", b"1\n"),
                     (b"SOUR2:FUNC?", b"PULS\n"), (b"SOUR2:DATA:VOL:CLE", b""),
                     (b"SOUR2:DATA:ARB key,0,1,-1,0.5,0,0,0,0", b""), (b"SOUR2:FUNC:ARB key", b""),
                     (b"SOUR2:FUNC:ARB:SRAT 250000000", b""), (b"SOUR2:FUNC ARB", b""), (b"OUTP2 OFF", b"")], STATE)
    with TcpFake(script) as fake:
        with connect(fake.address, channel=2) as generator:
            generator.set(shape="pulse", frequency_hz=10e6, pulse_width_s=20e-9, low_v=0, high_v=2.5, output=True)
            assert generator.output and generator.shape == "pulse"
            generator.load("key", [0, 1, -1, 0.5, 0, 0, 0, 0], 250e6)
        assert script.is_done()


@pytest.mark.parametrize("name, samples, rate", [
    ("1key", np.zeros(8), 1e6), ("key;*RST", np.zeros(8), 1e6), ("key", np.zeros(7), 1e6), ("key", np.full(8, 1.1), 1e6),
    ("key", np.full(8, np.nan), 1e6), ("key", np.zeros((2, 8)), 1e6), ("key", np.zeros(8), 0), ("key", np.zeros(8), -1)])
def test_patterns_that_are_none(name, samples, rate):
    with TcpFake(Script(always=STATE | {b"OUTP2 OFF": b""})) as fake, connect(fake.address, channel=2) as generator:
        before = len(fake.received)
        with pytest.raises(BadInput):
            generator.load(name, samples, rate)
        assert len(fake.received) == before
