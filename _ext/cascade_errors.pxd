# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
# Cascade's rounds from the errors alone (header only, for cascade.pyx).
#
# Parities are linear: where the two parties' parities differ is the parity of the errors there, so that what is asked,
# what is found and what it costs depend on the errors and not on the keys. Of a frame only the errors are kept here, in
# each pass grouped by block. Those of an interval share the leading bits of their places; a search that finds error f
# leaves each other error y of its interval in an interval of length 2^(highest bit of y ^ f). Intervals without errors
# are never searched and need no memory, and what one search of a phase finds does not depend on the others.
from cascade_order cimport Order, placed, sort_words
from cascade_state cimport MAX_PASSES, Rules, subset_from
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset
from words cimport lowest

cdef extern from "cascade.h" nogil:
    enum: CORRECTED "QKD_CORRECTED"
    int highest "qkd_highest"(uint64_t x)
    Py_ssize_t sharing "qkd_sharing"(const uint32_t* place, Py_ssize_t n, uint32_t prefix, int log, uint32_t* out)

cdef enum:
    LOGS = 19                # intervals are shorter than 2^19 bits

cdef struct Pass:            # the errors that were left when it began, by block
    int log_block
    Py_ssize_t n_touched
    uint32_t* error          # [slot]
    uint32_t* place          # [slot] in this pass's order
    uint32_t* left           # [slot] the same until the error is corrected
    uint32_t* slot           # [error]
    uint32_t* touched        # slots of errors corrected elsewhere since this pass was looked at last; one more
    uint8_t* log             # [slot] log2 of the length of its interval
    uint32_t* first          # [block] its first slot; one more at the end

cdef struct Sparse:          # one frame
    Py_ssize_t n_left
    int started, n_checks
    bint checked
    uint64_t wrong           # checks that are odd
    Pass passes[MAX_PASSES]
    const uint64_t* subset
    const uint32_t* at       # [error] its bit, increasing
    uint32_t* left           # errors not corrected when a pass began last
    uint32_t* found          # the errors of one interval, and room to choose among them
    uint64_t* flipped        # bits that the first pass corrected, if it is followed by a sorted one
    Order sorted             # the order of that
    Py_ssize_t of_log[LOGS]  # searches of the present phase by log2 of their length
    Py_ssize_t leak_bits, spoken_bytes, rounds, corrected
    uint32_t* memory


cdef inline int make_sparse(Sparse* s, const Rules* rules, Py_ssize_t errors, Py_ssize_t tiles) noexcept nogil:
    # Room for frames of so many errors and tiles.
    cdef Py_ssize_t n = 3 * errors + 32 + 2 * 128 * tiles, blocks
    cdef uint32_t* at
    cdef Pass* b
    cdef int p
    for p in range(rules.n_passes):
        n += 5 * errors + 1 + (errors + 3) // 4 + (4096 * tiles >> rules.log_block[p]) + 3
    s.memory = at = <uint32_t*>calloc(n, 4)
    if at == NULL:
        return -1
    s.flipped = <uint64_t*>at
    s.sorted.row_of = <uint16_t*>(at + 128 * tiles)
    s.sorted.word_at = s.sorted.row_of + 64 * tiles
    s.sorted.place_of = s.sorted.word_at + 64 * tiles
    s.sorted.column_at = s.sorted.place_of + 64 * tiles
    at += 2 * 128 * tiles
    for p in range(rules.n_passes):
        b = &s.passes[p]
        b.log_block = rules.log_block[p]
        blocks = (4096 * tiles >> b.log_block) + 3
        b.error, b.place, b.left, b.slot = at, at + errors, at + 2 * errors, at + 3 * errors
        b.touched, b.log = at + 4 * errors, <uint8_t*>(at + 5 * errors + 1)
        b.first = at + 5 * errors + 1 + (errors + 3) // 4
        at = b.first + blocks
    s.left, s.found = at, at + errors
    s.n_checks, s.subset = rules.n_checks, rules.subset
    return 0


