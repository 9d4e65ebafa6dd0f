# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""PicoQuant T2 and T3 records (32 bits each) to times and channels in one pass, and T2 back.

``state`` (int64, :data:`STATE`) is carried from block to block:

====  =======================================================================================================
item  meaning
====  =======================================================================================================
0     ticks (T2) or sync periods (T3) that the overflows seen so far stand for
1     overflow records
2     marker records
3     sync records (T2 of HydraHarp and later: the sync input; T3 and PicoHarp have none)
4     special records without a meaning in this layout
5     sum of the dtimes (T3)
====  =======================================================================================================

A decoder returns ``(used, photons)``. It stops before the record that would push item 0 beyond ``limit``: ``used`` is
then less than the number of records. Outputs need room for as many items as there are records.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from words cimport all_below

STATE = 6

cdef enum:
    OFFSET = 0
    OVERFLOWS = 1
    MARKERS = 2
    SYNCS = 3
    UNKNOWN = 4
    DTIMES = 5

cdef enum:
    TIME_T2 = 0x01FFFFFF           # also the largest overflow count that one record carries
    STEP = 127                     # what one stands for when written, as a reader in use multiplies in 32 bits ...
    LONG = 127 * 131072            # ... up to gaps of this many overflows (9 min at 1 ps): beyond, size matters more
    OVERFLOW = 127                 # special bit and channel 63, the top seven bits
    PERIOD_V2 = 33554432
    PICOHARP_T2 = 210698240
    PICOHARP_T3 = 65536
    HYDRAHARP_T3 = 1024

cdef extern from "records.h" nogil:
    enum: RUN "QKD_RUN"
    uint32_t any_special "qkd_any_special"(const uint32_t* record)
    void photon_run "qkd_photon_run"(const uint32_t* record, int64_t offset, int64_t* ticks, uint8_t* channel)
    Py_ssize_t overflow_run "qkd_overflow_run"(const uint32_t* record, int64_t period, uint32_t counts, int64_t* offset,
                                               int64_t* overflows, int64_t* ticks, uint8_t* channel)


cdef int _fit(const int64_t[::1] state, int64_t limit, Py_ssize_t n, Py_ssize_t a, Py_ssize_t b, Py_ssize_t c) except -1:
    if state.shape[0] != STATE or min(a, b, c) < n:
        raise ValueError(f"a state of {STATE} and room for {n} are expected, got {state.shape[0]} and {min(a, b, c)}")
    if limit < 0 or state[OFFSET] < 0:
        raise ValueError(f"a limit and an offset of at least 0 are expected, got {limit} and {state[OFFSET]}")
    return 0


cdef inline void _special(uint32_t channel, int64_t* state) noexcept nogil:
    # A HydraHarp T2 record with the special bit that is no overflow.
    if channel == 0:
        state[SYNCS] += 1
    elif channel <= 15:
        state[MARKERS] += 1
    else:
        state[UNKNOWN] += 1


cdef inline Py_ssize_t _mixed_run(const uint32_t* record, int64_t period, uint32_t counts, int64_t* state,
                                  int64_t* ticks, uint8_t* channel) noexcept nogil:
    # Photons and overflows alternate without a pattern at low rates: no branch depends on which of them comes next.
    cdef Py_ssize_t j, k = 0
    cdef uint32_t r, top, count
    cdef int64_t offset = state[OFFSET], overflow, overflows = 0
    for j in range(RUN):
        r = record[j]
        top = r >> 25
        ticks[k] = offset + <int64_t>(r & TIME_T2)
        channel[k] = <uint8_t>top
        k += 1 - (r >> 31)
        overflow = top == OVERFLOW
        count = r & TIME_T2 & counts
        offset += period * (-overflow & <int64_t>(count + (count == 0)))
        overflows += overflow
        if r >> 31 and not overflow:
            _special(top & 63, state)
    state[OFFSET] = offset
    state[OVERFLOWS] += overflows
    return k


