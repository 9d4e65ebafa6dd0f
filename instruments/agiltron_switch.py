"""Agiltron fibre switches: 9600 baud, frames of 4 bytes. ``01 11 00 00`` asks for the channel, ``01 12 00 nn`` sets it."""

from qkdlab.instruments.errors import DeviceError
from qkdlab.instruments.instrument import Instrument
from qkdlab.instruments.interfaces import OpticalSwitch
from qkdlab.instruments.parameters import parameter
from qkdlab.instruments.transports import Fixed

__all__ = ["AgiltronSwitch", "connect"]


def connect(address, *, ports=2, **settings):
    """The switch with `ports` outputs at `address` (``serial:///dev/ttyUSB0?baud=9600``)."""
    return AgiltronSwitch(address, ports=ports, **settings)


def _channel(transport):
    return transport.query(b"\x01\x11\x00\x00", accept=lambda frame: frame[:2] == b"\x01\x11")[3]


def _set(switch, port):
    """Whether a set is answered is not known: the channel is asked, and an answer before that is passed over."""
    with switch.transport.lock:
        switch.transport.write(bytes([1, 0x12, 0, port]))
        if (reply := _channel(switch.transport)) != port:
            raise DeviceError(f"did not go to port {port}", device=switch.name, reply=reply)


class Frames(Fixed):
    """Whole frames may be left over: those that answer a set."""

    def is_blank(self, rest):
        return len(rest) % self.size == 0


class AgiltronSwitch(Instrument):
    """One input to ``ports`` outputs."""

    kinds = (OpticalSwitch,)
    places = {"ports": 2}
    framing = Frames(4)

    port = parameter(int, get=lambda switch: _channel(switch.transport), set=_set, low=1,
                     high=lambda switch: switch.places["ports"], help="output that the light takes")
    ports = parameter(int, get=lambda switch: switch.places["ports"], help="number of outputs")

    def _identify(self, transport):
        _channel(transport)
        return "Agiltron,fibre switch"                   # it has no word for who it is
