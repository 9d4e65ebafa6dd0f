/* Word operations with a fast spelling on some processors. Each kernel is compiled once per instruction path
   (see CMakeLists.txt), so the choice is made by the preprocessor and nothing is tested inside a loop. */
#ifndef QKD_HOT_H
#define QKD_HOT_H
#include <stdint.h>
#if defined(__AVX2__)
#  include <immintrin.h>
#endif

static inline int qkd_popcount(uint64_t x) {
#if defined(__GNUC__)
    return __builtin_popcountll(x);
#else
    x -= (x >> 1) & 0x5555555555555555ULL;
    x = (x & 0x3333333333333333ULL) + ((x >> 2) & 0x3333333333333333ULL);
    x = (x + (x >> 4)) & 0x0F0F0F0F0F0F0F0FULL;
    return (int)((x * 0x0101010101010101ULL) >> 56);
#endif
}
static inline int qkd_parity(uint64_t x) { return qkd_popcount(x) & 1; }

/* Index of the lowest set bit; x must not be 0. */
static inline int qkd_lowest(uint64_t x) {
#if defined(__GNUC__)
    return __builtin_ctzll(x);
#else
    return qkd_popcount((x & (0 - x)) - 1);
#endif
}

/* Number of bits that x takes; 0 for 0. */
static inline int qkd_width(uint64_t x) {
#if defined(__GNUC__)
    return x ? 64 - __builtin_clzll(x) : 0;
#else
    int n = 0;
    while (x) { x >>= 1; n++; }
    return n;
#endif
}

/* Gather the bits of x that mask selects into the low end. */
static inline uint64_t qkd_pext(uint64_t x, uint64_t mask) {
#if defined(__BMI2__)
    return _pext_u64(x, mask);
#else
    uint64_t out = 0;
    for (uint64_t bit = 1; mask; bit += bit) {
        if (x & mask & (0 - mask)) out |= bit;
        mask &= mask - 1;
    }
    return out;
#endif
}
#endif