cdef Py_ssize_t _hydraharp_t2(const uint32_t* record, Py_ssize_t n, int64_t period, uint32_t counts, int64_t limit,
                              int64_t* state, int64_t* ticks, uint8_t* channel, Py_ssize_t* used) noexcept nogil:
    cdef Py_ssize_t i = 0, k = 0, more
    cdef uint32_t r, count
    # A run advances by less than RUN * 2^25 * 2^25 = 2^54: below this mark it cannot pass the limit.
    cdef int64_t mark = limit - (<int64_t>1 << 54)
    while i + RUN <= n and state[OFFSET] <= mark:
        if any_special(record + i):
            more = overflow_run(record + i, period, counts, &state[OFFSET], &state[OVERFLOWS], ticks + k, channel + k)
            if more < 0:
                more = _mixed_run(record + i, period, counts, state, ticks + k, channel + k)
            k += more
        else:
            photon_run(record + i, state[OFFSET], ticks + k, channel + k)
            k += RUN
        i += RUN
    while i < n:
        r = record[i]
        if not r >> 31:
            ticks[k] = state[OFFSET] + <int64_t>(r & TIME_T2)
            channel[k] = <uint8_t>(r >> 25)
            k += 1
        elif r >> 25 == OVERFLOW:
            count = r & TIME_T2 & counts
            count += count == 0
            if period * <int64_t>count > limit - state[OFFSET]:
                break
            state[OFFSET] += period * <int64_t>count
            state[OVERFLOWS] += 1
        else:
            _special((r >> 25) & 63, state)
        i += 1
    used[0] = i
    return k


def hydraharp_t2(const uint32_t[::1] records, int64_t period, bint counted, int64_t limit, int64_t[::1] state,
                 int64_t[::1] ticks, uint8_t[::1] channel):
    """HydraHarp T2 records and all that descend from them; `counted`: an overflow record carries how many it stands for.
    """
    cdef Py_ssize_t used = 0, photons = 0
    _fit(state, limit, records.shape[0], ticks.shape[0], channel.shape[0], channel.shape[0])
    if not 0 < period <= PERIOD_V2:
        raise ValueError(f"a period of 1 to {PERIOD_V2} ticks is expected, got {period}")
    if records.shape[0]:
        with nogil:
            photons = _hydraharp_t2(&records[0], records.shape[0], period, TIME_T2 if counted else 0, limit, &state[0],
                                    &ticks[0], &channel[0], &used)
    return used, photons


cdef Py_ssize_t _picoharp_t2(const uint32_t* record, Py_ssize_t n, int64_t limit, int64_t* state, int64_t* ticks,
                             uint8_t* channel, Py_ssize_t* used) noexcept nogil:
    cdef Py_ssize_t i = 0, k = 0
    cdef uint32_t r
    while i < n:
        r = record[i]
        if r >> 28 != 15:
            ticks[k] = state[OFFSET] + <int64_t>(r & 0x0FFFFFFF)
            channel[k] = <uint8_t>(r >> 28)
            k += 1
        elif r & 15:
            state[MARKERS] += 1
        else:
            if PICOHARP_T2 > limit - state[OFFSET]:
                break
            state[OFFSET] += PICOHARP_T2
            state[OVERFLOWS] += 1
        i += 1
    used[0] = i
    return k


def picoharp_t2(const uint32_t[::1] records, int64_t limit, int64_t[::1] state, int64_t[::1] ticks,
                uint8_t[::1] channel):
    """PicoHarp 300 T2 records."""
    cdef Py_ssize_t used = 0, photons = 0
    _fit(state, limit, records.shape[0], ticks.shape[0], channel.shape[0], channel.shape[0])
    if records.shape[0]:
        with nogil:
            photons = _picoharp_t2(&records[0], records.shape[0], limit, &state[0], &ticks[0], &channel[0], &used)
    return used, photons


cdef Py_ssize_t _hydraharp_t3(const uint32_t* record, Py_ssize_t n, uint32_t counts, int64_t limit, int64_t* state,
                              int64_t* nsync, uint16_t* dtime, uint8_t* channel, Py_ssize_t* used) noexcept nogil:
    cdef Py_ssize_t i = 0, k = 0
    cdef uint32_t r, count
    while i < n:
        r = record[i]
        if not r >> 31:
            nsync[k] = state[OFFSET] + <int64_t>(r & 1023)
            dtime[k] = <uint16_t>((r >> 10) & 0x7FFF)
            channel[k] = <uint8_t>(r >> 25)
            state[DTIMES] += dtime[k]
            k += 1
        elif r >> 25 == OVERFLOW:
            count = r & 1023 & counts
            count += count == 0
            if HYDRAHARP_T3 * <int64_t>count > limit - state[OFFSET]:
                break
            state[OFFSET] += HYDRAHARP_T3 * <int64_t>count
            state[OVERFLOWS] += 1
        elif 1 <= (r >> 25) & 63 <= 15:
            state[MARKERS] += 1
        else:
            state[UNKNOWN] += 1
        i += 1
    used[0] = i
    return k


def hydraharp_t3(const uint32_t[::1] records, bint counted, int64_t limit, int64_t[::1] state, int64_t[::1] nsync,
                 uint16_t[::1] dtime, uint8_t[::1] channel):
    """HydraHarp T3 records and all that descend from them: number of the sync period, dtime within it, channel."""
    cdef Py_ssize_t used = 0, photons = 0
    _fit(state, limit, records.shape[0], nsync.shape[0], dtime.shape[0], channel.shape[0])
    if records.shape[0]:
        with nogil:
            photons = _hydraharp_t3(&records[0], records.shape[0], 1023 if counted else 0, limit, &state[0], &nsync[0],
                                    &dtime[0], &channel[0], &used)
    return used, photons


