"""The recordings of a folder, and what one of them is, in words."""

import pathlib

from qkdlab import datasets
from qkdlab.errors import BadInput

__all__ = ["described", "found"]

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
        seen += [p for p in entries if not p.name.startswith(".") and _opens(p)]
    return seen


def _opens(path):
    if path.is_dir():
        return (path / "run.toml").is_file()
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
        return [f"This is not a recording that can be read: {error}"], False
    words = [f"{_FORMATS.get(recording.format, f'A file of the format {recording.format}')}."]
    if recording.simulated is not None:
        words.append("It comes from a simulated link." if recording.simulated else "It comes from a real link.")
    source = recording.source
    if source is None or recording.choices is None:
        words.append("It holds detections only. A key needs what Alice sent as well: choose the run's .h5 file or its "
                     "folder, or drop the tag file, Alice's record and run.toml here together.")
        return [*words, *recording.warnings], False
    levels = ", ".join(f"{mu:.3g}" for mu in source.intensities)
    words.append(f"Alice sent {source.clock_hz / 1e6:,.6g} million pulses a second, with {levels} photons on average.")
    return [*words, *recording.warnings], True


_FORMATS = {
    "run": "A run in one HDF5 file", "ptu": "A PicoQuant time-tag file (PTU)", "ht": "A PicoQuant time-tag file (HT2/HT3)",
    "csv": "A table of detections (CSV)", "npz": "Arrays of detections (NumPy)",
}
