"""Sifting: from Bob's clicks to the bits of slots where both parties chose the same basis.

What is said aloud, after all clicks of the block are recorded::

    Bob   -> Alice   the slots that clicked and the basis of each           announce / read_announcement
    Alice -> Bob     which of them she prepared in the same basis, and of
                     these her intensities, and her bits in the test basis  answer / read_answer

Each function takes one party's data and, at most, what the other said. Bits of the key basis are never said; bits of
the test basis are used up by it. Basis codes are those of :mod:`qkdlab.datatypes`: 0 key, 1 test.
"""

import struct
from dataclasses import dataclass

import numpy as np

from .. import _ext
from ..bits import Bits
from ..datatypes import SiftedKey
from ..errors import BadInput

__all__ = ["Answer", "announce", "answer", "decode_slots", "encode_slots", "pack_mask", "read_announcement",
           "read_answer", "same_basis", "sifted", "unpack_mask"]

_COUNT = struct.Struct("<Q")


def same_basis(alice_basis, bob_basis):
    """Where both chose the same basis.

    Parameters
    ----------
    alice_basis, bob_basis : ndarray of uint8, shape (K,)
        0 or 1.

    Returns
    -------
    ndarray of bool, shape (K,)
    """
    alice_basis = _column(alice_basis, "alice_basis", 1)
    return alice_basis == _column(bob_basis, "bob_basis", 1, len(alice_basis))


