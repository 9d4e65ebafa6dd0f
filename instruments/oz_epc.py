"""OZ Optics electric polarisation controller (as in a public driver): CR LF; every answer ends by a line ``Done``."""

import re

from qkdlab.instruments.errors import DeviceError
from qkdlab.instruments.instrument import Instrument
from qkdlab.instruments.interfaces import PolarisationController
from qkdlab.instruments.parameters import parameter
from qkdlab.instruments.transports import Line

__all__ = ["OzEpc", "connect"]


def connect(address, **settings):
    """The controller at `address` (``serial:///dev/ttyUSB0?baud=9600``)."""
    return OzEpc(address, **settings)


class UntilDone(Line):
    """All lines up to ``Done``, as one text."""

    def read(self, connection, deadline):
        lines = []
        while (line := super().read(connection, deadline)) != "Done":
            lines.append(line)
        return "\n".join(lines)


def _of_channel(channel, kind):
    """The number that follows ``CH<channel>`` in an answer such as ``Voltage(mV): CH1 +2200 CH2 +5000 ...``."""
    return lambda reply: kind(re.search(rf"CH{channel}\s+([+-]?\d+)", reply)[1])


def _voltage(channel):
    return parameter(get="V?", set=f"V{channel},{{value:.0f}}", parse=_of_channel(channel, float), scale=1e3, unit="V",
                     low=-5, high=5, help=f"voltage on squeezer {channel}")


def _frequency(channel):
    return parameter(int, get="F?", set=f"F{channel},{{value}}", parse=_of_channel(channel, int), unit="Hz", low=0, high=100,
                     help=f"scrambling frequency of squeezer {channel}")


class OzEpc(Instrument):
    """Four squeezers, driven by fixed voltages or scrambled by alternating ones."""

    kinds = (PolarisationController,)
    framing = UntilDone(end="\r\n")
    actuators = ("squeezer_1_v", "squeezer_2_v", "squeezer_3_v", "squeezer_4_v")

    squeezer_1_v, squeezer_2_v, squeezer_3_v, squeezer_4_v = (_voltage(channel) for channel in (1, 2, 3, 4))
    frequency_1_hz, frequency_2_hz, frequency_3_hz, frequency_4_hz = (_frequency(channel) for channel in (1, 2, 3, 4))
    mode = parameter(str, get="M?", set="{value}", choices={"scrambling": "MAC", "fixed": "MDC"},
                     parse=lambda reply: "M" + reply.split()[-1][:2].upper(), help="alternating or fixed voltages")

    def _identify(self, transport):
        reply = transport.query("V?")
        if "Voltage" not in reply:
            raise DeviceError("a polarisation controller answers V? with its voltages", reply=reply)
        return "OZ Optics,EPC"                           # it has no word for who it is

    def tell(self, text):
        self.transport.query(text)

    def safe_state(self):
        """Fixed voltages as they are: they do no harm."""
