"""HydraHarp ``.ht2`` and ``.ht3`` of format 1.0 and 2.0: the fixed header that came before PTU, then T2 or T3 records.

The layout is that of the HydraHarp 400 manual (TTTR file format): a block of text, one of numbers, a list of hardware
modules, a list of input channels and the TTTR header, packed, little-endian.
"""

import os
import pathlib

from qkdlab.datasets.blocks import opened
from qkdlab.datasets.picoquant import LAYOUTS, RecordStream, check_field, exact, promise, read_part
from qkdlab.datasets.recording import Recording
from qkdlab.errors import BadInput

__all__ = ["SIGNATURE", "read", "read_header"]

SIGNATURE = b"HydraHarp\0"

LAYOUT = {("1.0", 2): 0x00010204, ("1.0", 3): 0x00010304, ("2.0", 2): 0x01010204, ("2.0", 3): 0x01010304}
MOST_INPUTS = 64

# The parts of the header: (name, struct code). Names as in the manual; "_" is read over.
TEXT = [("Ident", "16s"), ("FormatVersion", "6s"), ("CreatorName", "18s"), ("CreatorVersion", "12s"),
        ("FileTime", "18s"), ("_", "2s"), ("Comment", "256s")]
NUMBERS = [("NumberOfCurves", "i"), ("BitsPerRecord", "i"), ("ActiveCurve", "i"), ("MeasurementMode", "i"),
           ("SubMode", "i"), ("Binning", "i"), ("Resolution", "d"), ("Offset", "i"), ("AcquisitionTime", "i"),
           ("StopAt", "i"), ("StopOnOvfl", "i"), ("Restart", "i"), ("_", "120s"), ("RepeatMode", "i"),
           ("RepeatsPerCurve", "i"), ("RepeatTime", "i"), ("RepeatWaitTime", "i"), ("ScriptName", "20s")]
HARDWARE = [("HardwareIdent", "16s"), ("HardwarePartNo", "8s"), ("HardwareSerial", "i"), ("NumberOfModules", "i"),
            ("_", "80s"), ("BaseResolution", "d"), ("InputsEnabled", "q"), ("InputChannelsPresent", "i"),
            ("RefClockSource", "i"), ("ExtDevices", "i"), ("MarkerSettings", "i"), ("SyncDivider", "i"),
            ("SyncCFDLevel", "i"), ("SyncCFDZeroCross", "i"), ("SyncOffset", "i")]
RESULT = [("SyncRate", "i"), ("StopAfter", "i"), ("StopReason", "i"), ("ImgHdrSize", "i"), ("NumRecords", "q")]


def read(path):
    """Open an .ht2 or .ht3 file, as every ``read`` of :mod:`qkdlab.datasets`; ``info["tags"]`` is the header."""
    path = pathlib.Path(path)
    header, start = read_header(path)
    mode = header["MeasurementMode"]
    layout = LAYOUTS[LAYOUT[header["FormatVersion"], mode]]
    # T2 of format 1.0 counts in 0.5 ps and says so in Resolution; BaseResolution stays at 1.
    resolution, sync_rate = exact(header["Resolution"]), header["SyncRate"]
    if mode == 3 and sync_rate < 1:
        raise BadInput("T3 times count sync periods: a rate above 0 is needed", where=path, field="SyncRate",
                       value=sync_rate)
    stream = (RecordStream(path, start, layout, resolution) if mode == 2 else
              RecordStream(path, start, layout, exact(1e12 / sync_rate), resolution))
    records, warnings, complete = promise(path, start, header["NumRecords"])
    return Recording(f"ht{mode}", path, stream, resolution, sync_rate,
                     {"records": records, "layout": layout.name, "tags": header}, warnings, complete,
                     tick_ps=resolution if mode == 2 else 1)


def read_header(path):
    """The header as a dict of the manual's names, and the byte offset behind it. Raises as :func:`read`."""
    with opened(path) as file:
        return _read_header(file, path)


def _read_header(file, path):
    header = read_part(file, path, TEXT)
    check_field(path, header, "Ident", header["Ident"] == "HydraHarp", "not a HydraHarp file")
    check_field(path, header, "FormatVersion", header["FormatVersion"] in ("1.0", "2.0"), "formats 1.0 and 2.0 are known")
    header |= read_part(file, path, NUMBERS)
    check_field(path, header, "BitsPerRecord", header["BitsPerRecord"] == 32, "records of 32 bits are expected")
    check_field(path, header, "MeasurementMode", header["MeasurementMode"] in (2, 3), "2 (T2) or 3 (T3) is expected")
    check_field(path, header, "Resolution", 1e-3 <= header["Resolution"] <= 1e9, "must be from 0.001 to 10^9 ps")
    header |= read_part(file, path, HARDWARE)
    inputs = header["InputChannelsPresent"]
    check_field(path, header, "InputChannelsPresent", 0 <= inputs <= MOST_INPUTS, f"must be from 0 to {MOST_INPUTS}")
    read_part(file, path, [("_", f"{16 * inputs}s")])                             # discriminator settings of the inputs
    header["InputRate"] = list(read_part(file, path, [(f"InputRate[{i}]", "i") for i in range(inputs)]).values())
    header |= read_part(file, path, RESULT)
    left = os.fstat(file.fileno()).st_size - file.tell()
    check_field(path, header, "ImgHdrSize", 0 <= header["ImgHdrSize"] <= left // 4, "more than the file holds")
    check_field(path, header, "NumRecords", header["NumRecords"] >= 0, "must be at least 0")
    return header, file.tell() + 4 * header["ImgHdrSize"]
