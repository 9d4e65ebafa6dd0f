# Cascade's rounds: what both parties know (Talk), what one keeps to himself (Keys). Header only, for cascade.pyx.
#
# A frame is padded with zeros to whole tiles of 64 x 64 bits, at most 64 of them. A pass is an order of its bits; pass 0
# is the order as it came. Each order is kept on three levels: the bits, the parities of its words, the parities of its
# tiles. So an interval of any length 2^k is a run of units inside one word of one level, and a search is at most three
# searches inside words.
#
# One round: Alice says the parities of what is asked, Bob says where his differ. What is asked next follows from what
# was said, so it need not be said, and both keep the same Talk.
from cascade_order cimport Order, placed, reorder, unplaced
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset
from words cimport lowest, parity, pext, popcount

cdef extern from "cascade.h" nogil:
    int highest "qkd_highest"(uint64_t x)
    uint64_t pdep "qkd_pdep"(uint64_t x, uint64_t mask)
    uint64_t parities "qkd_parities"(const uint64_t* word, Py_ssize_t n)
    void halves "qkd_halves"(const uint64_t* word, const uint64_t* mask, int half, Py_ssize_t n, uint8_t* out)
    void narrow "qkd_narrow"(uint64_t* mask, int half, Py_ssize_t n, const uint8_t* left)

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
    int log_block[MAX_PASSES]                   # log2 of each pass's block size
    Order orders[MAX_TILES + 1][MAX_PASSES]     # [tiles][pass], none for pass 0
    const uint64_t* subset                      # random bits: check k takes bit i if bit i + k is set

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
    bint fresh, fresh_check  # the words of this level were not looked up yet; nor the key masked for this check
    Py_ssize_t entries, room
    Py_ssize_t of_log[7]     # number of entries by log2 of their length in units
    uint32_t* where          # [entry] word of this level
    uint64_t* mask           # [entry] what is left of the interval
    uint64_t* whole          # [entry] the interval at the start of this phase
    uint64_t* flipped        # bits corrected, in the order as they came
    Blocks known[MAX_PASSES]
    const Order* orders      # [pass], none for pass 0
    const uint64_t* subset
    uint64_t* memory


cdef inline uint64_t every(int log_step) noexcept nogil:
    # Ones at the multiples of 2^log_step, log_step < 6.
    return ~<uint64_t>0 // ((<uint64_t>2 << ((1 << log_step) - 1)) - 1)


# ---------------------------------------------------------------------------------------------------- one party's bits

cdef inline void raise_levels(uint64_t** at, Py_ssize_t tiles) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(tiles):
        at[1][i] = parities(at[0] + 64 * i, 64)
    at[2][0] = parities(at[1], tiles)


cdef inline int make_keys(Keys* keys, int passes, Py_ssize_t tiles) noexcept nogil:
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


cdef inline void take_keys(Keys* keys, const Talk* t, const uint64_t* word) noexcept nogil:
    cdef Py_ssize_t n = (t.bits + 63) // 64
    cdef int p
    memcpy(keys.at[0][0], word, 8 * n)
    memset(keys.at[0][0] + n, 0, 8 * (64 * t.tiles - n))
    for p in range(t.n_passes):
        if p:
            reorder(&t.orders[p], keys.at[0][0], t.tiles, keys.at[p][0])
        raise_levels(keys.at[p], t.tiles)


cdef inline void drop_keys(Keys* keys) noexcept nogil:
    free(keys.at[0][0])
    free(keys.word)


cdef inline uint64_t subset_from(const uint64_t* subset, Py_ssize_t i, int shift) noexcept nogil:
    # 64 of the random bits, from bit 64 i + shift on.
    return subset[i] >> shift | (subset[i + 1] << 1) << (63 - shift)


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


