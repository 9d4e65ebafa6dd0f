"""Where a workbench's sessions come from: a simulated link, a recording, a live link. One notebook, three sources."""

import os

import numpy as np

from qkdlab.datasets import open as open_recording
from qkdlab.datatypes import TimeTags
from qkdlab.session import Session
from qkdlab.simulation import simulate

__all__ = ["Replay", "recipes"]


def recipes(session=None, simulated=None, replayed=None, live=None, *, seed=None, distill=None, block_seconds=0.1,
            pace=1.0):
    """How to make a session of each source, by its name.

    Parameters
    ----------
    session : Session, or callable that returns one, optional
    simulated : dict of str to settings object, optional
        As :func:`qkdlab.simulate` takes it.
    replayed : path-like or Recording, optional
    live : callable that returns a link, optional
        For example ``lambda: LiveLink(choices, receiver, tagger)``.
    seed : int, optional
        Of the simulated link; absent: another link at each start.
    distill, block_seconds, pace
        As :class:`qkdlab.Session` takes them.

    Returns
    -------
    dict of str to callable
        Each takes a dict of settings that were turned by hand (used by a simulated link only) and returns a Session
        that has not run.
    """
    options = {"distill": distill, "block_seconds": block_seconds, "pace": pace}
    made = {}
    if session is not None:
        made["session"] = lambda turned: session() if callable(session) else session
    if simulated is not None:
        made["simulated"] = lambda turned: Session(simulate({**simulated, **turned}, seed), **options)
    if replayed is not None:
        made["replayed"] = lambda turned: Session(Replay(_opened(replayed), block_seconds), **options)
    if live is not None:
        made["live"] = lambda turned: Session(live(), **options)
    if not made:
        raise TypeError("a workbench needs a session, or at least one of simulated=, replayed=, live=")
    return made


def _opened(recording):
    return open_recording(recording) if isinstance(recording, str | os.PathLike) else recording


class Replay:
    """A recording that comes in stretches of link time, so that it can be watched like a live link.

    Parameters
    ----------
    recording : Recording
    block_seconds : float
        Link time of a stretch.
    """

    def __init__(self, recording, block_seconds=0.1):
        self._recording, self._stretch_ps = recording, max(1, round(block_seconds * 1e12))

    def __getattr__(self, name):
        return getattr(self._recording, name)

    def tag_blocks(self, **options):
        """The recording's tags; no TimeTags spans more than one stretch, none is empty."""
        for tags in self._recording.tag_blocks(**options):
            stretch = tags.time_ps // self._stretch_ps
            edges = [0, *(np.flatnonzero(np.diff(stretch)) + 1).tolist(), len(tags)]
            for first, after in zip(edges, edges[1:], strict=False):
                if after > first:
                    yield TimeTags(tags.time_ps[first:after], tags.channel[first:after], tags.lost if not first else 0)
