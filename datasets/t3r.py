"""PicoQuant TimeHarp 200 ``.t3r`` of format 5.0 and 6.0: a fixed header, then records of 32 bits.

=========  ======================================================================================
bits       meaning
=========  ======================================================================================
0 to 15    time tag, in periods of the global clock (ns in the header)
16 to 27   photon: TCSPC channel (micro time); special record: bit 11 = overflow, bits 0 to 2 = markers
28, 29     routing (detector)
30         1: photon, 0: special record
=========  ======================================================================================

The layout is that of PicoQuant's demonstration of the format. Older formats (2.0, 3.0) note their overflows in another
way and are refused. The TCSPC channel counts from a sync pulse that is not on the axis of the time tag: times are time tags.
"""

import pathlib
from fractions import Fraction

import numpy as np

from qkdlab.datasets.blocks import opened
from qkdlab.datasets.macrotime import MacroStream, Parts
from qkdlab.datasets.picoquant import check_field, exact, promise, read_part
from qkdlab.datasets.recording import Recording

__all__ = ["SIGNATURE", "read", "read_header"]

SIGNATURE = b"TimeHarp 200"

WRAP = 1 << 16

IDENT = [("Ident", "16s"), ("FormatVersion", "6s")]
TEXT = {"5.0": [("HardwareVersion", "6s"), ("FileTime", "18s"), ("_", "2s"), ("Comment", "256s")],
        "6.0": [("CreatorName", "18s"), ("CreatorVersion", "12s"), ("FileTime", "18s"), ("_", "2s"), ("Comment", "256s")]}
NUMBERS = [("NumberOfChannels", "i"), ("NumberOfCurves", "i"), ("BitsPerChannel", "i"), ("RoutingChannels", "i"),
           ("NumberOfBoards", "i"), ("ActiveCurve", "i"), ("MeasurementMode", "i"), ("SubMode", "i"), ("RangeNo", "i"),
           ("Offset", "i"), ("AcquisitionTime", "i"), ("StopAt", "i"), ("StopOnOvfl", "i"), ("Restart", "i"),
           ("_", "120s"), ("RepeatMode", "i"), ("RepeatsPerCurve", "i"), ("RepeatTime", "i"), ("RepeatWaitTime", "i"),
           ("ScriptName", "20s")]
BOARD = [("BoardSerial", "i"), ("CFDZeroCross", "i"), ("CFDDiscriminatorMin", "i"), ("SYNCLevel", "i"),
         ("CurveOffset", "i"), ("Resolution", "f")]
BOARD_NAME = {"5.0": [], "6.0": [("HardwareIdent", "16s"), ("HardwareVersion", "8s")]}
RESULT = [("TTTRGlobClock", "i"), ("ExtDevices", "i"), ("_", "20s"), ("SyncRate", "i"), ("AverageCFDRate", "i"),
          ("StopAfter", "i"), ("StopReason", "i"), ("NumberOfRecords", "i"), ("SpecHeaderLength", "i")]


def read(path):
    """Open a .t3r file.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    Recording
        ``info["tags"]`` is the header; ``resolution_ps`` the bin of the micro time.

    Raises
    ------
    BadInput
        Naming file, byte offset and field.
    """
    path = pathlib.Path(path)
    header, start = read_header(path)
    unit, bin_ps = Fraction(1000 * header["TTTRGlobClock"]), exact(1000 * header["Resolution"])
    records, warnings, complete = promise(path, start, header["NumberOfRecords"])
    return Recording("t3r", path, MacroStream(path, start, _split, WRAP, unit, bin_ps), bin_ps, header["SyncRate"],
                     {"records": records, "tags": header}, warnings, complete, tick_ps=unit)


def read_header(path):
    """The header as a dict, and the byte offset behind it. Raises as :func:`read`."""
    with opened(path) as file:
        header = read_part(file, path, IDENT)
        check_field(path, header, "Ident", header["Ident"] == "TimeHarp 200", "not a TimeHarp 200 file")
        version = header["FormatVersion"]
        check_field(path, header, "FormatVersion", version in TEXT, "formats 5.0 and 6.0 are known")
        header |= read_part(file, path, TEXT[version]) | read_part(file, path, NUMBERS)
        check_field(path, header, "NumberOfBoards", header["NumberOfBoards"] == 1, "one board is expected")
        header |= read_part(file, path, BOARD_NAME[version] + BOARD) | read_part(file, path, RESULT)
        return _checked(header, path, file)


def _checked(header, path, file):
    at = file.tell()
    left = file.seek(0, 2) - at
    check_field(path, header, "Resolution", 1e-6 <= header["Resolution"] <= 1e6, "must be from 10^-6 to 10^6 ns")
    check_field(path, header, "TTTRGlobClock", 1 <= header["TTTRGlobClock"] <= 10**6, "must be from 1 to 10^6 ns")
    check_field(path, header, "SyncRate", header["SyncRate"] >= 0, "must be at least 0")
    check_field(path, header, "NumberOfRecords", header["NumberOfRecords"] >= 0, "must be at least 0")
    check_field(path, header, "SpecHeaderLength", 0 <= header["SpecHeaderLength"] <= left // 4, "more than the file holds")
    return header, at + 4 * header["SpecHeaderLength"]


def _split(words):
    photon, data = words >> 30 & 1 == 1, words >> 16 & 0xFFF
    overflow = ~photon & (data & 0x800 != 0)
    return Parts(photon=photon, wraps=overflow.astype(np.int64), macro=words & 0xFFFF, micro=data.astype(np.uint16),
                 channel=(words >> 28 & 3).astype(np.uint8), overflow=overflow,
                 marker=~photon & ~overflow & (data & 7 != 0))
