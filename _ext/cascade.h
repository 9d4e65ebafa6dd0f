/* Cascade's inner steps over packed words, spelled for the instruction path at hand (see CMakeLists.txt).
   An interval inside a word is a mask: a run of 2, 4, .. 64 ones, aligned to its length. */
#ifndef QKD_CASCADE_H
#define QKD_CASCADE_H
#include "hot.h"
#include <stddef.h>
#include <string.h>

#if defined(__GNUC__)
#  define qkd_word_parity(x) __builtin_parityll(x)      /* without POPCNT still a few instructions */
#  define qkd_highest(x) (63 - __builtin_clzll(x))      /* x must not be 0 */
#else
#  define qkd_word_parity(x) qkd_parity(x)
static inline int qkd_highest(uint64_t x) { int i = 0; while (x >>= 1) i++; return i; }
#endif

/* Spread the low bits of x over the places that mask selects. */
static inline uint64_t qkd_pdep(uint64_t x, uint64_t mask) {
#if defined(__BMI2__)
    return _pdep_u64(x, mask);
#else
    uint64_t out = 0;
    for (; mask; x >>= 1, mask &= mask - 1) if (x & 1) out |= mask & (0 - mask);
    return out;
#endif
}

/* Bit j of the result is the parity of word[j], j < n <= 64. */
static inline uint64_t qkd_parities(const uint64_t *word, ptrdiff_t n) {
    uint64_t out = 0;
    ptrdiff_t j = 0;
#if defined(__AVX512VPOPCNTDQ__)
    for (; j + 8 <= n; j += 8) {
        __m512i ones = _mm512_popcnt_epi64(_mm512_loadu_si512(word + j));
        out |= (uint64_t)_mm512_test_epi64_mask(ones, _mm512_set1_epi64(1)) << j;
    }
#endif
    for (; j < n; j++) out |= (uint64_t)qkd_word_parity(word[j]) << j;
    return out;
}

/* The lists of words and masks below have room for 7 entries more than n: whole vectors are read and written back, for
   a masked store is not forwarded to the load that follows it a round later. */

/* Parities of the left (low) halves of n intervals, packed; half is the length of a half.
   The last byte is filled up with zeros. */
static inline void qkd_halves(const uint64_t *word, const uint64_t *mask, int half, ptrdiff_t n, uint8_t *out) {
#if defined(__AVX512VPOPCNTDQ__)
    const __m128i by = _mm_cvtsi32_si128(half);
    for (ptrdiff_t i = 0; i < n; i += 8) {
        __mmask8 here = n - i < 8 ? (__mmask8)((1 << (n - i)) - 1) : 0xff;
        __m512i m = _mm512_loadu_si512(mask + i);
        __m512i left = _mm512_and_si512(m, _mm512_srl_epi64(m, by));
        __m512i ones = _mm512_popcnt_epi64(_mm512_and_si512(left, _mm512_loadu_si512(word + i)));
        out[i >> 3] = (uint8_t)_mm512_mask_test_epi64_mask(here, ones, _mm512_set1_epi64(1));
    }
#else
    for (ptrdiff_t i = 0; i < n; i += 8) {
        unsigned byte = 0;
        ptrdiff_t end = n - i < 8 ? n - i : 8;
        for (ptrdiff_t j = 0; j < end; j++) {
            uint64_t m = mask[i + j];
            byte |= (unsigned)qkd_word_parity(word[i + j] & m & m >> half) << j;
        }
        out[i >> 3] = (uint8_t)byte;
    }
#endif
}

/* Keep the left half of the intervals whose bit is set, the right half of the others. */
static inline void qkd_narrow(uint64_t *mask, int half, ptrdiff_t n, const uint8_t *left) {
#if defined(__AVX512F__)
    const __m128i by = _mm_cvtsi32_si128(half);
    for (ptrdiff_t i = 0; i < n; i += 8) {
        __mmask8 here = n - i < 8 ? (__mmask8)((1 << (n - i)) - 1) : 0xff;
        __m512i m = _mm512_loadu_si512(mask + i);
        __m512i low = _mm512_and_si512(m, _mm512_srl_epi64(m, by));
        __m512i half_of_m = _mm512_mask_mov_epi64(_mm512_xor_si512(m, low), left[i >> 3], low);
        _mm512_storeu_si512(mask + i, _mm512_mask_mov_epi64(m, here, half_of_m));
    }
#else
    for (ptrdiff_t i = 0; i < n; i++) {
        uint64_t low = mask[i] & mask[i] >> half;
        mask[i] = left[i >> 3] >> (i & 7) & 1 ? low : mask[i] ^ low;
    }
#endif
}

