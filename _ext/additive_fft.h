/* Products of long polynomials over GF(2) by an additive Fourier transform.

   A string of bits, eight to a byte, is a polynomial in x whose coefficients are polynomials of degree 7 in z. Sent to the
   field F = GF(2^16) by z -> y (an element of degree 16), the coefficients of a product, of degree 14, are still known
   exactly. The transform evaluates such a polynomial at the N = 2^k points w_p = sum over the bits i of p of b_i, where
   b_0 = 1, b_i^2 + b_i = b_(i-1) is the basis of Cantor (J. Comb. Theory A 50, 285, 1989). With the subspace polynomials
   s_0 = x, s_(i+1) = s_i^2 + s_i, which have s_i(b_(i+j)) = b_j and, for i a power of 2, s_i = x^(2^i) + x, a butterfly is

       u += s_i(w) v,  v += u        (Lin, Chung, Han, FOCS 2014, on the basis of products of the s_i)

   and the change from powers of x to that basis is additions only (Gao, Mateer, IEEE Trans. Inf. Theory 56, 6265, 2010).

   F is GF(2^8)[y] / (y^2 + y + b_7) over the field of AES: an element is two bytes, 64 elements of neighbouring places are
   a cell of 64 low bytes and 64 high bytes. The upper k - 8 stages pair cells with one constant for all; then 64 x 64
   bytes are transposed, so that the lower 8 stages pair cells as well, now with a constant for each byte. */
#ifndef QKD_ADDITIVE_FFT_H
#define QKD_ADDITIVE_FFT_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__AVX2__)
#  include <immintrin.h>
#endif

#if defined(__GNUC__)
#  define QKD_INLINE static inline __attribute__((always_inline))
#else
#  define QKD_INLINE static inline
#endif

enum { QKD_LANES = 64, QKD_CELL = 128, QKD_INNER = 8, QKD_LARGEST = 16 };

/* ------------------------------------------------------------------------- bytes of GF(2^8), many at once */

#if defined(__GFNI__) && defined(__AVX512VBMI__)
#  define QKD_VEC 64
typedef __m512i qkd_vec;
static inline qkd_vec qkd_load(const uint8_t *p) { return _mm512_loadu_si512(p); }
static inline void qkd_store(uint8_t *p, qkd_vec a) { _mm512_storeu_si512(p, a); }
static inline qkd_vec qkd_splat(uint8_t a) { return _mm512_set1_epi8((char)a); }

/* A vector made ready to multiply others. */
typedef qkd_vec qkd_factor;
static inline void qkd_make_factor(qkd_factor *f, qkd_vec a) { *f = a; }
static inline void qkd_add_factor(qkd_factor *f, const qkd_factor *a, const uint8_t *shifted) {
    *f = *a ^ qkd_splat(shifted[0]);
}
static inline qkd_vec qkd_times(qkd_vec a, const qkd_factor *f) { return _mm512_gf2p8mul_epi8(a, *f); }
#else
#  if defined(__GNUC__) && defined(__AVX2__)
#    define QKD_VEC 32
#  elif defined(__GNUC__)
#    define QKD_VEC 16
#  else
#    define QKD_VEC 1
#  endif
#  if QKD_VEC > 1
typedef uint8_t qkd_vec __attribute__((vector_size(QKD_VEC)));
typedef int8_t qkd_signed __attribute__((vector_size(QKD_VEC)));
/* All ones where bit 7 is set. */
static inline qkd_vec qkd_top(qkd_vec a) { return (qkd_vec)((qkd_signed)a < 0); }
#  else
typedef uint8_t qkd_vec;
static inline qkd_vec qkd_top(qkd_vec a) { return (uint8_t)(0 - (a >> 7)); }
#  endif
static inline qkd_vec qkd_load(const uint8_t *p) { qkd_vec a; memcpy(&a, p, QKD_VEC); return a; }
static inline void qkd_store(uint8_t *p, qkd_vec a) { memcpy(p, &a, QKD_VEC); }
static inline qkd_vec qkd_splat(uint8_t a) { const qkd_vec zero = {0}; return zero + a; }

