"""Electrically driven polarisation controller OZ Optics EPC: four squeezers, a serial console.

Source: a public driver. Every answer ends with a line ``Done``. The forms of the answers to ``F?``, ``M?`` and ``VF?``
are ours, after that to ``V?``. Each squeezer is a retarder of half a wave at 3000 mV, the axes 0 and 45 degrees in turn.
"""

import math
import re

from .device import Device
from .optics import retarder

__all__ = ["OzEPC", "SERVES", "device"]

SERVES = "fibre-squeezer polarisation controller, OZ Optics EPC (serial console, answers end with Done)"
_HALF_WAVE_MV, _HIGHEST_MV = 3000.0, 5000


def device(world, *, name="oz_epc", **options):
    """An :class:`OzEPC` in the fibre of a world; the link is aligned at 0 mV."""
    return OzEPC(world, name, **options)


class OzEPC(Device):
    """Four voltages of -5000 to 5000 mV, four scan frequencies."""

    def __init__(self, world, name):
        super().__init__(world, name)
        self._millivolt, self._hertz = dict.fromkeys(range(1, 5), 0), dict.fromkeys(range(1, 5), 10)
        self._scanned, self._mode, self._scanning = dict.fromkeys(range(1, 5), True), "DC", False
        self._started_s = 0.0
        world.polarisation.add(name, self.rotation)

    def _volts(self, channel):
        """A scan is a triangle between the highest and the lowest voltage."""
        if self._mode == "AC" and self._scanning and self._scanned[channel]:
            phase = (self.world.clock.now() - self._started_s) * self._hertz[channel] % 1
            return _HIGHEST_MV * (1 - 4 * abs(phase - 0.5))
        return self._millivolt[channel]

    def rotation(self):
        """Of the Stokes vector, float64 (3, 3)."""
        first, second, third, fourth = (retarder(math.pi / 4 * ((c - 1) % 2), math.pi * self._volts(c) / _HALF_WAVE_MV)
                                        for c in range(1, 5))
        return fourth @ third @ second @ first

    def frames(self, buffer):
        *lines, rest = re.split(rb"[\r\n]+", bytes(buffer))
        buffer[:] = rest
        return [line for line in lines if line.strip()]

    def answer(self, frame):
        text = frame.decode("latin-1").strip().upper()
        for pattern, run in self._PATTERNS:
            match = re.fullmatch(pattern, text)
            if match:
                reply = run(self, *match.groups())
                return b"".join(line.encode() + b"\r\n" for line in (reply, "Done") if line)
        return b"Error\r\nDone\r\n"

    def _set(self, channel, millivolt):
        if abs(int(millivolt)) > _HIGHEST_MV:
            return "Error"
        self._millivolt[int(channel)] = int(millivolt)

    def _jump(self, where, channel):
        self._millivolt[int(channel)] = {"H": _HIGHEST_MV, "L": -_HIGHEST_MV, "Z": 0}[where]

    def _voltages(self):
        return "Voltage(mV): " + " ".join(f"CH{c} {self.reading(c, self._volts(c)):+.0f}" for c in range(1, 5))

    def _frequency(self, channel, hertz):
        if not 0 <= int(hertz) <= 100:
            return "Error"
        self._hertz[int(channel)] = int(hertz)

    def _frequencies(self):
        return "Frequency(Hz): " + " ".join(f"CH{c} {hz}" for c, hz in self._hertz.items())

    def _change_mode(self, mode):
        self._mode = mode + "C"

    def _scan(self, on):
        self._scanning, self._started_s = on == "1", self.world.clock.now()

    def _toggle(self, channel):
        self._scanned[int(channel)] = not self._scanned[int(channel)]

    def _toggles(self):
        return "VF: " + " ".join(f"CH{c} {int(on)}" for c, on in self._scanned.items())

    _PATTERNS = ((r"V([1-4]),([+-]?\d+)", _set), (r"V([HLZ])([1-4])", _jump), (r"V\?", _voltages),
                 (r"F([1-4]),(\d+)", _frequency), (r"F\?", _frequencies), (r"M([AD])C", _change_mode),
                 (r"M\?", lambda self: f"Mode: {self._mode}"), (r"ENVF([01])", _scan), (r"VF([1-4])", _toggle),
                 (r"VF\?", _toggles))
