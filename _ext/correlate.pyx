# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Lags between the tags of one detector, in a histogram that reaches from picoseconds to seconds.

A lag of u units falls into bin ``(e << bits) + (u >> e)`` with the smallest e >= 0 for which ``u >> e`` is below
``2^(bits + 1)``: one bin a unit up to there, from then on `2^bits` bins an octave.
"""
from libc.stdint cimport int64_t, uint64_t

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