typedef struct { qkd_vec shifted[8]; } qkd_factor;      /* times x^0 ... x^7 */
static inline void qkd_make_factor(qkd_factor *f, qkd_vec a) {
    for (int i = 0; i < 8; i++) {
        f->shifted[i] = a;
        a = (a + a) ^ (qkd_top(a) & 0x1b);
    }
}
/* f = a + the constant whose multiples by x^0 ... x^7 are given */
static inline void qkd_add_factor(qkd_factor *f, const qkd_factor *a, const uint8_t *shifted) {
    for (int i = 0; i < 8; i++) f->shifted[i] = a->shifted[i] ^ qkd_splat(shifted[i]);
}
static inline qkd_vec qkd_times(qkd_vec a, const qkd_factor *f) {
    qkd_vec r = qkd_top(a) & f->shifted[7];
    for (int i = 6; i >= 0; i--) {
        a = a + a;
        r ^= qkd_top(a) & f->shifted[i];
    }
    return r;
}
#endif
#define QKD_CHUNKS(o) for (int o = 0; o < QKD_LANES; o += QKD_VEC)

/* A linear map of bytes: images of the eight bits, rows of its matrix, images of the two half bytes. */
typedef struct { uint8_t column[8], rows[8], half[2][16]; } qkd_map;

static void qkd_make_map(qkd_map *m, const uint8_t *column) {
    memset(m, 0, sizeof *m);
    for (int j = 0; j < 8; j++) {
        m->column[j] = column[j];
        for (int i = 0; i < 8; i++) m->rows[7 - i] |= (uint8_t)((column[j] >> i & 1) << j);
        for (int v = 0; v < 16; v++)
            if (v >> j % 4 & 1) m->half[j / 4][v] ^= column[j];
    }
}
static inline qkd_vec qkd_apply(const qkd_map *m, qkd_vec a) {
#if QKD_VEC == 64
    int64_t rows;
    memcpy(&rows, m->rows, 8);
    return _mm512_gf2p8affine_epi64_epi8(a, _mm512_set1_epi64(rows), 0);
#elif QKD_VEC == 32
    const __m256i low = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)m->half[0]));
    const __m256i high = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)m->half[1]));
    const __m256i four = _mm256_set1_epi8(15), x = (__m256i)a;
    return (qkd_vec)_mm256_xor_si256(_mm256_shuffle_epi8(low, _mm256_and_si256(x, four)),
                                     _mm256_shuffle_epi8(high, _mm256_and_si256(_mm256_srli_epi16(x, 4), four)));
#else
    qkd_vec r = qkd_top(a) & m->column[7];
    for (int j = 6; j >= 0; j--) {
        a = a + a;
        r ^= qkd_top(a) & m->column[j];
    }
    return r;
#endif
}

/* ------------------------------------------------------------------------------------------------ constants */

/* Cantor's basis, low byte the part in GF(2^8), high byte that of y: the smaller solution of each b^2 + b = b_(i-1). */
static const uint16_t qkd_cantor[16] = {
    0x0001, 0x00bc, 0x005c, 0x000c, 0x00ae, 0x005a, 0x000e, 0x0084,
    0x0100, 0xbcc0, 0x5c90, 0x0c26, 0xaed8, 0x5a4c, 0x0ef6, 0x8494 };
/* y^0 ... y^15. */
static const uint16_t qkd_powers[16] = {
    0x0001, 0x0100, 0x0184, 0x8584, 0x010e, 0x0f84, 0x8bfd, 0x7677,
    0x01d0, 0xd184, 0x55e6, 0xb36c, 0xdf88, 0x579f, 0xc87f, 0xb7b6 };

