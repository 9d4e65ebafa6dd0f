"""Where a workbench's sessions come from: a simulated link, a recording, a live link. One notebook, three sources."""

import os

from qkdlab.datasets import open as open_recording
from qkdlab.live import Replay
from qkdlab.session import Session
from qkdlab.simulation import simulate

__all__ = ["recipes"]


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
