"""OTDR traces ``.sor`` (Telcordia SR-4731, before that Bellcore GR-196), format 1 and 2.

A map of blocks (name, version, size), then the blocks in that order; those of format 2 begin with their own name.
Integers are little-endian; times of travel are one-way, in 100 ps (a position is c t / n); losses are in 0.001 dB; a
point of the trace is what lies between it and the top of the scale, in 0.001 dB times a scale factor. The standard is
not public: the layout is what public readers agree on and three instruments' files confirm.
"""

import pathlib
import struct
from dataclasses import dataclass, replace

import numpy as np

from qkdlab.datasets.blocks import opened
from qkdlab.datatypes import OtdrEvent, OtdrTrace
from qkdlab.errors import BadInput

__all__ = ["SIGNATURE", "read", "recognises"]

SIGNATURE = b""

LIGHT_M_PER_S = 299_792_458
MOST_BYTES = 1 << 26              # of a file; real ones have tens of kB
MOST_BLOCKS, MOST_PULSES, MOST_EVENTS = 256, 64, 10_000
NEEDED = ("GenParams", "FxdParams", "KeyEvents", "DataPts")
NEAR_DB = 0.05                    # by which a stated total loss may differ from that of the events (they are rounded)
KINDS = {"0": "non-reflective", "1": "reflective", "2": "saturated reflective"}
FOUND = {"A": "added by the user", "M": "moved by the user", "E": "end of fibre", "F": "found by the instrument",
         "O": "out of range", "D": "end of fibre, modified"}


def recognises(head, size, path):
    """Whether it begins with a map of blocks: by name in format 2, by its entries in format 1."""
    if head.startswith(b"Map\0"):
        return True
    version = int.from_bytes(head[:2], "little")
    return 100 <= version < 200 and all(name in head for name in (b"GenParams\0", b"FxdParams\0", b"DataPts\0"))


def read(path):
    """Read an OTDR trace.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    OtdrTrace
        What is doubtful (checksum, signs, sums) is said in ``warnings``.

    Raises
    ------
    BadInput
        Naming file, byte offset, field and value.
    """
    path = pathlib.Path(path)
    with opened(path) as file:
        raw = file.read(MOST_BYTES + 1)
    if not raw:
        raise BadInput("the file is empty", where=path)
    if len(raw) > MOST_BYTES:
        raise BadInput(f"more than {MOST_BYTES} bytes: not an OTDR trace", where=path)
    version, blocks = _map(_Bytes(raw, 0, len(raw), path))
    for name in NEEDED:
        if name not in blocks:
            raise BadInput("the file has no such block", where=path, field=name)
    about = _general(blocks["GenParams"], version) | (_supplier(blocks["SupParams"]) if "SupParams" in blocks else {})
    fixed = _fixed(blocks["FxdParams"], version)
    to_m = LIGHT_M_PER_S * 1e-10 / fixed["refractive_index"]
    events, ends = _events(blocks["KeyEvents"], version, to_m)
    power_db, more = _points(blocks["DataPts"])
    distance_m = (fixed.pop("offset") + fixed.pop("spacing") * np.arange(len(power_db))) * to_m
    promised = fixed.pop("points")
    about |= {"version": version, "blocks": tuple(blocks)}
    trace = OtdrTrace(distance_m=distance_m, power_db=power_db, events=events, about=about, **fixed, **ends)
    warnings = [*_checksum(raw, blocks), *more, *_doubts(trace)]
    if promised != len(power_db):
        warnings.append(f"FxdParams speaks of {promised} points, DataPts holds {len(power_db)}")
    return replace(trace, warnings=tuple(warnings))


# ------------------------------------------------------------------------------------------------------- blocks