/* Constants of the lower stages for 64 neighbouring upper places: t = low + high y. */
typedef struct { uint8_t low[QKD_LANES], high_b7[QKD_LANES], both[QKD_LANES]; } qkd_twiddle;

static qkd_twiddle qkd_lower[QKD_INNER][1 << (QKD_LARGEST - QKD_INNER - 6)];
static qkd_map qkd_upper[256];                   /* multiplication by w_p, p < 256: they lie in GF(2^8) */
#if QKD_VEC == 64
static uint8_t qkd_pairs[6][2][64];              /* which bytes of two rows make the new ones in a transposition */
#endif
static qkd_map qkd_embed[2], qkd_extract[2][2];  /* powers of z -> low, high byte; [low, high byte][powers 0-7, 8-15] */

static uint8_t qkd_byte_times(uint8_t a, uint8_t b) {
    uint8_t r = 0;
    for (int i = 7; i >= 0; i--)
        r = (uint8_t)(r << 1) ^ (r & 0x80 ? 0x1b : 0) ^ (b >> i & 1 ? a : 0);
    return r;
}
static uint16_t qkd_place(int p) {
    uint16_t w = 0;
    for (int i = 0; i < 16; i++) if (p >> i & 1) w ^= qkd_cantor[i];
    return w;
}

/* Called once, when the module is loaded. */
static void qkd_make_tables(void) {
    uint16_t basis[16], image[16];             /* inverse of the matrix of powers, by elimination */
    uint8_t columns[8];
#if QKD_VEC == 64
    for (int step = 0; step < 6; step++)
        for (int i = 0; i < 64; i++) {
            const int h = 1 << step;
            qkd_pairs[step][0][i] = (uint8_t)(i & h ? 64 + i - h : i);
            qkd_pairs[step][1][i] = (uint8_t)(i & h ? 64 + i : i + h);
        }
#endif
    for (int p = 0; p < 256; p++) {
        for (int i = 0; i < 8; i++) columns[i] = qkd_byte_times((uint8_t)qkd_place(p), (uint8_t)(1 << i));
        qkd_make_map(&qkd_upper[p], columns);
    }
    for (int stage = 0; stage < QKD_INNER; stage++)
        for (int j = 0; j < 1 << (QKD_LARGEST - QKD_INNER); j++) {
            /* w of (place >> stage) without its lowest bit, the part that comes from the upper place j */
            uint16_t w = qkd_place(j << (QKD_INNER - stage) & 0xffff);
            qkd_twiddle *t = &qkd_lower[stage][j / QKD_LANES];
            t->low[j % QKD_LANES] = (uint8_t)w;
            t->high_b7[j % QKD_LANES] = qkd_byte_times((uint8_t)(w >> 8), (uint8_t)qkd_cantor[7]);
            t->both[j % QKD_LANES] = (uint8_t)(w ^ w >> 8);
        }
    for (int half = 0; half < 2; half++) {
        for (int i = 0; i < 8; i++) columns[i] = (uint8_t)(qkd_powers[i] >> 8 * half);
        qkd_make_map(&qkd_embed[half], columns);
    }
    for (int i = 0; i < 16; i++) { basis[i] = qkd_powers[i]; image[i] = (uint16_t)(1 << i); }
    for (int bit = 0; bit < 16; bit++) {
        int i = bit;
        while (!(basis[i] >> bit & 1)) i++;
        uint16_t b = basis[i], m = image[i];
        basis[i] = basis[bit]; image[i] = image[bit];
        basis[bit] = b; image[bit] = m;
        for (i = 0; i < 16; i++)
            if (i != bit && basis[i] >> bit & 1) { basis[i] ^= b; image[i] ^= m; }
    }
    for (int byte = 0; byte < 2; byte++)
        for (int half = 0; half < 2; half++) {
            for (int i = 0; i < 8; i++) columns[i] = (uint8_t)(image[8 * byte + i] >> 8 * half);
            qkd_make_map(&qkd_extract[byte][half], columns);
        }
}

