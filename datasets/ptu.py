"""PicoQuant PTU: tagged header, then T2 or T3 records. ``.timeres`` of the ETA project is the same.

The layout is PicoQuant's "Unified TTTR file format" (its public demos describe it): 8 bytes of magic, 8 of version,
then tags of 48 bytes (name 32, index 4, type 4, value 8), of which some carry as many bytes behind them as their value
says, up to the tag Header_End.
"""

import datetime
import math
import os
import pathlib
import struct

import numpy as np

import qkdlab
from qkdlab import _ext
from qkdlab.datasets.blocks import opened
from qkdlab.datasets.newfile import new_file
from qkdlab.datasets.picoquant import LAYOUTS, RecordStream, exact, promise
from qkdlab.datasets.recording import Recording
from qkdlab.errors import BadInput

__all__ = ["SIGNATURE", "SUFFIX", "PtuWriter", "keep", "read", "read_header", "write"]

SIGNATURE = b"PQTTTR\0\0"
SUFFIX = ".ptu"

TAG = struct.Struct("<32siI8s")
EMPTY, BOOL, INT, BITS, COLOR, FLOAT, TIME = (0xFFFF0008, 0x00000008, 0x10000008, 0x11000008, 0x12000008, 0x20000008,
                                              0x21000008)
FLOATS, ANSI, WIDE, BLOB = 0x2001FFFF, 0x4001FFFF, 0x4002FFFF, 0xFFFFFFFF
MOST_TAGS = 100_000                       # real headers have a few hundred
MOST_TEXT = 1 << 20                       # bytes of one text or list; blobs are skipped, whatever their length
TIME_ZERO = datetime.datetime(1899, 12, 30)
HYDRAHARP_V2_T2 = 0x01010204
CHANNELS = 64

# What a tick or sync period can be, in ps: wide enough for any hardware, narrow enough to refuse nonsense.
SHORTEST_PS, LONGEST_TICK_PS, LONGEST_SYNC_PS, LONGEST_BIN_PS = 1e-3, 1e9, 1e12, 1e9


# ------------------------------------------------------------------------------------------------------- reading


def read(path):
    """Open a PTU file, as every ``read`` of :mod:`qkdlab.datasets`; ``info["tags"]`` is the header."""
    path = pathlib.Path(path)
    tags, start = read_header(path)
    kind = _need(tags, "TTResultFormat_TTTRRecType", int, path)
    if kind not in LAYOUTS:
        raise BadInput(f"unknown record type; known: {', '.join(f'0x{k:08X}' for k in sorted(LAYOUTS))}", where=path,
                       field="TTResultFormat_TTTRRecType", value=f"0x{kind:08X}")
    layout = LAYOUTS[kind]
    if tags.get("TTResultFormat_BitsPerRecord", 32) != 32:
        raise BadInput("only records of 32 bits are known", where=path, field="TTResultFormat_BitsPerRecord",
                       value=tags["TTResultFormat_BitsPerRecord"])
    unit = _time(tags, "MeasDesc_GlobalResolution", path, LONGEST_TICK_PS if layout.mode == 2 else LONGEST_SYNC_PS)
    bin_ps = _time(tags, "MeasDesc_Resolution", path, LONGEST_BIN_PS) if layout.mode == 3 else 0
    promised = tags.get("TTResult_NumberOfRecords", 0)
    if not isinstance(promised, int) or promised < 0:
        raise BadInput("a number of records is expected", where=path, field="TTResult_NumberOfRecords", value=promised)
    records, warnings, complete = promise(path, start, promised)
    rate = tags.get("TTResult_SyncRate")
    return Recording("ptu", path, RecordStream(path, start, layout, unit, bin_ps, lambda: _promised(path)),
                     unit if layout.mode == 2 else bin_ps,
                     rate if isinstance(rate, int | float) and math.isfinite(rate) else None,
                     {"records": records, "layout": layout.name, "tags": tags}, warnings, complete,
                     tick_ps=unit if layout.mode == 2 else 1)


def _promised(path):
    """Records that the header speaks of by now: the recorder fills this in at its end."""
    promised = read_header(path)[0].get("TTResult_NumberOfRecords", 0)
    return promised if isinstance(promised, int) else 0


def read_header(path):
    """The tags of a PTU header.

    Returns
    -------
    tags : dict
        Name to value; a tag with an index is called ``name(index)``. Of a blob the length in bytes is given.
    start : int
        Byte offset behind the header.

    Raises
    ------
    BadInput
        Naming file, byte offset and tag.
    """
    with opened(path) as file:
        if file.read(8) != SIGNATURE:
            raise BadInput("not a PTU file: the magic PQTTTR is missing", where=f"{path}: byte 0")
        if len(file.read(8)) < 8:
            raise BadInput("the file ends inside the header", where=f"{path}: byte 8", field="version")
        return _read_tags(file, os.path.getsize(path), path)


