# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Universal hashes of packed bits: products of polynomials over GF(2), and values of polynomials over GF(2^128)."""
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memset

cdef extern from "clmul.h" nogil:
    ctypedef struct u128 "qkd_u128":
        uint64_t lo
        uint64_t hi
    ctypedef struct multiplier "qkd_multiplier":
        pass
    ctypedef struct point "qkd_point":
        pass
    void prepare "qkd_prepare"(multiplier* m, uint64_t a)
    u128 multiply "qkd_multiply"(const multiplier* m, uint64_t b)
    void prepare_point "qkd_prepare_point"(point* p, uint64_t lo, uint64_t hi)
    u128 field_multiply "qkd_field_multiply"(const point* p, u128 a)

cdef extern from "additive_fft.h" nogil:
    void make_tables "qkd_make_tables"()
    void forward "qkd_forward"(uint8_t* data, int k, uint8_t* cells, uint8_t* out, size_t step)
    void inverse "qkd_inverse"(const uint8_t* values, size_t step, int k, uint8_t* cells, uint8_t* out)
    void cell_multiply_add "qkd_multiply_add"(const uint8_t* seed, const uint8_t* key, Py_ssize_t n_key,
                                              uint8_t* out, Py_ssize_t n_out)

make_tables()


cdef void _product(const uint64_t* seed, const uint64_t* key, Py_ssize_t n, uint64_t* out, Py_ssize_t m) noexcept nogil:
    # Column by column: key word j meets seed words n - 1 - j .. n - 1 - j + m.
    cdef Py_ssize_t i, j
    cdef multiplier k
    cdef u128 p
    cdef uint64_t above
    cdef const uint64_t* row
    for j in range(n):
        prepare(&k, key[j])
        row = seed + (n - 1 - j)
        above = multiply(&k, row[0]).hi
        for i in range(m):
            p = multiply(&k, row[i + 1])
            out[i] ^= p.lo ^ above
            above = p.hi


def product(const uint64_t[::1] seed, const uint64_t[::1] key, uint64_t[::1] out):
    """Add words ``n .. n + m`` of the GF(2) product ``seed * key`` to `out` (n and m words; seed: n + m words)."""
    if seed.shape[0] != key.shape[0] + out.shape[0]:
        raise ValueError(f"{key.shape[0]} and {out.shape[0]} words take {key.shape[0] + out.shape[0]} of seed, "
                         f"got {seed.shape[0]}")
    if key.shape[0] and out.shape[0]:
        with nogil:
            _product(&seed[0], &key[0], key.shape[0], &out[0], out.shape[0])


cdef u128 _polynomial(const uint64_t* words, Py_ssize_t n, u128 last, const point* r) noexcept nogil:
    # Horner: ((((w_1) r + w_2) r + ...) r + last) r.
    cdef u128 a
    cdef Py_ssize_t i
    a.lo = a.hi = 0
    for i in range(0, n, 2):
        a.lo ^= words[i]
        if i + 1 < n:
            a.hi ^= words[i + 1]
        a = field_multiply(r, a)
    a.lo ^= last.lo
    a.hi ^= last.hi
    return field_multiply(r, a)


def polynomial(const uint64_t[::1] words, uint64_t last, const uint64_t[::1] point_and_factor, uint64_t[::1] out):
    """``a (w_1 r^(L+1) + ... + w_L r^2 + last r)`` in GF(2^128).

    `words` are L elements of two words each (an odd one stands for itself), `point_and_factor` is r, then a; two words
    of `out` are written.
    """
    cdef point r, a
    cdef u128 end, value
    cdef Py_ssize_t n = words.shape[0]
    cdef const uint64_t* first = &words[0] if n else NULL
    if point_and_factor.shape[0] != 4 or out.shape[0] != 2:
        raise ValueError(f"4 and 2 words are expected, got {point_and_factor.shape[0]} and {out.shape[0]}")
    end.lo, end.hi = last, 0
    with nogil:
        prepare_point(&r, point_and_factor[0], point_and_factor[1])
        prepare_point(&a, point_and_factor[2], point_and_factor[3])
        value = field_multiply(&a, _polynomial(first, n, end, &r))
    out[0], out[1] = value.lo, value.hi


cdef void _move(const uint64_t* words, Py_ssize_t n, Py_ssize_t start, uint64_t* out, Py_ssize_t m) noexcept nogil:
    # Bits start ... start + 64 m of a string of n words, with zeros before and after it.
    cdef Py_ssize_t i, first = start >> 6
    cdef int by = start & 63
    memset(out, 0, 8 * m)
    for i in range(max(0, -first), min(m, n - first)):
        out[i] = words[first + i] >> by
    if by:
        for i in range(max(0, -first - 1), min(m, n - first - 1)):
            out[i] |= words[first + 1 + i] << (64 - by)


