"""Fibre-optic switch Agiltron FF: 9600 8N1, frames of four bytes.

Source: a public driver. ``01 11 00 00`` asks, the last byte of the answer is the channel; ``01 12 00 nn`` switches.
"""

from .device import Device
from .motion import Slewing

__all__ = ["AgiltronSwitch", "SERVES", "device"]

SERVES = "fibre-optic switch, Agiltron FF (frames of four bytes)"


def device(world, *, name="agiltron_switch", **options):
    """An :class:`AgiltronSwitch` in the line of a world; channel 1 leads to Bob."""
    return AgiltronSwitch(world, name, **options)


class AgiltronSwitch(Device):
    """A 1 x N switch.

    Parameters
    ----------
    world : World
    name : str
    channels : int
    through : int
        The channel that leads to Bob.
    """

    def __init__(self, world, name, channels=8, through=1):
        super().__init__(world, name)
        self._channels, self._motion = channels, Slewing(world.clock, 1, 1e9, lag_s=0.01)
        world.switches[name] = lambda: self._motion.target == through and not self._motion.moving

    def frames(self, buffer):
        size = len(buffer) - len(buffer) % 4
        found = [bytes(buffer[i : i + 4]) for i in range(0, size, 4)]
        del buffer[:size]
        return found

    def answer(self, frame):
        if frame[:2] == b"\x01\x12" and 1 <= frame[3] <= self._channels:
            self._motion.go(frame[3])
        elif frame[:2] != b"\x01\x11":
            return b""
        return frame[:3] + bytes([int(self.reading("channel", self._motion.target))])
