"""A time tagger's file to times and channels."""

import pathlib
import tempfile

import numpy as np

from qkdlab.benchmarks.measure import Case, Peer
from qkdlab.datasets import open as open_recording
from qkdlab.datasets import ptu
from qkdlab.datatypes import TimeTags

__all__ = ["cases"]


def cases(size):
    """A PTU file of HydraHarp T2 records, in the page cache, read from beginning to end."""
    n = 2_000_000 if size == "quick" else 16_000_000
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "tags.ptu"
        _write(path, n)
        records = open_recording(path).inspect()["records"] / 1e6
        yield Case("PTU T2 file", "records", records, lambda: _read(path),
                   (Peer("ptufile", lambda: by_ptufile(path)), Peer("tttrlib", lambda: by_tttrlib(path)),
                    Peer("phconvert", lambda: by_phconvert(path))), goal=150, goal_over=(2, "ptufile"))


def _write(path, n):
    """4 detectors, 1e6 counts a second together: an overflow every 34 photons."""
    rng = np.random.default_rng(1)
    time_ps = np.cumsum(rng.integers(0, 2_000_000, n))
    ptu.write(path, [TimeTags(time_ps, rng.integers(0, 4, n, dtype=np.uint8))])


def _read(path):
    return sum(len(block) for block in open_recording(path).tag_blocks())


def by_ptufile(path):
    import ptufile

    def read():
        with ptufile.PtuFile(path) as file:
            return file.decode_records()

    return read


def by_tttrlib(path):
    import tttrlib

    return lambda: tttrlib.TTTR(str(path), "PTU").macro_times


def by_phconvert(path):
    from phconvert import pqreader

    return lambda: pqreader.load_ptu(str(path))
