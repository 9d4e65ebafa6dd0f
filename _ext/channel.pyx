# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""What detectors make of what reaches them: dead time and afterpulses in one pass in time order."""
from libc.stdint cimport int64_t, uint8_t
from words cimport all_below


cdef inline bint _before(int64_t a_time, uint8_t a_detector, int64_t b_time, uint8_t b_detector) noexcept nogil:
    return a_time < b_time or (a_time == b_time and a_detector < b_detector)


cdef inline void _push(int64_t* time, uint8_t* detector, Py_ssize_t size, int64_t new_time,
                       uint8_t new_detector) noexcept nogil:
    # Binary heap, earliest on top; there is room for one more.
    cdef Py_ssize_t at = size, parent
    while at:
        parent = (at - 1) >> 1
        if not _before(new_time, new_detector, time[parent], detector[parent]):
            break
        time[at] = time[parent]
        detector[at] = detector[parent]
        at = parent
    time[at] = new_time
    detector[at] = new_detector


cdef inline void _pop(int64_t* time, uint8_t* detector, Py_ssize_t size) noexcept nogil:
    # Drop the top of a heap of `size` elements, at least 1.
    cdef Py_ssize_t at = 0, child, left = size - 1
    cdef int64_t last_time = time[left]
    cdef uint8_t last_detector = detector[left]
    while 2 * at + 1 < left:
        child = 2 * at + 1
        if child + 1 < left and _before(time[child + 1], detector[child + 1], time[child], detector[child]):
            child += 1
        if not _before(time[child], detector[child], last_time, last_detector):
            break
        time[at] = time[child]
        detector[at] = detector[child]
        at = child
    time[at] = last_time
    detector[at] = last_detector


def detect(const int64_t[::1] time_ps, const uint8_t[::1] detector, int64_t until_ps, int64_t dead_time_ps,
           const int64_t[::1] delay_ps, int64_t[::1] last_ps, int64_t[::1] pending_ps, uint8_t[::1] pending_detector,
           Py_ssize_t n_pending, int64_t[::1] out_ps, uint8_t[::1] out_detector, int64_t[::1] out_origin):
    """Turn avalanche candidates before `until_ps` into clicks.

    A candidate (an entry of `time_ps`, non-decreasing, or a pending afterpulse; at equal times the entry goes first)
    clicks if its detector's last click, kept in `last_ps`, lies at least the dead time back. Click number i leaves an
    afterpulse pending at its time + dead time + ``delay_ps[i]``, unless that delay is negative. Pending afterpulses
    form a heap by (time, detector). ``out_origin`` is the entry's index, or -1 for an afterpulse.

    The pass stops early where `delay_ps` is used up or the heap is full. Returns (entries used, afterpulses pending,
    clicks, done): call again with the rest unless done.
    """
    cdef Py_ssize_t n = time_ps.shape[0], clicks = 0, used = 0
    cdef Py_ssize_t most = delay_ps.shape[0], room = pending_ps.shape[0]
    cdef int64_t now, origin
    cdef uint8_t d
    cdef bint done = False
    if detector.shape[0] != n or pending_detector.shape[0] != room or not 0 <= n_pending <= room \
            or not all_below(detector, last_ps.shape[0]) or not all_below(pending_detector[:n_pending], last_ps.shape[0]):
        raise ValueError(f"{n} detectors below {last_ps.shape[0]}, and as many among the {n_pending} pending, are expected")
    if min(out_ps.shape[0], out_detector.shape[0], out_origin.shape[0]) < most:
        raise ValueError(f"room for {most} clicks is expected")
    with nogil:
        while clicks < most and n_pending < room:
            if used < n and (n_pending == 0 or time_ps[used] <= pending_ps[0]):
                now = time_ps[used]
                if now >= until_ps:
                    done = True
                    break
                d = detector[used]
                origin = used
                used += 1
            elif n_pending:
                now = pending_ps[0]
                if now >= until_ps:
                    done = True
                    break
                d = pending_detector[0]
                origin = -1
                _pop(&pending_ps[0], &pending_detector[0], n_pending)
                n_pending -= 1
            else:
                done = True
                break
            if now - last_ps[d] < dead_time_ps:
                continue
            last_ps[d] = now
            out_ps[clicks] = now
            out_detector[clicks] = d
            out_origin[clicks] = origin
            if delay_ps[clicks] >= 0:
                _push(&pending_ps[0], &pending_detector[0], n_pending, now + dead_time_ps + delay_ps[clicks], d)
                n_pending += 1
            clicks += 1
    return used, n_pending, clicks, bool(done)
