# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Cascade over packed words: what both parties know (Talk), what one keeps to himself (Keys), and the rounds.

A frame is padded with zeros to whole tiles of 64 x 64 bits, at most 64 of them. A pass is an order of its bits; pass 0
is the order as it came. Each order is kept on three levels: the bits, the parities of its words, the parities of its
tiles. So an interval of any length 2^k is a run of units inside one word of one level, and a search is at most three
searches inside words.

One round: Alice says the parities of what is asked, Bob says where his differ. What is asked next follows from what
was said, so it need not be said, and both keep the same Talk.
"""
import numpy as np

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset
from words cimport lowest, parity, pext, popcount

cdef extern from "cascade.h" nogil:
    int highest "qkd_highest"(uint64_t x)
    uint64_t pdep "qkd_pdep"(uint64_t x, uint64_t mask)
    uint64_t turned "qkd_turn"(uint64_t x, int by)
    uint64_t parities "qkd_parities"(const uint64_t* word, Py_ssize_t n)
    void halves "qkd_halves"(const uint64_t* word, const uint64_t* mask, int half, Py_ssize_t n, uint8_t* out)
    void narrow "qkd_narrow"(uint64_t* mask, int half, Py_ssize_t n, const uint8_t* left)
    void transpose "qkd_transpose"(uint64_t* x)

cdef enum:
    MAX_PASSES = 8
    MAX_TILES = 64
    MAX_CHECKS = 32

cdef enum Kind:
    NOTHING      # the frame is done
    BLOCKS       # parities of a new pass's blocks
    HALVES       # parities of the left halves of the intervals in search
    CHECKS       # parities of random subsets of the frame

cdef struct Shuffle:         # an order: words into rows of tiles, each turned, tiles transposed, columns into words
    uint16_t* row_of         # [word as it came]
    uint16_t* word_at        # [row], its inverse
    uint8_t* turn            # [row]
    uint16_t* place_of       # [column]
    uint16_t* column_at      # [word in this order], its inverse

cdef struct Keys:            # one party's bits
    uint64_t* at[MAX_PASSES + 1][3]     # [pass][level]; after the last pass: the key under the mask of a check
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
    Shuffle* shuffles        # [pass]
    const uint64_t* subset   # random bits: check k takes bit i if bit i + k is set
    uint64_t* memory


# ------------------------------------------------------------------------------------------------- orders of the bits

cdef inline uint64_t mixed(uint64_t x) noexcept nogil:
    # The finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
    x = (x ^ x >> 30) * <uint64_t>0xbf58476d1ce4e5b9
    x = (x ^ x >> 27) * <uint64_t>0x94d049bb133111eb
    return x ^ x >> 31


cdef void draw(uint64_t seed, uint64_t stream, uint64_t* out, Py_ssize_t n) noexcept nogil:
    cdef uint64_t at = mixed(seed ^ mixed(stream + 1))
    cdef Py_ssize_t i
    for i in range(n):
        at += <uint64_t>0x9e3779b97f4a7c15
        out[i] = mixed(at)


cdef void permute(const uint64_t* random, uint16_t* there, uint16_t* back, Py_ssize_t n) noexcept nogil:
    # Fisher-Yates; there[i] is where i goes.
    cdef Py_ssize_t i, j
    cdef uint16_t swap
    for i in range(n):
        there[i] = <uint16_t>i
    for i in range(n - 1, 0, -1):
        j = <Py_ssize_t>(((random[i] >> 32) * <uint64_t>(i + 1)) >> 32)
        swap = there[i]
        there[i] = there[j]
        there[j] = swap
    for i in range(n):
        back[there[i]] = <uint16_t>i


cdef inline Py_ssize_t placed(const Shuffle* s, Py_ssize_t bit) noexcept nogil:
    cdef Py_ssize_t row = s.row_of[bit >> 6]
    return (<Py_ssize_t>s.place_of[(row & ~63) + ((bit + s.turn[row]) & 63)] << 6) + (row & 63)


cdef inline Py_ssize_t unplaced(const Shuffle* s, Py_ssize_t place) noexcept nogil:
    cdef Py_ssize_t column = s.column_at[place >> 6]
    cdef Py_ssize_t row = (column & ~63) + (place & 63)
    return (<Py_ssize_t>s.word_at[row] << 6) + ((column - s.turn[row]) & 63)


cdef void shuffle(const Shuffle* s, const uint64_t* word, Py_ssize_t tiles, uint64_t* out) noexcept nogil:
    cdef uint64_t x[64]
    cdef Py_ssize_t tile, i, row
    for tile in range(tiles):
        for i in range(64):
            row = 64 * tile + i
            x[i] = turned(word[s.word_at[row]], s.turn[row])
        transpose(x)
        for i in range(64):
            out[s.place_of[64 * tile + i]] = x[i]


# ---------------------------------------------------------------------------------------------------- one party's bits

cdef void raise_levels(uint64_t** at, Py_ssize_t tiles) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(tiles):
        at[1][i] = parities(at[0] + 64 * i, 64)
    at[2][0] = parities(at[1], tiles)


cdef int make_keys(Keys* keys, int passes, Py_ssize_t tiles) noexcept nogil:
    cdef Py_ssize_t size = 65 * tiles + 1
    cdef uint64_t* memory = <uint64_t*>calloc((passes + 1) * size, 8)
    cdef int p
    keys.at[0][0], keys.word, keys.room = memory, NULL, 0
    if memory == NULL:
        return -1
    for p in range(passes + 1):
        keys.at[p][0] = memory + p * size
        keys.at[p][1] = keys.at[p][0] + 64 * tiles
        keys.at[p][2] = keys.at[p][1] + tiles
    return 0


cdef void take_keys(Keys* keys, const Talk* t, const uint64_t* word) noexcept nogil:
    cdef Py_ssize_t n = (t.bits + 63) // 64
    cdef int p
    memcpy(keys.at[0][0], word, 8 * n)
    memset(keys.at[0][0] + n, 0, 8 * (64 * t.tiles - n))
    for p in range(t.n_passes):
        if p:
            shuffle(&t.shuffles[p], keys.at[0][0], t.tiles, keys.at[p][0])
        raise_levels(keys.at[p], t.tiles)


cdef void drop_keys(Keys* keys) noexcept nogil:
    free(keys.at[0][0])
    free(keys.word)


cdef inline uint64_t subset_from(const Talk* t, Py_ssize_t i, int shift) noexcept nogil:
    # 64 of the random bits, from bit 64 i + shift on.
    return t.subset[i] >> shift | (t.subset[i + 1] << 1) << (63 - shift)


cdef void say_blocks(const Talk* t, const Keys* keys, uint8_t* out) noexcept nogil:
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


cdef void say_checks(const Talk* t, const Keys* keys, uint8_t* out) noexcept nogil:
    cdef uint64_t sum, line = 0
    cdef Py_ssize_t i
    cdef int k
    for k in range(t.n_checks):
        sum = 0
        for i in range(64 * t.tiles):
            sum ^= keys.at[0][0][i] & subset_from(t, i, k)
        line |= <uint64_t>parity(sum) << k
    memcpy(out, &line, (t.n_checks + 7) // 8)


cdef int say(const Talk* t, Keys* keys, uint8_t* out) noexcept nogil:
    # The parities that are asked for, of this party's bits.
    cdef Py_ssize_t i
    cdef uint64_t* word
    if t.kind == BLOCKS:
        say_blocks(t, keys, out)
    elif t.kind == CHECKS:
        say_checks(t, keys, out)
    elif t.kind == HALVES:
        if t.fresh:
            if keys.room < t.entries:
                free(keys.word)
                keys.word = <uint64_t*>calloc(t.room, 8)
                keys.room = t.room if keys.word != NULL else 0
                if keys.word == NULL:
                    return -1
            if t.current == t.n_passes and t.level == 2:
                for i in range(64 * t.tiles):
                    keys.at[t.current][0][i] = keys.at[0][0][i] & subset_from(t, i, t.check)
                raise_levels(keys.at[t.current], t.tiles)
            word = keys.at[t.current][t.level]
            for i in range(t.entries):
                keys.word[i] = word[t.where[i]]
        halves(keys.word, t.mask, 1 << t.half, t.asked, out)
    return 0


# ---------------------------------------------------------------------------------------------------- what both know

cdef inline uint64_t every(int log_step) noexcept nogil:
    # Ones at the multiples of 2^log_step, log_step < 6.
    return ~<uint64_t>0 // ((<uint64_t>2 << ((1 << log_step) - 1)) - 1)


cdef int make_talk(Talk* t, int passes, Py_ssize_t tiles) noexcept nogil:
    cdef Py_ssize_t size = 65 * tiles + 1
    cdef uint64_t* memory = <uint64_t*>calloc(passes * (2 * size + tiles) + 64 * tiles, 8)
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
    return 0


cdef void open_talk(Talk* t, Plan plan, Py_ssize_t frame, Py_ssize_t most_tiles) noexcept nogil:
    # Ready to ask for the first blocks. The memory was made for most_tiles.
    cdef Blocks* b
    cdef int p, log_block
    t.bits = plan.frame_bits[frame]
    t.tiles = (t.bits + 4095) // 4096
    t.n_passes, t.n_checks = <int>plan.log_blocks.shape[0], plan.n_checks
    t.shuffles, t.subset = plan.shuffles[t.tiles], &plan.subset[0]
    memset(t.memory, 0, 8 * (t.n_passes * (2 * (65 * most_tiles + 1) + most_tiles) + 64 * most_tiles))
    t.corrected = t.leak_bits = t.spoken_bytes = t.rounds = 0
    t.started = t.broken = t.checked = 0
    t.wrong, t.level, t.entries = 0, -1, 0
    for p in range(t.n_passes):
        b = &t.known[p]
        log_block = <int>plan.log_blocks[p]
        b.level, b.log_units, b.pending = log_block // 6, log_block % 6, 0
        b.count = ((t.bits if p == 0 else 4096 * t.tiles) + (<Py_ssize_t>1 << log_block) - 1) >> log_block
    proceed(t, NULL)


cdef void close_talk(Talk* t) noexcept nogil:
    free(t.memory)
    free(t.where)
    free(t.mask)


cdef int reserve(Talk* t, Py_ssize_t entries) noexcept nogil:
    # Room for so many intervals; each list is followed by as much room to sort it. Keeps nothing.
    if entries > t.room:
        free(t.where)
        free(t.mask)
        t.room = 2 * entries
        t.where = <uint32_t*>calloc(2 * t.room, 4)
        t.mask = <uint64_t*>calloc(3 * t.room, 8)
        if t.where == NULL or t.mask == NULL:
            t.room = 0
            return -1
        t.whole = t.mask + 2 * t.room
    return 0


cdef inline void gather_word(Talk* t, Blocks* b, Py_ssize_t w) noexcept nogil:
    # List the odd intervals of one word of this level, which from now on are not odd: their error will be corrected.
    cdef uint64_t odd = b.odd[t.level][w], cut = b.cut[t.level][w], after
    cdef int start, length, log
    b.odd[t.level][w] = 0
    while odd:
        start = lowest(odd)
        odd &= odd - 1
        after = cut >> start >> 1
        length = lowest(after) + 1 if after else 64 - start
        log = lowest(length)
        t.where[t.entries] = <uint32_t>w
        t.mask[t.entries] = ((<uint64_t>2 << (length - 1)) - 1) << start
        t.of_log[log] += 1
        t.entries += 1


cdef void gather(Talk* t) noexcept nogil:
    # Add the odd intervals of this level to the search, longest first, each length in the order of the pass.
    cdef Blocks* b = &t.known[t.current]
    cdef Py_ssize_t old = t.entries, i, w, place[7]
    cdef uint64_t words
    cdef int log, lengths = 0
    memset(t.of_log, 0, sizeof(t.of_log))
    if t.current == t.n_passes:
        pass                      # a check is one interval, and is not kept
    elif t.level == 0:
        for i in range(t.tiles):
            words, b.dirty[i] = b.dirty[i], 0
            while words:
                gather_word(t, b, 64 * i + lowest(words))
                words &= words - 1
    else:
        for w in range(t.tiles if t.level == 1 else 1):
            if b.odd[t.level][w]:
                gather_word(t, b, w)
    w = old
    for log in range(5, -1, -1):
        place[log] = w
        w += t.of_log[log]
        lengths += t.of_log[log] != 0
    if lengths > 1:
        memcpy(t.where + t.room, t.where + old, 4 * (t.entries - old))
        memcpy(t.mask + t.room, t.mask + old, 8 * (t.entries - old))
        for i in range(t.entries - old):
            log = lowest(popcount(t.mask[t.room + i]))
            t.where[place[log]] = t.where[t.room + i]
            t.mask[place[log]] = t.mask[t.room + i]
            place[log] += 1
    t.of_log[6] += old
    memcpy(t.whole, t.mask, 8 * t.entries)
    t.half, t.fresh = 6, True


cdef void descend(Talk* t) noexcept nogil:
    # Each interval is down to one unit of this level. Note the cuts on the way to it, and go on inside the unit.
    cdef Py_ssize_t i, w
    cdef uint64_t unit, path
    cdef int at, k
    for i in range(t.entries):
        unit = t.mask[i]
        at, w = lowest(unit), t.where[i]
        if t.current < t.n_passes:
            # Every step's middle is a start, and so is the interval's own start.
            path = 1
            for k in range(6):
                path |= <uint64_t>1 << ((at >> k | 1) << k)
            t.known[t.current].cut[t.level][w] |= path & t.whole[i]
        t.where[i] = <uint32_t>(64 * w + at)
        t.mask[i] = ~<uint64_t>0
    t.level -= 1


cdef inline void toggle(Blocks* b, Py_ssize_t place) noexcept nogil:
    # One error more or less in the interval that holds this bit: find it on the lowest level that is cut here.
    cdef int level = 0
    cdef uint64_t start, cut = b.cut[0][place >> 6]
    cdef Py_ssize_t w
    while not cut and level < 2:
        place >>= 6
        level += 1
        cut = b.cut[level][place >> 6]
    w = place >> 6
    start = <uint64_t>1 << highest(cut & ((<uint64_t>2 << (place & 63)) - 1))
    b.odd[level][w] ^= start
    b.pending += 1 if b.odd[level][w] & start else -1
    if level == 0:
        start = <uint64_t>1 << (w & 63)
        b.dirty[w >> 6] = b.dirty[w >> 6] | start if b.odd[0][w] else b.dirty[w >> 6] & ~start


cdef inline void flip(Keys* keys, int p, Py_ssize_t place) noexcept nogil:
    keys.at[p][0][place >> 6] ^= <uint64_t>1 << (place & 63)
    keys.at[p][1][place >> 12] ^= <uint64_t>1 << (place >> 6 & 63)
    keys.at[p][2][0] ^= <uint64_t>1 << (place >> 12)


cdef void correct(Talk* t, Keys* own) noexcept nogil:
    # The search has ended at single bits: each is an error. `own` is NULL for Alice, whose bits stay.
    cdef Py_ssize_t i, bit, place
    cdef int p, ends = t.n_passes if own != NULL else t.started
    for i in range(t.entries):
        bit = t.where[i]
        if 0 < t.current < t.n_passes:
            bit = unplaced(&t.shuffles[t.current], bit)
        if bit >= t.bits or t.flipped[bit >> 6] >> (bit & 63) & 1:
            t.broken = 1          # no honest pair of parties gets here: what was said contradicts itself
            return
        t.flipped[bit >> 6] |= <uint64_t>1 << (bit & 63)
        for p in range(ends):
            place = placed(&t.shuffles[p], bit) if p else bit
            if own != NULL:
                flip(own, p, place)
            if p < t.started and p != t.current:
                toggle(&t.known[p], place)
        if t.checked:
            t.wrong ^= subset_from(t, bit >> 6, bit & 63) & ((<uint64_t>1 << t.n_checks) - 1)
    t.corrected += t.entries


cdef bint begin_search(Talk* t) noexcept nogil:
    # All odd intervals of the lowest pass that has any, else the lowest odd check. False: nothing is odd.
    cdef int p
    for p in range(t.started):
        if t.known[p].pending:
            if reserve(t, t.known[p].pending):
                t.broken = 2
                return False
            t.current, t.level, t.entries = p, t.known[p].level, 0
            t.known[p].pending = 0
            gather(t)
            return True
    if not t.wrong:
        return False
    if reserve(t, 1):
        t.broken = 2
        return False
    t.current, t.level, t.check, t.entries = t.n_passes, 2, lowest(t.wrong), 1
    memset(t.of_log, 0, sizeof(t.of_log))
    p = 0
    while 1 << p < t.tiles:
        p += 1
    t.of_log[p] = 1
    t.where[0], t.mask[0] = 0, (<uint64_t>2 << ((1 << p) - 1)) - 1
    t.whole[0] = t.mask[0]
    t.half, t.fresh = 6, True
    return True


cdef void proceed(Talk* t, Keys* own) noexcept nogil:
    # Find what is asked next.
    cdef int log
    t.asked, t.kind = 0, NOTHING
    while not t.broken:
        if t.level >= 0:
            while t.half > 0:
                t.half -= 1
                for log in range(t.half + 1, 7):
                    t.asked += t.of_log[log]
                if t.asked:
                    t.kind = HALVES
                    return
            descend(t)
            if t.level >= 0:
                gather(t)
            else:
                correct(t, own)
        elif begin_search(t):
            continue
        elif t.started < t.n_passes and not t.broken:
            t.current = t.started
            t.started += 1
            t.asked, t.kind = t.known[t.current].count, BLOCKS
            return
        elif t.n_checks and not t.checked and not t.broken:
            t.checked = True
            t.asked, t.kind = t.n_checks, CHECKS
            return
        else:
            return


cdef void learn_blocks(Talk* t, const uint8_t* odd) noexcept nogil:
    cdef Blocks* b = &t.known[t.current]
    cdef uint64_t starts = every(b.log_units), line = 0
    cdef int per = 64 >> b.log_units, have = 0
    cdef Py_ssize_t left = b.count, w = 0, n
    while left > 0:
        if have == 0:
            n = left if left < 64 else 64
            line = 0
            memcpy(&line, odd, (n + 7) // 8)
            odd += 8
            have = 64
        b.cut[b.level][w] = starts
        b.odd[b.level][w] = pdep(line, starts)
        b.pending += popcount(b.odd[b.level][w])
        if b.level == 0 and b.odd[0][w]:
            b.dirty[w >> 6] |= <uint64_t>1 << (w & 63)
        line = line >> (per - 1) >> 1
        have -= per
        left -= per
        w += 1


cdef void learn(Talk* t, Keys* own, const uint8_t* odd) noexcept nogil:
    # `odd`: where the parities of the two parties differ, in the order of the question; zeros fill the last byte.
    t.leak_bits += t.asked
    t.spoken_bytes += 2 * ((t.asked + 7) // 8)
    t.rounds += 1
    if t.kind == BLOCKS:
        learn_blocks(t, odd)
    elif t.kind == CHECKS:
        memcpy(&t.wrong, odd, (t.n_checks + 7) // 8)
    else:
        narrow(t.mask, 1 << t.half, t.asked, odd)
        t.fresh = False
    proceed(t, own)


# -------------------------------------------------------------------------------------------------------- from Python

cdef class Plan:
    """What is agreed before the first round: frames, orders, blocks.

    Parameters
    ----------
    seed : int, 0 <= seed < 2^64
        Public.
    frame_bits : ndarray of int64
        Bits of each frame, 1 to 262144; all but the last are multiples of 64.
    log_blocks : ndarray of int64, at most 8
        log2 of each pass's block size, 0 to 17.
    checks : int, 0 to 32
        Parities of random subsets of the whole frame after the passes.
    """
    cdef const int64_t[::1] frame_bits, log_blocks
    cdef int n_checks
    cdef uint64_t[::1] subset
    cdef Shuffle shuffles[MAX_TILES + 1][MAX_PASSES]
    cdef object orders
    cdef readonly Py_ssize_t frames, words

    def __init__(self, seed, const int64_t[::1] frame_bits, const int64_t[::1] log_blocks, int checks):
        cdef Py_ssize_t most = 1
        self.frames, self.words = frame_bits.shape[0], 0
        if not self.frames or not 1 <= log_blocks.shape[0] <= MAX_PASSES or not 0 <= checks <= MAX_CHECKS:
            raise ValueError("one frame, 1 to 8 passes and at most 32 checks are expected")
        if any(not 0 <= log <= 17 for log in log_blocks):
            raise ValueError("block sizes of 2^0 to 2^17 are expected")
        for i, bits in enumerate(frame_bits):
            if not 1 <= bits <= 4096 * MAX_TILES or (bits % 64 and i + 1 < self.frames):
                raise ValueError(f"frames of 1 to {4096 * MAX_TILES} bits, whole words, are expected, got {bits}")
            self.words += (bits + 63) // 64
            most = max(most, (bits + 4095) // 4096)
        self.frame_bits, self.log_blocks, self.n_checks = frame_bits, log_blocks, checks
        self.subset = np.empty(64 * most + 1, np.uint64)
        draw(seed, 0, &self.subset[0], 64 * most + 1)
        self.orders = [self._order(seed, tiles, p) for tiles in {(int(bits) + 4095) // 4096 for bits in frame_bits}
                       for p in range(1, log_blocks.shape[0])]

    def _order(self, uint64_t seed, Py_ssize_t tiles, int p):
        cdef Py_ssize_t words = 64 * tiles, i
        cdef uint64_t[::1] random = np.empty(3 * words, np.uint64)
        cdef uint16_t[:, ::1] tables = np.empty((4, words), np.uint16)
        cdef uint8_t[::1] turns = np.empty(words, np.uint8)
        cdef Shuffle* s = &self.shuffles[tiles][p]
        s.row_of, s.word_at, s.place_of, s.column_at = (&tables[0, 0], &tables[1, 0], &tables[2, 0], &tables[3, 0])
        s.turn = &turns[0]
        draw(seed, 16 * tiles + p, &random[0], 3 * words)
        permute(&random[0], s.row_of, s.word_at, words)
        permute(&random[words], s.place_of, s.column_at, words)
        for i in range(words):
            s.turn[i] = random[2 * words + i] & 63
        return tables, turns

    def order(self, const uint64_t[::1] words, Py_ssize_t p, uint64_t[::1] out):
        """Write whole tiles of `words` (length 64 to 4096, of a frame of this plan) in the order of pass `p` >= 1."""
        cdef Py_ssize_t tiles = words.shape[0] // 64
        if not 1 <= tiles <= MAX_TILES or 64 * tiles != words.shape[0] or out.shape[0] != words.shape[0] \
                or not 1 <= p < self.log_blocks.shape[0] or self.shuffles[tiles][p].turn == NULL:
            raise ValueError(f"{words.shape[0]} words in pass {p} are not of this plan")
        with nogil:
            shuffle(&self.shuffles[tiles][p], &words[0], tiles, &out[0])


cdef class Party:
    """One party's side, all frames in lock-step.

    Parameters
    ----------
    plan : Plan
    words : ndarray of uint64, shape (plan.words,)
        Bits of all frames, one after the other; zeros beyond the end.
    corrects : bool
        This party's bits are corrected (Bob).
    """
    cdef Plan plan
    cdef bint corrects
    cdef Keys* keys
    cdef Talk* talks

    def __cinit__(self, Plan plan, *args):
        self.plan = plan
        self.keys = <Keys*>calloc(plan.frames, sizeof(Keys))
        self.talks = <Talk*>calloc(plan.frames, sizeof(Talk))
        if self.keys == NULL or self.talks == NULL:
            raise MemoryError

    def __init__(self, Plan plan, const uint64_t[::1] words, bint corrects):
        cdef Py_ssize_t f, at = 0, tiles
        if words.shape[0] != plan.words:
            raise ValueError(f"{plan.words} words are expected, got {words.shape[0]}")
        self.corrects = corrects
        for f in range(plan.frames):
            tiles = (plan.frame_bits[f] + 4095) // 4096
            if make_talk(&self.talks[f], <int>plan.log_blocks.shape[0], tiles) \
                    or make_keys(&self.keys[f], <int>plan.log_blocks.shape[0], tiles):
                raise MemoryError
            open_talk(&self.talks[f], plan, f, tiles)
            take_keys(&self.keys[f], &self.talks[f], &words[at])
            at += (plan.frame_bits[f] + 63) // 64

    def __dealloc__(self):
        cdef Py_ssize_t f
        for f in range(self.plan.frames):
            if self.keys != NULL:
                drop_keys(&self.keys[f])
            if self.talks != NULL:
                close_talk(&self.talks[f])
        free(self.keys)
        free(self.talks)

    def asked(self):
        """Parities asked for in this round over all frames, and the bytes that hold them (whole bytes per frame)."""
        cdef Py_ssize_t f, n = 0, size = 0
        for f in range(self.plan.frames):
            n += self.talks[f].asked
            size += (self.talks[f].asked + 7) // 8
        return n, size

    def say(self, uint8_t[::1] out):
        """Write this party's parities of what is asked."""
        cdef Py_ssize_t f, at = 0
        if out.shape[0] != self.asked()[1]:
            raise ValueError(f"{self.asked()[1]} bytes are expected, got {out.shape[0]}")
        for f in range(self.plan.frames):
            if self.talks[f].asked:
                if say(&self.talks[f], &self.keys[f], &out[at]):
                    raise MemoryError
                at += (self.talks[f].asked + 7) // 8

    def learn(self, const uint8_t[::1] odd):
        """Take where the parities differ, correct, and find what is asked next.

        Raises
        ------
        ValueError
            Where the length is wrong, the bits that fill a byte are not 0, or what was said contradicts itself.
        """
        cdef Py_ssize_t f, at = 0, n
        if odd.shape[0] != self.asked()[1]:
            raise ValueError(f"{self.asked()[1]} bytes are expected, got {odd.shape[0]}")
        for f in range(self.plan.frames):
            n = self.talks[f].asked
            at += (n + 7) // 8
            if n % 8 and odd[at - 1] >> n % 8:
                raise ValueError(f"frame {f}: bits beyond the {n} that were asked for")
        at = 0
        for f in range(self.plan.frames):
            n = self.talks[f].asked
            if n:
                learn(&self.talks[f], &self.keys[f] if self.corrects else NULL, &odd[at])
                at += (n + 7) // 8
                if self.talks[f].broken == 2:
                    raise MemoryError
                if self.talks[f].broken:
                    raise ValueError(f"frame {f}: the parities contradict each other")

    def corrected(self):
        """Number of errors found."""
        cdef Py_ssize_t f, n = 0
        for f in range(self.plan.frames):
            n += self.talks[f].corrected
        return n

    def words(self, uint64_t[::1] out):
        """Write this party's bits as they are now, shape (plan.words,)."""
        cdef Py_ssize_t f, at = 0, n
        if out.shape[0] != self.plan.words:
            raise ValueError(f"{self.plan.words} words are expected, got {out.shape[0]}")
        for f in range(self.plan.frames):
            n = (self.plan.frame_bits[f] + 63) // 64
            memcpy(&out[at], self.keys[f].at[0][0], 8 * n)
            at += n


