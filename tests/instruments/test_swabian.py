import threading

import numpy as np
import pytest

from qkdlab.errors import BadInput
from qkdlab.instruments.errors import InstrumentDisconnected
from qkdlab.instruments.swabian import connect


class Data:
    def __init__(self, times, channels, kinds, missed):
        self.columns = [np.array(c, t) for c, t in zip((times, channels, kinds, missed),
                                                       (np.int64, np.int32, np.uint8, np.uint16), strict=True)]

    def getTimestamps(self):
        return self.columns[0]

    def getChannels(self):
        return self.columns[1]

    def getEventTypes(self):
        return self.columns[2]

    def getMissedEvents(self):
        return self.columns[3]


class Library:
    """A stand-in for the maker's module: one tagger whose stream plays what it was given."""

    def __init__(self, data=(), present=True):
        self.data, self.present, self.freed, self.levels, self.dead = list(data), present, 0, {1: 0.5, 2: 0.5}, {1: 0, 2: 0}

    def createTimeTagger(self, serial=""):
        if not self.present:
            raise RuntimeError("No Time Tagger found")
        return self

    def freeTimeTagger(self, tagger):
        self.freed += 1

    def getSerial(self):
        return "1740000JG"

    def getModel(self):
        return "Time Tagger Ultra"

    def getTriggerLevel(self, channel):
        return self.levels[channel]

    def setTriggerLevel(self, channel, volts):
        self.levels[channel] = volts

    def getDeadtime(self, channel):
        return self.dead[channel]

    def setDeadtime(self, channel, ps):
        self.dead[channel] = ps

    def TimeTagStream(self, tagger, size, channels):
        self.channels = channels
        return self

    def getData(self):
        return self.data.pop(0) if self.data else Data([], [], [], [])

    def stop(self):
        pass


def test_tags_and_what_was_missed():
    library = Library([Data([10, 20, 30], [1, -2, 1], [0, 0, 0], [0, 0, 0]),
                       Data([40, 41, 50], [2, 1, 1], [0, 4, 0], [0, 12, 0])])
    with connect(channels=(1, -2), library=library) as tagger:
        assert tagger.identity() == "Swabian,Time Tagger Ultra,1740000JG"
        with pytest.raises(BadInput, match="start"):
            next(tagger.blocks(0.1))
        tagger.start()
        blocks = tagger.blocks(0.1)
        first = next(blocks)
        threading.Timer(0.05, tagger.stop).start()
        rest = list(blocks)
        assert first.time_ps.tolist() == [10, 20, 30, 40, 50] and first.channel.tolist() == [1, 130, 1, 2, 1]
        assert first.lost == 12 and sum(len(b) for b in rest) == 0 and library.channels == [1, -2]
    assert library.freed == 1


def test_settings():
    library = Library()
    with connect(channels=(1, 2), library=library, threshold_1_v=0.25, dead_time_2_ps=2000) as tagger:
        assert library.levels[1] == 0.25 and library.dead[2] == 2000 and tagger.threshold_1_v == 0.25
        with pytest.raises(BadInput, match="-2.5 to 2.5 V"):
            tagger.threshold_2_v = 3
        assert set(tagger.snapshot()) == {"threshold_1_v", "threshold_2_v", "dead_time_1_ps", "dead_time_2_ps"}


def test_without_the_library_or_the_device():
    with pytest.raises(BadInput, match="pip install Swabian-TimeTagger"):
        connect()
    with pytest.raises(InstrumentDisconnected, match="No Time Tagger"):
        connect(library=Library(present=False))
    for wrong in ((), (1, 1), (0,), (128,)):
        with pytest.raises(BadInput, match="channels"):
            connect(channels=wrong, library=Library())