def move(const uint64_t[::1] words, Py_ssize_t start, uint64_t[::1] out):
    """Fill `out` with the bits of `words` from bit `start` on, which may be negative; zeros before and after them."""
    if out.shape[0]:
        with nogil:
            _move(&words[0] if words.shape[0] else NULL, words.shape[0], start, &out[0], out.shape[0])


cdef int _places(Py_ssize_t cells, Py_ssize_t blocks, Py_ssize_t at, Py_ssize_t count, Py_ssize_t bytes,
                 Py_ssize_t work) except -1:
    # log2 of the number of places, 64 to a cell
    if cells not in (256, 512, 1024) or bytes != 128 or not 0 <= at < blocks or not 1 <= count <= blocks - at \
            or work < 32 * cells:
        raise ValueError(f"256, 512 or 1024 cells of 128 bytes, some of {blocks} blocks and {32 * cells} words for work are "
                         f"expected, got {cells} cells of {bytes} bytes, {count} blocks from {at} on and {work} words")
    return 14 if cells == 256 else 15 if cells == 512 else 16


def transform(const uint64_t[::1] words, Py_ssize_t start, uint64_t[::1] work, uint8_t[:, :, ::1] spectra,
              Py_ssize_t at, Py_ssize_t count=1):
    """Values at N places of a polynomial: the 4 N bits of `words` from bit `start` on, eight to a coefficient; and of those
    made of the next bits, `count` of them in all.

    As in :func:`move`, there are zeros before and after `words`. `spectra` is (cells, blocks, 128) with N / 64 = 256,
    512 or 1024 cells; ``spectra[:, at : at + count]`` is written: 64 low bytes and 64 high bytes of elements of GF(2^16) in a cell,
    in the order of additive_fft.h. `work` has 4 N bytes.
    """
    cdef Py_ssize_t b, n = 64 * spectra.shape[0]
    cdef int k = _places(spectra.shape[0], spectra.shape[1], at, count, spectra.shape[2], work.shape[0])
    cdef uint8_t* cells = <uint8_t*>&work[0]
    with nogil:
        for b in range(count):
            _move(&words[0] if words.shape[0] else NULL, words.shape[0], start + 4 * n * b, &work[n // 4], n // 16)
            forward(cells + 2 * n, k, cells, &spectra[0, at + b, 0], 128 * spectra.shape[1])


def multiply_add(const uint8_t[:, :, ::1] seed, const uint8_t[:, :, ::1] key, uint8_t[:, :, ::1] out):
    """``out[:, a] += sum over b of seed[:, a - b + K - 1] key[:, b]`` for K key blocks, each element in GF(2^16)."""
    cdef Py_ssize_t cell
    if not seed.shape[0] == key.shape[0] == out.shape[0] or not seed.shape[2] == key.shape[2] == out.shape[2] == 128 \
            or seed.shape[1] != max(key.shape[1] + out.shape[1] - 1, 0):
        raise ValueError("equal numbers of cells of 128 bytes and as many seed blocks as key and out, less one, are "
                         "expected")
    if key.shape[1] and out.shape[1]:
        with nogil:
            for cell in range(out.shape[0]):
                cell_multiply_add(&seed[cell, 0, 0], &key[cell, 0, 0], key.shape[1], &out[cell, 0, 0], out.shape[1])


def interpolate(const uint8_t[:, :, ::1] spectra, Py_ssize_t at, uint64_t[::1] work, uint64_t[::1] out,
                Py_ssize_t count=1):
    """Add to `out` the polynomial over GF(2) with the values ``spectra[:, at]``, one of less than 8 N coefficients; and the
    next ones, `count` in all, each moved up by 4 N.

    `out` has ``(count + 1) N / 2`` bytes, `work` 4 N.
    """
    cdef Py_ssize_t i, b, n = 64 * spectra.shape[0]
    cdef int k = _places(spectra.shape[0], spectra.shape[1], at, count, spectra.shape[2], work.shape[0])
    if 16 * out.shape[0] != n * (count + 1):
        raise ValueError(f"{n // 16 * (count + 1)} words of out are expected, got {out.shape[0]}")
    cdef uint8_t* cells = <uint8_t*>&work[0]
    with nogil:
        for b in range(count):
            inverse(&spectra[0, at + b, 0], 128 * spectra.shape[1], k, cells, cells + 2 * n)
            for i in range(n // 8):
                out[n // 16 * b + i] ^= work[n // 4 + i]
