"""Time tags of the S-Fifteen (CQT, Singapore) timestamp7 unit, as its ``readevents`` writes them: ``-a1`` binary, ``-a0``
and ``-a2`` hexadecimal text.

An event is 64 bits: the upper 54 are the time in 1/256 ns, the lower 4 the *pattern*, one bit for each of the four
detectors (so that 3 means the first and the second at once), which is what TimeTags has as channel. Bit 4 marks a dummy,
which only says that the unit's counter went round; dummies are counted as overflows and left out. The time begins again
each 2^54 / 256 ns (814 days). Binary events are little-endian words; the *legacy* order has their 32-bit halves swapped.
``-a2`` has one event a line (16 digits), ``-a0`` the lower half and then the upper one (8 digits each).

Layout: S-Fifteen's documentation of qcrypto, and real files.
"""

import functools
import pathlib
import re
from fractions import Fraction

import numpy as np

from qkdlab.datasets.blocks import NumberLines, Records, opened, steady, whole
from qkdlab.datasets.newfile import new_file
from qkdlab.datasets.recording import Recording
from qkdlab.datasets.ticks import Unwrap, from_ps, most_ticks, to_ps
from qkdlab.datatypes import TimeTags
from qkdlab.errors import BadInput

__all__ = ["OTHER_SUFFIXES", "SIGNATURE", "SUFFIX", "read", "recognises", "write"]

SIGNATURE = b""
SUFFIX = ".a1"
OTHER_SUFFIXES = (".ts",)

TICK_PS = Fraction(125, 32)
TIME_BITS, TIME_AT, DUMMY, PATTERN = 54, 10, 16, 15
UNUSED = 0xC0                         # bits that are 0 in every known file
WORD = np.dtype("<u8")
FEWEST = 16                           # events in a binary file that is recognised by its events
ENDINGS = {SUFFIX, *OTHER_SUFFIXES}             # of such files, however few events they hold
LONGEST_GAP = 2**TIME_BITS
SLACK = 2**26                         # ticks (0.26 ms): a dummy may be late by twice the round of the unit's counter
LINES = {"a0": re.compile(rb"[0-9a-fA-F]{8}\r?"), "a2": re.compile(rb"[0-9a-fA-F]{16}\r?")}


def read(path, *, legacy=None):
    """Open a file of timestamp7 events.

    Parameters
    ----------
    path : path-like
    legacy : bool, optional
        Whether the halves of binary events are swapped; found from the events by default.

    Returns
    -------
    Recording
        Times are rounded down to ps; ``channel`` is the detector pattern.

    Raises
    ------
    BadInput
        Naming file, byte offset or line, and value.
    """
    path = pathlib.Path(path)
    with opened(path) as file:
        head = file.read(4096)
        if not head:
            raise BadInput("the file is empty", where=path)
        kind = _layout(head) if legacy is None else "legacy" if legacy else "a1"
        if kind in LINES:
            digits = "16 hexadecimal digits" if kind == "a2" else "8 hexadecimal digits"
            stream = NumberLines(path, functools.partial(_Events, kind=kind), 1, digits, hexadecimal=True)
            records, warnings = None, ()
        else:
            records, warnings = whole(file, path, 0, WORD.itemsize)
            stream = Records(path, 0, WORD, functools.partial(_Events, kind=kind))
    return Recording("timestamp7", path, stream, TICK_PS, None, {"records": records, "layout": kind}, warnings,
                     not warnings, tick_ps=TICK_PS)


