"""Runs that do not live in the page that shows them: a process of their own, and a folder that tells what happens.

A closed tab, a reload or a restarted kernel does not end such a run, and any number of pages can watch one. The folder
is the whole interface:

============== =======================================================================================================
file           holds
============== =======================================================================================================
job.json       recording or bench, distillation settings, stretch, pace: written before the process starts, never again
process.json   number and start of the process at work
events.jsonl   one event a line, as :mod:`qkdlab.session` tells them; grows until the run ends
report.json    the report of ``qkdlab distill --json``; there once the run has ended with one
stop, pause    empty files: what the reader of the folder asks of the process
============== =======================================================================================================

Keys stay in the process and end with it: nothing of the folder holds key material.
"""

import contextlib
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import time

from .datatypes import DistillSettings, Event, as_table
from .errors import BadInput
from .settings import from_table, to_table

__all__ = ["DetachedRun", "begin", "prepare", "prepare_bench", "runs"]

POLL_SECONDS = 0.1
SILENT = {"waiting", "ended", "lost"}


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
    job = {"recording": str(recording), "distill": None if distill is None else to_table(distill),
           "block_seconds": block_seconds, "pace": pace,
           "made": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")}
    return DetachedRun(_kept(folder, recording.name, lambda home: job))


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
    made = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    name = "simulated-bench" if bench is None else bench.stem
    return DetachedRun(_kept(folder, name, lambda home: {
        "recording": str(home / "run.h5"), "bench": None if bench is None else str(bench), "seconds": seconds,
        "distill": None, "block_seconds": 0.1, "pace": None, "made": made}))


def _kept(folder, name, job):
    """The new folder of a run, with its job in it."""
    stamp = time.strftime("%Y-%m-%d_%H%M%S")
    name = re.sub(r"[^\w.-]+", "-", name) or "recording"
    try:
        home = _new_folder(pathlib.Path(folder).resolve(), f"{stamp}_{name}")
        _write(home / "job.json", job(home))
    except OSError as error:
        raise BadInput(f"cannot keep runs here: {error.strerror or error}", where=folder) from None
    return home


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


def runs(folder):
    """The runs kept in a folder, newest first; what is no run is passed over.

    Parameters
    ----------
    folder : path-like

    Returns
    -------
    list of DetachedRun
    """
    found = [p.parent for p in pathlib.Path(folder).glob("*/job.json")]
    return [DetachedRun(p) for p in sorted(found, key=lambda p: p.name, reverse=True)]


class DetachedRun:
    """A run of another process, to be watched and steered like a :class:`qkdlab.Session`.

    Parameters
    ----------
    folder : path-like
        As :func:`prepare` makes it.

    Raises
    ------
    BadInput
        Where there is no run.
    """

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        job = _read(self.folder / "job.json")
        if not isinstance(job, dict) or "recording" not in job:
            raise BadInput("no run is kept here", where=self.folder, field="job.json")
        self.recording = pathlib.Path(job["recording"])
        self.made = job.get("made", "")
        self.distill = None if job.get("distill") is None else from_table(
            DistillSettings, job["distill"], where=self.folder / "job.json")
        self._job = job

    @property
    def report(self):
        """What ``qkdlab distill --json`` prints, or None while there is none."""
        return _read(self.folder / "report.json")

    @property
    def state(self):
        """"waiting", "running", "paused", "ended", or "lost": its process has died without an end."""
        last = _last_line(self.folder / "events.jsonl")
        if last is not None and last["step"] in ("end", "error"):
            return "ended"
        process = _read(self.folder / "process.json")
        if process is None:
            return "waiting"
        if not _alive(process):
            last = _last_line(self.folder / "events.jsonl")          # it may have ended between the two looks
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
                event = Event(**json.loads(line))
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


# ------------------------------------------------------------------------------------------------------- the process


def main(folders):
    """Work through runs that were prepared, one after another."""
    for folder in folders:
        _work(pathlib.Path(folder))


def _work(folder):
    run = DetachedRun(folder)
    try:
        with (folder / "process.json").open("x", encoding="utf-8") as file:      # two processes never do one run
            json.dump({"pid": os.getpid(), "born": _born(os.getpid())}, file)
        events = (folder / "events.jsonl").open("x", encoding="utf-8")
    except FileExistsError:
        return
    with events:
        def tell(event):
            events.write(json.dumps(as_table(event)) + "\n")
            events.flush()

        if (folder / "stop").exists():
            tell(Event("error", 0, {"message": "stopped before it began"}))
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
        session.start(run._job.get("seconds"))
        _steer(session, folder)
    if session.report is not None:
        _write(folder / "report.json", session.report)
    for event in last:
        tell(event)


def _session(run, stack):
    """The session of a job: a recording, or the instruments of a bench."""
    from . import datasets
    from .live import Replay
    from .session import Session

    if "bench" in run._job:
        from . import bench

        return stack.enter_context(bench.open(run._job["bench"])).session(archive=run.recording)
    stretch = run._job["block_seconds"]
    return Session(Replay(datasets.open(run.recording), stretch), run.distill, block_seconds=stretch,
                   pace=run._job["pace"])


def _steer(session, folder):
    """Until the end, do what the reader of the folder asks."""
    while not session.wait(POLL_SECONDS):
        if (folder / "stop").exists():
            session.stop()
        session.pause() if (folder / "pause").exists() else session.resume()


# ------------------------------------------------------------------------------------------------------------ files


def _new_folder(home, name):
    for attempt in range(1000):
        path = home / (f"{name}_{attempt + 1}" if attempt else name)
        try:
            path.mkdir(parents=True)
            return path
        except FileExistsError:
            continue
    raise OSError("too many runs of one name")


def _write(path, table):
    """All of it or nothing: a reader never sees half a file."""
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(table, indent=1), encoding="utf-8")
    fresh.replace(path)


def _read(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _last_line(path):
    """The last whole event, or None."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            step = 1 << 16
            while True:
                file.seek(max(0, size - step))
                lines = file.read().split(b"\n")
                if len(lines) > 2 or step >= size:
                    break
                step *= 4
    except OSError:
        return None
    return json.loads(lines[-2]) if len(lines) > 1 and lines[-2] else None


def _alive(process):
    """Whether the process that this entry names still is: its number may have passed to another one."""
    try:
        os.kill(process["pid"], 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return _born(process["pid"]) == process["born"]


def _born(pid):
    """When a process started, where the system tells (None elsewhere); a zombie is none."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


if __name__ == "__main__":
    main(sys.argv[1:])
