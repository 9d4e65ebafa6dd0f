# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Universal hashes of packed bits: products of polynomials over GF(2), and values of polynomials over GF(2^128)."""
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy, memset

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
    end.lo, end.hi = last, 0
    with nogil:
        prepare_point(&r, point_and_factor[0], point_and_factor[1])
        prepare_point(&a, point_and_factor[2], point_and_factor[3])
        value = field_multiply(&a, _polynomial(first, n, end, &r))
    out[0], out[1] = value.lo, value.hi


cdef int _places(Py_ssize_t cells) noexcept nogil:
    # log2 of the number of places, 64 to a cell
    return 14 if cells == 256 else 15 if cells == 512 else 16


def transform(const uint8_t[::1] data, uint8_t[::1] work, uint8_t[:, :, ::1] spectra, Py_ssize_t at):
    """Values at N places of a polynomial over GF(2), eight coefficients to a byte of `data` (at most N / 2 bytes).

    `spectra` is (cells, blocks, 128) with N / 64 = 256, 512 or 1024 cells; ``spectra[:, at]`` is written: 64 low bytes
    and 64 high bytes of elements of GF(2^16) in a cell, in the order of additive_fft.h. `work` has 5 N / 2 bytes.
    """
    cdef Py_ssize_t n = 64 * spectra.shape[0], size = data.shape[0]
    with nogil:
        memset(&work[2 * n], 0, n // 2)
        if size:
            memcpy(&work[2 * n], &data[0], size)
        forward(&work[2 * n], _places(spectra.shape[0]), &work[0], &spectra[0, at, 0], 128 * spectra.shape[1])


def multiply_add(const uint8_t[:, :, ::1] seed, const uint8_t[:, :, ::1] key, uint8_t[:, :, ::1] out):
    """``out[:, a] += sum over b of seed[:, a - b + K - 1] key[:, b]`` for K key blocks, each element in GF(2^16)."""
    cdef Py_ssize_t cell
    if key.shape[1] and out.shape[1]:
        with nogil:
            for cell in range(out.shape[0]):
                cell_multiply_add(&seed[cell, 0, 0], &key[cell, 0, 0], key.shape[1], &out[cell, 0, 0], out.shape[1])


def interpolate(const uint8_t[:, :, ::1] spectra, Py_ssize_t at, uint8_t[::1] work, uint8_t[::1] out):
    """The polynomial over GF(2) with the values ``spectra[:, at]``, which must be one of less than 8 N coefficients.

    Its N bytes are written to the first half of `out` (2 N bytes). `work` has 2 N bytes.
    """
    with nogil:
        inverse(&spectra[0, at, 0], 128 * spectra.shape[1], _places(spectra.shape[0]), &work[0], &out[0])
