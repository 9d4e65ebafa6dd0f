"""Thorlabs laser and cooler drivers CLD101x, LDC/TED/ITC4000 (programmers' references of 2012 and 2015).

The names of the cooler's nodes (``OUTP2``, ``SOUR2:TEMP:SPO``) are from memory: the references were seen in part.
"""

from qkdlab.instruments.instrument import ScpiInstrument
from qkdlab.instruments.interfaces import PulsedSource
from qkdlab.instruments.parameters import parameter

__all__ = ["ThorlabsCld", "connect"]


def connect(address, **settings):
    """The driver at `address` (``visa://USB0::0x1313::0x804F::M00123456::INSTR``)."""
    return ThorlabsCld(address, **settings)


class ThorlabsCld(ScpiInstrument):
    """A laser diode with its cooler. The limit of the current is the device's own setting and moves with it."""

    kinds = (PulsedSource,)

    emission = parameter(bool, get="OUTP:STAT?", set="OUTP:STAT {value}", choices={True: "ON", False: "OFF"},
                         help="current flows through the laser")
    current_limit_a = parameter(get="SOUR:CURR:LIM?", set="SOUR:CURR:LIM {value}", unit="A", low=0, moves_limits=True,
                                help="largest current that the device allows")
    current_a = parameter(get="SOUR:CURR?", set="SOUR:CURR {value}", unit="A", low=0, high="SOUR:CURR:LIM?",
                          help="laser current as set")
    measured_current_a = parameter(get="MEAS:CURR?", unit="A", help="laser current")
    power_w = parameter(get="MEAS:POW2?", unit="W", help="power by the monitor diode")
    mode = parameter(str, get="SOUR:FUNC:MODE?", set="SOUR:FUNC:MODE {value}", choices={"current": "CURR", "power": "POW"},
                     help="what is kept constant")
    cooling = parameter(bool, get="OUTP2:STAT?", set="OUTP2:STAT {value}", choices={True: "ON", False: "OFF"},
                        help="the cooler runs")
    target_c = parameter(get="SOUR2:TEMP:SPO?", set="SOUR2:TEMP:SPO {value}", unit="degC", low=-55, high=150,
                         help="temperature to keep")
    temperature_c = parameter(get="MEAS:TEMP?", unit="degC", help="temperature of the laser")

    def safe_state(self):
        """No light; the cooler goes on."""
        self.force(emission=False)
