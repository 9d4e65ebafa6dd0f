"""What a figure means nothing without: the machine, and the versions of what ran."""

import importlib.metadata
import os
import pathlib
import platform

import qkdlab
from qkdlab import _ext

__all__ = ["PEERS", "surroundings"]

PEERS = ("numpy", "scipy", "ptufile", "phconvert", "tttrlib", "randextract")


def surroundings():
    """``machine`` and ``versions``, each a dict of plain values."""
    return {
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
            "system": f"{platform.system()} {platform.machine()}",
            "instructions": _ext.path,
        },
        "versions": {"qkdlab": qkdlab.__version__, "python": platform.python_version()}
        | {name: version for name in PEERS if (version := _version(name))},
    }


def _processor():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    fields = dict(reversed([part.strip() for part in line.partition(":")[::2]][::-1]) for line in lines if ":" in line)
    name = fields.get("model name", platform.machine())
    return f"{name}, family {fields['cpu family']} model {fields['model']}" if "cpu family" in fields else name


def _version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
