"""Time in a simulated world, and quantities that take theirs: a motor on its way, a mass that warms up."""

import math
import threading
import time

from qkdlab.errors import BadInput

__all__ = ["Clock", "Relaxing", "Slewing"]


class Clock:
    """World time in seconds.

    Parameters
    ----------
    speed : float
        World seconds per second of the wall. 0: time stands still until something waits for it or says
        :meth:`advance`, so that tests wait for nothing; each command to a device takes 5 ms, so that asking again and
        again comes to an end.
    """

    TICK_S = 0.005

    def __init__(self, speed=1.0):
        if not (isinstance(speed, int | float) and 0 <= speed < math.inf):
            raise BadInput("a finite number of at least 0 is expected", field="speed", value=speed)
        self.speed = float(speed)
        self._start, self._extra_s, self._lock = time.monotonic(), 0.0, threading.Lock()

    def now(self):
        """Seconds since the world began."""
        return (time.monotonic() - self._start) * self.speed + self._extra_s

    def advance(self, seconds):
        """Let so much time pass at once."""
        if not seconds >= 0:
            raise BadInput("must be at least 0 s", field="seconds", value=seconds)
        with self._lock:
            self._extra_s += seconds

    def tick(self):
        """A command was heard: a standing clock goes on a little."""
        if self.speed == 0:
            self.advance(self.TICK_S)

    def sleep(self, seconds, stopped=None):
        """Wait for so much world time; a standing clock is moved instead. An event `stopped` ends the wait."""
        if self.speed == 0:
            self.advance(max(0.0, seconds))
        elif seconds > 0:
            (stopped or threading.Event()).wait(seconds / self.speed)


class Slewing:
    """A quantity that moves to its target at a constant rate, after a dead time.

    Parameters
    ----------
    clock : Clock
    value : float
    rate : float
        Units per second.
    lag_s : float
        Each move takes at least so long.
    """

    def __init__(self, clock, value, rate, lag_s=0.0):
        self._clock, self.rate, self.lag_s = clock, rate, lag_s
        self._from = self.target = float(value)
        self._begin = -math.inf

    @property
    def value(self):
        """Where it is now."""
        gone = self.rate * max(0.0, self._clock.now() - self._begin - self.lag_s)
        way = self.target - self._from
        return self.target if gone >= abs(way) else self._from + math.copysign(gone, way)

    @property
    def remaining_s(self):
        """World time until it has arrived, 0 where it rests."""
        whole = self.lag_s + abs(self.target - self._from) / self.rate
        return max(0.0, self._begin + whole - self._clock.now())

    @property
    def moving(self):
        return self.remaining_s > 0

    def go(self, target):
        """Set out from here."""
        if target != self.target or self.moving:
            self._from, self.target, self._begin = self.value, float(target), self._clock.now()

    def stop(self):
        """Stay here."""
        self._from = self.target = self.value
        self._begin = -math.inf


class Relaxing:
    """A quantity that approaches its target exponentially: a thermal mass.

    Parameters
    ----------
    clock : Clock
    value : float
    time_constant_s : float
    """

    def __init__(self, clock, value, time_constant_s):
        self._clock, self.time_constant_s = clock, time_constant_s
        self._from = self.target = float(value)
        self._begin = clock.now()

    @property
    def value(self):
        """Where it is now."""
        passed = (self._clock.now() - self._begin) / self.time_constant_s
        return self.target + (self._from - self.target) * math.exp(-passed)

    def go(self, target):
        """Approach another value from here."""
        if target != self.target:
            self._from, self._begin, self.target = self.value, self._clock.now(), float(target)

    def jump(self, value):
        """Be at `value` now (a fault), and go on towards the target."""
        self._from, self._begin = float(value), self._clock.now()
