/* Nearly sorted clicks by the eight: each function goes on as long as nothing is out of the ordinary and says how far it
   came; the rest is left to the plain loops. Without AVX-512 all is. */
#ifndef QKD_CLICKS_H
#define QKD_CLICKS_H
#include <stddef.h>
#include <stdint.h>
#include "hot.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__) \
    && defined(__AVX512VBMI__) && defined(__AVX512VBMI2__)

/* What tags' channels stand for, by the 64: the highest of it, and whether some time lies before its predecessor. */
static inline ptrdiff_t qkd_inputs_some(const int64_t *time, const uint8_t *channel, ptrdiff_t n, const uint8_t *table,
                                        uint8_t *detector, uint8_t *highest, int *backward) {
    const __m512i t0 = _mm512_loadu_si512(table), t1 = _mm512_loadu_si512(table + 64);
    const __m512i t2 = _mm512_loadu_si512(table + 128), t3 = _mm512_loadu_si512(table + 192);
    __m512i most = _mm512_setzero_si512();
    unsigned down = 0;
    ptrdiff_t i = 0;
    uint8_t each[64];
    for (; i + 65 <= n; i += 64) {           /* a time is compared with the next one, so one more is there */
        const __m512i c = _mm512_loadu_si512(channel + i), d = _mm512_mask_blend_epi8(
            _mm512_movepi8_mask(c), _mm512_permutex2var_epi8(t0, c, t1), _mm512_permutex2var_epi8(t2, c, t3));
        _mm512_storeu_si512(detector + i, d);
        most = _mm512_max_epu8(most, d);
        for (int k = 0; k < 64; k += 8)
            down |= _mm512_cmpgt_epi64_mask(_mm512_loadu_si512(time + i + k), _mm512_loadu_si512(time + i + k + 1));
    }
    _mm512_storeu_si512(each, most);
    for (int k = 0; k < 64; k++) *highest = each[k] > *highest ? each[k] : *highest;
    *backward |= down != 0;
    return i;
}

/* Clicks from number `i` (at least 1) on, none of which lies before its predecessor. */
static inline ptrdiff_t qkd_in_order(const int64_t *slot, ptrdiff_t i, ptrdiff_t n) {
    const ptrdiff_t from = i;
    for (; i + 8 <= n; i += 8) {
        const __mmask8 down = _mm512_cmpgt_epi64_mask(_mm512_loadu_si512(slot + i - 1), _mm512_loadu_si512(slot + i));
        if (down) return i + qkd_lowest(down) - from;
    }
    return i - from;
}

/* Clicks from number `i` (at least 1) on, none of which shares its predecessor's slot; writes their entries. */
static inline ptrdiff_t qkd_alone(const int64_t *slot, const uint8_t *detector, ptrdiff_t i, ptrdiff_t n,
                                  int64_t *slot_out, uint8_t *fired) {
    const __m128i bit = _mm_set1_epi64x((int64_t)0x8040201008040201ULL);
    const ptrdiff_t from = i;
    for (; i + 8 <= n; i += 8) {
        const __m512i s = _mm512_loadu_si512(slot + i);
        if (_mm512_cmpeq_epi64_mask(_mm512_loadu_si512(slot + i - 1), s)) break;
        _mm512_storeu_si512(slot_out + i - from, s);
        _mm_storel_epi64((__m128i *)(fired + i - from),
                         _mm_shuffle_epi8(bit, _mm_loadl_epi64((const __m128i *)(detector + i))));
    }
    return i - from;
}

/* Clicks from number `i` on in the frame that begins at `begin`, with at most eight detectors: shifted by their detector's
   offset, without headers and what lies before slot 0; adds to `kept` and `score`. */
static inline ptrdiff_t qkd_place_some(const int64_t *slot, const uint8_t *detector, ptrdiff_t i, ptrdiff_t n,
                                       const int64_t *offset, ptrdiff_t detectors, int64_t begin, int64_t frame_slots,
                                       int64_t header_slots, const uint8_t *pattern, ptrdiff_t pattern_slots,
                                       int64_t *slot_out, uint8_t *detector_out, ptrdiff_t *kept, int64_t *score) {
    const __m512i frame = _mm512_set1_epi64(frame_slots), header = _mm512_set1_epi64(header_slots);
    const __m512i first = _mm512_set1_epi64(begin), known = _mm512_set1_epi64(pattern_slots);
    const ptrdiff_t from = i;
    __m512i offsets;
    if (detectors > 8) return 0;
    offsets = _mm512_maskz_loadu_epi64((__mmask8)((1u << detectors) - 1), offset);
    for (; i + 8 <= n; i += 8) {             /* what is written reaches at most to i + 8 */
        const __m128i which = _mm_loadl_epi64((const __m128i *)(detector + i));
        const __m512i at = _mm512_add_epi64(_mm512_loadu_si512(slot + i),
                                            _mm512_permutexvar_epi64(_mm512_cvtepu8_epi64(which), offsets));
        const __m512i within = _mm512_sub_epi64(at, first);
        const __mmask8 real = (__mmask8)~_mm512_movepi64_mask(at);
        __mmask8 stay, in_pattern;
        if (_mm512_cmpge_epu64_mask(within, frame)) break;
        stay = _mm512_mask_cmpge_epi64_mask(real, within, header);
        in_pattern = _mm512_mask_cmplt_epi64_mask(real, within, known);
        _mm512_storeu_si512(slot_out + *kept, _mm512_maskz_compress_epi64(stay, at));
        _mm_storel_epi64((__m128i *)(detector_out + *kept), _mm_maskz_compress_epi8(stay, which));
        *kept += _mm_popcnt_u32(stay);
        if (in_pattern) {
            int64_t place[8];
            _mm512_storeu_si512(place, within);
            for (; in_pattern; in_pattern &= (__mmask8)(in_pattern - 1)) score[pattern[place[qkd_lowest(in_pattern)]]]++;
        }
    }
    return i - from;
}