cdef inline void ask(Sparse* s, Py_ssize_t n) noexcept nogil:
    s.leak_bits += n
    s.spoken_bytes += 2 * ((n + 7) // 8)
    s.rounds += 1


cdef inline void correct_error(Sparse* s, int current, Py_ssize_t error) noexcept nogil:
    cdef Pass* b
    cdef uint32_t slot
    cdef int p
    for p in range(s.started):
        b = &s.passes[p]
        slot = b.slot[error]
        b.left[slot] = CORRECTED
        if p != current:
            b.touched[b.n_touched] = slot
            b.n_touched += 1
    if s.checked:
        s.wrong ^= subset_from(s.subset, s.at[error] >> 6, s.at[error] & 63) & ((<uint64_t>1 << s.n_checks) - 1)
    s.corrected += 1


cdef inline uint32_t bisect(const uint32_t* place, const uint32_t* found, Py_ssize_t n, uint32_t* among) noexcept nogil:
    # Of an odd number of errors the one that halving finds: left where the left half has an odd number, else right.
    cdef Py_ssize_t j, k, ones
    cdef uint32_t spread, keep, first, second
    cdef int bit
    if n == 3:                 # the one that parts from the other two
        first, second = place[found[0]] ^ place[found[1]], place[found[0]] ^ place[found[2]]
        spread = first ^ second
        return found[2] if first < second and first < spread else found[1] if second < spread else found[0]
    for j in range(n):
        among[j] = found[j]
    while n > 1:
        spread = 0
        for j in range(1, n):
            spread |= place[among[j]] ^ place[among[0]]
        bit = highest(spread)
        ones = 0
        for j in range(n):
            ones += place[among[j]] >> bit & 1
        keep, k = ones & 1, 0          # n is odd: so is one of the halves
        for j in range(n):
            among[k] = among[j]
            k += (place[among[j]] >> bit & 1) == keep
        n = k
    return among[0]


cdef inline void search(Sparse* s, int p, Py_ssize_t low, Py_ssize_t n, int log) noexcept nogil:
    # Correct one of the n errors listed in s.found (slots from `low` on), all in an odd interval of length 2^log.
    cdef Pass* b = &s.passes[p]
    cdef Py_ssize_t j
    cdef uint32_t one = s.found[0]
    s.of_log[log] += 1
    if n > 1:
        one = bisect(b.place + low, s.found, n, s.found + n)
        for j in range(n):
            if s.found[j] != one:
                b.log[low + s.found[j]] = <uint8_t>highest(b.place[low + s.found[j]] ^ b.place[low + one])
    correct_error(s, p, b.error[low + one])


cdef inline void look(Sparse* s, int p, Py_ssize_t slot) noexcept nogil:
    # Search the interval that holds this slot's place, if it is odd now.
    cdef Pass* b = &s.passes[p]
    cdef int log = b.log[slot]
    cdef uint32_t* first = b.first + (b.place[slot] >> b.log_block)
    cdef Py_ssize_t n = sharing(b.left + first[0], first[1] - first[0], b.place[slot] >> log, log, s.found)
    if n & 1:
        search(s, p, first[0], n, log)


cdef inline void end_phase(Sparse* s) noexcept nogil:
    # All searches of a phase step together, the longest first.
    cdef Py_ssize_t asked = 0
    cdef int log
    for log in range(LOGS - 1, 0, -1):
        asked += s.of_log[log]
        if asked:
            ask(s, asked)
    memset(s.of_log, 0, sizeof(s.of_log))


cdef inline void list_left(Sparse* s) noexcept nogil:
    cdef Py_ssize_t i, k = 0
    for i in range(s.n_left):
        s.left[k] = s.left[i]
        k += s.passes[0].left[s.left[i]] != CORRECTED
    s.n_left = k


cdef inline const Order* sort_after_first(Sparse* s, const Order* plan, Py_ssize_t bits) noexcept nogil:
    # The second pass' order by the errors that the first one found.
    cdef Py_ssize_t i, words = (bits + 63) // 64
    memset(s.flipped, 0, 8 * words)
    for i in range(s.n_left):
        s.flipped[s.at[i] >> 6] |= s.passes[0].left[s.passes[0].slot[i]] == CORRECTED
    sort_words(&s.sorted, plan, s.flipped, words, (bits + 4095) // 4096)
    return &s.sorted


cdef inline void begin_pass(Sparse* s, const Order* order, Py_ssize_t bits) noexcept nogil:
    # The parities of its blocks are told; the odd ones are searched.
    cdef int p = s.started
    cdef Pass* b = &s.passes[p]
    cdef Py_ssize_t i, j, low, n, odd = 0, blocks = (bits + (<Py_ssize_t>1 << b.log_block) - 1) >> b.log_block
    cdef uint32_t* next = b.first + 1
    cdef uint32_t place, slot
    s.started += 1
    b.n_touched = 0
    ask(s, blocks)
    if p:
        list_left(s)
    memset(b.first, 0, 4 * (blocks + 2))
    for i in range(s.n_left):
        s.found[i] = place = <uint32_t>placed(order, s.at[s.left[i]]) if p else s.at[s.left[i]]
        b.first[(place >> b.log_block) + 2] += 1
    for j in range(blocks):
        next[j + 1] += next[j]
    for i in range(s.n_left):
        place = s.found[i]
        slot = next[place >> b.log_block]
        next[place >> b.log_block] += 1
        b.place[slot] = b.left[slot] = place
        b.error[slot] = s.left[i]
        b.slot[s.left[i]] = slot
    if s.n_left:
        memset(b.log, b.log_block, <size_t>s.n_left)
    for j in range(blocks):            # listed first: a branch on each block would go either way
        b.touched[odd] = <uint32_t>j
        odd += (b.first[j + 1] - b.first[j]) & 1
    for j in range(odd):
        low, n = b.first[b.touched[j]], b.first[b.touched[j] + 1] - b.first[b.touched[j]]
        for i in range(n):
            s.found[i] = <uint32_t>i
        search(s, p, low, n, b.log_block)
    end_phase(s)


cdef inline bint look_again(Sparse* s) noexcept nogil:
    # The lowest pass of which errors were corrected elsewhere. False: there is none.
    cdef Pass* b
    cdef Py_ssize_t i, n
    cdef int p
    for p in range(s.started):
        b = &s.passes[p]
        if b.n_touched:
            n, b.n_touched = b.n_touched, 0
            for i in range(n):
                look(s, p, b.touched[i])
            end_phase(s)
            return True
    return False


cdef inline void begin_checks(Sparse* s) noexcept nogil:
    cdef Py_ssize_t i
    cdef uint32_t bit
    s.checked = True
    ask(s, s.n_checks)
    list_left(s)
    for i in range(s.n_left):
        bit = s.at[s.left[i]]
        s.wrong ^= subset_from(s.subset, bit >> 6, bit & 63)
    s.wrong &= (<uint64_t>1 << s.n_checks) - 1


cdef inline void search_check(Sparse* s, Py_ssize_t tiles) noexcept nogil:
    # Search an error in the lowest odd check.
    cdef Py_ssize_t i, n = 0
    cdef uint32_t bit
    cdef int log = 12, check = lowest(s.wrong)
    list_left(s)
    for i in range(s.n_left):
        bit = s.at[s.left[i]]
        s.found[n] = s.left[i]
        n += subset_from(s.subset, bit >> 6, bit & 63) >> check & 1
    while <Py_ssize_t>1 << (log - 12) < tiles:
        log += 1
    s.of_log[log] = 1
    end_phase(s)
    correct_error(s, -1, bisect(s.at, s.found, n, s.found + n))


cdef inline void run_errors(Sparse* s, const Rules* rules, const uint32_t* at, Py_ssize_t n, Py_ssize_t bits) noexcept nogil:
    # All rounds of one frame.
    cdef Py_ssize_t i, tiles = (bits + 4095) // 4096
    cdef const Order* order
    s.at, s.n_left = at, n
    for i in range(n):
        s.left[i] = <uint32_t>i
    s.started, s.checked, s.wrong = 0, False, 0
    s.leak_bits = s.spoken_bytes = s.rounds = s.corrected = 0
    memset(s.of_log, 0, sizeof(s.of_log))
    while True:
        if look_again(s):
            continue
        if s.wrong:
            search_check(s, tiles)
        elif s.started < rules.n_passes:
            order = &rules.orders[tiles][s.started]
            if s.started == 1 and rules.sorts:
                order = sort_after_first(s, order, bits)
            begin_pass(s, order, 4096 * tiles if s.started else bits)
        elif s.n_checks and not s.checked:
            begin_checks(s)
        else:
            return
