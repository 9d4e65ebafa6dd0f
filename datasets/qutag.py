"""Time tags of the qutools quTAG, as its software writes them: binary (10 bytes a tag), compressed (5 bytes) and text.

Binary: a header of 40 bytes, then a little-endian uint64 time and uint16 channel a tag (the maker's ``tdcbase.h``,
``TDC_writeTimestamps``). Compressed: the same header, then 40 bits a tag: 37 of time, 3 of channel; the time begins again
each 2^37 ticks. Text: time and channel, with a comma. Channels of 100 and more are the markers and the millisecond tick.

The maker says of the header only that others should skip it. A real one has the size of the file (uint32 at byte 4), the
device's options (uint32 at byte 12) and 16 bytes at the end that sign it. Files say nothing of their tick: it is 1 ps for a
quTAG; see :mod:`qkdlab.datasets.qutau` for the older device.
"""

import itertools
import pathlib
import re
import struct

import numpy as np

from qkdlab.datasets.blocks import NumberLines, Records, opened, steady, whole
from qkdlab.datasets.newfile import new_file
from qkdlab.datasets.recording import Recording
from qkdlab.datasets.ticks import Unwrap, exact_tick, from_ps, most_ticks, to_ps
from qkdlab.datatypes import TimeTags
from qkdlab.errors import BadInput

__all__ = ["SIGNATURE", "SUFFIX", "fits", "keep", "open_recording", "read", "recognises", "write"]

SIGNATURE = b""
SUFFIX = ".qutag"

HEADER_BYTES = 40
BINARY = np.dtype([("time", "<u8"), ("channel", "<u2")])
COMPRESSED = np.dtype([("low", "<u4"), ("high", "u1")])
TIME_BITS = 37
MARKERS = 100                         # and above
INPUTS = 32                           # real ones have numbers up to 20, several devices taken together
FEWEST = 4                            # tags in a file that is recognised by its tags alone
LINE = re.compile(rb"[0-9]{1,19}[ \t]*,[ \t]*[0-9]{1,3}\r?(?![^\n])")


def read(path, *, tick_ps=1):
    """Open a file of a quTAG.

    Parameters
    ----------
    path : path-like
    tick_ps : int, float or fractions.Fraction
        The unit of the times.

    Returns
    -------
    Recording
        Markers are counted and left out.

    Raises
    ------
    BadInput
        Naming file, byte offset or line, and value.
    """
    return open_recording("qutag", path, tick_ps)


def open_recording(form, path, tick_ps):
    """As :func:`read`, for a format of this name."""
    path, unit = pathlib.Path(path), exact_tick(tick_ps)
    with opened(path) as file:
        head = file.read(4096)
        if not head:
            raise BadInput("the file is empty", where=path)
        kind = layout(head)
        if kind == "text":
            expected = "a time (whole number of ticks), a comma and a channel"
            stream, records, warnings = NumberLines(path, lambda tally: _Text(tally, unit), 2, expected), None, ()
        else:
            record, decoder = (BINARY, _Binary) if kind == "binary" else (COMPRESSED, _Compressed)
            records, warnings = whole(file, path, HEADER_BYTES, record.itemsize)
            stream = Records(path, HEADER_BYTES, record, lambda tally: decoder(tally, unit))
            warnings += _promised(head, file.seek(0, 2))
    return Recording(form, path, stream, unit, None, {"records": records, "layout": kind}, warnings, not warnings,
                     tick_ps=unit)


def _promised(head, size):
    """A warning where the file is not as long as its header says."""
    promised = _size_field(head)
    if promised is None or promised == size % 2**32:
        return ()
    return (f"the header speaks of {promised} bytes, the file has {size}",) if 40 < promised else ()


def _size_field(head):
    """The size that the header notes, or None where this is no header of the known kind (its bytes 16 to 23 are 0)."""
    return struct.unpack_from("<I", head, 4)[0] if head[16:24] == bytes(8) and len(head) >= 24 else None


# ---------------------------------------------------------------------------------------------------- what it can be


def recognises(head, size, path):
    """Whether a file holds tags in one of the three layouts."""
    return path.suffix.lower() != ".qutau" and fits(head, size)


def fits(head, size):
    """As :func:`recognises`, whatever the file's name."""
    if _is_text(head):
        return True
    body = size - HEADER_BYTES
    if body < 0:
        return False
    if _size_field(head) == size % 2**32:
        return True
    tags = _first(head, BINARY)
    return body % BINARY.itemsize == 0 and len(tags) >= FEWEST and _is_binary(tags)


def layout(head):
    """``"text"``, ``"binary"`` or ``"compressed"``."""
    if LINE.match(head):
        return "text"
    promised = _size_field(head)
    if promised is not None and promised % 10 == 5:
        return "compressed"
    return "compressed" if not _is_binary(_first(head, BINARY)) and _is_compressed(_first(head, COMPRESSED)) else "binary"


