"""The files in the folder of a run, and whether its process is alive."""

import json
import os
import pathlib

__all__ = ["POLL_SECONDS", "alive", "born", "last_line", "new_folder", "read", "write"]

POLL_SECONDS = 0.1


def new_folder(home, name):
    """A folder of this name, with a number behind it where there is one."""
    for attempt in range(1000):
        path = home / (f"{name}_{attempt + 1}" if attempt else name)
        try:
            path.mkdir(parents=True)
            return path
        except FileExistsError:
            continue
    raise OSError("too many runs of one name")


def write(path, table):
    """All of it or nothing: a reader never sees half a file."""
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(table, indent=1), encoding="utf-8")
    fresh.replace(path)


def read(path):
    """The table in a file; None where there is none, or not yet."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def last_line(path):
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
    try:
        return json.loads(lines[-2]) if len(lines) > 1 and lines[-2] else None
    except ValueError:                                   # damaged: the disk was full, the power went
        return None


def alive(process):
    """Whether the process that this entry names still is: its number may have passed to another one."""
    try:
        os.kill(process["pid"], 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return born(process["pid"]) == process["born"]


def born(pid):
    """When a process started, where the system tells (None elsewhere); a zombie is none."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]
