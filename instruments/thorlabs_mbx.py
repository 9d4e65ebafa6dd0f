"""Thorlabs MX and MBX modulator boxes: bias of a Mach-Zehnder modulator, and the attenuator behind it.

A set has a colon before its value (``VOA:ATTEN: 7.5``) and is answered by ``1`` (manual, p. 15-16). A driver in public
use does not read that answer for all of them and gets out of step with a box that follows the manual.
"""

from qkdlab.instruments.errors import DeviceError
from qkdlab.instruments.instrument import Instrument
from qkdlab.instruments.interfaces import Attenuator, IntensityModulator
from qkdlab.instruments.parameters import parameter
from qkdlab.instruments.transports import Line

__all__ = ["ThorlabsMbx", "connect"]

MODES = {"off": 0, "auto peak": 1, "auto null": 2, "auto quadrature +": 3, "auto quadrature -": 4, "hold quadrature +": 5,
         "hold quadrature -": 6, "manual": 7, "auto ratio +": 8, "auto ratio -": 9}


def connect(address, **settings):
    """The box at `address` (``serial:///dev/ttyUSB0?baud=115200``)."""
    return ThorlabsMbx(address, **settings)


class ThorlabsMbx(Instrument):
    """The bias voltage is set in mV and measured in V; ours are volts. Some firmware allows the attenuator 0.5 dB."""

    kinds = (IntensityModulator, Attenuator)
    framing = Line(end="\n", reply_end="\r\n")           # the manual says LF, public drivers see CR: both are taken

    bias_mode = parameter(str, get="MZM:MODE?", set="MZM:MODE: {value}", choices=MODES, help="what the bias is kept at")
    bias_v = parameter(get="MZM:VOLTAGE?", set=lambda box, volts: box.tell(f"MZM:HOLD:VOLTAGE: {1000 * volts:.0f}"),
                       unit="V", low=-10, high=10, holds=lambda box: box.bias_mode == "manual",
                       help="bias voltage (set for the manual mode)")
    bias_locked = parameter(bool, get="MZM:SETPOINT?", help="the bias is where the mode wants it")
    ratio = parameter(get="MZM:HOLD:RATIO?", set="MZM:HOLD:RATIO: {value:.0f}", scale=100, low=2.5, high=100,
                      help="input to output power, for the ratio modes")
    tap_power_w = parameter(get="MZM:TAP:MW?", unit="W", scale=1e3, help="power behind the modulator")
    attenuation_db = parameter(get="VOA:ATTEN?", set="VOA:ATTEN: {value}", unit="dB", low=1, high=20, help="attenuation")
    measured_attenuation_db = parameter(get="VOA:MEASURED?", unit="dB", help="attenuation as measured by the box")
    attenuator_mode = parameter(str, get="VOA:MODE?", set="VOA:MODE: {value}",
                                choices={"attenuation": 0, "power": 1}, help="what the attenuator keeps constant")
    output_power_w = parameter(get="VOA:OUTPUT:MW?", set="VOA:OUTPUT:MW: {value}", unit="W", scale=1e3, low=1e-5, high=0.1,
                               help="power to keep, in the power mode")
    attenuator_on = parameter(bool, get="VOA:POWER?", set="VOA:POWER: {value}", help="the attenuator is driven")

    def ask(self, text):
        reply = self.transport.query(text)
        if reply.startswith("Err"):
            raise DeviceError(f"refused {text!r}", device=self.name, reply=reply)
        return reply

    def tell(self, text):
        if (reply := self.ask(text)).strip() != "1":
            raise DeviceError(f"{text!r} must be answered by 1", device=self.name, reply=reply)

    def calibrate(self, timeout_s=120.0):
        """Let the box find its bias points anew; returns when it has."""
        self.tell("MZM:RESET")
        self.wait_until(lambda: self.ask("MZM:CALIBRATING?").strip() == "0", timeout_s, "calibration of the bias")

    def safe_state(self):
        """Full attenuation."""
        self.force(attenuator_mode="attenuation", attenuation_db=self.own_limits["attenuation_db"][1])