def _first(head, kind):
    body = head[HEADER_BYTES:]
    return np.frombuffer(body, kind, len(body) // kind.itemsize)


def _is_text(head):
    lines = head.split(b"\n")[:-1] or [head]
    if not all(LINE.fullmatch(line) for line in lines):
        return False
    time, channel = zip(*(map(int, line.split(b",")) for line in lines), strict=True)
    return all(a <= b for a, b in itertools.pairwise(time)) and all(map(_known, channel))


def _known(channel):
    """Whether a quTAG's file can have this channel."""
    return (channel < INPUTS) | (channel >= MARKERS) & (channel < 105) | (channel >= 200) & (channel < 204)


def _is_binary(tags):
    time = tags["time"].astype(np.int64)
    known = len(tags) > 0 and _known(tags["channel"]).all() and (time >= 0).all() and (time > 0).any()
    return bool(known) and steady(time, slack=10**6)


def _is_compressed(tags):
    """Whether the times mostly run on by less than half their range, which random ones do half of the time."""
    steps = np.diff(_packed(tags)[0]) % 2**TIME_BITS
    return len(steps) > 0 and np.count_nonzero(steps < 2 ** (TIME_BITS - 1)) >= 0.9 * len(steps)


# ----------------------------------------------------------------------------------------------------------- decoding


def _packed(tags):
    """Time and channel of compressed tags: the time has the lower bits."""
    bits = tags["low"].astype(np.int64)
    bits |= (tags["high"] & (2 ** (TIME_BITS - 32) - 1)).astype(np.int64) << 32
    return bits, tags["high"] >> (TIME_BITS - 32)


class _Tags:
    """Times in ticks and channels to TimeTags; markers are counted."""

    def __init__(self, tally, unit):
        self._tally, self._unit, self._most = tally, unit, most_ticks(unit)

    def _tags(self, time, channel):
        """Tags up to the first that cannot be: (TimeTags, used, why)."""
        used, why = len(time), ""
        if used and (time.max() > self._most or time.min() < 0 or channel.max() > 255 or channel.min() < 0):
            wrong_time = (time > self._most) | (time < 0)
            used = int(np.argmax(wrong_time | (channel > 255) | (channel < 0)))
            why = (f"the time {int(time[used]) % 2**64} is 2^63 ps or more" if wrong_time[used] else
                   f"the channel {channel[used]} is not from 0 to 255")
            time, channel = time[:used], channel[:used]
        if len(time) and channel.max() >= MARKERS:
            input_ = channel < MARKERS
            self._tally.markers += used - int(np.count_nonzero(input_))
            time, channel = time[input_], channel[input_]
        return TimeTags(to_ps(time, self._unit), channel), used, why


class _Binary(_Tags):
    def __call__(self, records):
        return self._tags(records["time"].astype(np.int64), records["channel"].copy())


class _Text(_Tags):
    def __call__(self, rows):
        return self._tags(rows[:, 0].copy(), rows[:, 1])


class _Compressed(_Tags):
    def __init__(self, tally, unit):
        super().__init__(tally, unit)
        self._unwrap = Unwrap(TIME_BITS, self._most)

    def __call__(self, records):
        time, channel = _packed(records)
        time, used = self._unwrap(time)
        return TimeTags(to_ps(time[:used], self._unit), channel[:used]), used, "the times add up to more than 2^63 ps"


# ------------------------------------------------------------------------------------------------------------ writing


def keep(recording):
    """Settings of :func:`write` that another recording decides: its tick, if it is a quTAG's."""
    return {"tick_ps": recording.tick_ps} if recording.format in ("qutag", "qutau") else {}


def write(path, blocks, *, tick_ps=1):
    """Write a binary file of 10 bytes a tag, as every ``write`` of :mod:`qkdlab.datasets`.

    The signature of its header is left 0. `tick_ps` is int, float or fractions.Fraction; every time is a multiple of it.
    """
    unit, tags, last = exact_tick(tick_ps), 0, 0
    with new_file(path) as file:
        file.write(bytes(HEADER_BYTES))
        for block in blocks:
            if not len(block):
                continue
            _check(block, last, path)
            records = np.empty(len(block), BINARY)
            records["time"], records["channel"] = from_ps(block.time_ps, unit, path), block.channel
            file.write(records)
            tags, last = tags + len(block), int(block.time_ps[-1])
        size = file.tell()
        file.seek(0)
        file.write(struct.pack("<4xI", size % 2**32))
    return tags


def _check(block, last, path):
    if (block.time_ps[1:] < block.time_ps[:-1]).any() or block.time_ps[0] < last:
        back = np.flatnonzero(np.diff(block.time_ps, prepend=last) < 0)[0]
        why = "times before 0 do not fit" if block.time_ps[back] < 0 else "times must not step back"
        raise BadInput(why, where=path, field="time_ps", value=int(block.time_ps[back]))
    if block.channel.max() >= MARKERS:
        raise BadInput(f"a quTAG file holds inputs 0 to {MARKERS - 1}; above are its markers", where=path,
                       field="channel", value=int(block.channel.max()))