def recognises(head, size, path):
    """Whether a file holds events in one of the four layouts."""
    for kind, line in LINES.items():
        lines = head.split(b"\n")[:-1]
        if lines and all(line.fullmatch(found) for found in lines):
            # Digits alone are as likely decimal numbers.
            return re.search(rb"[a-fA-F]", head) is not None and _plausible(_text_words(lines, kind))
    words = np.frombuffer(head, WORD, len(head) // 8)
    if size % 8:
        return False
    if len(words) < FEWEST:
        return path.suffix.lower() in ENDINGS and _plausible(words, LONGEST_GAP)
    return _plausible(words) != _plausible(_swapped(words))


def _layout(head):
    """``"a0"``, ``"a2"``, ``"a1"`` or ``"legacy"`` (a1 with swapped halves)."""
    first = head.split(b"\n", 1)[0]
    for kind, line in LINES.items():
        if line.fullmatch(first):
            return kind
    words = np.frombuffer(head, WORD, len(head) // 8)
    return "legacy" if _plausible(_swapped(words)) and not _plausible(words) else "a1"


def _text_words(lines, kind):
    numbers = np.array([int(line, 16) for line in lines], np.uint64)
    return numbers if kind == "a2" else _paired(numbers)


def _paired(halves):
    """Words of their lower and upper halves, one after the other; an odd one is left out."""
    halves = halves[: len(halves) // 2 * 2]
    return halves[::2] | halves[1::2] << np.uint64(32)


def _swapped(words):
    return words << np.uint64(32) | words >> np.uint64(32)


def _plausible(words, gap=2**38):
    """Whether events are like that: unused bits 0, some detector, times that run on, one each `gap` (1 s) at least."""
    real = words[words & DUMMY == 0]
    times, _ = Unwrap(TIME_BITS, 2**63 - 1)((real >> np.uint64(TIME_AT)).astype(np.int64))
    rate = len(times) < 2 or times[-1] - times[0] < gap * len(times)
    return len(words) > 0 and not (words & UNUSED).any() and (real & PATTERN != 0).all() and steady(times, SLACK) and rate


class _Events:
    """Words to TimeTags; dummies are counted."""

    def __init__(self, tally, kind):
        self._tally, self._kind, self._unwrap = tally, kind, Unwrap(TIME_BITS, most_ticks(TICK_PS))
        self._half = np.empty(0, np.uint64)              # of a0: a lower half whose upper one is in the next block

    def __call__(self, records):
        words, per_event = records, 1
        if self._kind == "legacy":
            words = _swapped(records)
        elif self._kind == "a2":
            words = records[:, 0].view(np.uint64)
        elif self._kind == "a0":
            words, per_event = self._joined(records[:, 0].view(np.uint64)), 2
            self._tally.records -= len(records) - len(words)        # a line is half a record
        dummy = words & DUMMY != 0
        ticks, used = self._unwrap((words >> np.uint64(TIME_AT)).view(np.int64))
        ticks, pattern = ticks[:used], (words[:used] & PATTERN).astype(np.uint8)
        if (dummies := int(np.count_nonzero(dummy[:used]))):
            self._tally.overflows += dummies
            ticks, pattern = ticks[~dummy[:used]], pattern[~dummy[:used]]
        lines = len(records) if used == len(words) else used * per_event
        return TimeTags(to_ps(ticks, TICK_PS), pattern), lines, "the times add up to more than 2^63 ps"

    def finish(self):
        if len(self._half):
            self._tally.damaged("the upper half of the last event is missing: was the file cut?")

    def _joined(self, halves):
        halves = np.concatenate([self._half, halves])
        self._half = halves[len(halves) // 2 * 2 :].copy()
        return _paired(halves)


def write(path, blocks):
    """Write binary events (``-a1``, not legacy).

    Parameters
    ----------
    path : path-like
        Must not exist.
    blocks : iterable of TimeTags
        Channels are detector patterns, 0 to 15; times those of multiples of 1/256 ns, rounded down to ps.

    Returns
    -------
    int
        Number of events.

    Raises
    ------
    BadInput
        Where the path exists or a tag does not fit, naming file, field and value; no file is left then.
    """
    events, last, most = 0, 0, int(to_ps(np.array([2**TIME_BITS - 1]), TICK_PS)[0])
    with new_file(path) as file:
        for block in blocks:
            if not len(block):
                continue
            _check(block, last, most, path)
            words = from_ps(block.time_ps, TICK_PS, path).view(np.uint64) << np.uint64(TIME_AT)
            file.write(words | block.channel)
            events, last = events + len(block), int(block.time_ps[-1])
    return events


def _check(block, last, most, path):
    back = np.diff(block.time_ps, prepend=last) < 0
    if back.any():
        value = int(block.time_ps[np.argmax(back)])
        raise BadInput("times before 0 do not fit" if value < 0 else "times must not step back", where=path,
                       field="time_ps", value=value)
    if block.time_ps[-1] > most:
        raise BadInput(f"54 bits of 1/256 ns end at {most} ps", where=path, field="time_ps", value=int(block.time_ps[-1]))
    if block.channel.max() > PATTERN:
        raise BadInput(f"a detector pattern has 4 bits: 0 to {PATTERN}", where=path, field="channel",
                       value=int(block.channel.max()))
