"""Three attenuators, each in its own words: settling, limits, rounding, shutters."""

import pytest
from dialogue import ask, plugged, still

from qkdlab.instruments.servers import World


def test_keysight_as_its_manual_has_it():
    voa = plugged("keysight_attenuator")
    assert ask(voa, ":INPut1:CHANnel1:ATTenuation 14dB;:INP:ATT?") == "1.400000E+01"
    assert ask(voa, ":INP:ATT? MIN;ATT? MAX;ATT? DEF") == "0.000000E+00;6.000000E+01;0.000000E+00"
    assert ask(voa, ":INP:WAV 1.55UM;WAV?;WAV 1310NM;WAV?") == "1.550000E-06;1.310000E-06"
    assert ask(voa, ":INP:OFFS 2;ATT?;ATT 10;ATT?;ATT? MIN") == "1.600000E+01;1.000000E+01;2.000000E+00"
    assert ask(voa, "INP:ATT 100;:SYST:ERR?").startswith("-222")
    assert ask(voa, "INP:ATT 3.14159;ATT?") == "3.142000E+00"
    assert ask(voa, ":OUTP?;:OUTP:STAT ON;:OUTP1:CHAN1:STAT?") == "0;1"


def test_keysight_settles_and_then_says_so():
    world = still()
    voa = plugged("keysight_attenuator", world, rate_db_per_s=10.0)
    ask(voa, "OUTP ON;INP:ATT 0;*OPC?")
    ask(voa, ":INP:ATT 30")
    assert 0 < world.attenuation_db < 5 and voa.remaining_s() == pytest.approx(3.0, abs=0.1)
    assert ask(voa, "INP:ATT?;:*OPC?") == "3.000000E+01;1"
    assert world.attenuation_db == pytest.approx(31.2) and voa.remaining_s() == 0


def test_keysight_keeps_the_power_and_knows_the_wavelength():
    world = still()
    voa = plugged("keysight_attenuator", world)
    ask(voa, "OUTP ON;OUTP:POW -20;*OPC?")
    assert float(ask(voa, "READ1:POW?")) == pytest.approx(-20, abs=0.001)
    level = world.attenuation_db
    ask(voa, "INP:WAV 1450NM")
    assert world.attenuation_db < level                       # the filter is calibrated for another colour now
    ask(voa, "*RST;*OPC?")
    assert ask(voa, "OUTP?;:INP:ATT?") == "0;0.000000E+00"


def test_exfo_has_an_inverted_shutter():
    world = still()
    voa = plugged("exfo_attenuator", world)
    assert ask(voa, "D?;:OUTP:STAT?") == "1;0" and world.attenuation_db == 100
    assert ask(voa, "D 0;D?;OUTP:STAT?") == "0;1" and world.attenuation_db == pytest.approx(2)
    ask(voa, "OUTP:STAT 0")
    assert ask(voa, "D?") == "1"


def test_exfo_rounds_corrects_and_refuses_while_it_turns():
    world = still()
    voa = plugged("exfo_attenuator", world)
    assert ask(voa, "ATT 12.3474 DB;ATT?") == "12.345"
    assert ask(voa, "ATT 20 DB;ATT?;SYST:ERR?") == '12.345;-284,"Program currently running"'
    assert ask(voa, "*OPC?;INP:OFFS 1.5;:ATT?") == "1;13.845"  # ATT includes the correction, INP:ATT does not
    assert ask(voa, "INP:ATT?") == "12.345"
    assert ask(voa, "ATT? MIN;ATT? MAX") == "1.500;66.500"


def test_mbx_wants_a_colon_before_the_value():
    box = plugged("thorlabs_mbx")
    assert ask(box, "VOA:ATTen: 7.5") == "1" and ask(box, "VOA:ATTen?") == "7.50" and ask(box, "voa:att?") == "7.50"
    assert ask(box, "VOA:SETpoint?") == "0" and float(ask(box, "VOA:ERR?")) > 0
    box.world.clock.advance(1)
    assert ask(box, "VOA:SET?") == "1" and ask(box, "VOA:MEAS?") == "7.50"
    for line, says in (("VOA:ATT: 0.5", "Data out of range"), ("VOA:ATT: 20.1", "Data out of range"),
                       ("VOA:ATT: x", "Numeric data error"), ("VOA:ATT:", "Parameter error"),
                       ("VOA:AT?", "Undefined header"), ("VOA:ATT 5", "Undefined header"), ("FOO: 1", "Undefined header")):
        assert ask(box, line) == f"Err: {says}", line
    for end in ("\r", "\n", "\r\n", "\n\r"):
        assert ask(box, "VOA:ATT?", end) == "7.50"


def test_mbx_keeps_the_power():
    box = plugged("thorlabs_mbx")
    ahead_mw = 1e3 * box.world.power_w(before="thorlabs_mbx")
    assert ask(box, "VOA:MODE: 1") == "1" and ask(box, f"VOA:OUT:MW: {ahead_mw / 10:.5f}") == "1"
    box.world.clock.advance(1)
    assert box.world.attenuation_db == pytest.approx(10, abs=0.01)
    assert ask(box, "VOA:ATT: 3") == "Err: Execution error"


def test_a_chain_adds_up():
    world = World(speed=0)
    first, second = plugged("keysight_attenuator", world), plugged("exfo_attenuator", world)
    ask(first, "OUTP ON;:INP:ATT 10;*OPC?")
    ask(second, "D 0;ATT 5;*OPC?")
    assert world.attenuation_db == pytest.approx(1.2 + 10 + 2 + 5)
