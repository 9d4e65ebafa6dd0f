# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Keep entries and bits by their basis; lists of slots as gaps of seven bits a byte."""
from libc.stdint cimport int64_t, uint8_t, uint64_t

cdef extern from "sift.h" nogil:
    Py_ssize_t select_entries "qkd_select"(const uint8_t* basis, uint8_t code, const int64_t* slot, const uint8_t* bit,
                                           const uint8_t* intensity, Py_ssize_t n, int64_t* slot_out, uint64_t* words,
                                           uint8_t* intensity_out, int* good)


def select(const uint8_t[::1] basis, uint8_t code, const int64_t[::1] slot, const uint8_t[::1] bit,
           const uint8_t[::1] intensity, int64_t[::1] slot_out, uint64_t[::1] words, uint8_t[::1] intensity_out):
    """Write slot, bit (packed, into zeros) and intensity of each entry whose basis is `code`. All are equally long.

    Returns ``(kept, good)``: how many, and whether slots increase strictly from 0 on, bits and bases are 0 or 1, and
    intensities at most 7.
    """
    cdef Py_ssize_t n = basis.shape[0], kept = 0
    cdef int good = 1
    if not n == slot.shape[0] == bit.shape[0] == intensity.shape[0] or not n == slot_out.shape[0] == intensity_out.shape[0] \
            or words.shape[0] != (n + 63) // 64:
        raise ValueError(f"{n} entries, and room for as many, are expected")
    if n:
        with nogil:
            kept = select_entries(&basis[0], code, &slot[0], &bit[0], &intensity[0], n, &slot_out[0], &words[0],
                                  &intensity_out[0], &good)
    return kept, good != 0


cdef Py_ssize_t _encode(const int64_t* slots, Py_ssize_t n, uint8_t* out, Py_ssize_t room,
                        Py_ssize_t* written) noexcept nogil:
    # -1: there is no room.
    cdef Py_ssize_t i, at = 0
    cdef int64_t last = -1
    cdef uint64_t gap
    for i in range(n):
        if slots[i] <= last:
            return i
        gap = <uint64_t>slots[i] - <uint64_t>(last + 1)
        last = slots[i]
        while gap >= 128 and at < room:
            out[at] = <uint8_t>(gap | 128)
            gap >>= 7
            at += 1
        if at == room:
            return -1
        out[at] = <uint8_t>gap
        at += 1
    written[0] = at
    return n


def encode_slots(const int64_t[::1] slots, uint8_t[::1] out):
    """Write `slots` as gaps, each less one and the first counted from slot -1, in bytes of seven bits (lowest first,
    bit 7: more follow); `out` has room for 9 bytes a slot.

    Returns ``(good, written)``: how many slots are in order (all, or the place of the first that is not), and bytes.
    """
    cdef Py_ssize_t good = 0, written = 0
    if slots.shape[0]:
        with nogil:
            good = _encode(&slots[0], slots.shape[0], &out[0] if out.shape[0] else NULL, out.shape[0], &written)
        if good < 0:
            raise ValueError(f"room for all slots is expected, {out.shape[0]} bytes are not enough")
    return good, written


cdef Py_ssize_t _decode(const uint8_t* data, Py_ssize_t n, int64_t* out, Py_ssize_t room,
                        Py_ssize_t* written) noexcept nogil:
    # -1: there is no room.
    cdef Py_ssize_t at = 0, start, k = 0
    cdef uint64_t gap, slot = 0      # slot: the lowest that may come next, at most 2^63
    cdef int shift
    while at < n:
        start = at
        gap = data[at] & 127
        shift = 7
        while data[at] & 128:
            at += 1
            if at == n or shift > 56 or data[at] == 0:      # cut off; beyond 63 bits; longer than it needs to be
                written[0] = k
                return start
            gap |= <uint64_t>(data[at] & 127) << shift
            shift += 7
        at += 1
        if gap >= (<uint64_t>1 << 63) - slot:               # beyond the largest int64
            written[0] = k
            return start
        if k == room:
            return -1
        slot += gap
        out[k] = <int64_t>slot
        slot += 1
        k += 1
    written[0] = k
    return n


def decode_slots(const uint8_t[::1] data, int64_t[::1] out):
    """Read what :func:`encode_slots` wrote; `out` has room for a slot a byte.

    Returns ``(good, written)``: how many bytes are well formed (all, or where the first bad gap starts), and slots.
    """
    cdef Py_ssize_t good = 0, written = 0
    if data.shape[0]:
        with nogil:
            good = _decode(&data[0], data.shape[0], &out[0] if out.shape[0] else NULL, out.shape[0], &written)
        if good < 0:
            raise ValueError(f"room for all slots is expected, {out.shape[0]} are not enough")
    return good, written
