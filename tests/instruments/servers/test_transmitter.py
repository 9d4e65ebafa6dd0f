"""Lasers, bias controller, generator, TEC, power meter: what each does to the light, in its own words."""

import math
import struct

import numpy as np
import pytest
from dialogue import ask, plugged, sent, still

from qkdlab.instruments.servers.meerstetter_tec import checksum
from qkdlab.instruments.servers.optics import LaserDiode


def clicks(world):
    return world.rates().click_hz.sum()


def test_a_bias_controller_follows_the_drift_and_manual_does_not():
    world = still()
    box = plugged("thorlabs_mbx", world)
    agreed = world.link.source.intensities
    assert sent(world) == pytest.approx(agreed)
    world.drift_bias(0.8)
    assert sent(world) == pytest.approx(agreed) and ask(box, "MZM:SET?") == "1"
    held_mv = 1e3 * float(ask(box, "MZM:VOLT?"))
    assert ask(box, f"MZM:HOLD:VOLT: {held_mv:.0f}") == ask(box, "MZM:MODE: 7") == "1"
    world.drift_bias(0.8)
    assert world.modulator.error_v == pytest.approx(-0.8, abs=1e-3)
    moved = sent(world)
    # theory: the decoy's phase falls by pi/2 * 0.8 / 5
    floor = 1e-3
    theta = math.asin(math.sqrt((0.2 - floor) / (1 - floor))) - math.pi / 2 * 0.8 / 5
    assert moved[1] == pytest.approx(0.5 * (floor + (1 - floor) * math.sin(theta) ** 2), rel=1e-3)


def test_modes_of_the_bias_controller():
    world = still()
    box = plugged("thorlabs_mbx", world)
    for mode, volts in ((1, 5.0), (3, 2.5), (4, -2.5), (2, 0.0)):
        assert ask(box, f"MZM:MODE: {mode}") == "1" and ask(box, "MZM:SETPOINT?") == "0"
        world.clock.advance(3)
        assert ask(box, "MZM:SETPOINT?") == "1" and world.modulator.error_v == pytest.approx(volts)
    assert ask(box, "MZM:MODE: 5") == "1"
    world.clock.advance(3)
    held = ask(box, "MZM:VOLT?")
    world.drift_bias(0.5)
    assert ask(box, "MZM:VOLT?") == held                      # found once, then held
    assert ask(box, "MZM:RESET") == "1" and ask(box, "MZM:CALIBRATING?") == "1"
    world.clock.advance(10)
    assert ask(box, "MZM:CALIBRATING?") == "0"
    assert ask(box, "MZM:MODE: 10") == "Err: Data out of range"


def test_a_laser_controller_switches_and_limits():
    world = still()
    laser = plugged("thorlabs_cld", world)
    dark = clicks(world)
    ask(laser, "SOURce1:CURRent:LEVel:IMMediate:AMPLitude 60mA;:OUTPut1:STATe ON")
    assert ask(laser, "OUTP?;:MEAS:CURR?;:MEASure:SCALar:POWer2?") == "1;6.000000E-02;1.000000E-03"
    bright = clicks(world)
    assert bright > 1000 * dark
    ask(laser, "SOUR:CURR 35mA")                              # half way from threshold
    assert world.laser_power_w == pytest.approx(0.5e-3)
    assert ask(laser, "SOUR:CURR 0.2;:SYST:ERR?").startswith("-222")
    ask(laser, "SOUR:CURR:LIM 0.03")
    assert ask(laser, "SOUR:CURR?;:SOUR:CURR? MAX;:STAT:MEAS:COND?") == "3.000000E-02;3.000000E-02;8"
    ask(laser, "*RST")
    assert ask(laser, "OUTP?") == "0" and clicks(world) == pytest.approx(dark)


def test_a_laser_that_is_too_hot_goes_out():
    world = still()
    laser = plugged("thorlabs_cld", world)
    ask(laser, "OUTP2 ON;:SOUR2:TEMP:SPO 25;:SOUR:CURR 60mA;:OUTP ON")
    laser.fault("over_temperature")
    assert world.laser_power_w == 0
    assert int(ask(laser, "STAT:MEAS:COND?")) == 1 << 14 | 1 << 8 | 1 << 9
    assert ask(laser, "OUTP ON;:SYST:ERR?").startswith("-221")
    world.clock.advance(200)
    assert ask(laser, "STAT:MEAS?;:OUTP ON;:OUTP?") == "0;1"
    laser.fault("interlock")
    assert ask(laser, "OUTP?;:STAT:MEAS:COND?") == "0;4"


def test_a_warm_laser_has_a_higher_threshold():
    warm = LaserDiode(1e-3, lambda: 45.0)
    warm.on, warm.current_a = True, 0.060
    assert warm.power_w() == pytest.approx(1e-3 * (60 - 10 * math.exp(20 / 60)) / 50)


