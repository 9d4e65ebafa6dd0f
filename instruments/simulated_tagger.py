"""A time tagger at the end of a simulated link."""

import threading

from qkdlab.errors import BadInput
from qkdlab.instruments.interfaces import TimeTagger
from qkdlab.settings import to_table

__all__ = ["SimulatedTagger", "connect"]


def connect(link):
    """A tagger wired to the detectors of a :class:`qkdlab.simulation.SimulatedLink`."""
    return SimulatedTagger(link)


class SimulatedTagger:
    """Streams what Bob's detectors see; the link may be changed while it runs."""

    kinds = (TimeTagger,)
    simulated = True

    def __init__(self, link):
        self._link, self._stopped, self._started = link, threading.Event(), False

    def identity(self):
        return "qkdlab,simulated time tagger,0,1"

    def snapshot(self):
        link = self._link
        return {"identity": self.identity(), "clock": to_table(link.clock), "detectors": to_table(link.detectors)}

    def start(self):
        self._started = True
        self._stopped.clear()

    def blocks(self, block_seconds):
        if not self._started:
            raise BadInput("the tagger was not started: call start() first", where=self.identity())
        for tags in self._link.blocks(float("inf"), block_seconds):
            yield tags
            if self._stopped.is_set():
                return

    def stop(self):
        self._stopped.set()

    def safe_state(self):
        self.stop()

    def close(self):
        self.stop()
        self._started = False

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()
