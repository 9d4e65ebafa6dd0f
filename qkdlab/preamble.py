"""The public synchronisation string: what Alice sends at the start of each frame, for everyone to know.

Slot ``k`` lies in frame ``k // frame_slots``; it is public if ``k % frame_slots < header_slots``. A public slot is *on*
(the strongest intensity) or *off* (the weakest). The first half of the header has the same on/off pattern in every
frame, so that Bob finds where frames begin; the pattern of the second half depends on the frame's number, so that he
finds which frame it is. Bit value and basis of public slots are public too.

All of it is drawn with the generator of Alice's choices, under keys that anyone can compute from ``string_seed``: there
are no secrets here.
"""

import numpy as np

from . import _ext
from .errors import BadInput

__all__ = ["fixed_pattern", "frame_pattern", "frame_patterns", "header_symbols", "is_header", "is_on"]

# Fair draws of basis and of on/off, in the units of the kernel (2^-15 and 2^-16).
_FAIR_BASIS = 1 << 14
_FAIR_ON_OFF = np.array([1 << 15, 1 << 16])


def _key_words(sync, part):
    """Public key of one part of the string: a label, the part, the seed."""
    words = np.frombuffer(b"qkdlab public string".ljust(32, b"\0"), "<u4").astype(np.uint32)
    words[5] = {"fixed": 1, "numbered": 2}[part]
    words[6], words[7] = sync.string_seed & 0xFFFFFFFF, sync.string_seed >> 32
    return words


def _draw(sync, part, places):
    """Symbols with intensity index 0 (on) or 1 (off) at these places of one part, uint8."""
    symbols = np.empty(len(places), np.uint8)
    _ext.encode.symbols_at(_key_words(sync, part), places, _FAIR_BASIS, _FAIR_ON_OFF, symbols)
    return symbols


def fixed_pattern(sync):
    """On/off pattern of the first half of every header.

    Parameters
    ----------
    sync : SynchronisationSettings

    Returns
    -------
    ndarray of bool, shape (header_slots // 2,)
        True where the pulse is on (intensity index 0).
    """
    return _draw(sync, "fixed", np.arange(sync.header_slots // 2)) < 4


def frame_pattern(sync, frame):
    """On/off pattern of the second half of the header of frame number `frame` (integer >= 0).

    Returns
    -------
    ndarray of bool, shape (header_slots // 2,)
        True where the pulse is on (intensity index 0).

    Raises
    ------
    BadInput
        Where the frame number is negative.
    """
    if frame < 0:
        raise BadInput("frames are counted from 0", field="frame", value=frame)
    half = sync.header_slots // 2
    return _draw(sync, "numbered", int(frame) * half + np.arange(half)) < 4


def is_header(sync, slots):
    """Whether each slot (int64 array) is public, as a bool array of the same shape. `sync` None: none is."""
    slots = np.asarray(slots)
    return np.zeros(slots.shape, bool) if sync is None else slots % sync.frame_slots < sync.header_slots


def header_symbols(source, sync, slots):
    """What Alice sends in public slots.

    Parameters
    ----------
    source : SourceSettings
        Needs at least two intensities: the string is carried by the strongest and the weakest.
    sync : SynchronisationSettings
    slots : ndarray of int64, shape (n,)
        Slots of headers, >= 0, in any order.

    Returns
    -------
    ndarray of uint8, shape (n,)
        Symbols: bit | basis << 1 | intensity index << 2.

    Raises
    ------
    BadInput
        Where a slot is not in a header, or the source has one intensity only.
    """
    slots = np.ascontiguousarray(slots, np.int64)
    off = len(source.intensities) - 1
    if not off:
        raise BadInput("the synchronisation string needs a second, weaker intensity", field="intensities",
                       value=list(source.intensities))
    symbols = _string(sync, slots)
    return (symbols & 3) | (symbols >> 2) * np.uint8(off << 2)


def is_on(sync, slots):
    """Whether the pulse is on in each of these public slots (int64 (n,), in any order), as a bool array.

    Raises
    ------
    BadInput
        Where a slot is not in a header.
    """
    return _string(sync, np.ascontiguousarray(slots, np.int64)) < 4


def _string(sync, slots):
    """Symbols of the string in public slots, with intensity index 0 (on) or 1 (off)."""
    frame, place = np.divmod(slots, sync.frame_slots)
    outside = (place >= sync.header_slots) | (slots < 0)
    if outside.any():
        raise BadInput("not a public slot", field="slots", value=int(slots[outside][0]))
    half = sync.header_slots // 2
    numbered = place >= half
    symbols = np.empty(len(slots), np.uint8)
    symbols[~numbered] = _draw(sync, "fixed", place[~numbered])
    symbols[numbered] = _draw(sync, "numbered", (frame * half + place - half)[numbered])
    return symbols


def frame_patterns(sync, first_frame, n_frames):
    """On/off patterns of the second half of consecutive headers, packed for comparison by the thousand.

    Parameters
    ----------
    sync : SynchronisationSettings
    first_frame : int
        At least 0.
    n_frames : int

    Returns
    -------
    ndarray of uint64, shape (n_frames, (header_slots // 2 + 63) // 64)
        Bit ``i % 64`` of word ``i // 64``: whether pulse ``i`` of :func:`frame_pattern` is on.
    """
    if first_frame < 0:
        raise BadInput("frames are counted from 0", field="first_frame", value=first_frame)
    half = sync.header_slots // 2
    words, at_once = np.zeros((n_frames, (half + 63) // 64), np.uint64), max(1, (1 << 18) // half)
    room = np.empty(min(at_once, n_frames) * half, np.uint8)
    for at in range(0, n_frames, at_once):                # as many as stay in the processor's cache
        symbols = room[: min(at_once, n_frames - at) * half]
        _ext.encode.symbols(_key_words(sync, "numbered"), (first_frame + at) * half, _FAIR_BASIS, _FAIR_ON_OFF, symbols)
        packed = np.packbits(symbols.reshape(-1, half) < 4, axis=1, bitorder="little")
        words.view(np.uint8)[at : at + len(packed), : packed.shape[1]] = packed
    return words
