/* Keep the entries of one basis, spelled for the instruction path at hand (see CMakeLists.txt). */
#ifndef QKD_SIFT_H
#define QKD_SIFT_H
#include "hot.h"
#include <stddef.h>

/* Append k low bits of `bits` (the others are 0) to a string of n bits; the words beyond are 0. */
static inline void qkd_append(uint64_t *string, ptrdiff_t n, uint64_t bits, int k) {
    int have = (int)(n & 63);
    string[n >> 6] |= bits << have;
    if (have + k > 64) string[(n >> 6) + 1] = bits >> (64 - have);
}

/* Of n entries those whose basis is code: slots, lowest bits packed into `words` (zeros so far), intensities. Each list
   has room for n. Returns how many; good is false where slots do not increase strictly from 0 on, a bit or basis is
   above 1, or an intensity above 7. */
static inline ptrdiff_t qkd_select(const uint8_t *basis, uint8_t code, const int64_t *slot, const uint8_t *bit,
                                   const uint8_t *intensity, ptrdiff_t n, int64_t *slot_out, uint64_t *words,
                                   uint8_t *intensity_out, int *good) {
    ptrdiff_t i = 0, k = 0;
    int64_t last = -1;
    uint8_t large = 0, high = 0;
    int falls = 0;
#if defined(__AVX512VBMI2__)
    /* Whole vectors are written, which is within the room: as much was read. */
    __m512i any = _mm512_setzero_si512(), levels = any;
    __mmask8 down = 0;
    for (; i + 64 <= n; i += 64) {
        __m512i bases = _mm512_loadu_si512(basis + i), bits = _mm512_loadu_si512(bit + i);
        __m512i level = _mm512_loadu_si512(intensity + i);
        uint64_t kept = _mm512_cmpeq_epi8_mask(bases, _mm512_set1_epi8((char)code));
        any = _mm512_ternarylogic_epi64(any, bases, bits, 0xfe);
        levels = _mm512_or_si512(levels, level);
        _mm512_storeu_si512(intensity_out + k, _mm512_maskz_compress_epi8(kept, level));
        qkd_append(words, k, _pext_u64(_mm512_test_epi8_mask(bits, _mm512_set1_epi8(1)), kept), qkd_popcount(kept));
        for (int j = 0; j < 64; j += 8) {
            __m512i slots = _mm512_loadu_si512(slot + i + j);
            __m512i before = _mm512_alignr_epi64(slots, _mm512_set1_epi64(last), 7);
            down |= _mm512_cmple_epi64_mask(slots, before);
            _mm512_storeu_si512(slot_out + k, _mm512_maskz_compress_epi64((__mmask8)(kept >> j), slots));
            k += qkd_popcount(kept >> j & 0xff);
            last = slot[i + j + 7];
        }
    }
    falls = down != 0;
    large = _mm512_test_epi8_mask(any, _mm512_set1_epi8((char)0xfe)) ? 2 : 0;
    high = _mm512_test_epi8_mask(levels, _mm512_set1_epi8((char)0xf8)) ? 8 : 0;
#endif
    for (; i < n; i++) {               /* bases are random: what is written is overwritten if it is not kept */
        int keep = basis[i] == code;
        slot_out[k] = slot[i];
        intensity_out[k] = intensity[i];
        words[k >> 6] |= (uint64_t)(bit[i] & keep) << (k & 63);
        k += keep;
        falls |= slot[i] <= last;
        last = slot[i];
        large |= bit[i] | basis[i];
        high |= intensity[i];
    }
    *good = !falls && large < 2 && high < 8;
    return k;
}
#endif
