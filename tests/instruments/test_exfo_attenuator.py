from fake_devices import Script, TcpFake

from qkdlab.instruments.exfo_attenuator import connect

STATE = {b"*IDN?": b"EXFO,FVA-3150,123456-AB,2.10\n", b"SYST:ERR?": b'0,"No error"\n', b"ATT? MIN": b"1.850\n",
         b"ATT? MAX": b"75.000\n"}


def test_the_manuals_commands():
    script = Script([(b"ATT 10.005 DB", b""), (b"ATT?", b"10.005\n"), (b"INP:OFFS?", b"0.000\n"), (b"OUTP:STAT 1", b""),
                     (b"OUTP:STAT?", b"1\n"), (b"OUTP:STAT 0", b""), (b"ATT 75 DB", b"")], STATE)
    with TcpFake(script) as fake:
        with connect(fake.address) as voa:
            assert voa.limits["attenuation_db"] == (1.85, 75)
            voa.attenuation_db = 10.005
            assert (voa.attenuation_db, voa.offset_db) == (10.005, 0)
            voa.shutter_open = True
            assert voa.shutter_open
        assert script.is_done()
