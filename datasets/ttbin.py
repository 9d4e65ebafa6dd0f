"""Swabian Instruments ``.ttbin``, read through the maker's package ``Swabian-TimeTagger`` where it is installed.

The format is not published: no other way to read it is known.
"""

import importlib
import pathlib
from dataclasses import dataclass

import numpy as np

from qkdlab.datasets.blocks import opened
from qkdlab.datasets.recording import Recording
from qkdlab.datasets.swabian import FALLING, Tags
from qkdlab.errors import BadInput

__all__ = ["SIGNATURE", "read"]

SIGNATURE = b"SITT"

PACKAGES = ("Swabian.TimeTagger", "TimeTagger")          # as installed from PyPI, and with the maker's own installer


def read(path):
    """Open a ``.ttbin`` file, with those that continue it (``name.1.ttbin``, ...).

    Parameters
    ----------
    path : path-like

    Returns
    -------
    Recording
        Channels as for :mod:`qkdlab.datasets.swabian`.

    Raises
    ------
    BadInput
        Where the file is none, the maker's package is missing (with what to do), or it complains.
    """
    path = pathlib.Path(path)
    with opened(path) as file:
        if file.read(len(SIGNATURE)) != SIGNATURE:
            raise BadInput("not a .ttbin file: the magic SITT is missing", where=f"{path}: byte 0")
    _package(path)
    return Recording("ttbin", path, _Stream(path), info={"records": None, "falling_edges": FALLING})


def _package(path):
    for name in PACKAGES:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise BadInput("a .ttbin file is read through the maker's package, which is not installed: pip install "
                   "Swabian-TimeTagger, or dump the tags in 16 bytes each with the maker's Dump", where=path)


@dataclass(frozen=True)
class _Stream:
    """The tags, as the maker's FileReader gives them: see `Recording.stream`."""

    path: object

    def __call__(self, tally, block_tags):
        tags = Tags(tally)
        try:
            reader = _package(self.path).FileReader(str(self.path))
            while reader.hasData():
                buffer = reader.getData(block_tags)
                columns = [np.asarray(column) for column in (buffer.getEventTypes(), buffer.getMissedEvents(),
                                                             buffer.getChannels(), buffer.getTimestamps())]
                if not len(columns[0]):
                    break
                block, used, why = tags(*columns)
                tally.records += used
                if len(block):
                    yield block
                if used < len(columns[0]):
                    tally.damaged(f"tag {tally.records}: {why}: reading stops there")
                    return
            tags.finish()
        except (RuntimeError, ValueError, OSError) as error:         # what the maker's library raises on a spoilt file
            if isinstance(error, BadInput):
                raise
            raise BadInput(f"the maker's package cannot read it: {error}", where=self.path) from None