/* ------------------------------------------------------------- from powers of x to products of the s_i and back */

static inline void qkd_add(uint8_t *a, const uint8_t *b, size_t n) {
    size_t i = 0;
    for (; i + QKD_VEC <= n; i += QKD_VEC) qkd_store(a + i, qkd_load(a + i) ^ qkd_load(b + i));
#if QKD_VEC == 64
    const __mmask64 rest = ((__mmask64)1 << (n - i)) - 1;
    _mm512_mask_storeu_epi8(a + i, rest, _mm512_maskz_loadu_epi8(rest, a + i) ^ _mm512_maskz_loadu_epi8(rest, b + i));
#else
    for (; i < n; i++) a[i] ^= b[i];
#endif
}

/* Divide each chunk of 2 h places by s_r^s = x^h + x^s, where h = 2^r s: what stands at h + i is added at s + i. */
static inline void qkd_divide(uint8_t *c, size_t places, size_t h, size_t s, size_t unit) {
    for (uint8_t *end = c + places * unit; c < end; c += 2 * h * unit) {
        qkd_add(c + h * unit, c + (2 * h - s) * unit, s * unit);
        qkd_add(c + s * unit, c + h * unit, (h - s) * unit);
    }
}
static inline void qkd_undivide(uint8_t *c, size_t places, size_t h, size_t s, size_t unit) {
    for (uint8_t *end = c + places * unit; c < end; c += 2 * h * unit) {
        qkd_add(c + s * unit, c + h * unit, (h - s) * unit);
        qkd_add(c + h * unit, c + (2 * h - s) * unit, s * unit);
    }
}
/* Write a polynomial of 2^e coefficients, `unit` bytes each, in powers of s_r with coefficients of 2^r. */
static inline void qkd_split(uint8_t *c, int e, int r, size_t unit) {
    for (int l = e - r - 1; l >= 0; l--)
        qkd_divide(c, (size_t)1 << e, (size_t)1 << (r + l), (size_t)1 << l, unit);
}
static inline void qkd_unsplit(uint8_t *c, int e, int r, size_t unit) {
    for (int l = 0; l < e - r; l++)
        qkd_undivide(c, (size_t)1 << e, (size_t)1 << (r + l), (size_t)1 << l, unit);
}

/* The whole change for 16 coefficients: split by s_2, then both halves by s_1. */
QKD_INLINE void qkd_convert16(uint8_t *base, size_t stride) {
    qkd_vec c[16];
    for (int i = 0; i < 16; i++) c[i] = qkd_load(base + i * stride);
    for (int i = 0; i < 2; i++) c[8 + i] ^= c[14 + i];
    for (int i = 0; i < 6; i++) c[2 + i] ^= c[8 + i];
    for (int q = 0; q < 16; q += 8) {
        c[q + 4] ^= c[q + 7];
        for (int i = 0; i < 3; i++) c[q + 1 + i] ^= c[q + 4 + i];
    }
    for (int i = 0; i < 4; i++) c[8 + i] ^= c[12 + i];
    for (int i = 0; i < 4; i++) c[4 + i] ^= c[8 + i];
    for (int q = 0; q < 16; q += 4) {
        c[q + 2] ^= c[q + 3];
        c[q + 1] ^= c[q + 2];
    }
    for (int i = 1; i < 16; i++) qkd_store(base + i * stride, c[i]);
}
QKD_INLINE void qkd_unconvert16(uint8_t *base, size_t stride) {
    qkd_vec c[16];
    for (int i = 0; i < 16; i++) c[i] = qkd_load(base + i * stride);
    for (int q = 0; q < 16; q += 4) {
        c[q + 1] ^= c[q + 2];
        c[q + 2] ^= c[q + 3];
    }
    for (int i = 0; i < 4; i++) c[4 + i] ^= c[8 + i];
    for (int i = 0; i < 4; i++) c[8 + i] ^= c[12 + i];
    for (int q = 0; q < 16; q += 8) {
        for (int i = 0; i < 3; i++) c[q + 1 + i] ^= c[q + 4 + i];
        c[q + 4] ^= c[q + 7];
    }
    for (int i = 0; i < 6; i++) c[2 + i] ^= c[8 + i];
    for (int i = 0; i < 2; i++) c[8 + i] ^= c[14 + i];
    for (int i = 1; i < 16; i++) qkd_store(base + i * stride, c[i]);
}

