"""Drivers that others wrote for the real devices work against the simulated ones: pymeasure over pyvisa-py, unmodified."""

import contextlib
import math

import pytest
from dialogue import ask, still

from qkdlab.instruments.servers import SimulatedBench


@contextlib.contextmanager
def connected(driver, bench, name):
    host, port = bench.address(name).split("//")[1].split(":")
    device = driver(f"TCPIP0::{host}::{port}::SOCKET", visa_library="@py", read_termination="\n", write_termination="\n",
                    timeout=60_000)
    try:
        yield device
    finally:
        device.adapter.close()
        device.adapter.manager.close()


@pytest.mark.filterwarnings("ignore:It is not known whether this device:FutureWarning")
def test_pymeasures_power_meter():
    from pymeasure.instruments.thorlabs import ThorlabsPM100USB

    with SimulatedBench(still(), ["thorlabs_pm100", "keysight_attenuator"]) as bench, \
            connected(ThorlabsPM100USB, bench, "thorlabs_pm100") as meter:
        voa = bench.device("keysight_attenuator")
        assert meter.sensor_name == "S154C" and meter.is_power_sensor and meter.wavelength_settable
        assert not meter.is_energy_sensor and meter.has_temperature_sensor
        assert (meter.wavelength_min, meter.wavelength_max) == (800, 1700)
        meter.wavelength = 1550
        assert meter.wavelength == 1550
        ask(voa, "OUTP ON;*OPC?")
        before = meter.power
        ask(voa, "INP:ATT 10;*OPC?")
        assert meter.power == pytest.approx(before / 10, rel=1e-3)
        meter.wavelength = 5000                              # the driver cuts it to what the meter says
        assert meter.wavelength == 1700
        assert ask(bench.device("thorlabs_pm100"), "SYST:ERR?").startswith("0,")


def test_pymeasures_generator():
    from pymeasure.instruments.agilent import Agilent33500

    with SimulatedBench(still(), ["keysight_33500"]) as bench, connected(Agilent33500, bench, "keysight_33500") as awg:
        assert "33522B" in awg.id
        for name, value in (("shape", "PULS"), ("frequency", 2e6), ("amplitude", 3.0), ("offset", 0.5), ("phase", 90),
                            ("pulse_period", 4e-7), ("pulse_width", 5e-8), ("pulse_transition", 9e-9),
                            ("pulse_hold", "WIDT"), ("burst_state", True), ("burst_mode", "TRIG"), ("burst_ncycles", 7),
                            ("burst_period", 1e-4), ("output", True), ("square_dutycycle", 30), ("ramp_symmetry", 40),
                            ("arb_advance", "SRAT"), ("arb_filter", "STEP"), ("arb_srate", 1e6), ("trigger_source", "BUS")):
            setattr(awg, name, value)
            got = getattr(awg, name)
            assert got == value or math.isclose(got, value, rel_tol=1e-6), name
        assert awg.voltage_high == pytest.approx(2.0) and awg.voltage_low == pytest.approx(-1.0)
        channel = awg.ch_2
        channel.data_volatile_clear()
        channel.data_arb("levels", [0, 16384, 32767] * 4, data_format="DAC")
        channel.arb_file = "levels"
        channel.shape, channel.output = "ARB", True
        assert channel.arb_file == "levels" and channel.output is True
        assert bench.device("keysight_33500").waveform(2)[:3] == pytest.approx([0, 16384 / 32767, 1])
        awg.trigger()
        awg.beep()
        assert awg.check_errors() == []
