"""Timestamps of the ID Quantique Time Controller (ID900, ID1000), as its software writes them: one file an input.

Binary (little-endian uint64) or text, with one number an event, its time in ps, or two, its time since the last reference
event and that event's index; in text a semicolon parts them. Without a reference (REF) times count from the start of the
acquisition. Time since the reference alone begins again at each: then the pairs are needed, and how long a reference lasts,
which the file does not say: ``reference_ps`` (10^12 for one pulse a second).
"""

import functools
import pathlib
import re

import numpy as np

from qkdlab.datasets import nist, qcrypto, swabian, timestamp7
from qkdlab.datasets.blocks import NumberLines, Records, opened, steady, whole
from qkdlab.datasets.recording import Recording
from qkdlab.datatypes import TimeTags
from qkdlab.errors import BadInput

__all__ = ["SIGNATURE", "read", "recognises"]

SIGNATURE = b""

NUMBER, PAIR = np.dtype("<u8"), np.dtype([("time", "<u8"), ("reference", "<u8")])
TEXT = {1: re.compile(rb"[0-9]{1,19};?\r?(?![^\n])"), 2: re.compile(rb"[0-9]{1,19}[ \t]*;[ \t]*[0-9]{1,19};?\r?(?![^\n])")}
FEWEST = 16                           # events in a binary file that is recognised by its events
TELLING = (nist, qcrypto, swabian, timestamp7)          # formats whose numbers run on, too, but tell more
LONGEST_GAP = 10**14                  # ps between events of a file that is recognised by them: 100 s
MOST = 2**63 - 1


def read(path, *, reference_ps=None, channel=0, pairs=None):
    """Open a file of timestamps.

    Parameters
    ----------
    path : path-like
    reference_ps : int, optional
        Time between two reference events; needed where there are several.
    channel : int
        The input: the file does not say it.
    pairs : bool, optional
        Whether each event is a time and a reference index; found from the numbers by default.

    Returns
    -------
    Recording

    Raises
    ------
    BadInput
        Naming file, byte offset or line, and value.
    """
    path = pathlib.Path(path)
    if reference_ps is not None and (isinstance(reference_ps, bool) or reference_ps != int(reference_ps)
                                     or not 1 <= reference_ps <= 10**18):
        raise BadInput("a whole number of ps from 1 to 10^18 is expected", field="reference_ps", value=reference_ps)
    if channel not in range(256):
        raise BadInput("must be from 0 to 255", field="channel", value=channel)
    with opened(path) as file:
        head = file.read(4096)
        if not head:
            raise BadInput("the file is empty", where=path)
        columns = {True: 2, False: 1, None: _columns(head)}[pairs]
        decoder = functools.partial(_Events, path=path, reference_ps=reference_ps, channel=channel)
        if any(line.match(head) for line in TEXT.values()):
            expected = ("a time (ps)", "a time (ps), a semicolon and a reference index")[columns - 1]
            stream, records, warnings = NumberLines(path, decoder, columns, expected), None, ()
        else:
            kind = NUMBER if columns == 1 else PAIR
            records, warnings = whole(file, path, 0, kind.itemsize)
            stream = Records(path, 0, kind, decoder)
    return Recording("idq", path, stream, info={"records": records, "pairs": columns == 2, "reference_ps": reference_ps},
                     warnings=warnings, complete=not warnings)


def recognises(head, size, path):
    """Whether a file holds such numbers."""
    for line in TEXT.values():
        lines = head.split(b"\n")[:-1]
        if lines and all(line.fullmatch(found) for found in lines):
            table = [list(map(int, found.strip(b"; \r").split(b";"))) for found in lines]
            return len({len(row) for row in table}) == 1 and _runs_on([row[0] for row in table], [row[-1] for row in table])
    numbers = np.frombuffer(head, NUMBER, len(head) // 8)
    fits = size % 8 == 0 and len(numbers) >= FEWEST and (_single(numbers) or _paired(numbers))
    return fits and not any(other.recognises(head, size, path) for other in TELLING)


def _runs_on(times, indices):
    return all(a <= b for a, b in zip(times, times[1:], strict=False)) or all(
        a <= b for a, b in zip(indices, indices[1:], strict=False))


def _columns(head):
    """1 or 2, from the first numbers."""
    if TEXT[2].match(head):
        return 2
    numbers = np.frombuffer(head, NUMBER, len(head) // 8)
    return 2 if not TEXT[1].match(head) and _paired(numbers) and not _single(numbers) else 1


def _gaps(times):
    """Differences of uint64 numbers, or None where they are not those of a recording."""
    if not len(times) or times.max() > MOST:
        return None
    return np.diff(times.astype(np.int64))


def _single(numbers):
    gaps = _gaps(numbers)
    if gaps is None or not steady(numbers.astype(np.int64)):
        return False
    return bool((gaps < LONGEST_GAP).all() and numbers[-1] > 0)


def _paired(numbers):
    """Times since a reference, and its index: within one index the times run on, and indices are small steps."""
    if len(numbers) % 2:
        numbers = numbers[:-1]
    gaps, steps = _gaps(numbers[::2]), _gaps(numbers[1::2])
    if gaps is None or steps is None or numbers[::2].max() > LONGEST_GAP:
        return False
    return bool(((steps >= 0) & (steps < 2**20)).all() and (gaps[steps == 0] >= 0).all() and numbers[::2].any())


class _Events:
    """Numbers to TimeTags."""

    def __init__(self, tally, path, reference_ps, channel):
        self._path, self._reference, self._channel, self._index = path, reference_ps, channel, None

    def __call__(self, records):
        time, index = self._numbers(records)
        if index is None:
            return self._tags(time, time < 0, "more than 2^63 ps")
        if self._index is None and len(index):
            self._index = int(index[0])
        if self._reference is None:
            if len(index) and (index != self._index).any():
                raise BadInput("there are several reference events: say how long each lasts (in ps)", where=self._path,
                               field="reference_ps")
            return self._tags(time, time < 0, "more than 2^63 ps")
        beyond = (index < 0) | (index > MOST // self._reference) | (time < 0)
        index = np.where(beyond, 0, index)
        times = index * self._reference
        return self._tags(times + np.where(beyond, 0, time), beyond | (times > MOST - np.maximum(time, 0)),
                          "more than 2^63 ps")

    @staticmethod
    def _numbers(records):
        """(times, reference indices or None), int64; 2^63 and more becomes negative."""
        if records.dtype == PAIR:
            return records["time"].astype(np.int64), records["reference"].astype(np.int64)
        if records.ndim == 1:
            return records.astype(np.int64), None
        return records[:, 0].copy(), records[:, 1].copy() if records.shape[1] == 2 else None

    def _tags(self, time, wrong, why):
        used = int(np.argmax(wrong)) if wrong.any() else len(time)
        return TimeTags(time[:used], np.full(used, self._channel, np.uint8)), used, why
