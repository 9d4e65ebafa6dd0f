# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
# Cascade's rounds: what is asked next follows from what was said (header only, for cascade.pyx).
from cascade_order cimport placed, sort_words, unplaced
from cascade_state cimport (
    BLOCKS, CHECKS, CONTRADICTION, HALVES, NOTHING, OUT_OF_MEMORY, Blocks, Keys, Rules, Talk, every, reserve, subset_from,
)
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset
from words cimport lowest, popcount

cdef extern from "cascade.h" nogil:
    int highest "qkd_highest"(uint64_t x)
    void copy "qkd_copy"(uint64_t* to, const uint64_t* from_, Py_ssize_t n)
    uint64_t pdep "qkd_pdep"(uint64_t x, uint64_t mask)
    void narrow "qkd_narrow"(uint64_t* mask, int half, Py_ssize_t n, const uint8_t* left)


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
    copy(t.whole, t.mask, t.entries)
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
    cdef int p
    for i in range(t.entries):
        bit = t.where[i]
        if 0 < t.current < t.n_passes:
            bit = unplaced(t.orders[t.current], bit)
        if bit >= t.bits or t.flipped[bit >> 6] >> (bit & 63) & 1:
            t.broken = CONTRADICTION
            return
        t.flipped[bit >> 6] |= <uint64_t>1 << (bit & 63)
        for p in range(t.started):
            place = placed(t.orders[p], bit) if p else bit
            if own != NULL:
                flip(own, p, place)
            if p != t.current:
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
    t.half, t.fresh = 6, True
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
            if t.current == 1 and t.sorts:
                sort_words(&t.sorted, t.orders[1], t.flipped, (t.bits + 63) // 64, t.tiles)
                t.orders[1] = &t.sorted
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
        t.fresh = False
    proceed(t, own)


cdef inline void open_talk(Talk* t, Rules* rules, Py_ssize_t bits, Py_ssize_t most_tiles) noexcept nogil:
    # Ready to ask for the first blocks. The memory was made for most_tiles.
    cdef Blocks* b
    cdef int p, log_block
    t.bits, t.tiles = bits, (bits + 4095) // 4096
    t.n_passes, t.n_checks = rules.n_passes, rules.n_checks
    t.subset, t.sorts = rules.subset, rules.sorts
    memset(t.memory, 0, 8 * (t.n_passes * (2 * (65 * most_tiles + 1) + most_tiles) + 64 * most_tiles))
    t.corrected = t.leak_bits = t.spoken_bytes = t.rounds = 0
    t.started = t.broken = t.checked = 0
    t.wrong, t.level, t.entries = 0, -1, 0
    for p in range(t.n_passes):
        t.orders[p] = &rules.orders[t.tiles][p]
        b = &t.known[p]
        log_block = rules.log_block[p]
        b.level, b.log_units, b.pending = log_block // 6, log_block % 6, 0
        b.count = ((t.bits if p == 0 else 4096 * t.tiles) + (<Py_ssize_t>1 << log_block) - 1) >> log_block
    proceed(t, NULL)
