# Inline word operations shared by the kernels (header only: no import between extensions at run time).
from libc.stdint cimport uint64_t

cdef extern from "hot.h" nogil:
    int popcount "qkd_popcount"(uint64_t x)
    int parity "qkd_parity"(uint64_t x)
    int lowest "qkd_lowest"(uint64_t x)
    uint64_t pext "qkd_pext"(uint64_t x, uint64_t mask)
