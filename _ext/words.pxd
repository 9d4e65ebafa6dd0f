# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
# Inline operations shared by the kernels (header only: no import between extensions at run time).
from libc.stdint cimport uint8_t, uint64_t

cdef extern from "hot.h" nogil:
    int popcount "qkd_popcount"(uint64_t x)
    int parity "qkd_parity"(uint64_t x)
    int lowest "qkd_lowest"(uint64_t x)
    uint64_t pext "qkd_pext"(uint64_t x, uint64_t mask)


cdef inline bint all_below(const uint8_t[::1] values, Py_ssize_t limit) noexcept nogil:
    cdef Py_ssize_t i
    cdef uint8_t largest = 0
    for i in range(values.shape[0]):
        largest = max(largest, values[i])
    return largest < limit or not values.shape[0]