/* The largest power of 2 below e. */
static inline int qkd_below(int e) { int r = 1; while (2 * r < e) r *= 2; return r; }

/* From powers of x to the basis of products, 2^e coefficients of `unit` bytes (a multiple of QKD_LANES). */
static void qkd_convert(uint8_t *c, int e, size_t unit) {
    if (e < 2) return;
    if (e == 4) {
        for (size_t o = 0; o < unit; o += QKD_VEC) qkd_convert16(c + o, unit);
        return;
    }
    const int r = qkd_below(e);
    qkd_split(c, e, r, unit);
    qkd_convert(c, e - r, unit << r);
    for (size_t i = 0; i < (size_t)1 << (e - r); i++) qkd_convert(c + (i * unit << r), r, unit);
}
static void qkd_unconvert(uint8_t *c, int e, size_t unit) {
    if (e < 2) return;
    if (e == 4) {
        for (size_t o = 0; o < unit; o += QKD_VEC) qkd_unconvert16(c + o, unit);
        return;
    }
    const int r = qkd_below(e);
    for (size_t i = 0; i < (size_t)1 << (e - r); i++) qkd_unconvert(c + (i * unit << r), r, unit);
    qkd_unconvert(c, e - r, unit << r);
    qkd_unsplit(c, e, r, unit);
}

/* ------------------------------------------------------------------------------------------------ butterflies */

/* One upper stage of `blocks` blocks, from number `first` on, that pair cells 2^stage places (4 cells each) apart. */
static void qkd_upper_stage(uint8_t *cells, int stage, size_t first, size_t blocks, int forward) {
    const size_t half = (size_t)4 * QKD_CELL << stage;
    for (size_t b = first; b < first + blocks; b++, cells += 2 * half) {
        const qkd_map t = qkd_upper[2 * b];
        for (size_t at = 0; at < half; at += QKD_VEC) {
            qkd_vec u = qkd_load(cells + at), v = qkd_load(cells + half + at);
            if (forward) { u ^= qkd_apply(&t, v); v ^= u; }
            else { v ^= u; u ^= qkd_apply(&t, v); }
            qkd_store(cells + at, u);
            qkd_store(cells + half + at, v);
        }
    }
}

/* One lower stage of a group, cells 2^stage apart: a constant of F for each lane. Karatsuba, with y^2 = y + b_7. */
static void qkd_lower_stage(uint8_t *group, int stage, const qkd_twiddle *t, int forward) {
    const size_t half = (size_t)QKD_CELL << stage;
    QKD_CHUNKS(o) {
        qkd_factor own_low, own_both, high_b7, low, both;
        qkd_make_factor(&own_low, qkd_load(t->low + o));
        qkd_make_factor(&own_both, qkd_load(t->both + o));
        qkd_make_factor(&high_b7, qkd_load(t->high_b7 + o));
        uint8_t *u = group + o, *v = u + half;
        for (int b = 0; b < 1 << (QKD_INNER - 1 - stage); b++, u += half, v += half) {
            qkd_add_factor(&low, &own_low, qkd_upper[2 * b].column);
            qkd_add_factor(&both, &own_both, qkd_upper[2 * b].column);
            for (int i = 0; i < 1 << stage; i++, u += QKD_CELL, v += QKD_CELL) {
                qkd_vec u0 = qkd_load(u), u1 = qkd_load(u + QKD_LANES);
                qkd_vec v0 = qkd_load(v), v1 = qkd_load(v + QKD_LANES);
                if (!forward) { v0 ^= u0; v1 ^= u1; }
                const qkd_vec p = qkd_times(v0, &low);
                u0 ^= p ^ qkd_times(v1, &high_b7);
                u1 ^= p ^ qkd_times(v0 ^ v1, &both);
                if (forward) { v0 ^= u0; v1 ^= u1; }
                qkd_store(u, u0);
                qkd_store(u + QKD_LANES, u1);
                qkd_store(v, v0);
                qkd_store(v + QKD_LANES, v1);
            }
        }
    }
}

