"""A recording that is still being written, read as it grows."""

import dataclasses
import os
import pathlib
import threading
import time

from qkdlab.datasets.recording import Recording
from qkdlab.errors import BadInput

__all__ = ["Followed", "Waiting", "follow"]

HEADER_PATIENCE_S = 5.0           # for a header that is only half there, where nothing is added to the file


class Waiting:
    """What to do at the present end of a growing file: wait a moment and look again, or call it the end.

    Parameters
    ----------
    idle_seconds : float, optional
        It is the end when nothing was added for so long; absent: only `stop` or the file itself says so.
    stop : threading.Event or callable, optional
        It is the end once it is set, or returns true.
    poll_seconds : float
        How often to look.
    """

    def __init__(self, idle_seconds=None, stop=None, poll_seconds=0.1):
        if idle_seconds is not None and not idle_seconds >= 0:
            raise BadInput("must be at least 0 s", field="idle_seconds", value=idle_seconds)
        if not 0.001 <= poll_seconds <= 3600:
            raise BadInput("must be from 0.001 to 3600 s", field="poll_seconds", value=poll_seconds)
        self.idle_seconds, self.poll_seconds = idle_seconds, poll_seconds
        self._asked = getattr(stop, "is_set", stop) or (lambda: False)
        if not callable(self._asked):
            raise BadInput("an event or a function is expected", field="stop", value=stop)
        self._ended = threading.Event()
        self._extent, self._since = None, 0.0

    def end(self):
        """Call it the end at the next look; from any thread."""
        self._ended.set()

    @property
    def ended(self):
        """Whether it was asked to end."""
        return self._ended.is_set() or bool(self._asked())

    def __call__(self, extent):
        """Wait a moment; whether to look again. `extent`: how much is there, in any unit."""
        now = time.monotonic()
        if extent != self._extent:
            self._extent, self._since = extent, now
        if self.ended or (self.idle_seconds is not None and now - self._since >= self.idle_seconds):
            return False
        self._ended.wait(self.poll_seconds)
        return True


@dataclasses.dataclass(frozen=True)
class Followed(Recording):
    """A recording whose blocks come as the file grows: a source for a session like any other.

    ``end_following()`` makes it end with what is there; it ends by itself where the file says that it is finished.
    """

    waiting: Waiting = dataclasses.field(default=None, repr=False)
    following = True              # detections go on: a session announces nothing early

    def end_following(self):
        """Let the blocks end with what is there now. Returns at once, from any thread."""
        self.waiting.end()


def follow(path, form=None, *, idle_seconds=None, stop=None, poll_seconds=0.1):
    """Open a recording that is still being written.

    Its ``tag_blocks()`` yields what is there, then what is added, in blocks of bounded memory. A record of which only a
    part is written waits for its rest. One block is held back, as the next may reach into it.

    Parameters
    ----------
    path : path-like
        A PicoQuant file, a run (HDF5), or a folder with a ``run.toml``; its header may still be on its way.
    form : str, optional
        As for :func:`qkdlab.datasets.open`.
    idle_seconds : float, optional
        End when nothing was added for so long; absent: wait until `stop`, or until the file says that it is finished.
    stop : threading.Event or callable, optional
        End once it is set, or returns true.
    poll_seconds : float
        How often to look.

    Returns
    -------
    Followed

    Raises
    ------
    BadInput
        As :func:`qkdlab.datasets.open`, or where the format cannot be followed.
    """
    from qkdlab import datasets

    waiting = Waiting(idle_seconds, stop, poll_seconds)
    recording = _patiently(lambda: datasets.open(path, form), pathlib.Path(path), waiting)
    if not hasattr(recording.stream, "following"):
        raise BadInput(f"a recording of the format '{recording.format}' cannot be followed while it is written",
                       where=path)
    fields = {f.name: getattr(recording, f.name) for f in dataclasses.fields(Recording)}
    # What the header promises and what is not closed is no news here: the end of the stream will tell.
    fields |= {"stream": recording.stream.following(waiting), "warnings": (), "complete": True}
    return Followed(**fields, waiting=waiting)


def _patiently(open_it, path, waiting):
    """Open, where the file may not be there yet or end in its header."""
    patience = HEADER_PATIENCE_S if waiting.idle_seconds is None else min(HEADER_PATIENCE_S, waiting.idle_seconds)
    wait = Waiting(patience, lambda: waiting.ended, waiting.poll_seconds)
    while True:
        try:
            return open_it()
        except BadInput:
            if not wait(os.path.getsize(path) if path.exists() else -1):
                raise