def test_koheron_echoes_and_prompts():
    world = still()
    laser = plugged("koheron_laser", world)
    assert laser.exchange(b"lason 1\r\n") == b"lason 1\r\n1\r\n>>"
    assert laser.exchange(b"ilaser 60\r\n") == b"ilaser 60\r\n60.000000\r\n>>"
    assert world.laser_power_w == pytest.approx(1e-3)
    assert laser.exchange(b"nonsense\r\nerr\r\n").endswith(b"err\r\n10\r\n>>")
    assert b"Invalid" in laser.exchange(b"ilaser 121\r\n") and world.laser_power_w == pytest.approx(1e-3)
    assert laser.exchange(b"errclr\r\nerr\r\n").endswith(b"err\r\n0\r\n>>")
    laser.exchange(b"tecon 1\r\nrtset 8000\r\n")             # warmer than 25 degC
    world.clock.advance(300)
    assert float(laser.exchange(b"rtact\r\n").split(b"\r\n")[1]) == pytest.approx(8000, rel=1e-3)
    assert world.temperature.value > 29
    laser.fault("over_temperature")
    assert world.laser_power_w == 0 and int(laser.exchange(b"err\r\n").split(b"\r\n")[1], 16) & 8


def test_the_generator_keeps_waveforms():
    generator = plugged("keysight_33500")
    ask(generator, "DATA:ARB:DAC ramp, " + ",".join(str(v) for v in range(0, 32767, 4000)))
    assert ask(generator, "FUNC:ARB ramp;:FUNC ARB;:FUNC?;FUNC:ARB?;:FUNC:ARB:POIN?") == "ARB;ramp;9"
    assert generator.waveform(1)[-1] == pytest.approx(32000 / 32767)
    points = np.linspace(-1, 1, 16).astype(">f4")
    generator.exchange(b"SOUR2:DATA:ARB levels, #264" + points.tobytes() + b"\n")
    assert ask(generator, "SOUR2:FUNC:ARB levels;:SYST:ERR?").startswith("0,")
    assert generator.waveform(2) == pytest.approx(points.astype(float))
    for line, code in (("DATA:ARB ramp, 0,0,0,0,0,0,0,0", -221), ("DATA:ARB short, 1,0", -222),
                       ("DATA:ARB loud, 0,0,0,0,0,0,0,2", -222), ("FUNC:ARB none", -224), ("FUNC:ARB levels", -224),
                       ("SOUR3:FREQ 1", -114)):
        ask(generator, line)
        assert ask(generator, "SYST:ERR?").startswith(str(code)), line
    ask(generator, "DATA:VOL:CLE")
    assert ask(generator, "FUNC:ARB?") == "EXP_RISE"


def test_frequency_period_levels_and_widths_agree():
    generator = plugged("keysight_33500")
    assert ask(generator, "FREQ 10MHZ;FUNC:PULS:PER?;PER 200NS;:FREQ?") == "1.000000E-07;5.000000E+06"
    assert ask(generator, "FUNC:PULS:WIDT 50NS;DCYC?;DCYC 50;WIDT?") == "2.500000E+01;1.000000E-07"
    assert ask(generator, "VOLT:HIGH 3;LOW -1;:VOLT?;VOLT:OFFS?") == "4.000000E+00;1.000000E+00"
    assert ask(generator, "VOLT:HIGH -2;:SYST:ERR?").startswith("-221")


def test_a_generator_that_drives_the_modulator_makes_the_levels():
    world = still()
    generator = plugged("keysight_33500", world, drives_modulator=True)
    assert max(sent(world)) == pytest.approx(0.5e-3)          # off: in the trough
    ask(generator, "VOLT 5;:OUTP ON")
    assert sent(world) == pytest.approx(world.link.source.intensities)
    ask(generator, "VOLT 4")
    assert sent(world)[0] < 0.47


# --------------------------------------------------------------------------------------------------- Meerstetter


def mecom(device, payload, address=2, sequence=0x0001):
    frame = b"#%02X%04X" % (address, sequence) + payload
    answer = device.exchange(frame + checksum(frame) + b"\r")
    assert answer == b"" or answer.endswith(b"\r")
    return answer[:-1]


@pytest.mark.parametrize("frame", [b"#7BEF32?VR03E8E69AAD", b"#7BEF32VS03E8E641C8CCCDE2C1", b"#E6EA5F?VR07E57BB3B5",
                                   b"#E6EA5FVS07E57B0000001958B0"])
def test_the_vendors_checksums(frame):
    assert checksum(frame[:-4]) == frame[-4:]
    device = plugged("meerstetter_tec", address=int(frame[1:3], 16))
    assert device.exchange(frame + b"\r").startswith(b"!" + frame[1:7])
    broken = frame[:-1] + (b"0" if frame[-1:] != b"0" else b"1")
    assert device.exchange(broken + b"\r") == b""


