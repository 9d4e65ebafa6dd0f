"""Time tagger Swabian Time Tagger: an object in the place of the vendor's Python module, in this process.

The vendor's own virtual tagger needs a licence from a real one, so that it cannot stand in. The names are those of the
vendor's interface documentation as remembered; ``device(world).module`` is what ``import TimeTagger`` would give.
"""

import numpy as np

from .device import Device

__all__ = ["SERVED", "SERVES", "SwabianModule", "device"]

SERVES = "time tagger, Swabian Time Tagger (a stand-in for the vendor's module, in this process)"
SERVED = False                   # no port: an object
_TAG, _ERROR, _OVERFLOW_BEGIN, _OVERFLOW_END, _MISSED = range(5)


def device(world, *, name="swabian", **options):
    """A :class:`SwabianDevice`, whose ``module`` stands in for the vendor's."""
    return SwabianDevice(world, name, **options)


class SwabianDevice(Device):
    """The tagger behind the module. Inputs 1 to 4 are key 0, key 1, test 0, test 1.

    Parameters
    ----------
    world : World
    name : str
    serial : str
    """

    scheme = "python"
    faults = {"overflow": "the next `tags` tags (default 1000) are lost between the events that say so",
              "disconnect": "the tagger is not found or does not answer any more"}

    def __init__(self, world, name, serial="SIMULATED"):
        super().__init__(world, name)
        self.serial, self.module, self.plugged = serial, SwabianModule(self), 0

    def repaired(self, kind):
        self.plugged += kind == "disconnect"


class SwabianModule:
    """What the vendor's module offers, as far as a stream of tags needs it."""

    def __init__(self, device):
        self._device = device

    def scanTimeTagger(self):
        """Serial numbers of the taggers that are there."""
        return () if self._device.broken("disconnect") is not None else (self._device.serial,)

    def createTimeTagger(self, serial=""):
        """The tagger; RuntimeError where there is none."""
        if serial not in ("", *self.scanTimeTagger()) or not self.scanTimeTagger():
            raise RuntimeError("Could not connect to Time Tagger: no device found")
        return _Tagger(self._device)

    def freeTimeTagger(self, tagger):
        """Let go of a tagger."""
        tagger.freed = True

    def TimeTagStream(self, tagger, n_max_events, channels):
        """A stream of the tags of some inputs; negative numbers are falling edges."""
        return _Stream(tagger, int(n_max_events), [int(c) for c in channels])


class _Tagger:
    """Of no use any more once it was let go or lost: a tagger that is plugged in again is a new object."""

    def __init__(self, device):
        self.device, self.freed, self._plugged = device, False, device.plugged
        self._levels, self._delays, self._dead = {}, {}, {}

    @property
    def gone(self):
        return self.freed or self._plugged != self.device.plugged or self.device.broken("disconnect") is not None

    def _refuse_gone(self):
        if self.gone:
            raise RuntimeError("the Time Tagger is not connected")

    def getSerial(self):
        self._refuse_gone()
        return self.device.serial

    def getModel(self):
        return "Time Tagger Ultra"

    def getFirmwareVersion(self):
        return "simulated"

    def setTriggerLevel(self, channel, voltage):
        self._refuse_gone()
        self._levels[abs(channel)] = float(voltage)

    def getTriggerLevel(self, channel):
        self._refuse_gone()
        return self._levels.get(abs(channel), 0.5)

    def setInputDelay(self, channel, delay):
        self._delays[channel] = int(delay)

    def getInputDelay(self, channel):
        return self._delays.get(channel, 0)

    def setDeadtime(self, channel, deadtime):
        self._dead[channel] = int(deadtime)
        return int(deadtime)

    def getDeadtime(self, channel):
        return self._dead.get(channel, 2000)

    def sync(self):
        """Wait until settings are in force."""


class _Stream:
    """Tags come as world time passes; with a clock that stands, each question for data lets 10 ms pass."""

    PULSE_PS, _STEP_S, _MOST_S = 10_000, 0.01, 0.5

    def __init__(self, tagger, n_max_events, channels):
        self._tagger, self._most, self._channels, self._running = tagger, n_max_events, channels, False
        self.start()

    def start(self):
        self._running, self._since_s = True, self._tagger.device.world.clock.now()

    def stop(self):
        self._running = False

    def isRunning(self):
        return self._running

    def clear(self):
        self._since_s = self._tagger.device.world.clock.now()

    def getData(self):
        """What came since the last call, a buffer."""
        self._tagger._refuse_gone()
        world = self._tagger.device.world
        world.clock.sleep(self._STEP_S if world.clock.speed == 0 else 0)
        passed_s = min(world.clock.now() - self._since_s, self._MOST_S)
        if not self._running or passed_s <= 0:
            return _Buffer(*(np.empty(0, t) for t in (np.int64, np.int32, np.uint8, np.uint16)), self._most)
        tags = world.take(passed_s)
        self._since_s += passed_s
        return self._overflown(*self._edges(tags))

    def _edges(self, tags):
        """Both kinds of edges that were asked for, in time order."""
        times, channels, places = [np.empty(0, np.int64)], [np.empty(0, np.int32)], [np.empty(0, np.int64)]
        for number, channel in enumerate(self._tagger.device.world.link.receiver.channels, 1):
            if self._tagger.getTriggerLevel(number) > 1.0:           # above the detectors' pulses
                continue
            place = np.flatnonzero(tags.channel == channel)
            for edge, late in ((number, 0), (-number, self.PULSE_PS)):
                if edge in self._channels:
                    times.append(tags.time_ps[place] + late + self._tagger.getInputDelay(edge))
                    channels.append(np.full(len(place), edge, np.int32))
                    places.append(place)
        time, channel, place = map(np.concatenate, (times, channels, places))
        order = np.lexsort((place, time))
        return time[order], channel[order]

    def _overflown(self, time, channel):
        """The buffer; where an overflow was asked for, tags are replaced by begin, missed and end."""
        kind, missed = np.zeros(len(time), np.uint8), np.zeros(len(time), np.uint16)
        fault = self._tagger.device.strikes("overflow")
        n = min(int((fault or {}).get("tags", 1000)), len(time), 65535) if fault is not None else 0
        if n >= 3:
            self._tagger.device.clear("overflow")
            keep = np.r_[0:2, n - 1 : len(time)]
            time, channel, kind, missed = time[keep], channel[keep].copy(), kind[keep], missed[keep]
            kind[:3] = _OVERFLOW_BEGIN, _MISSED, _OVERFLOW_END
            channel[0] = channel[2] = 0
            missed[1] = n
        return _Buffer(time[: self._most], channel[: self._most], kind[: self._most], missed[: self._most], self._most)


class _Buffer:
    """What ``getData`` gives."""

    def __init__(self, time, channel, kind, missed, most):
        self._time, self._channel, self._kind, self._missed = time, channel, kind, missed
        self.size, self.hasOverflows = len(time), bool(np.any(kind != _TAG))
        self.maxSize = most

    def getTimestamps(self):
        """int64, ps."""
        return self._time

    def getChannels(self):
        """int32; negative for falling edges."""
        return self._channel

    def getEventTypes(self):
        """uint8: 0 tag, 1 error, 2 overflow begins, 3 overflow ends, 4 missed events."""
        return self._kind

    def getMissedEvents(self):
        """uint16: how many, at events of type 4."""
        return self._missed

    def getOverflows(self):
        """uint8, as :meth:`getEventTypes`: the older name."""
        return self._kind
