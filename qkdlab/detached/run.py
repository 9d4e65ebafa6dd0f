"""A run of another process, seen through its folder."""

import json
import os
import pathlib
import subprocess
import sys
import threading
import time

from ..datatypes import DistillSettings, Event
from ..errors import BadInput
from ..settings import from_table
from .folder import POLL_SECONDS, alive, born, last_line, read, write

__all__ = ["DetachedRun", "begin"]


def begin(*prepared):
    """Start one process that works through these runs in order. Returns at once.

    Parameters
    ----------
    *prepared : DetachedRun
    """
    folders = [str(run.folder) for run in prepared]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([sys.executable, "-P", "-m", "qkdlab.detached", *folders], start_new_session=True,
                               env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}, **quiet)
    threading.Thread(target=process.wait, name="qkdlab-detached", daemon=True).start()    # no zombie stays
    for run in prepared:
        write(run.folder / "queued.json", {"pid": process.pid, "born": born(process.pid)})


class DetachedRun:
    """A run of another process, to be watched and steered like a :class:`qkdlab.Session`.

    Parameters
    ----------
    folder : path-like
        As :func:`qkdlab.detached.prepare` makes it.

    Attributes
    ----------
    recording : pathlib.Path
        What is replayed, or where a bench's tags are recorded.
    made : str
        When it was prepared (ISO 8601).
    live : bool
        Whether it is taken from instruments.
    bench : str or None
        Their file; None: the shipped one.
    distill : DistillSettings or None
        None: the recording's own.
    job : dict
        What is to be done, as in ``job.json``.

    Raises
    ------
    BadInput
        Where there is no run.
    """

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        job = read(self.folder / "job.json")
        if not isinstance(job, dict) or not isinstance(job.get("recording"), str):
            raise BadInput("no run is kept here", where=self.folder, field="job.json")
        self.recording = pathlib.Path(job["recording"])
        self.made = job.get("made", "")
        self.live, self.bench = "bench" in job, job.get("bench")
        self.distill = None if job.get("distill") is None else from_table(
            DistillSettings, job["distill"], where=self.folder / "job.json")
        self.job = job

    @property
    def report(self):
        """What ``qkdlab distill --json`` prints, or None while there is none."""
        return read(self.folder / "report.json")

    @property
    def begun(self):
        """Whether a process was told to do it; one that was only prepared waits for ever."""
        return (self.folder / "queued.json").exists() or (self.folder / "process.json").exists()

    @property
    def state(self):
        """"waiting", "running", "paused", "ended", or "lost": its process has died without an end."""
        last = last_line(self.folder / "events.jsonl")
        if last is not None and last["step"] in ("end", "error"):
            return "ended"
        process = read(self.folder / "process.json")
        if process is None:
            queued = read(self.folder / "queued.json")
            if queued is None or alive(queued):
                return "waiting"
        if process is None or not alive(process):
            last = last_line(self.folder / "events.jsonl")          # it may have ended between the two looks
            return "ended" if last is not None and last["step"] in ("end", "error") else "lost"
        return "paused" if (self.folder / "pause").exists() else "running"

    def start(self):
        """Begin; returns at once.

        Raises
        ------
        RuntimeError
            Where it has begun before.
        """
        if self.state != "waiting":
            raise RuntimeError("this run has begun already; make a new one to run again")
        begin(self)

    def stop(self):
        """Ask for the end of the present block; what was collected is distilled if it is enough."""
        (self.folder / "stop").touch()

    def pause(self):
        """Hold after the present stretch."""
        (self.folder / "pause").touch()

    def resume(self):
        """Go on after `pause`."""
        (self.folder / "pause").unlink(missing_ok=True)

    def subscribe(self, callback):
        """Call ``callback(event)`` on a thread for every event from the first on; returns a function that ends it.

        A run whose process has died ends with an ``error`` event that says so.
        """
        ended = threading.Event()
        threading.Thread(target=self._follow, args=(callback, ended), name="qkdlab-follow", daemon=True).start()
        return ended.set

    def wait(self, timeout=None):
        """Wait for the end; whether it has come. Not for notebook cells."""
        until = None if timeout is None else time.monotonic() + timeout
        while self.state not in ("ended", "lost"):
            if until is not None and time.monotonic() >= until:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def _follow(self, callback, ended):
        for event in self.events(ended):
            callback(event)

    def events(self, ended=None):
        """Every event from the first on, as they come, until the run ends (or `ended` is set).

        Yields
        ------
        Event
        """
        path, at, rest = self.folder / "events.jsonl", 0, b""
        ended = ended or threading.Event()
        while not ended.is_set():
            gone = self.state == "lost"            # asked before reading: what was written until then is still told
            try:
                with path.open("rb") as file:
                    file.seek(at)
                    news = file.read()
            except FileNotFoundError:
                news = b""
            at += len(news)
            *lines, rest = (rest + news).split(b"\n")
            for line in lines:
                try:
                    event = Event(**json.loads(line))
                except (ValueError, TypeError):          # damaged: the disk was full, the power went
                    continue
                yield event
                if event.step in ("end", "error"):
                    return
                if ended.is_set():
                    return
            if gone and not news:
                yield Event("error", 0, {"message": "the process of this run has died; start it again"})
                return
            if not news:
                ended.wait(POLL_SECONDS)