def sifted(slot, bit, basis, intensity, *, code):
    """The sifted key of one party in one basis.

    Parameters
    ----------
    slot : ndarray of int64, shape (K,)
        Slots where both chose the same basis, strictly increasing.
    bit, basis, intensity : ndarray of uint8, shape (K,)
        This party's bits, the common basis, and the intensity that Alice announced.
    code : int
        The basis to keep: 0 key, 1 test.

    Returns
    -------
    SiftedKey
    """
    if code not in (0, 1):
        raise BadInput("0 (key) or 1 (test) is expected", field="code", value=code)
    columns = [np.asarray(column) for column in (slot, bit, basis, intensity)]
    if not _ready(*columns):
        columns = _checked(*columns)
    slot, bit, basis, intensity = columns
    n = len(slot)
    slots, words, levels = np.empty(n, np.int64), np.zeros((n + 63) // 64, np.uint64), np.empty(n, np.uint8)
    kept, good = _ext.sift.select(basis, code, slot, bit, intensity, slots, words, levels)
    if not good:
        _checked(*columns)                   # says what is wrong
    words = words[: (kept + 63) // 64]
    words.flags.writeable = False
    slots, levels = (column[:kept].copy() if 2 * kept < n else column[:kept] for column in (slots, levels))
    return SiftedKey(Bits(words, kept), slots, int(code), levels)


def _ready(slot, *columns):
    """Of the kinds that the kernel takes, which looks at the values itself."""
    return slot.dtype == np.int64 and all(column.dtype == np.uint8 for column in columns) and all(
        column.shape == slot.shape and column.ndim == 1 and column.flags.c_contiguous for column in (slot, *columns))


def _checked(slot, bit, basis, intensity):
    slot = _slots(slot)
    return (slot, _column(bit, "bit", 1, len(slot)), _column(basis, "basis", 1, len(slot)),
            _column(intensity, "intensity", 7, len(slot)))


# ------------------------------------------------------------------------------------------------ what Bob says


def announce(clicks):
    """Bob's message: the slots that clicked and the basis of each.

    Parameters
    ----------
    clicks : Clicks

    Returns
    -------
    bytes
        Typically 2 bytes and 1 bit a click (see :func:`encode_slots`).
    """
    slots = encode_slots(clicks.slot)
    return _COUNT.pack(len(clicks)) + pack_mask(_column(clicks.basis, "basis", 1, len(clicks))) + slots


def read_announcement(payload):
    """What Bob announced.

    Returns
    -------
    slot : ndarray of int64, shape (K,)
    basis : ndarray of uint8, shape (K,)

    Raises
    ------
    BadInput
        Where the message is malformed.
    """
    if len(payload) < _COUNT.size:
        raise BadInput("is cut off", where="announcement", value=f"{len(payload)} bytes")
    count = _COUNT.unpack_from(payload)[0]
    start = _COUNT.size + (count + 7) // 8
    if len(payload) < start + count:         # a slot takes at least a byte
        raise BadInput(f"is cut off: {count} clicks take at least {start + count} bytes", where="announcement",
                       value=f"{len(payload)} bytes")
    basis = unpack_mask(payload[_COUNT.size : start], count).view(np.uint8)
    slot = decode_slots(payload[start:])
    if len(slot) != count:
        raise BadInput(f"{count} slots are expected", where="announcement", value=len(slot))
    return slot, basis


# ---------------------------------------------------------------------------------------------- what Alice says


@dataclass(frozen=True, slots=True)
class Answer:
    """What Alice said of the announced clicks."""

    kept: np.ndarray             # bool (K,): both chose the same basis
    intensity: np.ndarray        # uint8 (kept,): index into the intensities
    test_bit: np.ndarray         # uint8 (kept in the test basis,): her bits there


def answer(bit, basis, intensity, bob_basis, n_intensities):
    """Alice's message on the clicks that Bob announced.

    Parameters
    ----------
    bit, basis, intensity : ndarray of uint8, shape (K,)
        Her choices in the announced slots.
    bob_basis : ndarray of uint8, shape (K,)
        As announced.
    n_intensities : int
        1 to 8.

    Returns
    -------
    bytes
        One bit a click, and for each kept one the bits of its intensity; one bit for each kept in the test basis.
    """
    planes = _planes(n_intensities)
    kept = same_basis(basis, bob_basis)
    bit = _column(bit, "bit", 1, len(kept))[kept]
    intensity = _column(intensity, "intensity", n_intensities - 1, len(kept))[kept]
    parts = [kept, *(intensity >> p & 1 for p in range(planes)), bit[np.asarray(bob_basis)[kept] == 1]]
    return b"".join(map(pack_mask, parts))


def read_answer(payload, bob_basis, n_intensities):
    """What Alice answered.

    Parameters
    ----------
    payload : bytes
    bob_basis : ndarray of uint8, shape (K,)
        As Bob announced.
    n_intensities : int
        1 to 8.

    Returns
    -------
    Answer

    Raises
    ------
    BadInput
        Where the message is malformed.
    """
    bob_basis = _column(bob_basis, "bob_basis", 1)
    at = 0

    def take(n):
        nonlocal at
        at += (n + 7) // 8
        return unpack_mask(payload[at - (n + 7) // 8 : at], n)

    planes = _planes(n_intensities)
    kept = take(len(bob_basis))
    n = int(np.count_nonzero(kept))
    intensity = np.zeros(n, np.uint8)
    for p in range(planes):
        intensity |= take(n).view(np.uint8) << np.uint8(p)
    test_bit = take(int(np.count_nonzero(bob_basis[kept]))).view(np.uint8)
    if at != len(payload):
        raise BadInput(f"{at} bytes are expected", where="answer", value=f"{len(payload)} bytes")
    return Answer(kept, _column(intensity, "intensity", n_intensities - 1), test_bit)


# ------------------------------------------------------------------------------------------------------ packing


def encode_slots(slots):
    """Slots as bytes: each gap to the slot before, less one, in groups of seven bits.

    Parameters
    ----------
    slots : ndarray of int64, shape (K,)
        Strictly increasing, at least 0.

    Returns
    -------
    bytes
        One byte for gaps up to 128 slots, two up to 16 384, three up to 2 097 152.

    Raises
    ------
    BadInput
        Where the slots are not strictly increasing from 0 on.
    """
    slots = _slots(slots)
    # A gap g (less one) takes at most 1 + g / 128 bytes, and the gaps sum to no more than the last slot.
    room = len(slots) + (min(8 * len(slots), int(slots[-1]) // 128) if len(slots) and slots[-1] > 0 else 0)
    out = np.empty(room, np.uint8)
    good, written = _ext.sift.encode_slots(slots, out)
    return out[:written].tobytes()


def decode_slots(data):
    """Slots from the bytes of :func:`encode_slots`.

    Returns
    -------
    ndarray of int64, shape (K,)
        Strictly increasing, at least 0.

    Raises
    ------
    BadInput
        Naming the byte where the first malformed gap starts.
    """
    data = np.frombuffer(data, np.uint8)
    out = np.empty(np.count_nonzero(data < 128), np.int64)
    good, written = _ext.sift.decode_slots(data, out)
    if good != len(data):
        raise BadInput(f"no well-formed gap between slots at byte {good}", where="slots")
    return out[:written]


def pack_mask(mask):
    """An array of bool (or of 0 and 1), shape (n,), as ``(n + 7) // 8`` bytes, first bit lowest."""
    return Bits.from_numpy(mask).to_bytes()


def unpack_mask(data, n):
    """The array of bool, shape (n,), that :func:`pack_mask` packed; BadInput where the bytes do not fit `n` bits."""
    if len(data) != (n + 7) // 8:
        raise BadInput(f"{n} bits take {(n + 7) // 8} bytes", where="mask", value=f"{len(data)} bytes")
    if n % 8 and data[-1] >> n % 8:
        raise BadInput(f"a bit beyond the {n} bits is set", where="mask")
    return Bits.from_bytes(data, n).to_numpy().view(np.bool_)


# ------------------------------------------------------------------------------------------------------- checks


def _column(values, name, largest, length=None):
    """`values` as a contiguous uint8 array, no element above `largest`."""
    values = np.asarray(values)
    if values.ndim != 1 or values.dtype.kind not in "bui":
        raise BadInput(f"a 1-D array of whole numbers is expected, got {values.dtype} of {values.ndim} dimensions",
                       field=name)
    if length is not None and len(values) != length:
        raise BadInput(f"{length} values are expected", field=name, value=len(values))
    if len(values) and not 0 <= values.min() <= values.max() <= largest:
        raise BadInput(f"0 to {largest} is expected", field=name,
                       value=int(values.max() if values.max() > largest else values.min()))
    return np.ascontiguousarray(values, np.uint8)


def _slots(slots):
    slots = np.asarray(slots)
    if slots.ndim != 1 or slots.dtype != np.int64:
        raise BadInput(f"a 1-D int64 array is expected, got {slots.dtype} of {slots.ndim} dimensions", field="slot")
    falls = np.flatnonzero(slots[1:] <= slots[:-1]) + 1
    if len(slots) and (slots[0] < 0 or len(falls)):
        at = 0 if slots[0] < 0 else int(falls[0])
        raise BadInput(f"slots must increase strictly from 0 on, number {at} does not", field="slot",
                       value=int(slots[at]))
    return np.ascontiguousarray(slots)


def _planes(n_intensities):
    if isinstance(n_intensities, bool) or not isinstance(n_intensities, int) or not 1 <= n_intensities <= 8:
        raise BadInput("1 to 8 is expected", field="n_intensities", value=n_intensities)
    return (n_intensities - 1).bit_length()
