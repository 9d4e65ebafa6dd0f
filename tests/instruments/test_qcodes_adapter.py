import types

import pytest

from qkdlab.errors import BadInput
from qkdlab.instruments.errors import InstrumentDisconnected, InstrumentTimeout
from qkdlab.instruments.qcodes_adapter import connect


class Parameter:
    def __init__(self, value, unit):
        self.value, self.unit = value, unit

    def get(self):
        if isinstance(self.value, Exception):
            raise self.value
        return self.value

    def set(self, value):
        self.value = value


class Attenuator:
    """Of the shape of a QCoDeS driver: parameters with get, set and unit, in submodules too."""

    made = []

    def __init__(self, name, address, **options):
        if address == "dead":
            raise ConnectionRefusedError("nobody there")
        self.name, self.address, self.options, self.closed = name, address, options, False
        self.ch1 = types.SimpleNamespace(attenuation=Parameter(3.0, "dB"), wavelength=Parameter(1550e-9, "m"))
        self.made.append(self)

    def get_idn(self):
        return {"vendor": "Keysight", "model": "N7764A", "serial": "1", "firmware": None}

    def close(self):
        self.closed = True


VOA = dict(driver=Attenuator, kind="Attenuator",
           parameters={"attenuation_db": {"attribute": "ch1.attenuation", "unit": "dB", "low": 0, "high": 40},
                       "wavelength_nm": {"attribute": "ch1.wavelength", "unit": "nm", "scale": 1e-9}},
           safe={"attenuation_db": 40})


def test_their_parameters_become_ours():
    with connect("visa://TCPIP0::1.2.3.4::INSTR", **VOA, arguments={"visalib": "@py"}) as voa:
        theirs = Attenuator.made[-1]
        assert (theirs.address, theirs.options) == ("TCPIP0::1.2.3.4::INSTR", {"visalib": "@py"})
        assert voa.identity() == "Keysight,N7764A,1," and voa.attenuation_db == 3
        assert voa.wavelength_nm == pytest.approx(1550)
        voa.set(attenuation_db=10, wavelength_nm=1310)
        assert theirs.ch1.attenuation.value == 10 and theirs.ch1.wavelength.value == pytest.approx(1310e-9)
        with pytest.raises(BadInput, match="0 to 40 dB"):
            voa.attenuation_db = 41
    assert theirs.closed and theirs.ch1.attenuation.value == 40


def test_what_lets_light_through_must_say_how_it_is_made_dark():
    opened = len(Attenuator.made)
    with pytest.raises(BadInput, match="safe.*so that there is none"):
        connect("some", **{name: value for name, value in VOA.items() if name != "safe"})
    assert len(Attenuator.made) == opened


def test_after_an_error_on_the_line_their_driver_is_made_anew():
    with connect("some", **VOA) as voa:
        first = Attenuator.made[-1]
        first.ch1.attenuation.value = RuntimeError("VI_ERROR_TMO")
        with pytest.raises(InstrumentTimeout):
            _ = voa.attenuation_db
        assert first.closed and voa.attenuation_db == 3 and Attenuator.made[-1] is not first
        Attenuator.made[-1].ch1.attenuation.value = OSError("gone")
        with pytest.raises(InstrumentDisconnected, match="gone"):
            _ = voa.attenuation_db


def test_units_must_agree_and_the_device_be_there():
    wrong = VOA["parameters"] | {"wavelength_nm": {"attribute": "ch1.wavelength", "unit": "nm"}}
    with pytest.raises(BadInput, match="in m, not in nm"):
        connect("some", **(VOA | {"parameters": wrong}))
    assert Attenuator.made[-1].closed
    with pytest.raises(InstrumentDisconnected, match="nobody there"):
        connect("dead", **VOA)
    connect("some", **VOA).close()                       # nothing was left claimed
