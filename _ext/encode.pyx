# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Draw a symbol for each slot from a ChaCha12 keystream, one 32-bit word a slot.

Word ``k % 16`` of block ``k // 16`` belongs to slot ``k``: any slot is had without making those before it. Of the word,
bit 0 is the bit value, bits 1 to 15 choose the basis and bits 16 to 31 the intensity.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cdef extern from "encode.h" nogil:
    ctypedef struct qkd_rule:
        uint32_t basis
        uint32_t intensity[8]
        int steps
    void qkd_symbols(const uint32_t* key, uint64_t slot, const qkd_rule* rule, uint8_t* out, Py_ssize_t n) noexcept
    void qkd_symbols_at(const uint32_t* key, const int64_t* slot, const qkd_rule* rule, uint8_t* out,
                        Py_ssize_t n) noexcept


cdef qkd_rule _rule(const uint32_t[::1] key_words, int64_t basis_threshold, const int64_t[::1] intensity_thresholds) except *:
    cdef qkd_rule rule
    cdef Py_ssize_t k
    if key_words.shape[0] != 8 or not 1 <= intensity_thresholds.shape[0] <= 8 or not 0 <= basis_threshold <= 1 << 15:
        raise ValueError(f"8 words, 1 to 8 thresholds and a basis threshold up to 2^15 are expected, got "
                         f"{key_words.shape[0]}, {intensity_thresholds.shape[0]} and {basis_threshold}")
    # A threshold of 0 becomes 2^32 - 1, which still has bit 31 set after a draw is taken away: never below it, as wanted.
    rule.basis = <uint32_t>(2 * basis_threshold - 1)
    rule.steps = <int>min(intensity_thresholds.shape[0] - 1, 8)
    for k in range(rule.steps):
        rule.intensity[k] = <uint32_t>(intensity_thresholds[k] - 1)
    return rule


def symbols(const uint32_t[::1] key_words, int64_t first_slot, int64_t basis_threshold,
            const int64_t[::1] intensity_thresholds, uint8_t[::1] out):
    """Fill `out` with the symbols of the slots from `first_slot` on."""
    cdef qkd_rule rule = _rule(key_words, basis_threshold, intensity_thresholds)
    if out.shape[0]:
        with nogil:
            qkd_symbols(&key_words[0], <uint64_t>first_slot, &rule, &out[0], out.shape[0])


def symbols_at(const uint32_t[::1] key_words, const int64_t[::1] slots, int64_t basis_threshold,
               const int64_t[::1] intensity_thresholds, uint8_t[::1] out):
    """Fill `out` with the symbols of `slots`, in any order."""
    cdef qkd_rule rule = _rule(key_words, basis_threshold, intensity_thresholds)
    if slots.shape[0] != out.shape[0]:
        raise ValueError(f"room for {slots.shape[0]} symbols is expected, got {out.shape[0]}")
    if out.shape[0]:
        with nogil:
            qkd_symbols_at(&key_words[0], &slots[0], &rule, &out[0], out.shape[0])
