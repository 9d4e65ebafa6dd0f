"""Motorised polarisation controller Thorlabs MPC320: the APT binary protocol, with messages nobody asked for.

Sources: "Thorlabs APT Controllers Host-Controller Communications Protocol" (headers, layouts, status bits); that the
paddles are channels 1, 2 and 4, that 1370 counts are 170 degrees and that the end of a move is told with a bare header
are from public drivers. Each paddle is taken as a half-wave plate.
"""

import math
import struct

from .device import Device
from .motion import Slewing
from .optics import retarder

__all__ = ["SERVES", "ThorlabsMPC320", "device"]

SERVES = "motorised polarisation controller, Thorlabs MPC320 (APT binary)"
_HOST, _BOX = 0x01, 0x50
_COUNTS, _DEGREES = 1370, 170.0
_FASTEST_DEG_PER_S = 400.0
_FORWARD, _BACKWARD, _HOMING, _HOMED, _ENABLED = 0x10, 0x20, 0x200, 0x400, 0x80000000
_UPDATE_S = 0.1


def device(world, *, name="thorlabs_mpc320", **options):
    """A :class:`ThorlabsMPC320` in the fibre of a world; the link is aligned at its first position."""
    return ThorlabsMPC320(world, name, **options)


class _Paddle:
    def __init__(self, clock, counts, rate):
        self.motor, self.enabled, self.homed, self.task = Slewing(clock, counts, rate), True, False, None


class ThorlabsMPC320(Device):
    """Three paddles.

    Parameters
    ----------
    world : World
    name : str
    start_counts : int
        Position of all paddles at power-on.
    """

    def __init__(self, world, name, start_counts=685):
        super().__init__(world, name)
        self._velocity, self._home, self._jogs = 50, 0, [25, 25, 25]
        self._paddles = {channel: _Paddle(world.clock, start_counts, self._rate) for channel in (1, 2, 4)}
        self._updates_s, self._answers = None, {
            0x0005: self._info, 0x0011: self._start_updates, 0x0012: self._stop_updates, 0x0210: self._enable,
            0x0211: self._enabled, 0x0443: self._go_home, 0x0453: self._go, 0x046A: self._jog, 0x0465: self._stop,
            0x0490: self._status, 0x0530: self._set_parameters, 0x0531: self._parameters}
        world.polarisation.add(name, self.rotation)

    @property
    def _rate(self):
        return self._velocity / 100 * _FASTEST_DEG_PER_S * _COUNTS / _DEGREES

    def rotation(self):
        """Of the Stokes vector, float64 (3, 3)."""
        first, second, third = (retarder(math.radians(p.motor.value / _COUNTS * _DEGREES), math.pi)
                                for p in self._paddles.values())
        return third @ second @ first

    # ------------------------------------------------------------------------------------------------------- bytes

    def frames(self, buffer):
        found = []
        while len(buffer) >= 6:
            size = 6 + (struct.unpack_from("<H", buffer, 2)[0] if buffer[4] & 0x80 else 0)
            if len(buffer) < size:
                break
            found.append(bytes(buffer[:size]))
            del buffer[:size]
        return found

    def answer(self, frame):
        code, first, second, target, _ = struct.unpack("<HBBBB", frame[:6])
        run = self._answers.get(code)
        if run is None or target & 0x7F != _BOX:
            return b""                           # what it does not know it does not answer
        return run(first, second, frame[6:]) or b""

    def unasked(self):
        now, messages = self.world.clock.now(), []
        for channel, paddle in self._paddles.items():
            if paddle.task is not None and not paddle.motor.moving:
                paddle.homed |= paddle.task == 0x0444
                messages.append(_short(paddle.task, channel))
                paddle.task = None
        if self._updates_s is not None and now >= self._updates_s:
            self._updates_s = now + _UPDATE_S
            messages += [self._status(channel, 0, b"") for channel in self._paddles]
        return b"".join(messages)

    # ---------------------------------------------------------------------------------------------------- messages

    def _info(self, first, second, data):
        text = struct.pack("<I8sH4B60sHHH", 38_000_001, b"MPC320\0\0", 44, 2, 1, 1, 0, b"", 1, 3, 3)
        return _long(0x0006, text)

    def _start_updates(self, first, second, data):
        self._updates_s = self.world.clock.now() + _UPDATE_S

    def _stop_updates(self, first, second, data):
        self._updates_s = None

    def _enable(self, channels, state, data):
        for channel, paddle in self._paddles.items():
            if channel & channels and state in (1, 2):
                paddle.enabled = state == 1

    def _enabled(self, channels, second, data):
        on = sum(channel for channel, paddle in self._paddles.items() if paddle.enabled and channel & channels)
        return _short(0x0212, channels, 1 if on == channels else 2)

    def _move(self, channel, counts, task):
        paddle = self._paddles.get(channel)
        if paddle is None or not paddle.enabled or not 0 <= counts <= _COUNTS:
            return
        paddle.motor.rate = self._rate
        paddle.motor.go(counts)
        paddle.task = task

    def _go_home(self, channel, second, data):
        self._move(channel, self._home, 0x0444)

    def _go(self, first, second, data):
        if len(data) == 6:
            channel, counts = struct.unpack("<Hi", data)
            self._move(channel, counts, 0x0464)

    def _jog(self, channel, direction, data):
        if channel in self._paddles and direction in (1, 2):
            step = self._jogs[list(self._paddles).index(channel)] * (1 if direction == 1 else -1)
            self._move(channel, round(self._paddles[channel].motor.value) + step, 0x0464)

    def _stop(self, channel, second, data):
        paddle = self._paddles.get(channel)
        if paddle is not None:
            paddle.motor.stop()
            paddle.task = None
            return _short(0x0466, channel)

    def _status(self, channel, second, data):
        paddle = self._paddles.get(channel)
        if paddle is None:
            return None
        motor, bits, velocity = paddle.motor, _ENABLED if paddle.enabled else 0, 0
        if motor.moving:
            bits |= _FORWARD if motor.target > motor.value else _BACKWARD
            bits |= _HOMING if paddle.task == 0x0444 else 0
            velocity = self._velocity
        bits |= _HOMED if paddle.homed else 0
        counts = round(self.reading(("position", channel), motor.value))
        return _long(0x0491, struct.pack("<HiHhI", channel, counts, velocity, 0, bits))

    def _set_parameters(self, first, second, data):
        if len(data) == 12:
            _, velocity, home, *jogs = struct.unpack("<6H", data)
            if 10 <= velocity <= 100 and home <= _COUNTS:
                self._velocity, self._home, self._jogs = velocity, home, jogs

    def _parameters(self, first, second, data):
        return _long(0x0532, struct.pack("<6H", 0, self._velocity, self._home, *self._jogs))


def _short(code, first, second=0):
    return struct.pack("<HBBBB", code, first, second, _HOST, _BOX)


def _long(code, data):
    return struct.pack("<HHBB", code, len(data), _HOST | 0x80, _BOX) + data
