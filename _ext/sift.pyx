# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Compress packed words by a mask."""
from libc.stdint cimport uint64_t
from words cimport popcount, pext


cdef void _compress(const uint64_t* words, const uint64_t* mask, Py_ssize_t n, uint64_t* out) noexcept nogil:
    # out must be zeroed and hold one word more than the result needs.
    cdef Py_ssize_t i, at = 0
    cdef int have = 0, k
    cdef uint64_t bits
    for i in range(n):
        bits = pext(words[i], mask[i])
        k = popcount(mask[i])
        out[at] |= bits << have
        if have + k >= 64:
            at += 1
            out[at] = bits >> (64 - have) if have else 0
        have = (have + k) & 63


def compress(const uint64_t[::1] words, const uint64_t[::1] mask, uint64_t[::1] out):
    """Gather the bits of `words` where `mask` is set into the low end of `out` (zeroed, one spare word)."""
    if words.shape[0]:
        with nogil:
            _compress(&words[0], &mask[0], words.shape[0], &out[0])