@dataclass
class _Bytes:
    """A stretch of the file, read from its front; complains with the byte offset."""

    raw: bytes
    at: int
    end: int
    path: object

    def take(self, code, name):
        """Values of one struct code."""
        layout = struct.Struct("<" + code)
        if self.at + layout.size > self.end:
            raise BadInput("the block ends inside this field", where=f"{self.path}: byte {self.end}", field=name)
        values = layout.unpack_from(self.raw, self.at)
        self.at += layout.size
        return values[0] if len(values) == 1 else values

    def text(self, name):
        """A text up to its NUL."""
        stop = self.raw.find(b"\0", self.at, self.end)
        if stop < 0:
            raise BadInput("a text without an end", where=f"{self.path}: byte {self.at}", field=name)
        value = self.raw[self.at : stop].decode("latin-1").strip()
        self.at = stop + 1
        return value

    def number(self, code, name, low, high):
        """A number inside a range."""
        at, value = self.at, self.take(code, name)
        if not low <= value <= high:
            raise BadInput(f"must be from {low} to {high}", where=f"{self.path}: byte {at}", field=name, value=value)
        return value


def _map(file):
    """Format (1 or 2) and the blocks by name, each behind its own name."""
    named = file.raw.startswith(b"Map\0")
    if named:
        file.at = 4
    file.number("H", "Map.version", 100, 299)
    size = file.take("I", "Map.size")
    count = file.number("H", "Map.blocks", 1, MOST_BLOCKS) - 1
    at, blocks = size, {}
    for _ in range(count):
        name = file.text("Map.name")
        file.take("H", f"Map.{name}.version")
        length = file.take("I", f"Map.{name}.size")
        if at + length > file.end:
            raise BadInput(f"the map promises bytes {at} to {at + length}, the file ends at {file.end}", where=file.path,
                           field=name, value=length)
        block = _Bytes(file.raw, at, at + length, file.path)
        if named and block.text(name) != name:
            raise BadInput("the block does not begin with its name", where=f"{file.path}: byte {at}", field=name)
        blocks.setdefault(name, block)
        at += length
    return (2 if named else 1), blocks


def _general(block, version):
    about = {"language": block.take("2s", "language").decode("latin-1").strip("\0 "), "cable": block.text("cable"),
             "fibre": block.text("fibre")}
    if version == 2:
        about["fibre_type"] = block.take("H", "fibre_type")           # 652 means ITU-T G.652
    block.take("H", "wavelength")                                     # again, and finer, in FxdParams
    about |= {"from": block.text("from"), "to": block.text("to")}
    block.text("cable_code"), block.take("2s", "build_condition"), block.take("i", "user_offset")
    if version == 2:
        block.take("i", "user_offset_distance")
    return about | {"operator": block.text("operator"), "comment": block.text("comment")}


def _supplier(block):
    return {name: block.text(name) for name in ("supplier", "instrument", "instrument_serial", "module", "module_serial",
                                                "software", "other")}


def _fixed(block, version):
    """Acquisition parameters; `offset`, `spacing` in 100 ps and `points` are for the caller."""
    fixed = {"recorded_unix_s": block.take("I", "recorded")}
    block.take("2s", "units")                                         # how the instrument showed distances
    fixed["wavelength_nm"] = block.number("H", "wavelength", 1, 65535) / 10
    fixed["offset"] = block.take("i", "acquisition_offset")
    if version == 2:
        block.take("i", "acquisition_offset_distance")
    pulses = block.number("H", "pulse_widths", 1, MOST_PULSES)
    widths, spacings, points = ([block.take(code, name) for _ in range(pulses)] for code, name in (
        ("H", "pulse_width_ns"), ("I", "spacing"), ("I", "points")))
    if spacings[0] == 0:
        raise BadInput("must be above 0", where=block.path, field="spacing", value=0)
    fixed |= {"pulse_width_ns": widths[0], "spacing": spacings[0] / 10_000, "points": points[0]}
    fixed["refractive_index"] = block.number("I", "refractive_index", 100_000, 300_000) / 1e5
    fixed["backscatter_db"] = -block.take("H", "backscatter") / 10
    fixed["averages"] = block.take("I", "averages")
    if version == 2:
        block.take("H", "averaging_time")
    block.take("I", "range")
    if version == 2:
        block.take("i", "range_distance")
    block.take("iHHHHH", "levels")
    return fixed | {"end_threshold_db": block.take("H", "end_threshold") / 1000}


