"""Sources that come as time goes by: a link over instruments, and a recording played as if it were one."""

import numpy as np

from .datatypes import TimeTags

__all__ = ["LiveLink", "Replay"]

FINEST_SHARE = 0.005             # a stretch of a long replay is this share of what has passed: some thousand stretches a day


class LiveLink:
    """A source over instruments, taken by :class:`qkdlab.Session` like a recording or a simulated link.

    Parameters
    ----------
    choices : object with ``source``, ``sync`` and ``at(slots)``
        What the sender plays (see :mod:`qkdlab.choices`).
    receiver : ReceiverSettings
    tagger : qkdlab.instruments.TimeTagger
    """

    def __init__(self, choices, receiver, tagger):
        self.choices, self.source, self.sync = choices, choices.source, choices.sync
        self.receiver, self.tagger = receiver, tagger
        self.simulated = tagger.simulated

    def blocks(self, seconds, block_seconds):
        """Bob's tags for about `seconds` of wall time by the tagger's clock, then the tagger is stopped."""
        self.tagger.start()
        try:
            for index, tags in enumerate(self.tagger.blocks(block_seconds), start=1):
                yield tags
                if index * block_seconds >= seconds:
                    return
        finally:
            self.tagger.stop()


class Replay:
    """A recording that comes in stretches of link time, so that it can be watched like a live link.

    Parameters
    ----------
    recording : Recording
    block_seconds : float
        Link time of a stretch. The stretches of a recording of hours grow with the time that has passed.
    """

    def __init__(self, recording, block_seconds=0.1):
        self._recording, self._stretch_ps = recording, max(1, round(block_seconds * 1e12))

    def __getattr__(self, name):
        return getattr(self._recording, name)

    def tag_blocks(self, **options):
        """The recording's tags; no TimeTags spans more than one stretch, none is empty."""
        start = end = None
        for tags in self._recording.tag_blocks(**options):
            first = 0
            while first < len(tags):
                time_ps = int(tags.time_ps[first])
                if end is None or time_ps >= end:
                    start = time_ps if start is None else start
                    stretch = max(self._stretch_ps, round(FINEST_SHARE * (time_ps - start)))
                    end = time_ps - time_ps % self._stretch_ps + stretch
                after = int(np.searchsorted(tags.time_ps, end))
                yield TimeTags(tags.time_ps[first:after], tags.channel[first:after], tags.lost if not first else 0)
                first = after