/* ---------------------------------------------------------------------------------------------- transposition */

#if QKD_VEC == 64
/* Exchange bits s ... s + 2 of the row number with those of the column number, for 8 rows 2^s apart. */
QKD_INLINE void qkd_exchange(__m512i *row, int s) {
    for (int step = 0; step < 3; step++)
        for (int i = 0; i < 8; i++) {
            if (i >> step & 1) continue;
            const int j = i + (1 << step);
            __m512i even = _mm512_permutex2var_epi8(row[i], qkd_load(qkd_pairs[s + step][0]), row[j]);
            row[j] = _mm512_permutex2var_epi8(row[i], qkd_load(qkd_pairs[s + step][1]), row[j]);
            row[i] = even;
        }
}
#endif

/* Transpose 64 x 64 bytes; rows `in_step` and `out_step` bytes apart. */
static void qkd_transpose(const uint8_t *in, size_t in_step, uint8_t *out, size_t out_step) {
#if QKD_VEC == 64
    __m512i between[64], row[8];
    for (int r = 0; r < 64; r += 8) {
        for (int i = 0; i < 8; i++) row[i] = qkd_load(in + (r + i) * in_step);
        qkd_exchange(row, 0);
        for (int i = 0; i < 8; i++) between[r + i] = row[i];
    }
    for (int r = 0; r < 8; r++) {
        for (int i = 0; i < 8; i++) row[i] = between[r + 8 * i];
        qkd_exchange(row, 3);
        for (int i = 0; i < 8; i++) qkd_store(out + (r + 8 * i) * out_step, row[i]);
    }
#else
    /* Within each 8 x 8 bytes by exchanges of bytes in words, then word by word. */
    static const uint64_t mask[3] = { 0x00ff00ff00ff00ffULL, 0x0000ffff0000ffffULL, 0x00000000ffffffffULL };
    uint64_t row[64][8];
    for (int r = 0; r < 64; r++) memcpy(row[r], in + r * in_step, 64);
    for (int step = 0; step < 3; step++) {
        const int h = 1 << step, s = 8 << step;
        const uint64_t m = mask[step];
        for (int r = 0; r < 64; r++) {
            if (r & h) continue;
            for (int w = 0; w < 8; w++) {
                const uint64_t x = ((row[r][w] >> s) ^ row[r + h][w]) & m;
                row[r + h][w] ^= x;
                row[r][w] ^= x << s;
            }
        }
    }
#  if QKD_VEC == 32
    for (int i = 0; i < 8; i++)
        for (int r = 0; r < 8; r += 4)
            for (int w = 0; w < 8; w += 4) {
                __m256i a[4], b[4];
                for (int j = 0; j < 4; j++) a[j] = _mm256_loadu_si256((const __m256i *)&row[8 * (r + j) + i][w]);
                for (int j = 0; j < 4; j += 2) {
                    b[j] = _mm256_unpacklo_epi64(a[j], a[j + 1]);
                    b[j + 1] = _mm256_unpackhi_epi64(a[j], a[j + 1]);
                }
                uint8_t *to = out + (8 * w + i) * out_step + 8 * r;
                for (int j = 0; j < 2; j++) {
                    qkd_store(to + 8 * j * out_step, (qkd_vec)_mm256_permute2x128_si256(b[j], b[j + 2], 0x20));
                    qkd_store(to + 8 * (j + 2) * out_step, (qkd_vec)_mm256_permute2x128_si256(b[j], b[j + 2], 0x31));
                }
            }
#  else
    for (int w = 0; w < 8; w++)
        for (int i = 0; i < 8; i++)
            for (int r = 0; r < 8; r++) memcpy(out + (8 * w + i) * out_step + 8 * r, &row[8 * r + i][w], 8);
#  endif
#endif
}