def test_the_tec_moves_the_transmitter_and_its_bias():
    world = still()
    tec = plugged("meerstetter_tec", world)
    setting = b"VS0BB801" + struct.pack(">f", 30.0).hex().upper().encode()
    answer = mecom(tec, setting)
    assert answer == b"!020001" + checksum(b"#020001" + setting)          # an acknowledgement repeats the checksum
    assert mecom(tec, b"VS07DA0100000001").startswith(b"!020001")
    world.clock.advance(20)
    data = mecom(tec, b"?VR03E801", sequence=0xBEEF)
    assert data[:7] == b"!02BEEF" and checksum(data[:-4]) == data[-4:]
    celsius = struct.unpack(">f", bytes.fromhex(data[7:15].decode()))[0]
    assert celsius == pytest.approx(25 + 5 * (1 - math.exp(-1)), abs=0.01)
    assert mecom(tec, b"?VR04B001")[7:15] == b"00000001"     # not stable yet
    world.clock.advance(200)
    assert mecom(tec, b"?VR04B001")[7:15] == b"00000002" and mecom(tec, b"?VR006801")[7:15] == b"00000002"
    assert world.modulator.error_v == pytest.approx(-0.25, abs=0.01)
    tec.fault("over_temperature")
    assert mecom(tec, b"?VR006801")[7:15] == b"00000003" and mecom(tec, b"?VR07DA01")[7:15] == b"00000000"


@pytest.mark.parametrize(("payload", "code"), [
    (b"?XX", b"+01"), (b"?VR03", b"+04"), (b"?VR270F01", b"+05"), (b"VS03E80100000000", b"+06"),
    (b"VS07DA0100000002", b"+07"), (b"?VR03E802", b"+08"), (b"VS07DA01", b"+04")])
def test_what_the_tec_refuses(payload, code):
    answer = mecom(plugged("meerstetter_tec"), payload)
    assert answer[7:-4] == code and checksum(answer[:-4]) == answer[-4:]


def test_the_tec_answers_to_its_address_and_to_0():
    tec = plugged("meerstetter_tec", address=0x1F)
    assert mecom(tec, b"?IF", 0x1F)[:3] == b"!1F" and mecom(tec, b"?IF", 0) and mecom(tec, b"?IF", 0x13) == b""


# --------------------------------------------------------------------------------------------------- power meter


def test_the_power_meter_sees_the_attenuator_and_its_own_settings():
    world = still()
    meter, voa = plugged("thorlabs_pm100", world), plugged("keysight_attenuator", world)
    ask(voa, "OUTP ON;INP:ATT 20;*OPC?")
    power = float(ask(meter, "MEASure:SCALar:POWer?"))
    assert power == pytest.approx(world.power_w(), rel=1e-3)
    assert float(ask(meter, "SENS:POW:UNIT DBM;:READ?")) == pytest.approx(10 * math.log10(power * 1e3), abs=0.01)
    ask(meter, "SENS:POW:UNIT W;:SENS:CORR:WAV 1310")
    assert float(ask(meter, "MEAS:POW?")) == pytest.approx(power * 1550 / 1310, rel=1e-3)
    assert ask(meter, "SENS:CORR:WAV? MIN;WAV? MAX;WAV 5;:SYST:ERR?").split(";")[2].startswith("-222")
    ask(meter, "SENS:CORR:WAV 1550;:SENS:CORR:LOSS 10")
    assert float(ask(meter, "MEAS:POW?")) == pytest.approx(10 * power, rel=1e-3)


def test_zeroing_takes_time_and_the_dark_offset_away():
    world = still()
    meter, _ = plugged("thorlabs_pm100", world), plugged("exfo_attenuator", world)          # closed
    dark = np.mean([float(ask(meter, "MEAS:POW?")) for _ in range(50)])
    assert dark == pytest.approx(20e-12, abs=5e-12)
    assert ask(meter, "SENS:AVER:COUN 100;:SENS:CORR:COLL:ZERO;:SENS:CORR:COLL:ZERO:STAT?") == "1"
    assert ask(meter, "*OPC?;:SENS:CORR:COLL:ZERO:STAT?") == "1;0"
    assert float(ask(meter, "SENS:CORR:COLL:ZERO:MAGN?")) == pytest.approx(20e-12, abs=4e-12)
    assert abs(float(ask(meter, "MEAS:POW?"))) < 5e-12


def test_no_sensor_and_too_much_light():
    meter = plugged("thorlabs_pm100", sensor=False)
    assert ask(meter, "SYST:SENS:IDN?").startswith("no sensor") and ask(meter, "MEAS:POW?;:SYST:ERR?").startswith("-241")
    meter = plugged("thorlabs_pm100")
    assert float(ask(meter, "SENS:POW:RANG:AUTO 0;UPP 1E-6;:MEAS:POW?")) > 9e37
