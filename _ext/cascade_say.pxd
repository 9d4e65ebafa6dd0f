# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
# The parities that one party says of his bits (header only, for cascade.pyx).
from cascade_order cimport reorder
from cascade_state cimport BLOCKS, CHECKS, HALVES, Blocks, Keys, Talk, every, subset_from
from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset
from words cimport pext

cdef extern from "cascade.h" nogil:
    uint64_t parities "qkd_parities"(const uint64_t* word, Py_ssize_t n)
    void halves "qkd_halves"(const uint64_t* word, const uint64_t* mask, int half, Py_ssize_t n, uint8_t* out)
    uint64_t checks "qkd_checks"(const uint64_t* word, const uint64_t* subset, Py_ssize_t n, int checks)
    void masked_sums "qkd_masked_sums"(const uint64_t* word, const uint64_t* subset, int shift, Py_ssize_t n, uint64_t* out)


cdef inline void raise_levels(uint64_t** at, Py_ssize_t tiles) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(tiles):
        at[1][i] = parities(at[0] + 64 * i, 64)
    at[2][0] = parities(at[1], tiles)


cdef inline void take_keys(Keys* keys, const Talk* t, const uint64_t* word) noexcept nogil:
    cdef Py_ssize_t n = (t.bits + 63) // 64
    memcpy(keys.at[0][0], word, 8 * n)
    memset(keys.at[0][0] + n, 0, 8 * (64 * t.tiles - n))
    raise_levels(keys.at[0], t.tiles)


cdef inline void say_blocks(const Talk* t, const Keys* keys, uint8_t* out) noexcept nogil:
    # Fold each word so that a block's parity stands at its start, and string those together.
    cdef const Blocks* b = &t.known[t.current]
    cdef const uint64_t* word = keys.at[t.current][b.level]
    cdef uint64_t starts = every(b.log_units), x, line = 0
    cdef int per = 64 >> b.log_units, have = 0, k
    cdef Py_ssize_t left = b.count
    while left > 0:
        x = word[0]
        word += 1
        for k in range(b.log_units):
            x ^= x >> (1 << k)
        x = pext(x, starts)
        if left < per:
            x &= (<uint64_t>1 << left) - 1
        line |= x << have
        have += per
        left -= per
        if have == 64 or left <= 0:
            k = <int>(have + (left if left < 0 else 0) + 7) // 8
            memcpy(out, &line, k)
            out += k
            line, have = 0, 0


cdef inline void mask_for_check(const Talk* t, Keys* keys) noexcept nogil:
    # Of the key under the mask of a check only what the search looks at: the tiles' parities, then one tile.
    cdef uint64_t** at = keys.at[t.n_passes]
    cdef Py_ssize_t i, tile = t.where[0]
    if t.level == 2:
        masked_sums(keys.at[0][0], t.subset, t.check, 64 * t.tiles, at[1])
        at[2][0] = parities(at[1], t.tiles)
    elif t.level == 1:
        for i in range(64 * tile, 64 * tile + 64):
            at[0][i] = keys.at[0][0][i] & subset_from(t.subset, i, t.check)
        at[1][tile] = parities(at[0] + 64 * tile, 64)


cdef inline int say(const Talk* t, Keys* keys, uint8_t* out) noexcept nogil:
    # The parities that are asked for, of this party's bits.
    cdef Py_ssize_t i
    cdef uint64_t* word
    cdef uint64_t line
    if t.kind == BLOCKS:
        if t.current:
            reorder(t.orders[t.current], keys.at[0][0], t.tiles, keys.at[t.current][0])
            raise_levels(keys.at[t.current], t.tiles)
        say_blocks(t, keys, out)
    elif t.kind == CHECKS:
        line = checks(keys.at[0][0], t.subset, 64 * t.tiles, t.n_checks)
        memcpy(out, &line, (t.n_checks + 7) // 8)
    elif t.kind == HALVES:
        if t.fresh:
            if keys.room < t.room:
                free(keys.word)
                keys.word = <uint64_t*>malloc(t.room * 8)
                keys.room = t.room if keys.word != NULL else 0
                if keys.word == NULL:
                    return -1
            if t.current == t.n_passes:
                mask_for_check(t, keys)
            word = keys.at[t.current][t.level]
            for i in range(t.entries):
                keys.word[i] = word[t.where[i]]
        halves(keys.word, t.mask, 1 << t.half, t.asked, out)
    return 0
