"""A small recording in every format of the menu, for the tests that hold for all of them.

To add a format: one function here that writes a small whole file of it, under ``@sample``.
"""

import dataclasses
import struct
from collections.abc import Callable

import numpy as np

from qkdlab.datasets import csv, ht, npz, ptu, run
from qkdlab.datatypes import TimeTags

SAMPLES = {}


@dataclasses.dataclass(frozen=True)
class Sample:
    """One small whole file.

    Attributes
    ----------
    form : str
        The format's name on the menu.
    ending : str
        How such files are called.
    make : callable
        ``make(path)`` writes it.
    photons : int
        What an inspection finds in it.
    header : int
        Bytes before the first record: the file is cut at, and absurd numbers are put into, each of them.
    record : int
        Bytes of a record, where a file cut between two records is a whole file; 0: a cut is always found out.
    lines : bool
        Whether it is text, of which a file cut between two lines is a whole file.
    settings : dict
        Keyword arguments that the reader needs.
    inspects : bool
        Whether it holds time tags (other kinds of data are opened only).
    signed : bool
        Whether it is recognised by its content, whatever its name.
    """

    form: str
    ending: str
    make: Callable
    photons: int
    header: int = 64
    record: int = 0
    lines: bool = False
    settings: dict = dataclasses.field(default_factory=dict)
    inspects: bool = True
    signed: bool = True


def sample(form, ending, photons, name=None, **facts):
    """Enter a maker of files into :data:`SAMPLES`, under its format's name or another (several of one format)."""
    def enter(make):
        SAMPLES[name or form] = Sample(form, ending, make, photons, **facts)
        return make

    return enter


def tags(n=200, channels=4, tick_ps=1, seed=7):
    """Tags from 0.5 ms on, about a microsecond apart."""
    rng = np.random.default_rng(seed)
    return TimeTags((500_000_000 + np.cumsum(rng.integers(1000, 2_000_000, n))) // tick_ps * tick_ps,
                    rng.integers(0, channels, n))


@sample("ptu", ".ptu", 200)
def make_ptu(path):
    ptu.write(path, [tags()])


@sample("csv", ".csv", 200, header=16, lines=True)
def make_csv(path):
    csv.write(path, [tags()])


@sample("npz", ".npz", 200)
def make_npz(path):
    npz.write(path, [tags()])


@sample("run", ".h5", 200)
def make_run(path):
    run.write(path, [tags()])


@sample("ht", ".ht3", 40, header=712)
def make_ht(path):
    path.write_bytes(ht_header(records=40) + np.arange(1, 41, dtype="<u4").tobytes())


def ht_header(records):
    """Header of a HydraHarp T3 file of format 2.0 without input channels."""
    known = {"Ident": b"HydraHarp", "FormatVersion": b"2.0", "BitsPerRecord": 32, "MeasurementMode": 3, "Resolution": 16.0,
             "BaseResolution": 1.0, "SyncRate": 1_000_000, "NumRecords": records}
    fields = [field for part in (ht.TEXT, ht.NUMBERS, ht.HARDWARE, ht.RESULT) for field in part]
    values = [known.get(name, b"" if code.endswith("s") else 0) for name, code in fields]
    return struct.pack("<" + "".join(code for _, code in fields), *values)