cdef inline void say_checks(const Talk* t, const Keys* keys, uint8_t* out) noexcept nogil:
    cdef uint64_t sum, line = 0
    cdef Py_ssize_t i
    cdef int k
    for k in range(t.n_checks):
        sum = 0
        for i in range(64 * t.tiles):
            sum ^= keys.at[0][0][i] & subset_from(t.subset, i, k)
        line |= <uint64_t>parity(sum) << k
    memcpy(out, &line, (t.n_checks + 7) // 8)


cdef inline int say(const Talk* t, Keys* keys, uint8_t* out) noexcept nogil:
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
                keys.word = <uint64_t*>malloc(t.room * 8)
                keys.room = t.room if keys.word != NULL else 0
                if keys.word == NULL:
                    return -1
            if t.fresh_check:
                for i in range(64 * t.tiles):
                    keys.at[t.current][0][i] = keys.at[0][0][i] & subset_from(t.subset, i, t.check)
                raise_levels(keys.at[t.current], t.tiles)
            word = keys.at[t.current][t.level]
            for i in range(t.entries):
                keys.word[i] = word[t.where[i]]
        halves(keys.word, t.mask, 1 << t.half, t.asked, out)
    return 0


# ---------------------------------------------------------------------------------------------------- what both know

cdef inline int make_talk(Talk* t, int passes, Py_ssize_t tiles) noexcept nogil:
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


cdef inline void close_talk(Talk* t) noexcept nogil:
    free(t.memory)
    free(t.where)
    free(t.mask)


cdef inline int reserve(Talk* t, Py_ssize_t entries) noexcept nogil:
    # Room for so many intervals; each list is followed by as much room to sort it. Keeps nothing.
    if entries > t.room:
        free(t.where)
        free(t.mask)
        t.room = 2 * entries
        t.where = <uint32_t*>malloc(2 * t.room * 4)
        t.mask = <uint64_t*>malloc(3 * t.room * 8)
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


cdef inline void gather(Talk* t) noexcept nogil:
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


cdef inline void descend(Talk* t) noexcept nogil:
    # Each interval is down to one unit of this level. Note the cuts on the way to it, and go on inside the unit.
    cdef Py_ssize_t i, w
    cdef uint64_t path
    cdef int at, k
    for i in range(t.entries):
        at, w = lowest(t.mask[i]), t.where[i]
        if t.level == 2 and at >= t.tiles:
            t.broken = CONTRADICTION     # an error among the zeros that fill up the last block
            return
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


cdef inline void correct(Talk* t, Keys* own) noexcept nogil:
    # The search has ended at single bits: each is an error. `own` is NULL for Alice, whose bits stay.
    cdef Py_ssize_t i, bit, place
    cdef int p, ends = t.n_passes if own != NULL else t.started
    for i in range(t.entries):
        bit = t.where[i]
        if 0 < t.current < t.n_passes:
            bit = unplaced(&t.orders[t.current], bit)
        if bit >= t.bits or t.flipped[bit >> 6] >> (bit & 63) & 1:
            t.broken = CONTRADICTION
            return
        t.flipped[bit >> 6] |= <uint64_t>1 << (bit & 63)
        for p in range(ends):
            place = placed(&t.orders[p], bit) if p else bit
            if own != NULL:
                flip(own, p, place)
            if p < t.started and p != t.current:
                toggle(&t.known[p], place)
        if t.checked:
            t.wrong ^= subset_from(t.subset, bit >> 6, bit & 63) & ((<uint64_t>1 << t.n_checks) - 1)
    t.corrected += t.entries


cdef inline bint begin_search(Talk* t) noexcept nogil:
    # All odd intervals of the lowest pass that has any, else the lowest odd check. False: nothing is odd.
    cdef int p
    for p in range(t.started):
        if t.known[p].pending:
            if reserve(t, t.known[p].pending):
                t.broken = OUT_OF_MEMORY
                return False
            t.current, t.level, t.entries = p, t.known[p].level, 0
            t.known[p].pending = 0
            gather(t)
            return True
    if not t.wrong:
        return False
    if reserve(t, 1):
        t.broken = OUT_OF_MEMORY
        return False
    t.current, t.level, t.check, t.entries = t.n_passes, 2, lowest(t.wrong), 1
    memset(t.of_log, 0, sizeof(t.of_log))
    p = 0
    while 1 << p < t.tiles:
        p += 1
    t.of_log[p] = 1
    t.where[0], t.mask[0] = 0, (<uint64_t>2 << ((1 << p) - 1)) - 1
    t.whole[0] = t.mask[0]
    t.half, t.fresh, t.fresh_check = 6, True, True
    return True


cdef inline void proceed(Talk* t, Keys* own) noexcept nogil:
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
            if t.broken:
                return
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


cdef inline void learn_blocks(Talk* t, const uint8_t* odd) noexcept nogil:
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


cdef inline void learn(Talk* t, Keys* own, const uint8_t* odd) noexcept nogil:
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
        t.fresh = t.fresh_check = False
    proceed(t, own)


cdef inline void open_talk(Talk* t, Rules* rules, Py_ssize_t bits, Py_ssize_t most_tiles) noexcept nogil:
    # Ready to ask for the first blocks. The memory was made for most_tiles.
    cdef Blocks* b
    cdef int p, log_block
    t.bits, t.tiles = bits, (bits + 4095) // 4096
    t.n_passes, t.n_checks = rules.n_passes, rules.n_checks
    t.orders, t.subset = &rules.orders[t.tiles][0], rules.subset
    memset(t.memory, 0, 8 * (t.n_passes * (2 * (65 * most_tiles + 1) + most_tiles) + 64 * most_tiles))
    t.corrected = t.leak_bits = t.spoken_bytes = t.rounds = 0
    t.started = t.broken = t.checked = 0
    t.wrong, t.level, t.entries, t.fresh_check = 0, -1, 0, False
    for p in range(t.n_passes):
        b = &t.known[p]
        log_block = rules.log_block[p]
        b.level, b.log_units, b.pending = log_block // 6, log_block % 6, 0
        b.count = ((t.bits if p == 0 else 4096 * t.tiles) + (<Py_ssize_t>1 << log_block) - 1) >> log_block
    proceed(t, NULL)