/* Basis and outcome of the first slots by the 64, where there are at most 16 patterns; `values` are theirs for draw 0. The
   few slots where several detectors fired take the next of `draws`. */
static inline ptrdiff_t qkd_decide_some(const uint8_t *fired, ptrdiff_t n, const uint8_t *values, const uint8_t *table,
                                        ptrdiff_t columns, const uint8_t *draws, ptrdiff_t *used, uint8_t *basis,
                                        uint8_t *outcome) {
    const __m512i one = _mm512_set1_epi8(1), single = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)values));
    ptrdiff_t i = 0;
    for (; i + 64 <= n; i += 64) {
        const __m512i f = _mm512_loadu_si512(fired + i), value = _mm512_shuffle_epi8(single, f);
        uint64_t several = _mm512_test_epi8_mask(f, _mm512_sub_epi8(f, one));
        _mm512_storeu_si512(basis + i, _mm512_and_si512(_mm512_srli_epi16(value, 1), _mm512_set1_epi8(127)));
        _mm512_storeu_si512(outcome + i, _mm512_and_si512(value, one));
        for (; several; several &= several - 1) {
            const ptrdiff_t at = i + qkd_lowest(several);
            const uint8_t drawn = table[fired[at] * columns + draws[(*used)++]];
            basis[at] = drawn >> 1, outcome[at] = drawn & 1;
        }
    }
    return i;
}

/* The patterns of slots in which several detectors fired, by the 64: writes them one behind the other. */
static inline ptrdiff_t qkd_several_some(const uint8_t *fired, ptrdiff_t n, uint8_t *patterns, ptrdiff_t *count) {
    ptrdiff_t i = 0;
    for (; i + 64 <= n; i += 64) {
        const __m512i f = _mm512_loadu_si512(fired + i);
        uint64_t several = _mm512_test_epi8_mask(f, _mm512_sub_epi8(f, _mm512_set1_epi8(1)));
        for (; several; several &= several - 1) patterns[(*count)++] = fired[i + qkd_lowest(several)];
    }
    return i;
}
#else
static inline ptrdiff_t qkd_inputs_some(const int64_t *time, const uint8_t *channel, ptrdiff_t n, const uint8_t *table,
                                        uint8_t *detector, uint8_t *highest, int *backward) {
    (void)time, (void)channel, (void)n, (void)table, (void)detector, (void)highest, (void)backward;
    return 0;
}
static inline ptrdiff_t qkd_in_order(const int64_t *slot, ptrdiff_t i, ptrdiff_t n) {
    (void)slot, (void)i, (void)n;
    return 0;
}
static inline ptrdiff_t qkd_alone(const int64_t *slot, const uint8_t *detector, ptrdiff_t i, ptrdiff_t n,
                                  int64_t *slot_out, uint8_t *fired) {
    (void)slot, (void)detector, (void)i, (void)n, (void)slot_out, (void)fired;
    return 0;
}
static inline ptrdiff_t qkd_place_some(const int64_t *slot, const uint8_t *detector, ptrdiff_t i, ptrdiff_t n,
                                       const int64_t *offset, ptrdiff_t detectors, int64_t begin, int64_t frame_slots,
                                       int64_t header_slots, const uint8_t *pattern, ptrdiff_t pattern_slots,
                                       int64_t *slot_out, uint8_t *detector_out, ptrdiff_t *kept, int64_t *score) {
    (void)slot, (void)detector, (void)i, (void)n, (void)offset, (void)detectors, (void)begin, (void)frame_slots;
    (void)header_slots, (void)pattern, (void)pattern_slots, (void)slot_out, (void)detector_out, (void)kept, (void)score;
    return 0;
}
static inline ptrdiff_t qkd_decide_some(const uint8_t *fired, ptrdiff_t n, const uint8_t *values, const uint8_t *table,
                                        ptrdiff_t columns, const uint8_t *draws, ptrdiff_t *used, uint8_t *basis,
                                        uint8_t *outcome) {
    (void)fired, (void)n, (void)values, (void)table, (void)columns, (void)draws, (void)used, (void)basis, (void)outcome;
    return 0;
}
static inline ptrdiff_t qkd_several_some(const uint8_t *fired, ptrdiff_t n, uint8_t *patterns, ptrdiff_t *count) {
    (void)fired, (void)n, (void)patterns, (void)count;
    return 0;
}
#endif
#endif
