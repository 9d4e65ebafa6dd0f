"""Where a run or a result comes from: its id, the time, the software and the machine."""

import datetime
import functools
import hashlib
import importlib.metadata
import pathlib
import platform
import subprocess
import threading
import time

from .entropy import entropy

__all__ = ["now", "packages_sha256", "run_id", "source_state", "surroundings"]

_one_at_a_time, _last_tick = threading.Lock(), [0]


def now():
    """The time as ISO 8601 with its zone (UTC), to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def run_id():
    """A new id: UUID version 7 (RFC 9562, section 5.7). Ids sort by time: the first 48 bits are ms, the next 12 behind the
    version parts of one (section 6.2, method 3), and no id of this process sorts before an earlier one."""
    with _one_at_a_time:
        _last_tick[0] = tick = max(_last_tick[0] + 1, time.time_ns() * 4096 // 10**6)
    ms, part = divmod(tick, 4096)
    number = ms << 80 | 0x7 << 76 | part << 64 | 0x2 << 62 | int.from_bytes(entropy(8), "big") >> 2
    text = f"{number:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


@functools.cache
def surroundings():
    """The machine and the software beyond the versions of the packages that matter most.

    Returns
    -------
    dict
        ``host, system, processor, python``; ``git``: of the checkout that qkdlab runs from, ``commit`` and whether it was
        ``dirty`` (changed since), or None where it is installed without one; ``packages_sha256``: of all installed
        packages with their versions.
    """
    return {"host": platform.node(), "system": platform.platform(), "processor": platform.machine(),
            "python": platform.python_version(), "git": source_state(), "packages_sha256": packages_sha256()}


@functools.cache
def source_state():
    """Commit of the checkout that this module runs from, and whether it was changed since; None without one."""
    folder = pathlib.Path(__file__).resolve().parent.parent
    if not (folder / ".git").exists():
        return None
    try:
        commit, changes = (subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True,
                                          timeout=10).stdout.strip()
                           for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"]))
    except (OSError, subprocess.SubprocessError):          # no git here, or a checkout of another user
        return None
    return {"commit": commit, "dirty": bool(changes)}


@functools.cache
def packages_sha256():
    """sha256 over the sorted lines ``name==version`` of all installed packages."""
    found = {f"{d.name.lower()}=={d.version}" for d in importlib.metadata.distributions() if d.name}
    return hashlib.sha256("\n".join(sorted(found)).encode()).hexdigest()
