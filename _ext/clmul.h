/* Carry-less (GF(2)) products of words, and the field GF(2^128) = GF(2)[x] / (x^128 + x^7 + x^2 + x + 1).
   Bit i of a word is the coefficient of x^i. One instruction where the path has PCLMULQDQ, else a table of nibbles. */
#ifndef QKD_CLMUL_H
#define QKD_CLMUL_H
#include <stdint.h>
#if defined(__PCLMUL__)
#  include <immintrin.h>
#endif

typedef struct { uint64_t lo, hi; } qkd_u128;

/* A word made ready to be multiplied by many others. */
#if defined(__PCLMUL__)
typedef __m128i qkd_multiplier;
static inline void qkd_prepare(qkd_multiplier *m, uint64_t a) { *m = _mm_cvtsi64_si128((long long)a); }
static inline qkd_u128 qkd_multiply(const qkd_multiplier *m, uint64_t b) {
    __m128i p = _mm_clmulepi64_si128(*m, _mm_cvtsi64_si128((long long)b), 0);
    qkd_u128 r = { (uint64_t)_mm_cvtsi128_si64(p), (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(p, p)) };
    return r;
}
#else
typedef qkd_u128 qkd_multiplier[16];
static inline void qkd_prepare(qkd_multiplier *m, uint64_t a) {
    (*m)[0].lo = (*m)[0].hi = 0;
    (*m)[1].lo = a;
    (*m)[1].hi = 0;
    for (int i = 2; i < 16; i++) {
        qkd_u128 half = (*m)[i / 2];
        (*m)[i].lo = (half.lo << 1) ^ ((i & 1) ? a : 0);
        (*m)[i].hi = (half.hi << 1) | (half.lo >> 63);
    }
}
static inline qkd_u128 qkd_multiply(const qkd_multiplier *m, uint64_t b) {
    qkd_u128 r = (*m)[b >> 60];
    for (int s = 56; s >= 0; s -= 4) {
        const qkd_u128 t = (*m)[(b >> s) & 15];
        r.hi = ((r.hi << 4) | (r.lo >> 60)) ^ t.hi;
        r.lo = (r.lo << 4) ^ t.lo;
    }
    return r;
}
#endif

/* An element of GF(2^128) made ready to multiply: its two words and their sum, for Karatsuba's three products. */
typedef struct { qkd_multiplier lo, hi, sum; } qkd_point;
static inline void qkd_prepare_point(qkd_point *p, uint64_t lo, uint64_t hi) {
    qkd_prepare(&p->lo, lo);
    qkd_prepare(&p->hi, hi);
    qkd_prepare(&p->sum, lo ^ hi);
}

/* p * a in GF(2^128). */
static inline qkd_u128 qkd_field_multiply(const qkd_point *p, qkd_u128 a) {
    qkd_u128 low = qkd_multiply(&p->lo, a.lo), high = qkd_multiply(&p->hi, a.hi);
    qkd_u128 middle = qkd_multiply(&p->sum, a.lo ^ a.hi);
    middle.lo ^= low.lo ^ high.lo;
    middle.hi ^= low.hi ^ high.hi;
    low.hi ^= middle.lo;
    high.lo ^= middle.hi;
    /* x^128 = x^7 + x^2 + x + 1: fold the two high words down, then the at most 7 bits that this pushes out again. */
    uint64_t out = (high.hi >> 63) ^ (high.hi >> 62) ^ (high.hi >> 57);
    uint64_t a0 = high.lo ^ out;
    low.lo ^= a0 ^ (a0 << 1) ^ (a0 << 2) ^ (a0 << 7);
    low.hi ^= high.hi ^ (high.hi << 1 | a0 >> 63) ^ (high.hi << 2 | a0 >> 62) ^ (high.hi << 7 | a0 >> 57);
    return low;
}
#endif
