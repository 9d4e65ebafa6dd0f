# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Time differences of a few bits each, packed into 32-bit words: the type-2 files of qcrypto.

From the most significant bit of the first word on, each entry is a difference of ``order`` bits and ``base_bits`` bits
beside it. A difference of 0 says that 32 bits with the difference follow (before the base bits), one of 1 that the
entries end.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t


cdef inline uint64_t _bits(const uint32_t* words, Py_ssize_t at, int count) noexcept nogil:
    # The `count` (at most 32) bits from bit `at` on; a second word is touched only where they reach into it.
    cdef Py_ssize_t word = at >> 5
    cdef int shift = at & 31
    cdef uint64_t both
    if count == 0:
        return 0
    both = <uint64_t>words[word] << 32
    if shift + count > 32:
        both |= words[word + 1]
    return (both << shift) >> (64 - count)


cdef Py_ssize_t _differences(const uint32_t* words, Py_ssize_t n_bits, Py_ssize_t* at, int order, int base_bits,
                             int64_t start, Py_ssize_t room, int64_t* ticks, uint8_t* base, bint* ended) noexcept nogil:
    cdef Py_ssize_t k = 0, i = at[0]
    cdef uint64_t step
    while k < room and i + order + base_bits <= n_bits:
        step = _bits(words, i, order)
        i += order
        if step == 1:
            ended[0] = True
            at[0] = i + base_bits
            return k
        if step == 0:
            if i + 32 + base_bits > n_bits:
                return k
            step = _bits(words, i, 32)
            i += 32
        start += <int64_t>step
        ticks[k] = start
        base[k] = <uint8_t>_bits(words, i, base_bits)
        i += base_bits
        k += 1
        at[0] = i
    return k


def differences(const uint32_t[::1] words, Py_ssize_t at, int order, int base_bits, int64_t start, int64_t[::1] ticks,
                uint8_t[::1] base):
    """Entries from bit `at` of `words` on, added up from `start`.

    Returns (at, events, ended): the bit behind the last entry read, the number of events, and whether the entry that
    ends them was read. It stops before an entry that is not all there, and where the outputs are full.
    """
    cdef bint ended = False
    cdef Py_ssize_t events = 0, room = min(ticks.shape[0], base.shape[0])
    if not 2 <= order <= 32 or not 0 <= base_bits <= 8 or order + base_bits > 32:
        raise ValueError(f"2 to 32 bits in all, at most 8 of them beside the time, are expected, got {order} and {base_bits}")
    if not 0 <= at <= 32 * words.shape[0] or not 0 <= start < (<int64_t>1 << 61):
        raise ValueError(f"a bit within the words and a start from 0 to 2^61 are expected, got {at} and {start}")
    if words.shape[0] and room:
        with nogil:
            events = _differences(&words[0], 32 * words.shape[0], &at, order, base_bits, start, room, &ticks[0], &base[0],
                                  &ended)
    return at, events, ended
