"""Tags of several inputs that arrive as separate messages, put on one time axis in time order."""

import numpy as np

from qkdlab import _ext
from qkdlab.datatypes import TimeTags
from qkdlab.instruments.errors import GarbledReply

__all__ = ["SubAcquisitions", "joined"]

LIVELY = 30                      # tags in a stretch, after which a silent one is no chance: less than e^-30


class SubAcquisitions:
    """Recordings in stretches whose times restart at 0 in each stretch, one stream of messages an input.

    A step back in time within a stream is the beginning of its next stretch. So an input must see a click in every
    stretch: one that was silent through a stretch cannot be dated from then on, and its tags are counted as lost, never
    guessed. A stretch in which no input saw anything goes unnoticed.

    Parameters
    ----------
    channels : sequence of int
        Input numbers, 0 to 255.
    period_ps : int
        From the beginning of one stretch to the beginning of the next.
    """

    def __init__(self, channels, period_ps):
        self.channels, self.period_ps = tuple(channels), int(period_ps)
        self.stretch = 0                                 # the next to be handed out
        self._at = dict.fromkeys(self.channels, 0)       # the stretch that the stream of an input is in
        self._last = dict.fromkeys(self.channels, -1)    # the latest time seen there
        self._pieces = {}                                # (stretch, channel): arrays of times
        self._tags = dict.fromkeys(self.channels, 0)     # of an input in the last stretch that was handed out
        self._done, self._undated, self._lost, self._rooms = set(), set(), 0, {}

    def add(self, channel, times):
        """The next message of an input: int64 or uint64 times in ps; none at all is the end of its stream."""
        times = np.frombuffer(times, np.int64)
        if not len(times):
            self._done.add(channel)
            return
        if channel in self._undated:
            self._lost += len(times)
            return
        cuts = np.flatnonzero(times[1:] < times[:-1]) + 1
        least = min(int(times[0]), *(int(times[cut]) for cut in cuts)) if len(cuts) else int(times[0])
        if least < 0:
            raise GarbledReply(f"times of input {channel} beyond 63 bits", reply=least)
        if times[0] < self._last[channel]:
            self._at[channel] += 1
        for index, piece in enumerate(np.split(times, cuts) if len(cuts) else [times]):
            self._at[channel] += index > 0
            if self._at[channel] < self.stretch:         # that stretch was given away
                self._lost += len(piece)
            else:
                self._pieces.setdefault((self._at[channel], channel), []).append(piece)
        self._last[channel] = int(times[-1])

    def is_past(self, channel):
        """Whether the stream of an input has got past the stretch that comes next."""
        return channel in self._done or channel in self._undated or self._at[channel] > self.stretch

    def is_complete(self):
        """Whether all streams have."""
        return all(self.is_past(channel) for channel in self.channels)

    def is_begun(self):
        """Whether any stream has: those behind it may have nothing more to say of this stretch."""
        return any(self._at[channel] > self.stretch for channel in self.channels)

    def awaited(self):
        """Inputs behind the others that must have more to say: they were far from silent in the stretch before."""
        return [channel for channel in self.channels if not self.is_past(channel) and self._tags[channel] >= LIVELY]

    def is_over(self):
        """Whether every stream has ended and been handed out."""
        return not self._pieces and all(channel in self._done for channel in self.channels)

    def has_ended(self):
        """Whether every stream has ended."""
        return self._done.issuperset(self.channels)

    def end(self):
        """Wait for no stream any more."""
        self._done.update(self.channels)

    def take(self):
        """The stretch that comes next as TimeTags; what arrives of it later is lost."""
        for channel in self.channels:
            if not self.is_past(channel) and (self.stretch, channel) not in self._pieces:
                self._undated.add(channel)
        streams = []
        for channel in self.channels:
            pieces = self._pieces.pop((self.stretch, channel), ())
            self._tags[channel] = n = sum(map(len, pieces))
            if pieces:
                times = pieces[0] if len(pieces) == 1 else np.concatenate(pieces, out=self._room(channel, n, np.int64))
                streams.append((times, self._room((channel,), n, np.uint8, fill=channel)))
        times, channels = self._merged(streams)
        times += self.stretch * self.period_ps
        lost, self._lost = self._lost, 0
        self.stretch += 1
        return TimeTags(times, channels, lost)

    def _merged(self, streams):
        """All streams as one, in new arrays; what lies between goes to memory that is used again and again."""
        if len(streams) < 2:
            columns = streams[0] if streams else ((), ())
            return np.array(columns[0], np.int64), np.array(columns[1], np.uint8)
        while len(streams) > 1:                          # in pairs, so that each tag is moved as rarely as can be
            merged = []
            for i in range(0, len(streams) - 1, 2):
                (a, a_channel), (b, b_channel) = streams[i : i + 2]
                n, key = len(a) + len(b), (len(streams), i)
                out = (np.empty(n, np.int64), np.empty(n, np.uint8)) if len(streams) == 2 else \
                    (self._room(("times", *key), n, np.int64), self._room(("channels", *key), n, np.uint8))
                _ext.streams.merge(a, a_channel, b, b_channel, *out)
                merged.append(out)
            streams = merged + streams[len(streams) & ~1 :]
        return streams[0]

    def _room(self, key, n, dtype, fill=0):
        """`n` numbers of memory kept under `key` (touching new memory costs more than merging does)."""
        room = self._rooms.get(key)
        if room is None or len(room) < n:
            room = self._rooms[key] = np.full(n + n // 4, fill, dtype)
        return room[:n]


def joined(blocks):
    """Stretches of tags one after the other as one."""
    if len(blocks) == 1:
        return blocks[0]
    return TimeTags(np.concatenate([b.time_ps for b in blocks]), np.concatenate([b.channel for b in blocks]),
                    sum(b.lost for b in blocks))