def _events(block, version, to_m):
    """The events, and what is said of the whole fibre."""
    events = []
    for _ in range(block.number("H", "events", 0, MOST_EVENTS)):
        number, time, slope, loss, reflectance = block.take("Hihhi", f"event {len(events) + 1}")
        code = block.take("8s", f"event {number}").decode("latin-1").rstrip("\0 ")
        if version == 2:
            block.take("5I", f"event {number}")                       # markers from which the instrument measured
        events.append(OtdrEvent(distance_m=time * to_m, loss_db=loss / 1000, reflectance_db=reflectance / 1000,
                                slope_db_per_km=slope / 1000, kind=_kind(code), code=code, comment=block.text("comment")))
    total, start, length, orl, _, _ = block.take("iiIHiI", "summary")
    return tuple(events), {"total_loss_db": total / 1000 or None, "return_loss_db": orl / 1000 or None,
                           "start_m": start * to_m, "length_m": length * to_m}


def _kind(code):
    """A code such as 1E9999LS in words."""
    words = [KINDS.get(code[:1]), FOUND.get(code[1:2])]
    return ", ".join(word or "unknown" for word in words)


def _points(block):
    """The first trace in dB below the top of the scale (negative), and what is amiss."""
    at, total = block.at, block.take("I", "points")
    traces = block.number("H", "traces", 1, MOST_PULSES)
    points, scale = block.take("IH", "points of trace 1")
    left = (block.end - block.at) // 2
    if points > left:
        raise BadInput(f"the trace promises more points than the {left} that follow", where=f"{block.path}: byte {at}",
                       field="points", value=points)
    if points == 0 or scale == 0:
        raise BadInput("must be above 0", where=f"{block.path}: byte {at}", field="scale" if points else "points", value=0)
    values = np.frombuffer(block.raw, "<u2", points, block.at)
    warnings = [f"only the first of {traces} traces is read"] if traces > 1 else []
    if traces == 1 and total != points:
        warnings.append(f"DataPts speaks of {total} points in all, its trace has {points}")
    return values * (-scale / 1e6), warnings


# ------------------------------------------------------------------------------------------------------- doubts


def _checksum(raw, blocks):
    """CRC-16/CCITT-FALSE of all bytes before it. Many instruments write it wrong or not at all: warn, never refuse."""
    if "Cksum" not in blocks:
        return ["the file has no checksum"]
    at = blocks["Cksum"].at
    stored, right = blocks["Cksum"].take("H", "checksum"), _crc16(raw[:at])
    return [] if stored == right else [f"the checksum is {stored}, that of the bytes before it is {right}"]


def _crc16(data):
    """CRC-16/CCITT-FALSE: polynomial 0x1021, start 0xFFFF."""
    crc = 0xFFFF
    for byte in data:
        crc = (crc << 8 & 0xFF00) ^ _CRC_TABLE[crc >> 8 ^ byte]
    return crc


def _crc_entry(byte):
    crc = byte << 8
    for _ in range(8):
        crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


_CRC_TABLE = [_crc_entry(byte) for byte in range(256)]


def _doubts(trace):
    """What the file says that cannot be, or contradicts itself."""
    doubts = [f"event {i}: a reflectance of {e.reflectance_db:+.3f} dB is above 0: was the sign left out?"
              for i, e in enumerate(trace.events, 1) if e.reflectance_db > 0]
    if any(b.distance_m < a.distance_m for a, b in zip(trace.events, trace.events[1:], strict=False)):
        doubts.append("the events are not in order of distance")
    if trace.total_loss_db is None:
        doubts.append("the total loss is not filled in: see event_loss_db")
    elif abs(trace.total_loss_db - trace.event_loss_db) > NEAR_DB:
        doubts.append(f"the stated total loss of {trace.total_loss_db:.3f} dB is not that of the events, "
                      f"{trace.event_loss_db:.3f} dB")
    return doubts
