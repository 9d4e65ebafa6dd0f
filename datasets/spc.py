"""Becker & Hickl ``.spc``: FIFO data of the SPC-130, 140, 150, 160 and 830 modules.

A word of 32 bits says in what unit the macro time counts (low 24 bits, in 0.1 ns), then records follow:

=========  ======================================================================================
bits       meaning
=========  ======================================================================================
0 to 11    macro time
12 to 15   routing (detector)
16 to 27   ADC value; it falls while the micro time rises
28         marker
29         gap: records were lost before this one
30         the macro time wrapped once before this record; with `invalid`: as often as bits 0 to 27 say
31         invalid: not a photon (without bits 28 and 30: one outside the window of the TAC)
=========  ======================================================================================

Times are macro times: the micro time counts from a sync pulse that need not be on the axis of the macro time.
"""

import pathlib
import re
from fractions import Fraction

import numpy as np

from qkdlab.datasets.blocks import opened
from qkdlab.datasets.macrotime import MacroStream, Parts
from qkdlab.datasets.picoquant import exact, promise
from qkdlab.datasets.recording import Recording
from qkdlab.errors import BadInput

__all__ = ["SIGNATURE", "read", "recognises"]

SIGNATURE = b""

WORD = 4
WRAP = 1 << 12
MOST_SETTINGS = 1 << 20           # bytes of a .set file that are looked at


def recognises(head, size, path):
    """Whether the words look like a header and its records. No two photons between wraps may step back."""
    words = np.frombuffer(head[: len(head) // WORD * WORD], "<u4")
    if len(words) < 1 or (size % WORD and size > len(head)) or not words[0] >> 31 or words[0] >> 24 & 7:
        return False
    if not 10 <= int(words[0] & 0xFFFFFF) <= 100_000:            # 1 ns to 10 us
        return False
    parts = _split(words[1:])
    ticks = WRAP * np.cumsum(parts.wraps) + parts.macro
    return bool((np.diff(ticks[parts.photon]) >= 0).all()) and (len(words) > 8 or pathlib.Path(path).suffix == ".spc")


def read(path):
    """Open an .spc file.

    Parameters
    ----------
    path : path-like
        Where a ``.set`` file of the same name lies beside it, the bin of the micro time is taken from there.

    Returns
    -------
    Recording
        ``info["bin_ps"]`` is the bin of the micro time, or None.

    Raises
    ------
    BadInput
        Naming file, byte offset and value.
    """
    path = pathlib.Path(path)
    with opened(path) as file:
        raw = file.read(WORD)
    if len(raw) < WORD:
        raise BadInput("the file ends inside the header" if raw else "the file is empty",
                       where=f"{path}: byte {len(raw)}", field="macro time unit")
    head = int.from_bytes(raw, "little")
    unit = Fraction(100 * (head & 0xFFFFFF))
    if not head >> 31 or not unit:
        raise BadInput("a header with bit 31 set and a macro time unit above 0 is expected", where=f"{path}: byte 0",
                       field="macro time unit", value=f"0x{head:08X}")
    records, warnings, complete = promise(path, WORD, None)
    bin_ps = _bin_ps(path)
    return Recording("spc", path, MacroStream(path, WORD, _split, WRAP, unit, bin_ps), unit, None,
                     {"records": records, "routing_bits": head >> 27 & 15,
                      "bin_ps": None if bin_ps is None else float(bin_ps)}, warnings, complete, tick_ps=unit)


def _split(words):
    invalid, wrapped, marked = words >> 31 == 1, words >> 30 & 1 == 1, words >> 28 & 1 == 1
    several = invalid & wrapped & ~marked
    wraps = np.where(several, np.maximum(words & 0x0FFFFFFF, 1), wrapped).astype(np.int64)
    return Parts(photon=~invalid, wraps=wraps, macro=words & 0xFFF, micro=(0xFFF - (words >> 16 & 0xFFF)).astype(np.uint16),
                 channel=(words >> 12 & 15).astype(np.uint8), overflow=several, marker=invalid & marked,
                 gaps=int(np.count_nonzero(words >> 29 & 1)))


def _bin_ps(path):
    """Bin of the micro time from the settings beside the file (SP_TAC_TC, in s), or None."""
    try:
        with path.with_suffix(".set").open("rb") as file:
            found = re.search(rb"\[SP_TAC_TC,F,([0-9.eE+-]{1,30})\]", file.read(MOST_SETTINGS))
        value_ps = float(found[1]) * 1e12 if found else 0
    except (OSError, ValueError):
        return None
    return exact(value_ps) if 1e-3 <= value_ps <= 1e9 else None
