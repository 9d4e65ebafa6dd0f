"""qkdlab: an interactive lab workbench for decoy-state quantum key distribution.

The names below are loaded when they are first used, so that ``import qkdlab`` stays quick and loads no plotting,
widget or file library.
"""

import importlib

__version__ = "0.1.0"

_HOME = {
    "Bits": "bits",
    "DecoyCounts": "datatypes",
    "DistillSettings": "datatypes",
    "ReceiverSettings": "datatypes",
    "Session": "session",
    "SourceSettings": "datatypes",
    "SynchronisationSettings": "datatypes",
    "TimeTags": "datatypes",
    "amplify": "postprocessing.amplify",
    "encode": "choices",
    "open": "datasets",
    "reconcile": "postprocessing.reconcile",
    "simulate": "simulation",
}
__all__ = sorted(_HOME)


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module 'qkdlab' has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted(set(globals()) | set(__all__))
