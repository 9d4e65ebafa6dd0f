# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
# Orders of a frame's bits that take no table look-up per bit (header only, for cascade.pyx).
#
# A frame of T tiles is 64 T words. Turn each word, transpose each tile of 64 words, permute the words of the frame,
# and once more turn and transpose: each word's bits end in 64 words of as many tiles as there are, beside bits of
# other words. (With a single transposition two words of the new order, if they meet in one row, meet in 64 rows; then
# errors in pairs of blocks of both passes hide six times as often as in a random order.)
#
# After the first pass the words in which it found no error hold most of the errors that are left: the known intervals in
# them are long. sort_words puts these words first and mixes the two kinds as little as whole tiles allow. Then the
# bits of an interval are about equally likely wrong, and to ask for half of it is worth a whole bit: where they are not,
# an answer is half known before, and paid for all the same.
from libc.stdint cimport uint8_t, uint16_t, uint64_t

cdef extern from "cascade.h" nogil:
    void turn_transpose "qkd_turn_transpose"(const uint64_t* in_, const uint8_t* turn, uint64_t* out)

cdef struct Order:
    uint16_t* row_of         # [word] where it stands for the first transposition
    uint16_t* word_at        # its inverse
    uint8_t* turn_in         # [row]
    uint16_t* place_of       # [column of the transposed tiles] where the word permutation puts it
    uint16_t* column_at      # its inverse
    uint8_t* turn_out        # [place]


cdef inline uint64_t mixed(uint64_t x) noexcept nogil:
    # The finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
    x = (x ^ x >> 30) * <uint64_t>0xbf58476d1ce4e5b9
    x = (x ^ x >> 27) * <uint64_t>0x94d049bb133111eb
    return x ^ x >> 31


cdef inline void draw(uint64_t seed, uint64_t stream, uint64_t* out, Py_ssize_t n) noexcept nogil:
    # SplitMix64 from a start that depends on the seed and on what the numbers are for.
    cdef uint64_t at = mixed(seed ^ mixed(stream + 1))
    cdef Py_ssize_t i
    for i in range(n):
        at += <uint64_t>0x9e3779b97f4a7c15
        out[i] = mixed(at)


cdef inline void fill_order(const Order* s, const uint64_t* random, Py_ssize_t words) noexcept nogil:
    # Fisher-Yates by the high halves of the random words, turns by the low bits.
    cdef Py_ssize_t i, j
    cdef uint16_t swap
    for i in range(words):
        s.place_of[i] = s.row_of[i] = s.word_at[i] = <uint16_t>i
    for i in range(words - 1, 0, -1):
        j = <Py_ssize_t>(((random[i] >> 32) * <uint64_t>(i + 1)) >> 32)
        swap = s.place_of[i]
        s.place_of[i] = s.place_of[j]
        s.place_of[j] = swap
    for i in range(words):
        s.column_at[s.place_of[i]] = <uint16_t>i
        s.turn_in[i] = random[i] & 63
        s.turn_out[i] = random[i] >> 6 & 63


cdef inline void sort_words(Order* s, const Order* plan, const uint64_t* found, Py_ssize_t words,
                            Py_ssize_t tiles) noexcept nogil:
    # Of `plan` the order in which the words without a bit in `found` come first. s.column_at serves as a list meanwhile.
    cdef Py_ssize_t i, clean = 0, others = 0
    for i in range(words):                 # written where it may be overwritten: a branch would go either way
        s.word_at[clean] = s.column_at[others] = <uint16_t>i
        clean += found[i] == 0
        others += found[i] != 0
    for i in range(others):
        s.word_at[clean + i] = s.column_at[i]
    for i in range(words, 64 * tiles):     # zeros
        s.word_at[i] = <uint16_t>i
    for i in range(64 * tiles):
        s.row_of[s.word_at[i]] = <uint16_t>i
    clean = others = (clean + 32) & ~63    # columns of whole tiles
    words = 0
    for i in range(64 * tiles):
        s.column_at[words if plan.column_at[i] < clean else others] = plan.column_at[i]
        words += plan.column_at[i] < clean
        others += plan.column_at[i] >= clean
    for i in range(64 * tiles):
        s.place_of[s.column_at[i]] = <uint16_t>i
    s.turn_in, s.turn_out = plan.turn_in, plan.turn_out


cdef inline Py_ssize_t placed(const Order* s, Py_ssize_t bit) noexcept nogil:
    # Where a bit goes.
    cdef Py_ssize_t row = s.row_of[bit >> 6]
    cdef Py_ssize_t place = s.place_of[(row & ~63) + ((bit + s.turn_in[row]) & 63)]
    return (((place & ~63) + ((row + s.turn_out[place]) & 63)) << 6) + (place & 63)


cdef inline Py_ssize_t unplaced(const Order* s, Py_ssize_t bit) noexcept nogil:
    # Where it came from.
    cdef Py_ssize_t place = (bit >> 6 & ~63) + (bit & 63)
    cdef Py_ssize_t column = s.column_at[place]
    cdef Py_ssize_t row = (column & ~63) + (((bit >> 6) - s.turn_out[place]) & 63)
    return (<Py_ssize_t>s.word_at[row] << 6) + ((column - s.turn_in[row]) & 63)


cdef inline void reorder(const Order* s, const uint64_t* word, Py_ssize_t tiles, uint64_t* out) noexcept nogil:
    cdef uint64_t x[64]
    cdef Py_ssize_t i, t
    for t in range(0, 64 * tiles, 64):
        for i in range(64):
            x[i] = word[s.word_at[t + i]]
        turn_transpose(x, s.turn_in + t, x)
        for i in range(64):
            out[s.place_of[t + i]] = x[i]
    for t in range(0, 64 * tiles, 64):
        turn_transpose(out + t, s.turn_out + t, out + t)
