"""Koheron CTL200 and CTL101 laser controllers (as in a public driver): 115200 baud, CR LF.

The box echoes each command, and its prompt ``>>`` stands, without a line's end, before the next echo. One line with the
value follows each command, a set too.
"""

from qkdlab.instruments.errors import DeviceError
from qkdlab.instruments.instrument import Instrument
from qkdlab.instruments.interfaces import PulsedSource
from qkdlab.instruments.parameters import parameter
from qkdlab.instruments.transports import Line

__all__ = ["KoheronLaser", "connect"]

ERRORS = ("buffer overflow", "command before the prompt", "laser too cold", "laser too warm", "unknown command",
          "invalid argument", "laser on while interlocked", "interlock")                                # bits 0 to 7


def connect(address, **settings):
    """The controller at `address` (``serial:///dev/ttyUSB0?baud=115200``)."""
    return KoheronLaser(address, **settings)


class Echoed(Line):
    """Lines that come back with their echo and a prompt before the answer."""

    def encode(self, request):
        self._echo = request.strip()
        return super().encode(request)

    def read(self, connection, deadline):
        while True:
            line = super().read(connection, deadline).replace("\0", "").strip().removeprefix(">>").strip()
            if line not in ("", self._echo):
                return line

    def is_blank(self, rest):
        return not rest.strip(b"\0> \r\n")


class KoheronLaser(Instrument):
    """The cooler is set by the resistance of the laser's thermistor, as the controller does not know its curve."""

    kinds = (PulsedSource,)

    emission = parameter(bool, get="lason", set="lason {value}", help="current flows through the laser")
    current_limit_a = parameter(get="ilmax", set="ilmax {value}", unit="A", scale=1e3, low=0, high=1, moves_limits=True,
                                help="largest current allowed")
    current_a = parameter(get="ilaser", set="ilaser {value}", unit="A", scale=1e3, low=0, high="ilmax", help="laser current")
    voltage_v = parameter(get="vlaser", unit="V", help="voltage across the laser")
    photodiode_a = parameter(get="iphd", unit="A", scale=1e3, help="current of the monitor diode")
    cooling = parameter(bool, get="tecon", set="tecon {value}", help="the cooler runs")
    thermistor_target_ohm = parameter(get="rtset", set="rtset {value}", unit="ohm", low=0, help="thermistor to keep")
    thermistor_ohm = parameter(get="rtact", unit="ohm", help="thermistor now")
    interlock = parameter(bool, get="lckon", set="lckon {value}", help="the interlock input is heeded")

    def _prepare(self):
        self.framing = Echoed(end="\r\n")                # remembers its last request: one for each device

    def _identify(self, transport):
        return f"Koheron,{transport.query('model')},{transport.query('serial')},{transport.query('version')}"

    def tell(self, text):
        with self.transport.lock:
            self.ask(text)
            reply = self.ask("err")
            try:
                flags = int(reply, 16)
            except ValueError:
                raise DeviceError("not an error register", device=self.name, reply=reply) from None
            if flags:
                self.ask("errclr")
                named = ", ".join(word for bit, word in enumerate(ERRORS) if flags >> bit & 1)
                raise DeviceError(f"refused {text!r}: {named}", device=self.name, reply=reply)

    def safe_state(self):
        """No light; the cooler goes on."""
        self.force(emission=False)
