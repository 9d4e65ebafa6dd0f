/* Exact slot arithmetic: a clock phase is a 128-bit fixed-point number, 64 bits of whole slots and 64 bits of fraction. */
#ifndef QKD_MATCH_H
#define QKD_MATCH_H
#include <stddef.h>
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

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512VBMI2__)
#include <immintrin.h>

/* Eight tags of qkd_gate_some: qkd_advance in 32-bit products, the kept ones moved together. */
static inline ptrdiff_t qkd_gate_eight(const int64_t *time, const uint8_t *detector, __m512i delay, int64_t start,
                                       int64_t slot, uint64_t phase, uint64_t rate, uint64_t low, uint64_t width,
                                       int64_t *slot_out, uint8_t *detector_out, int32_t *counts, int log_bins) {
    uint64_t bin[8];
    const __m512i low_half = _mm512_set1_epi64(0xFFFFFFFF), r = _mm512_set1_epi64((int64_t)rate);
    const __m512i r_high = _mm512_srli_epi64(r, 32);
    const __m128i which = _mm_loadl_epi64((const __m128i *)detector);
    const __m512i d = _mm512_cvtepu8_epi64(which);
    const __m512i span = _mm512_sub_epi64(_mm512_sub_epi64(_mm512_loadu_si512(time), _mm512_permutexvar_epi64(d, delay)),
                                          _mm512_set1_epi64(start));
    const __m512i span_high = _mm512_srli_epi64(span, 32), a = _mm512_mul_epu32(span, r);
    const __m512i b = _mm512_add_epi64(_mm512_mul_epu32(span_high, r), _mm512_srli_epi64(a, 32));
    const __m512i c = _mm512_add_epi64(_mm512_mul_epu32(span, r_high), _mm512_and_si512(b, low_half));
    const __m512i product = _mm512_or_si512(_mm512_slli_epi64(c, 32), _mm512_and_si512(a, low_half));
    __m512i high = _mm512_add_epi64(_mm512_mul_epu32(span_high, r_high),
                                    _mm512_add_epi64(_mm512_srli_epi64(b, 32), _mm512_srli_epi64(c, 32)));
    const __m512i shown = _mm512_add_epi64(product, _mm512_set1_epi64((int64_t)phase));
    __mmask8 kept;
    high = _mm512_mask_sub_epi64(high, _mm512_movepi64_mask(span), high, r);
    high = _mm512_mask_sub_epi64(high, _mm512_cmplt_epu64_mask(shown, product), high, _mm512_set1_epi64(-1));
    kept = _mm512_cmplt_epu64_mask(_mm512_sub_epi64(shown, _mm512_set1_epi64((int64_t)low)),
                                   _mm512_set1_epi64((int64_t)width));
    _mm512_storeu_si512(slot_out, _mm512_maskz_compress_epi64(kept, _mm512_add_epi64(high, _mm512_set1_epi64(slot))));
    _mm_storel_epi64((__m128i *)detector_out, _mm_maskz_compress_epi8(kept, which));
    _mm512_storeu_si512(bin, _mm512_add_epi64(_mm512_slli_epi64(d, (unsigned)log_bins),
                                              _mm512_srli_epi64(shown, (unsigned)(64 - log_bins))));
    for (int k = 0; k < 8; k++) counts[bin[k]]++;
    return _mm_popcnt_u32(kept);
}

/* Gates whole eights of tags, with at most eight detectors; how many tags that were, and in `kept` how many stay. */
static inline ptrdiff_t qkd_gate_some(const int64_t *time, const uint8_t *detector, ptrdiff_t n, const int64_t *delay,
                                      ptrdiff_t detectors, int64_t start, int64_t slot, uint64_t phase, uint64_t rate,
                                      uint64_t low, uint64_t width, int64_t *slot_out, uint8_t *detector_out,
                                      int32_t *counts, int log_bins, ptrdiff_t *kept) {
    ptrdiff_t i = 0, out = 0;
    if (detectors <= 8) {
        const __m512i delays = _mm512_maskz_loadu_epi64((__mmask8)((1u << detectors) - 1), delay);
        for (; i + 8 <= n; i += 8)       /* what is written reaches at most to i + 8 */
            out += qkd_gate_eight(time + i, detector + i, delays, start, slot, phase, rate, low, width, slot_out + out,
                                  detector_out + out, counts, log_bins);
    }
    *kept = out;
    return i;
}
#else
static inline ptrdiff_t qkd_gate_some(const int64_t *time, const uint8_t *detector, ptrdiff_t n, const int64_t *delay,
                                      ptrdiff_t detectors, int64_t start, int64_t slot, uint64_t phase, uint64_t rate,
                                      uint64_t low, uint64_t width, int64_t *slot_out, uint8_t *detector_out,
                                      int32_t *counts, int log_bins, ptrdiff_t *kept) {
    (void)time, (void)detector, (void)n, (void)delay, (void)detectors, (void)start, (void)slot, (void)phase, (void)rate;
    (void)low, (void)width, (void)slot_out, (void)detector_out, (void)counts, (void)log_bins;
    *kept = 0;
    return 0;
}
#endif
#endif
