# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Times to slots: phases, histograms, gates, and comparison with a public pattern.

A clock is ``(start, slot, phase, rate)``: at time `start` (ps) it shows ``slot + phase / 2^64`` slots, and it gains
``rate / 2^64`` slots a picosecond. All of it is integer arithmetic, so hours at gigahertz stay exact and every
instruction path gives the same slots.
"""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from words cimport all_below

cdef extern from "match.h" nogil:
    ctypedef struct cycles_t "qkd_cycles":
        int64_t slot
        uint64_t phase
    cycles_t advance "qkd_advance"(int64_t slot, uint64_t phase, int64_t span, uint64_t rate)
    Py_ssize_t gate_some "qkd_gate_some"(const int64_t* time, const uint8_t* detector, Py_ssize_t n, const int64_t* delay,
                                         Py_ssize_t detectors, int64_t start, int64_t slot, uint64_t phase,
                                         uint64_t rate, uint64_t low, uint64_t width, int64_t* slot_out,
                                         uint8_t* detector_out, int32_t* counts, int log_bins, Py_ssize_t* kept)

cdef extern from "clicks.h" nogil:
    Py_ssize_t inputs_some "qkd_inputs_some"(const int64_t* time, const uint8_t* channel, Py_ssize_t n,
                                             const uint8_t* table, uint8_t* detector, uint8_t* highest, int* backward)
    Py_ssize_t in_order "qkd_in_order"(const int64_t* slot, Py_ssize_t i, Py_ssize_t n)
    Py_ssize_t alone "qkd_alone"(const int64_t* slot, const uint8_t* detector, Py_ssize_t i, Py_ssize_t n,
                                 int64_t* slot_out, uint8_t* fired)
    Py_ssize_t place_some "qkd_place_some"(const int64_t* slot, const uint8_t* detector, Py_ssize_t i, Py_ssize_t n,
                                           const int64_t* offset, Py_ssize_t detectors, int64_t begin, int64_t frame_slots,
                                           int64_t header_slots, const uint8_t* pattern, Py_ssize_t pattern_slots,
                                           int64_t* slot_out, uint8_t* detector_out, Py_ssize_t* kept, int64_t* score)
    Py_ssize_t decide_some "qkd_decide_some"(const uint8_t* fired, Py_ssize_t n, const uint8_t* values,
                                             const uint8_t* table, Py_ssize_t columns, const uint8_t* draws,
                                             Py_ssize_t* used, uint8_t* basis, uint8_t* outcome)
    Py_ssize_t several_some "qkd_several_some"(const uint8_t* fired, Py_ssize_t n, uint8_t* patterns, Py_ssize_t* count)


cdef int _is_power(Py_ssize_t n, Py_ssize_t least) except -1:
    if n < least or n & (n - 1):
        raise ValueError(f"a power of two, at least {least}, is expected, got {n}")
    return 0


cdef int _fits(const int64_t[::1] time, const uint8_t[::1] detector, Py_ssize_t detectors) except -1:
    if detector.shape[0] != time.shape[0] or not all_below(detector, detectors):
        raise ValueError(f"{time.shape[0]} detectors below {detectors} are expected, got {detector.shape[0]}")
    return 0


cdef int _holds(Py_ssize_t room, Py_ssize_t other, Py_ssize_t n) except -1:
    if room < n or other < n:
        raise ValueError(f"room for {n} is expected, got {room} and {other}")
    return 0


def inputs(const int64_t[::1] time, const uint8_t[::1] channel, const uint8_t[::1] table, uint8_t[::1] detector):
    """Write ``table[channel]``, a table of 256; return the highest of them (0 of none), and whether no time steps back."""
    cdef Py_ssize_t i, n = time.shape[0]
    cdef uint8_t highest = 0
    cdef int backward = 0
    if channel.shape[0] != n or detector.shape[0] < n or table.shape[0] != 256:
        raise ValueError(f"{n} channels, as much room and a table of 256 are expected, got {channel.shape[0]}, "
                         f"{detector.shape[0]} and {table.shape[0]}")
    if n:
        with nogil:
            for i in range(inputs_some(&time[0], &channel[0], n, &table[0], &detector[0], &highest, &backward), n):
                detector[i] = table[channel[i]]
                highest = max(highest, detector[i])
                backward |= time[i] < time[max(i - 1, 0)]
    return highest, backward == 0


def phasors(const int64_t[::1] time, const uint8_t[::1] detector, int64_t start, uint64_t rate, int64_t bin_ps,
            const int32_t[::1] cosine, int64_t[:, :, ::1] sums, int64_t[::1] count):
    """Add exp(-2 pi i phase) of each tag to ``sums[detector, (time - start) // bin_ps]`` as (real, imaginary).

    `cosine` is one turn of a cosine, a power of two (at least 4) of integers; `count` counts tags per detector.
    Every tag must fall into a bin: ``0 <= time - start < sums.shape[1] * bin_ps``.
    """
    cdef Py_ssize_t i, n = time.shape[0], size = cosine.shape[0], at, bin_index
    cdef uint64_t phase, half
    cdef int64_t span, first = start, last = start
    cdef int shift = 64
    _is_power(size, 4)
    _fits(time, detector, min(sums.shape[0], count.shape[0]))
    with nogil:
        for i in range(n):
            first, last = min(first, time[i]), max(last, time[i])
    if sums.shape[2] != 2 or bin_ps < 1 or first < start or (n and <uint64_t>(last - start) // bin_ps >= sums.shape[1]):
        raise ValueError(f"times within {sums.shape[1]} bins of {bin_ps} ps from {start} ps are expected, got {first} "
                         f"to {last} ps")
    while (<Py_ssize_t>1 << (64 - shift)) < size:
        shift -= 1
    half = (<uint64_t>1) << (shift - 1)
    with nogil:
        for i in range(n):
            span = time[i] - start
            phase = <uint64_t>span * rate + half
            at = <Py_ssize_t>(phase >> shift)
            bin_index = span // bin_ps
            sums[detector[i], bin_index, 0] += cosine[at]
            sums[detector[i], bin_index, 1] -= cosine[(at + 3 * (size >> 2)) & (size - 1)]
            count[detector[i]] += 1


def histogram(const int64_t[::1] time, const uint8_t[::1] detector, const int64_t[::1] delay, int64_t start,
              uint64_t phase, uint64_t rate, int32_t[:, ::1] counts):
    """Add each tag to ``counts[detector, bin]``, bins of equal phase, a power of two of them (at least 2)."""
    cdef Py_ssize_t i, n = time.shape[0]
    cdef int shift = 64
    _is_power(counts.shape[1], 2)
    _fits(time, detector, min(counts.shape[0], delay.shape[0]))
    while (<Py_ssize_t>1 << (64 - shift)) < counts.shape[1]:
        shift -= 1
    with nogil:
        for i in range(n):
            counts[detector[i], (phase + <uint64_t>(time[i] - delay[detector[i]] - start) * rate) >> shift] += 1


def moments(const int64_t[::1] counts, const int32_t[:, ::1] turns, Py_ssize_t first, Py_ssize_t width,
            Py_ssize_t windows, int64_t[::1] sums):
    """Of the `windows` windows of `width` neighbours that begin at bin `first` and at those after it, the one that holds
    most (of equals the first): (its number, what it holds). Bins go round and round.

    ``sums[m]`` is the sum of its counts, each times ``turns[m]`` at the same bin if the window stood in the middle.
    """
    cdef Py_ssize_t i, k, m, at = 0, bins = counts.shape[0], left
    cdef int64_t held = 0, most, total
    if turns.shape[1] != bins or sums.shape[0] != turns.shape[0] or not 0 < width <= bins or not 0 < windows <= bins \
            or not 0 <= first < bins:
        raise ValueError(f"turns of {bins} bins, a first one of them, from 1 to {bins} in a window and as many windows are "
                         f"expected, got {turns.shape[1]}, {first}, {width} and {windows}")
    with nogil:
        for k in range(first, first + width):
            held += counts[k - bins if k >= bins else k]
        most = held
        for i in range(1, windows):
            k, left = first + i + width - 1, first + i - 1
            k -= bins * ((k >= bins) + (k >= 2 * bins))
            held += counts[k] - counts[left - bins if left >= bins else left]
            if held > most:
                at, most = i, held
        left = (bins - width) // 2
        first = (first + at) % bins
        k = min(bins - first, width)
        for m in range(turns.shape[0]):
            total = 0
            for i in range(k):
                total += turns[m, left + i] * counts[first + i]
            for i in range(k, width):
                total += turns[m, left + i] * counts[first + i - bins]
            sums[m] = total
    return at, most


cdef Py_ssize_t _gate(const int64_t* time, const uint8_t* detector, Py_ssize_t n, const int64_t* delay,
                      Py_ssize_t detectors, int64_t start, int64_t slot, uint64_t phase, uint64_t rate, uint64_t low,
                      uint64_t width, int64_t* slot_out, uint8_t* detector_out, int32_t* counts,
                      int log_bins) noexcept nogil:
    cdef Py_ssize_t i, kept = 0
    cdef cycles_t at
    cdef uint8_t d                        # read once: what is written could overlap it, for all the compiler knows
    for i in range(gate_some(time, detector, n, delay, detectors, start, slot, phase, rate, low, width, slot_out,
                             detector_out, counts, log_bins, &kept), n):
        d = detector[i]
        at = advance(slot, phase, time[i] - delay[d] - start, rate)
        slot_out[kept] = at.slot          # overwritten by the next tag if this one is not kept
        detector_out[kept] = d
        kept += at.phase - low < width
        counts[(<Py_ssize_t>d << log_bins) + <Py_ssize_t>(at.phase >> (64 - log_bins))] += 1
    return kept


def gate(const int64_t[::1] time, const uint8_t[::1] detector, const int64_t[::1] delay, int64_t start, int64_t slot,
         uint64_t phase, uint64_t rate, uint64_t low, uint64_t width, int64_t[::1] slot_out, uint8_t[::1] detector_out,
         int32_t[:, ::1] counts):
    """Keep the tags whose phase lies in ``[low, low + width)``; write their slot and detector, return how many.

    `delay` (ps) is taken off each detector's times first. All tags, kept or not, are added to the phase histogram
    `counts` as in :func:`histogram`. The outputs hold as many elements as there are tags.
    """
    cdef Py_ssize_t kept = 0
    cdef int log_bins = 1
    _is_power(counts.shape[1], 2)
    _fits(time, detector, min(counts.shape[0], delay.shape[0]))
    _holds(slot_out.shape[0], detector_out.shape[0], time.shape[0])
    while (<Py_ssize_t>1 << log_bins) < counts.shape[1]:
        log_bins += 1
    if time.shape[0]:
        with nogil:
            kept = _gate(&time[0], &detector[0], time.shape[0], &delay[0], delay.shape[0], start, slot, phase, rate, low,
                         width, &slot_out[0], &detector_out[0], &counts[0, 0], log_bins)
    return kept


def strays(const int64_t[::1] time, const uint8_t[::1] detector, const int64_t[::1] delay, int64_t start, int64_t slot,
           uint64_t phase, uint64_t rate, uint64_t low, uint64_t width, int64_t[::1] slot_out, uint8_t[::1] detector_out):
    """The tags that :func:`gate` does not keep: the slot after whose gate each came, and its detector; how many.

    A tag before the gate of slot ``k`` came after that of ``k - 1``.
    """
    cdef Py_ssize_t i, n = time.shape[0], kept = 0
    cdef cycles_t at
    _fits(time, detector, delay.shape[0])
    _holds(slot_out.shape[0], detector_out.shape[0], n)
    with nogil:
        for i in range(n):
            at = advance(slot, phase, time[i] - delay[detector[i]] - start, rate)
            slot_out[kept] = at.slot - (at.phase < low)
            detector_out[kept] = detector[i]
            kept += at.phase - low >= width
    return kept


def blank(const int64_t[::1] slot, const int64_t[::1] busy, int64_t last, int64_t reach, uint8_t[::1] live):
    """Whether every detector was live: ``live[i]`` is 0 where the last of `busy` before ``slot[i]``, or `last` where none
    is before it, is at ``slot[i] - reach`` or later. Both sorted. Returns how many are live."""
    cdef Py_ssize_t i, j = 0, n = slot.shape[0], count = 0
    _holds(live.shape[0], live.shape[0], n)
    with nogil:
        for i in range(n):
            while j < busy.shape[0] and busy[j] < slot[i]:
                last = busy[j]
                j += 1
            live[i] = last < slot[i] - reach
            count += live[i]
    return count


cdef inline int64_t _modulo(int64_t a, int64_t b) noexcept nogil:
    cdef int64_t r = a % b
    return r + b if r < 0 else r


def tally(const int64_t[::1] slot, const uint8_t[::1] detector, int32_t[:, ::1] counts):
    """Count clicks by their place in the frame: ``counts[detector, slot mod counts.shape[1]] += 1``."""
    cdef Py_ssize_t i, n = slot.shape[0]
    cdef int64_t frame = counts.shape[1], begin = 0, within
    _fits(slot, detector, counts.shape[0])
    if not frame:
        raise ValueError("at least one place in a frame is expected")
    with nogil:
        for i in range(n):
            within = slot[i] - begin
            if <uint64_t>within >= <uint64_t>frame:       # not in the frame of the last click: seldom, so divide
                within = _modulo(slot[i], frame)
                begin = slot[i] - within
            counts[detector[i], within] += 1


def place(const int64_t[::1] slot, const uint8_t[::1] detector, const int64_t[::1] offset, int64_t frame_slots,
          int64_t header_slots, const uint8_t[::1] pattern, int64_t[::1] slot_out, uint8_t[::1] detector_out,
          int64_t[::1] score):
    """Shift slots by their detector's `offset` and drop the headers and what lies before slot 0; return how many stay.

    ``score[on]`` counts the clicks whose place in the frame is inside `pattern`, by the value (0 or 1) found there.
    """
    cdef Py_ssize_t i = 0, stop, n = slot.shape[0], kept = 0, pattern_slots = pattern.shape[0]
    cdef int64_t at, within, begin = 0
    _fits(slot, detector, offset.shape[0])
    _holds(slot_out.shape[0], detector_out.shape[0], n)
    if frame_slots < 1 or not all_below(pattern, score.shape[0]):
        raise ValueError(f"frames of at least 1 slot and a pattern below {score.shape[0]} are expected")
    if n == 0:
        return 0
    with nogil:
        while i < n:
            i += place_some(&slot[0], &detector[0], i, n, &offset[0], offset.shape[0], begin, frame_slots, header_slots,
                            &pattern[0], pattern_slots, &slot_out[0], &detector_out[0], &kept, &score[0])
            stop = min(i + 8, n)
            while i < stop:
                at = slot[i] + offset[detector[i]]
                within = at - begin
                if <uint64_t>within >= <uint64_t>frame_slots:
                    within = _modulo(at, frame_slots)
                    begin = at - within
                slot_out[kept] = at
                detector_out[kept] = detector[i]
                kept += (within >= header_slots) & (at >= 0)
                if within < pattern_slots and at >= 0:
                    score[pattern[within]] += 1
                i += 1
    return kept


def settle(int64_t[::1] slot, uint8_t[::1] detector):
    """Sort by slot in place, stably, by insertion: for nearly sorted clicks, where few stand out of line."""
    cdef Py_ssize_t i = 1, j, stop, n = slot.shape[0]
    cdef int64_t s
    cdef uint8_t d
    _fits(slot, detector, 256)
    with nogil:
        while i < n:
            i += in_order(&slot[0], i, n)
            stop = min(i + 8, n)
            while i < stop:
                if slot[i - 1] > slot[i]:
                    s, d, j = slot[i], detector[i], i
                    while j > 0 and slot[j - 1] > s:
                        slot[j], detector[j] = slot[j - 1], detector[j - 1]
                        j -= 1
                    slot[j], detector[j] = s, d
                i += 1


def combine(const int64_t[::1] slot, const uint8_t[::1] detector, int64_t[::1] slot_out, uint8_t[::1] fired):
    """One entry a slot: bit ``d`` of `fired` says that detector ``d`` clicked in it. Slots sorted; returns how many."""
    cdef Py_ssize_t i = 1, stop, new, n = slot.shape[0], at = 0
    _fits(slot, detector, 8)
    _holds(slot_out.shape[0], fired.shape[0], n)
    if n == 0:
        return 0
    with nogil:
        slot_out[0], fired[0] = slot[0], <uint8_t>(1 << detector[0])
        while i < n:
            new = alone(&slot[0], &detector[0], i, n, &slot_out[at + 1], &fired[at + 1])
            i += new
            at += new
            stop = min(i + 8, n)
            while i < stop:
                if slot[i] != slot[i - 1]:
                    at += 1
                    fired[at] = 0
                slot_out[at] = slot[i]
                fired[at] |= <uint8_t>(1 << detector[i])
                i += 1
    return at + 1


def several(const uint8_t[::1] fired, uint8_t[::1] patterns):
    """Write those patterns of `fired` in which several detectors clicked, in order; return how many."""
    cdef Py_ssize_t i, n = fired.shape[0], count = 0
    _holds(patterns.shape[0], patterns.shape[0], n)
    if n:
        with nogil:
            for i in range(several_some(&fired[0], n, &patterns[0], &count), n):
                patterns[count] = fired[i]
                count += (fired[i] & (fired[i] - 1)) != 0
    return count


def decide(const uint8_t[::1] fired, const uint8_t[:, ::1] table, const uint8_t[::1] draws, uint8_t[::1] basis,
           uint8_t[::1] outcome):
    """Basis and outcome of each slot: bits 1 and 0 of ``table[fired, draw]``.

    Where several detectors fired, `draw` is the next of `draws`, otherwise 0; `draws` must hold one for each such slot.
    """
    cdef Py_ssize_t i, n = fired.shape[0], used = 0, columns = table.shape[1]
    cdef uint8_t f, value
    cdef uint8_t single[16]
    _holds(basis.shape[0], outcome.shape[0], n)
    with nogil:
        for i in range(n):
            used += (fired[i] & (fired[i] - 1)) != 0
    if draws.shape[0] < used or not columns or not all_below(fired, table.shape[0]) or not all_below(draws, columns):
        raise ValueError(f"{used} draws below {columns} and patterns below {table.shape[0]} are expected")
    used = i = 0
    if n == 0:
        return
    with nogil:
        if table.shape[0] <= 16:
            for i in range(16):
                single[i] = table[i, 0] if i < table.shape[0] else 0
            i = decide_some(&fired[0], n, single, &table[0, 0], columns, &draws[0], &used, &basis[0], &outcome[0])
        while i < n:
            f = fired[i]
            if f & (f - 1):
                value = table[f, draws[used]]
                used += 1
            else:
                value = table[f, 0]
            basis[i] = value >> 1
            outcome[i] = value & 1
            i += 1


def matches(const int64_t[::1] row, const int64_t[::1] place, const uint64_t[:, ::1] patterns, Py_ssize_t first,
            int64_t[::1] on, int64_t[::1] used):
    """Compare clicks with consecutive packed patterns, for every candidate number of the first pattern.

    For candidate ``c``, click ``i`` meets bit ``place[i]`` of ``patterns[c + row[i]]``: `on` counts the set bits,
    `used` the clicks whose pattern exists, that is ``c + row[i] >= first``. `patterns` reaches the last row needed.
    """
    cdef Py_ssize_t c, i, n = row.shape[0], at
    cdef int64_t hits, seen, last_row = -1, low = 0, high = -1
    with nogil:
        for i in range(min(n, place.shape[0])):
            last_row, low, high = max(last_row, row[i]), min(low, place[i]), max(high, place[i])
    if place.shape[0] != n or used.shape[0] != on.shape[0] or first < 0 or low < 0 or high >= 64 * patterns.shape[1] \
            or (on.shape[0] and last_row > patterns.shape[0] - on.shape[0]):
        raise ValueError(f"{n} places below {64 * patterns.shape[1]}, rows up to {patterns.shape[0] - on.shape[0]}, a first "
                         f"pattern from 0 on and {on.shape[0]} counts are expected")
    with nogil:
        for c in range(on.shape[0]):
            hits = seen = 0
            for i in range(n):
                at = c + row[i]
                if at >= first:
                    seen += 1
                    hits += (patterns[at, place[i] >> 6] >> (place[i] & 63)) & 1
            on[c] = hits
            used[c] = seen