cdef Py_ssize_t _picoharp_t3(const uint32_t* record, Py_ssize_t n, int64_t limit, int64_t* state, int64_t* nsync,
                             uint16_t* dtime, uint8_t* channel, Py_ssize_t* used) noexcept nogil:
    cdef Py_ssize_t i = 0, k = 0
    cdef uint32_t r
    while i < n:
        r = record[i]
        if r >> 28 != 15:
            nsync[k] = state[OFFSET] + <int64_t>(r & 0xFFFF)
            dtime[k] = <uint16_t>((r >> 16) & 0xFFF)
            channel[k] = <uint8_t>(r >> 28)
            state[DTIMES] += dtime[k]
            k += 1
        elif (r >> 16) & 0xFFF:
            state[MARKERS] += 1
        else:
            if PICOHARP_T3 > limit - state[OFFSET]:
                break
            state[OFFSET] += PICOHARP_T3
            state[OVERFLOWS] += 1
        i += 1
    used[0] = i
    return k


def picoharp_t3(const uint32_t[::1] records, int64_t limit, int64_t[::1] state, int64_t[::1] nsync,
                uint16_t[::1] dtime, uint8_t[::1] channel):
    """PicoHarp 300 T3 records."""
    cdef Py_ssize_t used = 0, photons = 0
    _fit(state, limit, records.shape[0], nsync.shape[0], dtime.shape[0], channel.shape[0])
    if records.shape[0]:
        with nogil:
            photons = _picoharp_t3(&records[0], records.shape[0], limit, &state[0], &nsync[0], &dtime[0], &channel[0],
                                   &used)
    return used, photons


cdef inline int64_t _step(int64_t count) noexcept nogil:
    return STEP if count <= LONG else TIME_T2


cdef Py_ssize_t _length_t2(const int64_t* ticks, Py_ssize_t n, int64_t offset) noexcept nogil:
    # -1: the ticks step back.
    cdef Py_ssize_t i, k = n
    cdef int64_t count, step, last = offset
    for i in range(n):
        if ticks[i] < last:
            return -1
        last = ticks[i]
        count = (ticks[i] - offset) // PERIOD_V2
        if count:
            offset += count * PERIOD_V2
            step = _step(count)
            k += (count + step - 1) // step
    return k


def length_t2(const int64_t[::1] ticks, int64_t offset):
    """Number of records that :func:`encode_t2` makes of these, from a state whose item 0 is `offset`."""
    cdef Py_ssize_t length = 0
    if ticks.shape[0]:
        with nogil:
            length = _length_t2(&ticks[0], ticks.shape[0], offset)
        if length < 0:
            raise ValueError(f"ticks that do not step back, none below {offset}, are expected")
    return length


cdef Py_ssize_t _encode_t2(const int64_t* ticks, const uint8_t* channel, Py_ssize_t n, int64_t* state,
                           uint32_t* record) noexcept nogil:
    cdef Py_ssize_t i, k = 0
    cdef int64_t count, most, step
    for i in range(n):
        count = (ticks[i] - state[OFFSET]) // PERIOD_V2
        state[OFFSET] += count * PERIOD_V2
        most = _step(count)
        while count > 0:
            step = count if count < most else most
            record[k] = <uint32_t>OVERFLOW << 25 | <uint32_t>step
            count -= step
            state[OVERFLOWS] += 1
            k += 1
        record[k] = <uint32_t>channel[i] << 25 | <uint32_t>(ticks[i] - state[OFFSET])
        k += 1
    return k


def encode_t2(const int64_t[::1] ticks, const uint8_t[::1] channel, int64_t[::1] state, uint32_t[::1] records):
    """T2 records of HydraHarp 2: `ticks` non-decreasing, none below ``state[0]``; `channel` at most 63.

    `records` needs room for :func:`length_t2` of them; returns how many were written.
    """
    cdef Py_ssize_t written = 0
    _fit(state, 0, ticks.shape[0], channel.shape[0], channel.shape[0], channel.shape[0])
    if length_t2(ticks, state[OFFSET]) > records.shape[0] or not all_below(channel, 64):
        raise ValueError(f"channels below 64 and room for {length_t2(ticks, state[OFFSET])} records are expected, got "
                         f"{records.shape[0]}")
    if ticks.shape[0]:
        with nogil:
            written = _encode_t2(&ticks[0], &channel[0], ticks.shape[0], &state[0], &records[0])
    return written
