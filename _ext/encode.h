/* ChaCha12 keystream, several blocks side by side: each state word is one vector whose lanes are blocks. */
#ifndef QKD_ENCODE_H
#define QKD_ENCODE_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__) && defined(__AVX512F__)
#  define QKD_LANES 16
#elif defined(__GNUC__) && defined(__AVX2__)
#  define QKD_LANES 8
#elif defined(__GNUC__)
#  define QKD_LANES 4
#else
#  define QKD_LANES 1
#endif
#if QKD_LANES > 1
typedef uint32_t qkd_lanes __attribute__((vector_size(4 * QKD_LANES)));
#else
typedef uint32_t qkd_lanes;
#endif
#define QKD_BATCH (16 * QKD_LANES)        /* slots that one run of the cipher serves */

/* How one keystream word becomes a symbol. */
typedef struct {
    uint32_t basis;                       /* 2 * basis_threshold - 1: a low half-word above it is the test basis */
    uint32_t intensity[8];                /* thresholds - 1, the last one left out: it is never reached */
    int steps;                            /* number of those */
} qkd_rule;

#define QKD_ROTATE(v, n) (((v) << (n)) | ((v) >> (32 - (n))))
#define QKD_QUARTER(a, b, c, d)                                                                                        \
    a += b; d ^= a; d = QKD_ROTATE(d, 16);                                                                             \
    c += d; b ^= c; b = QKD_ROTATE(b, 12);                                                                             \
    a += b; d ^= a; d = QKD_ROTATE(d, 8);                                                                              \
    c += d; b ^= c; b = QKD_ROTATE(b, 7)

/* The 16 words of the blocks whose numbers are (low, high), nonce 0 (RFC 8439 quarter round, 12 rounds). */
static inline void qkd_chacha12(const uint32_t key[8], qkd_lanes low, qkd_lanes high, qkd_lanes word[16]) {
    const qkd_lanes zero = {0};
    const qkd_lanes start[16] = {
        zero + 0x61707865u, zero + 0x3320646eu, zero + 0x79622d32u, zero + 0x6b206574u,
        zero + key[0], zero + key[1], zero + key[2], zero + key[3],
        zero + key[4], zero + key[5], zero + key[6], zero + key[7],
        low, high, zero, zero};
    qkd_lanes x0 = start[0], x1 = start[1], x2 = start[2], x3 = start[3], x4 = start[4], x5 = start[5],
              x6 = start[6], x7 = start[7], x8 = start[8], x9 = start[9], x10 = start[10], x11 = start[11],
              x12 = low, x13 = high, x14 = zero, x15 = zero;
    for (int twice = 0; twice < 6; twice++) {
        QKD_QUARTER(x0, x4, x8, x12);
        QKD_QUARTER(x1, x5, x9, x13);
        QKD_QUARTER(x2, x6, x10, x14);
        QKD_QUARTER(x3, x7, x11, x15);
        QKD_QUARTER(x0, x5, x10, x15);
        QKD_QUARTER(x1, x6, x11, x12);
        QKD_QUARTER(x2, x7, x8, x13);
        QKD_QUARTER(x3, x4, x9, x14);
    }
    const qkd_lanes end[16] = {x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11, x12, x13, x14, x15};
    for (int i = 0; i < 16; i++) word[i] = end[i] + start[i];
}

/* Symbol in the lowest byte of each lane. Differences of numbers below 2^17 have their sign in bit 31. */
static inline qkd_lanes qkd_symbol(qkd_lanes word, const qkd_rule *rule) {
    const qkd_lanes upper = word >> 16;
    qkd_lanes index = upper ^ upper;
    for (int k = 0; k < rule->steps; k++) index += (rule->intensity[k] - upper) >> 31;
    return (word & 1) | (((rule->basis - (word & 0xffff)) >> 31) << 1) | (index << 2);
}

/* Symbols of the QKD_BATCH slots from 16 * block. */
static inline void qkd_batch(const uint32_t key[8], uint64_t block, const qkd_rule *rule, uint8_t *out) {
    uint32_t low[QKD_LANES], high[QKD_LANES], packed[4][QKD_LANES];
    qkd_lanes word[16], v_low, v_high, four;
    for (int l = 0; l < QKD_LANES; l++) {
        low[l] = (uint32_t)(block + (uint64_t)l);
        high[l] = (uint32_t)((block + (uint64_t)l) >> 32);
    }
    memcpy(&v_low, low, sizeof low);
    memcpy(&v_high, high, sizeof high);
    qkd_chacha12(key, v_low, v_high, word);
    for (int g = 0; g < 4; g++) {
        four = qkd_symbol(word[4 * g], rule) | qkd_symbol(word[4 * g + 1], rule) << 8
             | qkd_symbol(word[4 * g + 2], rule) << 16 | qkd_symbol(word[4 * g + 3], rule) << 24;
        memcpy(packed[g], &four, sizeof four);
    }
    for (int l = 0; l < QKD_LANES; l++) {          /* lane l holds block l: 16 bytes in a row */
        uint32_t row[4] = {packed[0][l], packed[1][l], packed[2][l], packed[3][l]};
        memcpy(out + 16 * l, row, 16);
    }
}

/* n consecutive slots. */
static inline void qkd_symbols(const uint32_t key[8], uint64_t slot, const qkd_rule *rule, uint8_t *out, ptrdiff_t n) {
    uint8_t some[QKD_BATCH];
    while (n > 0) {
        const ptrdiff_t skip = (ptrdiff_t)(slot % 16);
        if (skip == 0 && n >= QKD_BATCH) {
            qkd_batch(key, slot / 16, rule, out);
            out += QKD_BATCH; slot += QKD_BATCH; n -= QKD_BATCH;
        } else {
            const ptrdiff_t want = n < QKD_BATCH - skip ? n : QKD_BATCH - skip;
            qkd_batch(key, slot / 16, rule, some);
            memcpy(out, some + skip, (size_t)want);
            out += want; slot += (uint64_t)want; n -= want;
        }
    }
}

/* n slots anywhere: each lane runs the block of its own slot. */
static inline void qkd_symbols_at(const uint32_t key[8], const int64_t *slot, const qkd_rule *rule, uint8_t *out,
                                  ptrdiff_t n) {
    uint32_t low[QKD_LANES], high[QKD_LANES], words[16][QKD_LANES], chosen[QKD_LANES];
    qkd_lanes word[16], v_low, v_high, v;
    for (ptrdiff_t at = 0; at < n; at += QKD_LANES) {
        const int some = n - at < QKD_LANES ? (int)(n - at) : QKD_LANES;
        for (int l = 0; l < QKD_LANES; l++) {
            const uint64_t block = (uint64_t)slot[at + (l < some ? l : 0)] / 16;
            low[l] = (uint32_t)block;
            high[l] = (uint32_t)(block >> 32);
        }
        memcpy(&v_low, low, sizeof low);
        memcpy(&v_high, high, sizeof high);
        qkd_chacha12(key, v_low, v_high, word);
        memcpy(words, word, sizeof words);
        for (int l = 0; l < QKD_LANES; l++) 
            chosen[l] = words[(uint64_t)slot[at + (l < some ? l : 0)] % 16][l];
        memcpy(&v, chosen, sizeof chosen);
        v = qkd_symbol(v, rule);
        memcpy(chosen, &v, sizeof chosen);
        for (int l = 0; l < some; l++) out[at + l] = (uint8_t)chosen[l];
    }
}
#endif