/* -------------------------------------------------------------------------------------------------- transform */

/* A group is 64 upper places: 256 cells, four to an upper place, or transposed: one to each of 256 lower places. */
enum { QKD_GROUP = 256 * QKD_CELL };

/* Values at 2^k places, 14 <= k <= 16, of the polynomial in `data` (2^(k-1) bytes, used up). Cell number c of the values,
   at out + c * step, is the lower place c % 256 of group c / 256. `cells` is for work, 2 * 2^k bytes. */
static void qkd_forward(uint8_t *data, int k, uint8_t *cells, uint8_t *out, size_t step) {
    const int e = k - QKD_INNER;                        /* 2^e upper places */
    const size_t half = (size_t)2 << e;                 /* cells of the lower half */
    uint8_t group[QKD_GROUP];
    qkd_split(data, k - 1, QKD_INNER, 1);
    qkd_convert(data, e - 1, (size_t)1 << QKD_INNER);
    for (int plane = 0; plane < 2; plane++) {           /* first stage: constant 0, upper half still 0: a copy */
        const qkd_map embed = qkd_embed[plane];
        uint8_t *to = cells + plane * QKD_LANES;
        for (size_t c = 0; c < half; c++, to += QKD_CELL)
            QKD_CHUNKS(o) {
                const qkd_vec a = qkd_apply(&embed, qkd_load(data + c * QKD_LANES + o));
                qkd_store(to + o, a);
                qkd_store(to + half * QKD_CELL + o, a);
            }
    }
    for (int stage = e - 2; stage >= 6; stage--) qkd_upper_stage(cells, stage, 0, (size_t)1 << (e - 1 - stage), 1);
    for (size_t g = 0; g < (size_t)1 << (e - 6); g++) {
        uint8_t *from = cells + g * QKD_GROUP;
        for (int stage = e - 2 < 5 ? e - 2 : 5; stage >= 0; stage--)
            qkd_upper_stage(from, stage, g << (5 - stage), (size_t)1 << (5 - stage), 1);
        for (int c = 0; c < 4; c++)
            for (int plane = 0; plane < QKD_CELL; plane += QKD_LANES)
                qkd_transpose(from + c * QKD_CELL + plane, 4 * QKD_CELL,
                              group + 64 * c * QKD_CELL + plane, QKD_CELL);
        qkd_convert(group, QKD_INNER, QKD_CELL);
        for (int stage = QKD_INNER - 1; stage >= 0; stage--) qkd_lower_stage(group, stage, &qkd_lower[stage][g], 1);
        for (int c = 0; c < 256; c++, out += step) memcpy(out, group + c * QKD_CELL, QKD_CELL);
    }
}