def _read_tags(file, size, path):
    tags, name = {}, "the first tag"
    for _ in range(MOST_TAGS):
        at = file.tell()
        where = f"{path}: byte {at}"
        raw = file.read(TAG.size)
        if len(raw) < TAG.size:
            raise BadInput("the file ends inside the header", where=where, field=f"after {name}")
        ident, index, kind, value = TAG.unpack(raw)
        name = ident.split(b"\0", 1)[0].decode("latin-1")       # anything goes: real files have spoilt names
        if name == "Header_End":
            return tags, file.tell()
        tags[name if index < 0 else f"{name}({index})"] = _value(kind, value, file, size, where, name)
    raise BadInput(f"no Header_End among the first {MOST_TAGS} tags", where=path, field="Header_End")


def _value(kind, raw, file, size, where, name):
    """The value of one tag; reads or skips what lies behind it."""
    if kind == EMPTY:
        return None
    if kind in (INT, BITS, COLOR, BOOL):
        number = int.from_bytes(raw, "little", signed=True)
        return bool(number) if kind == BOOL else number
    if kind in (FLOAT, TIME):
        return struct.unpack("<d", raw)[0]
    if kind not in (FLOATS, ANSI, WIDE, BLOB):
        raise BadInput("unknown tag type", where=where, field=name, value=f"0x{kind:08X}")
    length, left = int.from_bytes(raw, "little", signed=True), size - file.tell()
    if not 0 <= length <= left:
        raise BadInput(f"the tag claims more bytes than the {left} that follow", where=where, field=name, value=length)
    if kind == BLOB:
        file.seek(length, os.SEEK_CUR)
        return length
    if length > MOST_TEXT:
        raise BadInput(f"at most {MOST_TEXT} bytes are expected", where=where, field=name, value=length)
    data = file.read(length)
    if kind == FLOATS:
        return np.frombuffer(data[: length // 8 * 8], "<f8").tolist()
    text = data.decode("utf-16-le" if kind == WIDE else "latin-1", errors="replace")
    return text.split("\0", 1)[0]


def _need(tags, name, kinds, path):
    """A tag that must be there, of this type."""
    if name not in tags:
        raise BadInput("the header has no such tag", where=path, field=name)
    if not isinstance(tags[name], kinds) or isinstance(tags[name], bool):
        raise BadInput("the tag is of another type than this", where=path, field=name, value=tags[name])
    return tags[name]


def _time(tags, name, path, longest_ps):
    """A time tag (s) as exact ps, or BadInput where it cannot be one."""
    value_ps = _need(tags, name, float, path) * 1e12
    if not SHORTEST_PS <= value_ps <= longest_ps:
        raise BadInput(f"must be from {SHORTEST_PS * 1e-12:g} to {longest_ps * 1e-12:g} s", where=path, field=name,
                       value=tags[name])
    return exact(value_ps)


# ------------------------------------------------------------------------------------------------------- writing


def keep(recording):
    """Settings of :func:`write` that another recording decides: its tick, where it is a whole number of ps."""
    tick = recording.tick_ps
    return {"resolution_ps": int(tick)} if tick == int(tick) else {}


def write(path, blocks, **settings):
    """Write a PTU file.

    Parameters
    ----------
    path, **settings
        As for :class:`PtuWriter`.
    blocks : iterable of TimeTags

    Returns
    -------
    int
        Number of tags written.

    Raises
    ------
    BadInput
        As :class:`PtuWriter`; no file is left then.
    """
    with PtuWriter(path, **settings) as writer:
        for block in blocks:
            writer.append(block)
    return writer.tags


class PtuWriter:
    """Writes a PTU file of HydraHarp 2 T2 records (type 0x01010204), as a context manager: ``writer.append(tags)``.

    Parameters
    ----------
    path : path-like
        Must not exist; the file appears there when the context ends without an exception.
    resolution_ps : int
        The tick: every time is a multiple of it.
    comment : str
    created : datetime.datetime, optional
        Local time noted in the header; absent: now.

    Raises
    ------
    BadInput
        Where the path exists, or a tag does not fit the format: naming file, field and value.
    """

    def __init__(self, path, *, resolution_ps=1, comment="", created=None):
        if isinstance(resolution_ps, bool) or resolution_ps != int(resolution_ps) or not 1 <= resolution_ps <= 10**6:
            raise BadInput("a whole number of ps from 1 to 10^6 is expected", field="resolution_ps",
                           value=resolution_ps)
        self.path, self.tags = pathlib.Path(path), 0
        self._tick = int(resolution_ps)
        self._facts = {"resolution_ps": self._tick, "comment": comment,
                       "created": datetime.datetime.now() if created is None else created}
        self._records, self._last_ps, self._inputs = 0, 0, 1
        self._state = np.zeros(_ext.records.STATE, np.int64)

    def __enter__(self):
        self._opened = new_file(self.path)
        self._file = self._opened.__enter__()
        self._write_header()
        return self

    def __exit__(self, *exception):
        if exception[0] is None:
            self._file.seek(0)
            self._write_header()
        return self._opened.__exit__(*exception)

    def append(self, tags):
        """Add a block: times from 0 on, non-decreasing, also from block to block; channels 0 to 63."""
        if not len(tags):
            return
        ticks = _ticks(tags, self._last_ps, self._tick, self.path)
        words = np.empty(_ext.records.length_t2(ticks, int(self._state[0])), np.uint32)
        self._records += _ext.records.encode_t2(ticks, tags.channel, self._state, words)
        self._file.write(words)
        self.tags, self._last_ps = self.tags + len(tags), int(tags.time_ps[-1])
        self._inputs = max(self._inputs, int(tags.channel.max()) + 1)

    def _write_header(self):
        self._file.write(_header(records=self._records, last_ps=self._last_ps, inputs=self._inputs, **self._facts))


def _ticks(block, last_ps, resolution_ps, path):
    """Times in ticks, checked."""
    times, channel = block.time_ps, block.channel
    if times[0] < last_ps:
        why = "times before 0 do not fit" if last_ps == 0 else "times must not step back"
        raise BadInput(why, where=path, field="time_ps", value=int(times[0]))
    if (times[1:] < times[:-1]).any():
        at = int(np.argmax(times[1:] < times[:-1])) + 1
        raise BadInput("times must not step back", where=path, field="time_ps", value=int(times[at]))
    if channel.max() >= CHANNELS:
        raise BadInput(f"a PTU T2 record holds channels 0 to {CHANNELS - 1}", where=path, field="channel",
                       value=int(channel.max()))
    if resolution_ps == 1:
        return times
    ticks, rest = np.divmod(times, resolution_ps)
    if rest.any():
        raise BadInput(f"not a multiple of the tick of {resolution_ps} ps", where=path, field="time_ps",
                       value=int(times[np.argmax(rest != 0)]))
    return ticks


def _header(*, records, last_ps, inputs, resolution_ps, comment, created):
    """A header; of the same length for any records, last_ps and inputs, so that it can be written over."""
    days = (created.replace(tzinfo=None) - TIME_ZERO) / datetime.timedelta(days=1)
    tags = [
        ("File_Comment", ANSI, comment),
        ("File_CreatingTime", TIME, days),
        ("CreatorSW_Name", ANSI, "qkdlab"),
        ("CreatorSW_Version", ANSI, qkdlab.__version__),
        ("Measurement_Mode", INT, 2),
        ("Measurement_SubMode", INT, 0),
        ("TTResult_StopReason", INT, 0),
        ("Fast_Load_End", EMPTY, None),
        ("TTResultFormat_TTTRRecType", INT, HYDRAHARP_V2_T2),
        ("TTResultFormat_BitsPerRecord", INT, 32),
        ("MeasDesc_BinningFactor", INT, 1),
        ("MeasDesc_Offset", INT, 0),
        ("MeasDesc_AcquisitionTime", INT, math.ceil(last_ps / 10**9)),     # ms
        ("MeasDesc_Resolution", FLOAT, resolution_ps / 1e12),
        ("MeasDesc_GlobalResolution", FLOAT, resolution_ps / 1e12),
        ("HW_Type", ANSI, "qkdlab"),                                       # no HydraHarp made this: say so
        ("HW_InpChannels", INT, inputs),
        ("HWSync_Divider", INT, 1),
        ("TTResult_SyncRate", INT, 0),
        ("TTResult_NumberOfRecords", INT, records),
    ]
    return SIGNATURE + b"1.0.00\0\0" + b"".join(_tag(*tag) for tag in tags) + _tag("Header_End", EMPTY, None)


def _tag(name, kind, value):
    """One tag as bytes. Texts are padded with zeros to a multiple of 8, at least one."""
    if kind == ANSI:
        text = value.encode("latin-1", errors="replace")
        text += bytes(8 - len(text) % 8)
        return TAG.pack(name.encode(), -1, kind, len(text).to_bytes(8, "little")) + text
    if kind in (FLOAT, TIME):
        return TAG.pack(name.encode(), -1, kind, struct.pack("<d", value))
    return TAG.pack(name.encode(), -1, kind, (value or 0).to_bytes(8, "little", signed=True))