def run(Plan plan, const uint64_t[::1] alice, uint64_t[::1] bob, int64_t[:, ::1] counts):
    """All rounds of both parties at once, frame after frame; `bob` is corrected in place.

    Parameters
    ----------
    plan : Plan
    alice, bob : ndarray of uint64, shape (plan.words,)
    counts : ndarray of int64, shape (plan.frames, 4), written
        Of each frame: parities told, bytes said by both, rounds, errors corrected.
    """
    cdef Py_ssize_t f, at = 0, n, i, most = 0, bad = 0
    cdef int passes = <int>plan.log_blocks.shape[0]
    cdef Talk t
    cdef Keys a, b
    cdef uint64_t* said
    cdef uint64_t* odd
    if alice.shape[0] != plan.words or bob.shape[0] != plan.words or counts.shape[0] != plan.frames \
            or counts.shape[1] != 4:
        raise ValueError(f"{plan.words} words and {plan.frames} x 4 counts are expected")
    for f in range(plan.frames):
        most = max(most, (plan.frame_bits[f] + 4095) // 4096)
    with nogil:
        said = <uint64_t*>calloc(2 * 64 * most, 8)
        bad = make_talk(&t, passes, most) | make_keys(&a, passes, most) | make_keys(&b, passes, most) | (said == NULL)
        odd = said + 64 * most
        for f in range(plan.frames):
            if bad:
                break
            open_talk(&t, plan, f, most)
            take_keys(&a, &t, &alice[at])
            take_keys(&b, &t, &bob[at])
            while t.asked and not bad:
                bad = say(&t, &a, <uint8_t*>said) | say(&t, &b, <uint8_t*>odd)
                for i in range((t.asked + 63) // 64):
                    odd[i] ^= said[i]
                learn(&t, &b, <uint8_t*>odd)
            bad |= t.broken
            n = (t.bits + 63) // 64
            memcpy(&bob[at], b.at[0][0], 8 * n)
            at += n
            counts[f, 0], counts[f, 1], counts[f, 2], counts[f, 3] = t.leak_bits, t.spoken_bytes, t.rounds, t.corrected
        close_talk(&t)
        drop_keys(&a)
        drop_keys(&b)
        free(said)
    if bad:
        raise MemoryError
