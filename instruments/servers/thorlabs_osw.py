"""Fibre-optic switch Thorlabs OSW12 and OSW22: 115200 8N1, ``S?`` and ``S 1``, answers end with CRLF.

Source: a public driver, which tells that the first question is sometimes not answered.
"""

import re

from .device import Device
from .motion import Slewing

__all__ = ["SERVES", "ThorlabsOSW", "device"]

SERVES = "fibre-optic switch, Thorlabs OSW12 (serial text)"


def device(world, *, name="thorlabs_osw", **options):
    """A :class:`ThorlabsOSW` in the line of a world; position 1 leads to Bob."""
    return ThorlabsOSW(world, name, **options)


class ThorlabsOSW(Device):
    """A switch of two positions.

    Parameters
    ----------
    world : World
    name : str
    drowsy : bool
        The first question after power-on is not answered.
    """

    def __init__(self, world, name, drowsy=False):
        super().__init__(world, name)
        self._motion, self._drowsy = Slewing(world.clock, 1, 1e9, lag_s=0.001), drowsy
        world.switches[name] = lambda: self._motion.target == 1 and not self._motion.moving

    def frames(self, buffer):
        *lines, rest = re.split(rb"[\r\n]+", bytes(buffer))
        buffer[:] = rest
        return [line for line in lines if line.strip()]

    def answer(self, frame):
        text = frame.decode("latin-1").strip().upper()
        match = re.fullmatch(r"S\s*([12])", text)
        if match:
            self._motion.go(int(match[1]))
        if text != "S?":
            return b""
        if self._drowsy:
            self._drowsy = False
            return b""
        return f"{self.reading('position', self._motion.target):.0f}\r\n".encode()
