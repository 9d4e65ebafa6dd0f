# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Lags between the tags of one detector, in a histogram that reaches from picoseconds to seconds; clicks and a pattern.

A lag of u units falls into bin ``(e << bits) + (u >> e)`` with the smallest e >= 0 for which ``u >> e`` is below
``2^(bits + 1)``: one bin a unit up to there, from then on `2^bits` bins an octave.
"""
from libc.stdint cimport int8_t, int32_t, int64_t, uint64_t

cdef extern from "match.h" nogil:
    ctypedef struct cycles_t "qkd_cycles":
        int64_t slot
        uint64_t phase
    cycles_t advance "qkd_advance"(int64_t slot, uint64_t phase, int64_t span, uint64_t rate)

cdef extern from "hot.h" nogil:
    int width "qkd_width"(uint64_t x)


cdef inline int64_t _units(int64_t lag, uint64_t rate) noexcept nogil:
    return advance(0, (<uint64_t>1) << 63, lag, rate).slot if rate else lag


cdef inline Py_ssize_t _bin(int64_t units, int bits) noexcept nogil:
    cdef int e = max(width(<uint64_t>units) - bits - 1, 0)
    return (<Py_ssize_t>e << bits) + <Py_ssize_t>(units >> e)


def bin_of(int64_t units, int bits):
    """The bin of a lag of `units` (at least 0), with `bits` from 1 to 24."""
    if units < 0 or not 1 <= bits <= 24:
        raise ValueError(f"a lag from 0 on and 1 to 24 bits are expected, got {units} and {bits}")
    return _bin(units, bits)


def lags(const int64_t[::1] time, Py_ssize_t first, int64_t longest, Py_ssize_t most, uint64_t rate, int bits,
         int64_t[::1] counts):
    """Add to `counts` the lags of each tag from number `first` on behind the `most` tags before it, up to `longest` ps.

    A unit is 1 ps where `rate` is 0, otherwise ``2^64 / rate`` ps, and a lag is rounded to the nearest one. Times must
    not step back.
    """
    cdef Py_ssize_t i, j, stop, n = time.shape[0]
    cdef int64_t lag, latest
    cdef bint ordered = True
    if not 0 <= first or most < 0 or not 0 <= longest < (<int64_t>1) << 62 or rate >> 62 or not 1 <= bits <= 24 \
            or _bin(_units(longest, rate), bits) >= counts.shape[0]:
        raise ValueError(f"a first tag, a number of tags and a longest lag from 0 on, a rate below 2^62, 1 to 24 bits and "
                         f"room for the longest lag are expected, got {first}, {most}, {longest}, {rate}, {bits} and "
                         f"{counts.shape[0]} bins")
    with nogil:
        for i in range(1, n):
            # The difference, too, must fit 63 bits.
            ordered &= time[i - 1] <= time[i]
        if n and ordered:
            ordered = <uint64_t>time[n - 1] - <uint64_t>time[0] < (<uint64_t>1) << 63
    if not ordered:
        raise ValueError("times that do not step back are expected, and less than 2^63 ps in all")
    with nogil:
        for i in range(first, n):
            latest = time[i]
            stop = max(i - most, 0)
            j = i - 1
            while j >= stop:
                lag = latest - time[j]
                if lag > longest:
                    break
                counts[_bin(_units(lag, rate), bits)] += 1
                j -= 1


cdef enum:
    TILE = 8192                  # scores at a time: with the signs they stay in the first cache


cdef void _add(const int64_t* place, Py_ssize_t n, const int8_t* sign, int64_t length, int64_t first, int32_t* score,
               Py_ssize_t width) noexcept nogil:
    # One tile of the scores: sums of at most 127 signs fit a byte.
    cdef int8_t sums[TILE]
    cdef Py_ssize_t i = 0, x, low, high, stop
    cdef const int8_t* beside
    while i < n:
        for x in range(width):
            sums[x] = 0
        stop = min(i + 127, n)
        while i < stop:
            beside = sign + (place[i] + first)
            low, high = max(-(place[i] + first), 0), min(length - (place[i] + first), width)
            for x in range(low, high):
                sums[x] += beside[x]
            i += 1
        for x in range(width):
            score[x] += sums[x]


def pattern(const int64_t[::1] place, const int8_t[::1] sign, int64_t first, int32_t[::1] score):
    """Add to ``score[i]`` the sum of ``sign[p + first + i]`` over all p in `place`, where there is such a sign.

    Signs are -1, 0 or 1, places do not step back; all of them and `first` lie within +-2^60.
    """
    cdef Py_ssize_t i, at, width, low = 0, high = 0, n = place.shape[0], length = sign.shape[0]
    cdef int64_t far = (<int64_t>1) << 60
    cdef bint sound = -far <= first <= far
    with nogil:
        for i in range(length):
            sound &= (-1 <= sign[i]) & (sign[i] <= 1)
        for i in range(n):
            sound &= (-far <= place[i]) & (place[i] <= far) & (place[i] >= place[max(i - 1, 0)])
    if not sound:
        raise ValueError("signs of -1, 0 and 1 and places that do not step back are expected, and nothing beyond 2^60")
    at = score.shape[0]
    with nogil:
        while at > 0:                             # tiles from the last one on: their clicks begin later and later
            width = min(TILE, at)
            at -= width
            while low < n and place[low] + first + at + width <= 0:
                low += 1
            while high < n and place[high] + first + at < length:
                high += 1
            if low < high:
                _add(&place[low], high - low, &sign[0], length, first + at, &score[at], width)
