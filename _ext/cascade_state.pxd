# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
# Cascade's state: what was agreed (Rules), what both parties know (Talk), what one keeps to himself (Keys). Header only;
# cascade_rounds.pxd takes the rounds on, cascade_say.pxd says parities.
#
# A frame is padded with zeros to whole tiles of 64 x 64 bits, at most 64 of them. A pass is an order of its bits; pass 0
# is the order as it came. Each order is kept on three levels: the bits, the parities of its words, the parities of its
# tiles. So an interval of any length 2^k is a run of units inside one word of one level, and a search is at most three
# searches inside words.
#
# One round: Alice says the parities of what is asked, Bob says where his differ. What is asked next follows from what
# was said, so it need not be said, and both keep the same Talk.
from cascade_order cimport Order
from libc.stdint cimport uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc

cdef extern from "cascade.h" nogil:
    uint64_t subset_from "qkd_from"(const uint64_t* subset, Py_ssize_t i, int shift)

cdef enum:
    MAX_PASSES = 8
    MAX_TILES = 64
    MAX_CHECKS = 32

cdef enum Broken:
    CONTRADICTION = 1        # no honest pair of parties gets here
    OUT_OF_MEMORY = 2

cdef enum Kind:
    NOTHING      # the frame is done
    BLOCKS       # parities of a new pass's blocks
    HALVES       # parities of the left halves of the intervals in search
    CHECKS       # parities of random subsets of the frame

cdef struct Rules:           # what is agreed before the first round
    int n_passes, n_checks
    bint sorts               # the second pass takes the words without errors first, see cascade_order.pxd
    int log_block[MAX_PASSES]                   # log2 of each pass's block size
    Order orders[MAX_TILES + 1][MAX_PASSES]     # [tiles][pass], none for pass 0
    const uint64_t* subset                      # random bits: check k takes bit i if bit i + k is set

cdef struct Keys:            # one party's bits
    uint64_t* at[MAX_PASSES + 1][3]     # [pass][level]; after the last pass: what is searched under the mask of a check
    uint64_t* word           # the words in which the present phase searches
    Py_ssize_t room

cdef struct Blocks:          # what is known of a pass: which intervals have a parity that was told, which are odd
    int level                # of its blocks
    int log_units            # a block is 2^log_units units of that level
    Py_ssize_t count         # of blocks
    Py_ssize_t pending       # odd intervals
    uint64_t* cut[3]         # [level]: an interval of whole units starts here; a word not cut here is whole one level up
    uint64_t* odd[3]         # [level]: the interval that starts here has an odd number of errors
    uint64_t* dirty          # which words of odd[0] are not 0

cdef struct Talk:            # one frame, as both parties know it
    Py_ssize_t bits, tiles, asked, corrected, leak_bits, spoken_bytes, rounds
    int kind, n_passes, started, n_checks, broken
    bint checked
    uint64_t wrong           # checks that are odd
    int current, level, half, check     # the search: pass (n_passes: a check), level, log2 of the half asked about
    bint fresh               # the words of this level were not looked up yet
    Py_ssize_t entries, room
    Py_ssize_t of_log[7]     # number of entries by log2 of their length in units
    uint32_t* where          # [entry] word of this level
    uint64_t* mask           # [entry] what is left of the interval
    uint64_t* whole          # [entry] the interval at the start of this phase
    uint64_t* flipped        # bits corrected, in the order as they came
    Blocks known[MAX_PASSES]
    bint sorts
    const Order* orders[MAX_PASSES]     # none for pass 0
    Order sorted             # the second pass' own
    const uint64_t* subset
    uint64_t* memory


cdef inline uint64_t every(int log_step) noexcept nogil:
    # Ones at the multiples of 2^log_step, log_step < 6.
    return ~<uint64_t>0 // ((<uint64_t>2 << ((1 << log_step) - 1)) - 1)


cdef inline int make_keys(Keys* keys, int passes, Py_ssize_t tiles) noexcept nogil:
    cdef Py_ssize_t size = 65 * tiles + 1
    cdef uint64_t* memory = <uint64_t*>malloc((passes + 1) * size * 8)
    cdef int p
    keys.at[0][0], keys.word, keys.room = memory, NULL, 0
    if memory == NULL:
        return -1
    for p in range(passes + 1):
        keys.at[p][0] = memory + p * size
        keys.at[p][1] = keys.at[p][0] + 64 * tiles
        keys.at[p][2] = keys.at[p][1] + tiles
    return 0


cdef inline void drop_keys(Keys* keys) noexcept nogil:
    free(keys.at[0][0])
    free(keys.word)


cdef inline int make_talk(Talk* t, int passes, Py_ssize_t tiles) noexcept nogil:
    cdef Py_ssize_t size = 65 * tiles + 1
    cdef uint64_t* memory = <uint64_t*>malloc((passes * (2 * size + tiles) + 2 * 64 * tiles) * 8)
    cdef uint64_t* at = memory
    cdef Blocks* b
    cdef int p
    t.memory, t.where, t.mask, t.whole, t.room = memory, NULL, NULL, NULL, 0
    if memory == NULL:
        return -1
    for p in range(passes):
        b = &t.known[p]
        b.cut[0], b.cut[1], b.cut[2] = at, at + 64 * tiles, at + 65 * tiles
        at += size
        b.odd[0], b.odd[1], b.odd[2] = at, at + 64 * tiles, at + 65 * tiles
        at += size
        b.dirty = at
        at += tiles
    t.flipped = at
    t.sorted.row_of = <uint16_t*>(at + 64 * tiles)
    t.sorted.word_at = t.sorted.row_of + 64 * tiles
    t.sorted.place_of = t.sorted.word_at + 64 * tiles
    t.sorted.column_at = t.sorted.place_of + 64 * tiles
    return 0


cdef inline void close_talk(Talk* t) noexcept nogil:
    free(t.memory)
    free(t.where)
    free(t.mask)


cdef inline int reserve(Talk* t, Py_ssize_t entries) noexcept nogil:
    # Room for so many intervals; with as much more to sort them, and a vector beyond either. Keeps nothing.
    if entries + 8 > t.room:
        free(t.where)
        free(t.mask)
        t.room = 2 * entries + 8
        t.where = <uint32_t*>malloc(2 * t.room * 4)
        t.mask = <uint64_t*>malloc(3 * t.room * 8)
        if t.where == NULL or t.mask == NULL:
            t.room = 0
            return -1
        t.whole = t.mask + 2 * t.room
    return 0
