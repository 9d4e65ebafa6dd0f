import pytest
from fake_devices import Script, TcpFake

from qkdlab.errors import BadInput
from qkdlab.instruments.keysight_attenuator import connect

STATE = {b"*IDN?": b"Agilent Technologies,N7764A,DE49900123,1.18\n", b"SYST:ERR?": b'+0,"No error"\n',
         b":INP2:CHAN1:ATT? MIN": b"+1.00000000E+00\n", b":INP2:CHAN1:ATT? MAX": b"+4.60000000E+01\n",
         b":INP2:CHAN1:WAV? MIN": b"+1.26000000E-06\n", b":INP2:CHAN1:WAV? MAX": b"+1.64000000E-06\n"}


def test_the_programming_guides_commands():
    script = Script([(b":INP2:CHAN1:ATT 12.5dB", b""), (b":INP2:CHAN1:ATT?", b"+1.25000000E+01\n"),
                     (b":INP2:CHAN1:WAV 1.55e-06", b""), (b":INP2:CHAN1:WAV?", b"+1.55000000E-06\n"),
                     (b":INP2:CHAN1:OFFS?", b"+0.00000000E+00\n"), (b":OUTP2:CHAN1:STAT ON", b""),
                     (b":OUTP2:CHAN1:STAT?", b"1\n"), (b":OUTP2:CHAN1:STAT OFF", b""),
                     (b":INP2:CHAN1:ATT 46dB", b"")], STATE)
    with TcpFake(script) as fake:
        with connect(fake.address, slot=2) as voa:
            voa.attenuation_db = 12.5
            assert voa.attenuation_db == 12.5
            voa.wavelength_nm = 1550
            assert voa.wavelength_nm == pytest.approx(1550, abs=1e-9)
            assert voa.offset_db == 0
            voa.shutter_open = True
            assert voa.shutter_open is True
            for wrong in (0.9, 46.1):
                with pytest.raises(BadInput, match="1 to 46 dB"):
                    voa.attenuation_db = wrong
        assert script.is_done()                          # closing shut the shutter and went to full attenuation


def test_two_slots_of_one_mainframe_share_a_line():
    def answer(request):
        return b"60\n" if request.endswith(b"MAX") else b"0\n" if b"?" in request else None

    with TcpFake(answer) as fake:
        first = connect(fake.address, slot=1)
        second = first.beside(slot=3)
        second.attenuation_db = 7
        assert b":INP3:CHAN1:ATT 7dB\n" in fake.received and fake.connections == 1
        first.close()
        first.close()
        second.attenuation_db = 8                        # the line stays until the last has let go
        assert b":INP3:CHAN1:ATT 8dB\n" in fake.received and fake.connections == 1
        second.close()
        connect(fake.address, slot=1).close()
        assert fake.connections == 2