/* The polynomial with the values at in + c * step: the first 2^k of the 2 * 2^k bytes of `out`. */
static void qkd_inverse(const uint8_t *in, size_t step, int k, uint8_t *cells, uint8_t *out) {
    const int e = k - QKD_INNER;
    const size_t n = (size_t)1 << k;
    uint8_t group[QKD_GROUP];
    for (size_t g = 0; g < (size_t)1 << (e - 6); g++) {
        uint8_t *to = cells + g * QKD_GROUP;
        for (int c = 0; c < 256; c++, in += step) memcpy(group + c * QKD_CELL, in, QKD_CELL);
        for (int stage = 0; stage < QKD_INNER; stage++) qkd_lower_stage(group, stage, &qkd_lower[stage][g], 0);
        qkd_unconvert(group, QKD_INNER, QKD_CELL);
        for (int c = 0; c < 4; c++)
            for (int plane = 0; plane < QKD_CELL; plane += QKD_LANES)
                qkd_transpose(group + 64 * c * QKD_CELL + plane, QKD_CELL,
                              to + c * QKD_CELL + plane, 4 * QKD_CELL);
        for (int stage = 0; stage < 6; stage++)
            qkd_upper_stage(to, stage, g << (5 - stage), (size_t)1 << (5 - stage), 0);
    }
    for (int stage = 6; stage < e; stage++) qkd_upper_stage(cells, stage, 0, (size_t)1 << (e - 1 - stage), 0);
    for (int half = 0; half < 2; half++) {
        const qkd_map from_low = qkd_extract[0][half], from_high = qkd_extract[1][half];
        uint8_t *to = out + half * n, *from = cells;
        for (size_t c = 0; c < n / QKD_LANES; c++, from += QKD_CELL)
            QKD_CHUNKS(o)
                qkd_store(to + c * QKD_LANES + o, qkd_apply(&from_low, qkd_load(from + o))
                                                  ^ qkd_apply(&from_high, qkd_load(from + QKD_LANES + o)));
        qkd_unconvert(to, e, (size_t)1 << QKD_INNER);
        qkd_unsplit(to, k, QKD_INNER, 1);
    }
    qkd_add(out + 1, out + n, n - 1);                   /* z^8 = x */
}

/* ------------------------------------------------------------------------------------------ pointwise products */

/* In each place of one cell: out[a] += sum over b of seed[a - b + n_key - 1] key[b], for `count` <= 8 blocks a. */
QKD_INLINE void qkd_multiply_tile(const uint8_t *seed, const uint8_t *key, ptrdiff_t n_key, uint8_t *out, int count) {
    const qkd_vec zero = qkd_splat(0);
    qkd_factor b7;
    qkd_make_factor(&b7, qkd_splat((uint8_t)qkd_cantor[7]));
    QKD_CHUNKS(o) {
        qkd_vec p[8], q[8], r[8];
        for (int a = 0; a < count; a++) p[a] = q[a] = r[a] = zero;
        for (ptrdiff_t b = 0; b < n_key; b++) {
            const qkd_vec k0 = qkd_load(key + b * QKD_CELL + o), k1 = qkd_load(key + b * QKD_CELL + QKD_LANES + o);
            qkd_factor low, high, both;
            qkd_make_factor(&low, k0);
            qkd_make_factor(&high, k1);
            qkd_make_factor(&both, k0 ^ k1);
            const uint8_t *s = seed + (n_key - 1 - b) * QKD_CELL + o;
            for (int a = 0; a < count; a++, s += QKD_CELL) {
                const qkd_vec s0 = qkd_load(s), s1 = qkd_load(s + QKD_LANES);
                p[a] ^= qkd_times(s0, &low);
                q[a] ^= qkd_times(s1, &high);
                r[a] ^= qkd_times(s0 ^ s1, &both);
            }
        }
        for (int a = 0; a < count; a++) {
            uint8_t *d = out + a * QKD_CELL + o;
            qkd_store(d, qkd_load(d) ^ p[a] ^ qkd_times(q[a], &b7));
            qkd_store(d + QKD_LANES, qkd_load(d + QKD_LANES) ^ p[a] ^ r[a]);
        }
    }
}
static void qkd_multiply_add(const uint8_t *seed, const uint8_t *key, ptrdiff_t n_key, uint8_t *out, ptrdiff_t n_out) {
#define QKD_TILES(count) \
    for (; n_out >= count; n_out -= count, seed += count * QKD_CELL, out += count * QKD_CELL) \
        qkd_multiply_tile(seed, key, n_key, out, count)
#if QKD_VEC < 64
    QKD_TILES(8);
#endif
    QKD_TILES(4);
    QKD_TILES(2);
    QKD_TILES(1);
#undef QKD_TILES
}
#endif