/* Bits from bit 64 i + shift of a string on. */
static inline uint64_t qkd_from(const uint64_t *string, ptrdiff_t i, int shift) {
    return string[i] >> shift | (string[i + 1] << 1) << (63 - shift);
}

/* Bit k of the result is the parity of word & the subset's bits from bit k on; n is a multiple of 64, checks at most 32. */
static inline uint64_t qkd_checks(const uint64_t *word, const uint64_t *subset, ptrdiff_t n, int checks) {
    uint64_t line = 0;
#if defined(__VPCLMULQDQ__) && defined(__GFNI__) && defined(__AVX512BW__)
    /* As polynomials: coefficient 63 + k of a word, its bits reversed, times the subset's 128 bits from its place on. */
    const __m512i swap = _mm512_broadcast_i32x4(_mm_set_epi64x(0x08090a0b0c0d0e0f, 0x0001020304050607));
    __m512i low = _mm512_setzero_si512(), high = low;
    for (ptrdiff_t i = 0; i < n; i += 8) {
        __m512i bits = _mm512_gf2p8affine_epi64_epi8(_mm512_loadu_si512(word + i), _mm512_set1_epi64(0x8040201008040201), 0);
        __m512i first = _mm512_loadu_si512(subset + i), next = _mm512_loadu_si512(subset + i + 1);
        bits = _mm512_shuffle_epi8(bits, swap);
        low = _mm512_ternarylogic_epi64(low, _mm512_clmulepi64_epi128(bits, first, 0x00),
                                        _mm512_clmulepi64_epi128(bits, first, 0x11), 0x96);
        high = _mm512_ternarylogic_epi64(high, _mm512_clmulepi64_epi128(bits, next, 0x00),
                                         _mm512_clmulepi64_epi128(bits, next, 0x11), 0x96);
    }
    uint64_t sums[16], at[3] = {0, 0, 0};
    _mm512_storeu_si512(sums, low);
    _mm512_storeu_si512(sums + 8, high);
    for (int i = 0; i < 8; i += 2) at[0] ^= sums[i], at[1] ^= sums[i + 1], at[2] ^= sums[8 + i];
    line = (at[0] >> 63 | at[1] << 1) ^ at[2] << 1;
#else
    for (int k = 0; k < checks; k++) {
        uint64_t sum = 0;
        for (ptrdiff_t i = 0; i < n; i++) sum ^= word[i] & qkd_from(subset, i, k);
        line |= (uint64_t)qkd_word_parity(sum) << k;
    }
#endif
    return line & (((uint64_t)1 << checks) - 1);
}

/* Sum (without carry) of each 64 of n words, each word where the subset's bits from bit shift on are set. */
static inline void qkd_masked_sums(const uint64_t *word, const uint64_t *subset, int shift, ptrdiff_t n, uint64_t *out) {
    for (ptrdiff_t i = 0; i < n; i += 64) {
        uint64_t sum = 0;
        for (ptrdiff_t j = i; j < i + 64; j++) sum ^= word[j] & qkd_from(subset, j, shift);
        out[i >> 6] = sum;
    }
}

/* Copy n words, whole vectors. */
static inline void qkd_copy(uint64_t *to, const uint64_t *from, ptrdiff_t n) {
#if defined(__AVX512F__)
    for (ptrdiff_t i = 0; i < n; i += 8) _mm512_storeu_si512(to + i, _mm512_loadu_si512(from + i));
#else
    memcpy(to, from, 8 * (size_t)n);
#endif
}

/* Add (without carry) n bytes, singly where they are few: a wider load would wait for bytes that were just written. */
static inline void qkd_add(uint8_t *to, const uint8_t *from, ptrdiff_t n) {
    if (n > 16) {
        for (ptrdiff_t i = 0; i < n; i++) to[i] ^= from[i];
        return;
    }
    for (ptrdiff_t i = 0; i < n; i++) ((volatile uint8_t *)to)[i] ^= from[i];
}

#define QKD_CORRECTED 0xffffffffu     /* in place of a place: shares no prefix with any */

/* Which of n places are prefix when shifted right by log: their indices, in order. Returns how many; out has room for
   n + 16. */
