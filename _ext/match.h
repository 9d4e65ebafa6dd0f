/* Exact slot arithmetic: a clock phase is a 128-bit fixed-point number, 64 bits of whole slots and 64 bits of fraction. */
#ifndef QKD_MATCH_H
#define QKD_MATCH_H
#include <stdint.h>

typedef struct { int64_t slot; uint64_t phase; } qkd_cycles;

/* (slot + phase / 2^64) + span * rate / 2^64, rounded down, with rate below 2^63; exact for any span that keeps the
   slot within 63 bits. */
static inline qkd_cycles qkd_advance(int64_t slot, uint64_t phase, int64_t span, uint64_t rate) {
    qkd_cycles out;
#if defined(__SIZEOF_INT128__) && !defined(QKD_NO_INT128)
    __int128 x = (__int128)span * (__int128)(int64_t)rate + (__int128)phase;
    out.phase = (uint64_t)x;
    out.slot = slot + (int64_t)(x >> 64);
#else
    uint64_t s = (uint64_t)span, low, high, a, b;
    a = (s & 0xFFFFFFFFu) * (rate & 0xFFFFFFFFu);
    b = (s >> 32) * (rate & 0xFFFFFFFFu) + (a >> 32);
    low = (s & 0xFFFFFFFFu) * (rate >> 32) + (b & 0xFFFFFFFFu);
    high = (s >> 32) * (rate >> 32) + (b >> 32) + (low >> 32);
    low = (low << 32) | (a & 0xFFFFFFFFu);
    if (span < 0) high -= rate;              /* the product above took span as unsigned */
    out.phase = low + phase;
    out.slot = (int64_t)((uint64_t)slot + high + (out.phase < low));
#endif
    return out;
}
#endif
