/* Runs of 16 PicoQuant T2 records: the common cases, in a shape that compilers vectorise or spelled for AVX-512. */
#ifndef QKD_RECORDS_H
#define QKD_RECORDS_H
#include "hot.h"
#include <stddef.h>

enum { QKD_RUN = 16 };

/* The top bit (special) of any of the 16 records, in the top bit of the result. */
static inline uint32_t qkd_any_special(const uint32_t *restrict record) {
    uint32_t any = 0;
    for (int j = 0; j < QKD_RUN; j++) any |= record[j];
    return any & 0x80000000u;
}

static inline void qkd_photon_run(const uint32_t *restrict record, int64_t offset, int64_t *restrict ticks,
                                  uint8_t *restrict channel) {
    for (int j = 0; j < QKD_RUN; j++) ticks[j] = offset + (int64_t)(record[j] & 0x01FFFFFFu);
    for (int j = 0; j < QKD_RUN; j++) channel[j] = (uint8_t)(record[j] >> 25);
}

/* A HydraHarp T2 run of photons and overflows: writes the photons' times (whole vectors: there is room for the run) and
   channels, moves the offset on and counts the overflows. Returns how many photons; -1, and nothing is done, where it has
   other records, or where this path has no quick way. counts: the bits of an overflow record that count. */
static inline ptrdiff_t qkd_overflow_run(const uint32_t *record, int64_t period, uint32_t counts, int64_t *offset,
                                         int64_t *overflows, int64_t *ticks, uint8_t *channel) {
#if defined(__AVX512VBMI2__)
    __m512i r = _mm512_loadu_si512(record), top = _mm512_srli_epi32(r, 25);
    __mmask16 special = _mm512_movepi32_mask(r), photon = (__mmask16)~special;
    if (special != _mm512_mask_cmpeq_epi32_mask(special, top, _mm512_set1_epi32(127))) return -1;
    __m512i time = _mm512_and_si512(r, _mm512_set1_epi32(0x01FFFFFF));
    __m512i low = _mm512_add_epi64(_mm512_set1_epi64(*offset), _mm512_cvtepu32_epi64(_mm512_castsi512_si256(time)));
    __m512i high = _mm512_add_epi64(_mm512_set1_epi64(*offset), _mm512_cvtepu32_epi64(_mm512_extracti64x4_epi64(time, 1)));
    int64_t gone = 0;
    for (uint32_t left = special; left; left &= left - 1) {      /* each moves the records after it */
        uint32_t count = record[qkd_lowest(left)] & 0x01FFFFFFu & counts;
        int64_t step = period * (int64_t)(count + (count == 0));
        uint32_t after = ~(left ^ (left - 1));
        low = _mm512_mask_add_epi64(low, (__mmask8)after, low, _mm512_set1_epi64(step));
        high = _mm512_mask_add_epi64(high, (__mmask8)(after >> 8), high, _mm512_set1_epi64(step));
        gone += step;
    }
    *offset += gone;
    *overflows += qkd_popcount(special);
    _mm512_storeu_si512(ticks, _mm512_maskz_compress_epi64((__mmask8)photon, low));
    _mm512_storeu_si512(ticks + qkd_popcount(photon & 0xff), _mm512_maskz_compress_epi64((__mmask8)(photon >> 8), high));
    _mm_storeu_si128((__m128i *)channel, _mm_maskz_compress_epi8(photon, _mm512_cvtepi32_epi8(top)));
    return qkd_popcount(photon);
#else
    return -1;
#endif
}
#endif
