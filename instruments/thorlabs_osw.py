"""Thorlabs OSW12 and OSW22 fibre switches (as in public drivers): 115200 baud, hardware flow control.

A set is not answered, so it is read back. The first query after power-up goes unanswered now and then.
"""

from qkdlab.instruments.errors import DeviceError, InstrumentTimeout
from qkdlab.instruments.instrument import Instrument
from qkdlab.instruments.interfaces import OpticalSwitch
from qkdlab.instruments.parameters import parameter

__all__ = ["ThorlabsOsw", "connect"]


def connect(address, **settings):
    """The switch at `address` (``serial:///dev/ttyUSB0?baud=115200&rtscts=1``)."""
    try:
        return ThorlabsOsw(address, **settings)
    except InstrumentTimeout:
        return ThorlabsOsw(address, **settings)


def _set(switch, port):
    with switch.transport.lock:
        switch.tell(f"S {port}")
        if (reply := switch.ask("S?")).strip() != str(port):
            raise DeviceError(f"did not go to port {port}", device=switch.name, reply=reply)


class ThorlabsOsw(Instrument):
    """One input to two outputs, or bar (1) and cross (2) of two by two."""

    kinds = (OpticalSwitch,)
    timeout_s = 0.5

    port = parameter(int, get="S?", set=_set, low=1, high=2, help="output that the light takes")
    ports = parameter(int, get=lambda switch: 2, help="number of outputs")

    def _identify(self, transport):
        reply = transport.query("S?")
        if reply.strip() not in ("1", "2"):
            raise DeviceError("a switch answers S? with 1 or 2", reply=reply)
        return "Thorlabs,OSW"                            # it has no word for who it is
