# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Two streams of time tags, each in time order: merged into one, or compared."""
from libc.stdint cimport int64_t, uint8_t


def merge(const int64_t[::1] a_time, const uint8_t[::1] a_channel, const int64_t[::1] b_time,
          const uint8_t[::1] b_channel, int64_t[::1] time, uint8_t[::1] channel):
    """Write the tags of both in time order; of equal times those of `a` come first, each stream in its own order."""
    cdef Py_ssize_t n = a_time.shape[0], m = b_time.shape[0], i = 0, j = 0, later
    if a_channel.shape[0] != n or b_channel.shape[0] != m or time.shape[0] != n + m or channel.shape[0] != n + m:
        raise ValueError(f"{n} and {m} channels, and room for {n + m} tags are expected")
    with nogil:
        while i < n and j < m:             # which comes next is a coin toss: no branch depends on it
            later = b_time[j] < a_time[i]
            time[i + j] = b_time[j] if later else a_time[i]
            channel[i + j] = b_channel[j] if later else a_channel[i]
            j += later
            i += 1 - later
        while i < n:
            time[i + j], channel[i + j] = a_time[i], a_channel[i]
            i += 1
        while j < m:
            time[i + j], channel[i + j] = b_time[j], b_channel[j]
            j += 1


def coincidences(const int64_t[::1] a, const int64_t[::1] b, int64_t earliest, int64_t latest):
    """Pairs with ``earliest <= b[j] - a[i] <= latest``, and how many elements of `b` lie before all those windows' ends.

    Returns ``(pairs, first)``: no later `a` has a partner among the first `first` of `b`. Times plus the bounds must
    stay within 63 bits.
    """
    cdef Py_ssize_t i, n = a.shape[0], m = b.shape[0], low = 0, high = 0
    cdef int64_t pairs = 0, start, stop
    with nogil:
        for i in range(n):
            start, stop = a[i] + earliest, a[i] + latest
            while low < m and b[low] < start:
                low += 1
            while high < m and b[high] <= stop:
                high += 1
            pairs += max(high - low, 0)
    return pairs, low