static inline ptrdiff_t qkd_sharing(const uint32_t *place, ptrdiff_t n, uint32_t prefix, int log, uint32_t *out) {
    ptrdiff_t k = 0;
#if defined(__AVX512F__)
    const __m128i by = _mm_cvtsi32_si128(log);
    const __m512i wanted = _mm512_set1_epi32((int)prefix);
    __m512i index = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    for (ptrdiff_t i = 0; i < n; i += 16) {
        __mmask16 here = n - i < 16 ? (__mmask16)((1 << (n - i)) - 1) : 0xffff;
        __m512i start = _mm512_srl_epi32(_mm512_maskz_loadu_epi32(here, place + i), by);
        __mmask16 same = _mm512_mask_cmpeq_epi32_mask(here, start, wanted);
        _mm512_storeu_si512(out + k, _mm512_maskz_compress_epi32(same, index));
        k += qkd_popcount(same);
        index = _mm512_add_epi32(index, _mm512_set1_epi32(16));
    }
#else
    for (ptrdiff_t i = 0; i < n; i++) {
        out[k] = (uint32_t)i;
        k += place[i] >> log == prefix;
    }
#endif
    return k;
}

/* Turn each of 64 words left by its own number of bits, then transpose: bit c of the turned in[r] becomes bit r of
   out[c]. in may be out. */
static inline void qkd_turn_transpose(const uint64_t *in, const uint8_t *turn, uint64_t *out) {
#if defined(__GFNI__) && defined(__AVX512VBMI__)
    /* Blocks of 8 x 8: gather the byte columns of 8 rows, transpose each block, transpose the blocks, scatter back. */
    const __m512i scatter = _mm512_set_epi64(0x3f372f271f170f07, 0x3e362e261e160e06, 0x3d352d251d150d05,
        0x3c342c241c140c04, 0x3b332b231b130b03, 0x3a322a221a120a02, 0x3931292119110901, 0x3830282018100800);
    const __m512i gather = _mm512_set_epi64(0x070f171f272f373f, 0x060e161e262e363e, 0x050d151d252d353d,
        0x040c141c242c343c, 0x030b131b232b333b, 0x020a121a222a323a, 0x0109111921293139, 0x0008101820283038);
    const __m512i unit = _mm512_set1_epi64(0x8040201008040201);
    __m512i a[8], b[8];
    for (int i = 0; i < 8; i++) {   /* gf2p8affine counts a matrix's rows from the top byte: gather reverses them */
        __m512i by = _mm512_cvtepu8_epi64(_mm_loadl_epi64((const __m128i *)(turn + 8 * i)));
        __m512i row = _mm512_rolv_epi64(_mm512_loadu_si512(in + 8 * i), by);
        a[i] = _mm512_gf2p8affine_epi64_epi8(unit, _mm512_permutexvar_epi8(gather, row), 0);
    }
    for (int i = 0; i < 8; i += 2) {
        b[i] = _mm512_unpacklo_epi64(a[i], a[i + 1]);
        b[i + 1] = _mm512_unpackhi_epi64(a[i], a[i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        a[i] = _mm512_shuffle_i64x2(b[i], b[i + 2], 0x88);
        a[i + 2] = _mm512_shuffle_i64x2(b[i], b[i + 2], 0xdd);
        a[i + 4] = _mm512_shuffle_i64x2(b[i + 4], b[i + 6], 0x88);
        a[i + 6] = _mm512_shuffle_i64x2(b[i + 4], b[i + 6], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        b[i] = _mm512_shuffle_i64x2(a[i], a[i + 4], 0x88);
        b[i + 4] = _mm512_shuffle_i64x2(a[i], a[i + 4], 0xdd);
    }
    for (int i = 0; i < 8; i++) _mm512_storeu_si512(out + 8 * i, _mm512_permutexvar_epi8(scatter, b[i]));
#else
    uint64_t keep = 0x00000000ffffffff;
    for (int i = 0; i < 64; i++) out[i] = in[i] << turn[i] | in[i] >> (-turn[i] & 63);
    for (int j = 32; j; j >>= 1, keep ^= keep << j)
        for (int k = 0; k < 64; k += 2 * j)
            for (int i = k; i < k + j; i++) {
                uint64_t t = (out[i] >> j ^ out[i + j]) & keep;
                out[i] ^= t << j;
                out[i + j] ^= t;
            }
#endif
}
#endif
