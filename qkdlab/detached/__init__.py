"""Runs that do not live in the page that shows them: a process of their own, and a folder that tells what happens.

A closed tab, a reload or a restarted kernel does not end such a run, and any number of pages can watch one. The folder
is the whole interface:

============== =======================================================================================================
file           holds
============== =======================================================================================================
job.json       recording or bench, distillation settings, stretch, pace: written before the process starts, never again
queued.json    number and start of the process that is to do it, perhaps after others
process.json   number and start of the process at work
events.jsonl   one event a line, as :mod:`qkdlab.session` tells them; grows until the run ends
report.json    the report of ``qkdlab distill --json``; there once the run has ended with one
stop, pause    empty files: what the reader of the folder asks of the process
============== =======================================================================================================

Keys stay in the process and end with it: nothing of the folder holds key material.
"""

import contextlib
import datetime
import pathlib
import re
import time

from ..errors import BadInput
from ..settings import to_table
from .folder import new_folder, write
from .process import main
from .run import DetachedRun, begin

__all__ = ["DetachedRun", "begin", "main", "prepare", "prepare_bench", "runs"]


def prepare(recording, folder, *, distill=None, block_seconds=0.1, pace=None):
    """Make the folder of a run, without starting it.

    Parameters
    ----------
    recording : path-like
    folder : path-like
        Where runs are kept; the run gets a folder of its own there, named by date and recording.
    distill : DistillSettings, optional
        The recording's own where it has them.
    block_seconds : float
        Link time between two events.
    pace : float, optional
        Link seconds per second; absent: as fast as it goes.

    Returns
    -------
    DetachedRun

    Raises
    ------
    BadInput
        Where there is no such recording, or the folder cannot be written.
    """
    recording = pathlib.Path(recording).resolve()
    if not recording.exists():
        raise BadInput("no such file", where=recording)
    return DetachedRun(_kept(folder, recording.name, lambda home: {
        "recording": str(recording), "distill": None if distill is None else to_table(distill),
        "block_seconds": block_seconds, "pace": pace}))


def prepare_bench(bench, folder, *, seconds):
    """Make the folder of a live run on the instruments of a bench file, without starting it.

    Parameters
    ----------
    bench : path-like or None
        None: the shipped bench, all simulated.
    folder : path-like
        As for :func:`prepare`; the tags are recorded there as ``run.h5``.
    seconds : float
        Link time after which the run ends by itself.

    Returns
    -------
    DetachedRun

    Raises
    ------
    BadInput
    """
    if not 0 < seconds < 1e7:
        raise BadInput("must be above 0 s and below 1e7 s", field="seconds", value=seconds)
    if bench is not None:
        bench = pathlib.Path(bench).resolve()
        if not bench.is_file():
            raise BadInput("no such file", where=bench)
    name = "simulated-bench" if bench is None else bench.stem
    return DetachedRun(_kept(folder, name, lambda home: {
        "recording": str(home / "run.h5"), "bench": None if bench is None else str(bench), "seconds": seconds,
        "distill": None, "block_seconds": 0.1, "pace": None}))


def _kept(folder, name, job):
    """The new folder of a run, with its job and the time in it."""
    made = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    stamp = time.strftime("%Y-%m-%d_%H%M%S")
    name = re.sub(r"[^\w.-]+", "-", name) or "recording"
    try:
        home = new_folder(pathlib.Path(folder).resolve(), f"{stamp}_{name}")
        write(home / "job.json", job(home) | {"made": made})
    except OSError as error:
        raise BadInput(f"cannot keep runs here: {error.strerror or error}", where=folder) from None
    return home


def runs(folder):
    """The runs kept in a folder, newest first; what is no run is passed over.

    Parameters
    ----------
    folder : path-like

    Returns
    -------
    list of DetachedRun
    """
    found = []
    for path in sorted(pathlib.Path(folder).glob("*/job.json"), key=lambda p: p.parent.name, reverse=True):
        with contextlib.suppress(BadInput):              # a damaged one does not hide the others
            found.append(DetachedRun(path.parent))
    return found
