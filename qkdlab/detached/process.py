"""What the process of a run does: work through the jobs, tell what happens, hear what is asked."""

import contextlib
import json
import os
import pathlib

from ..datatypes import Event, as_table
from .folder import POLL_SECONDS, born, write
from .run import DetachedRun

__all__ = ["main"]


def main(folders):
    """Work through runs that were prepared, one after another."""
    for folder in folders:
        _work(pathlib.Path(folder))


def _work(folder):
    run = DetachedRun(folder)
    try:
        with (folder / "process.json").open("x", encoding="utf-8") as file:      # two processes never do one run
            json.dump({"pid": os.getpid(), "born": born(os.getpid())}, file)
        events = (folder / "events.jsonl").open("x", encoding="utf-8")
    except FileExistsError:
        return
    with events:
        def tell(event):
            events.write(json.dumps(as_table(event)) + "\n")
            events.flush()

        if (folder / "stop").exists():
            tell(Event("error", 0, {"message": "stopped before it began", "stopped": True}))
            return
        try:
            _distill(run, folder, tell)
        except Exception as error:                 # whatever it was, the folder says it
            tell(Event("error", 0, {"message": str(error) or type(error).__name__}))


def _distill(run, folder, tell):
    last = []

    def hear(event):
        if event.step in ("end", "error"):
            last.append(event)                     # told when the report is on disk
        else:
            tell(event)

    with contextlib.ExitStack() as stack:
        session = _session(run, stack)
        session.subscribe(hear)
        session.start(run.job.get("seconds"))
        _steer(session, folder)
    if session.report is not None:
        write(folder / "report.json", session.report)
    for event in last:
        tell(event)


def _session(run, stack):
    """The session of a job: a recording, or the instruments of a bench."""
    from .. import datasets
    from ..live import Replay
    from ..session import Session

    if run.live:
        from .. import bench

        return stack.enter_context(bench.open(run.bench)).session(archive=run.recording)
    stretch = run.job["block_seconds"]
    return Session(Replay(datasets.open(run.recording), stretch), run.distill, block_seconds=stretch,
                   pace=run.job["pace"])


def _steer(session, folder):
    """Until the end, do what the reader of the folder asks."""
    while not session.wait(POLL_SECONDS):
        if (folder / "stop").exists():
            session.stop()
        session.pause() if (folder / "pause").exists() else session.resume()
