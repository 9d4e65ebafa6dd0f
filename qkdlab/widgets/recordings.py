"""The recordings of a folder, and what one of them is, in words."""

import os
import pathlib

from qkdlab import datasets
from qkdlab.errors import BadInput

__all__ = ["described", "found", "opens"]

WHOLE = ("a run's .h5 file, its folder, or its tag file, Alice's record and run.toml dropped here together")
MOST = 300                       # entries of a folder that are looked at


def found(*folders):
    """The recordings in these folders: path to Recording or None, newest first.

    A file that a recording's folder holds is not listed beside the folder.

    Parameters
    ----------
    *folders : path-like

    Returns
    -------
    list of pathlib.Path
    """
    seen = []
    for folder in map(pathlib.Path, folders):
        try:
            entries = sorted(folder.iterdir(), key=lambda p: p.stat().st_mtime, reverse=True)[:MOST]
        except OSError:
            continue
        seen += [p for p in entries if not p.name.startswith(".")
                 and ((p / "run.toml").is_file() if p.is_dir() else opens(p))]
    return seen


def opens(path):
    """Whether a file, or a folder with its ``run.toml``, can be read as a recording."""
    try:
        return bool(datasets.open(path))
    except (BadInput, OSError):
        return False


def described(path):
    """What a recording is, in a few plain sentences, without reading it to its end.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    (list of str, bool)
        The sentences, and whether a key can be tried.
    """
    try:
        recording = datasets.open(path)
    except (BadInput, OSError) as error:
        return [f"This is not a recording that can be read: {_plainly(error, path)}", f"What makes a key: {WHOLE}."], False
    words = [f"{_FORMATS.get(recording.format, f'A file of the format {recording.format}')}."]
    if recording.simulated is not None:
        words.append("It comes from a simulated link." if recording.simulated else "It comes from a real link.")
    source = recording.source
    if source is None or recording.choices is None:
        words.append(f"It holds detections only. A key needs what Alice sent as well: {WHOLE}.")
        return [*words, *map(_sentence, recording.warnings)], False
    levels = ", ".join(f"{mu:.3g}" for mu in source.intensities)
    words.append(f"Alice sent {source.clock_hz / 1e6:,.6g} million pulses a second, with {levels} photons on average.")
    return [*words, *map(_sentence, recording.warnings)], True


def _plainly(error, path):
    """What is wrong with a file, by its name alone, and without what only a programmer reads."""
    words = str(error).replace(f"{path.parent}{os.sep}", "")
    if isinstance(error, BadInput) and isinstance(error.value, bytes):
        words = words.removesuffix(f" (got {error.value!r})")
    return words.partition("; known: ")[0].rstrip(".") + "."


def _sentence(warning):
    return warning[:1].upper() + warning[1:].rstrip(".") + "."


_FORMATS = {
    "run": "A run in one HDF5 file", "ptu": "A PicoQuant time-tag file (PTU)", "ht": "A PicoQuant time-tag file (HT2/HT3)",
    "csv": "A table of detections (CSV)", "npz": "Arrays of detections (NumPy)",
}
