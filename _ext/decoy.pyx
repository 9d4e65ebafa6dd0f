# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Count detections and errors by intensity and basis."""
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memset


cdef void _tally(const uint8_t* intensity, const uint8_t* basis, const uint8_t* error, Py_ssize_t n,
                 int64_t* even, int64_t* odd) noexcept nogil:
    # Two tables, so that a run of equal symbols does not wait for its own last store.
    cdef Py_ssize_t i
    for i in range(0, n - 1, 2):
        even[(<Py_ssize_t>intensity[i] << 2) | ((basis[i] & 1) << 1) | (error[i] & 1)] += 1
        odd[(<Py_ssize_t>intensity[i + 1] << 2) | ((basis[i + 1] & 1) << 1) | (error[i + 1] & 1)] += 1
    if n & 1:
        even[(<Py_ssize_t>intensity[n - 1] << 2) | ((basis[n - 1] & 1) << 1) | (error[n - 1] & 1)] += 1


def tally(const uint8_t[::1] intensity, const uint8_t[::1] basis, const uint8_t[::1] error, int64_t[:, :, ::1] out):
    """Add to `out`, (2, intensities, 2): ``out[0]`` detections, ``out[1]`` errors, each by (intensity, basis).

    Of `basis` and `error` bit 0 counts. Detections of an intensity that `out` has no row for are not counted.
    """
    cdef int64_t even[1024]
    cdef int64_t odd[1024]
    cdef Py_ssize_t k, b, at, rows = min(out.shape[1], 256)
    cdef int64_t right, wrong
    if not intensity.shape[0]:
        return
    with nogil:
        memset(even, 0, sizeof(even))
        memset(odd, 0, sizeof(odd))
        _tally(&intensity[0], &basis[0], &error[0], intensity.shape[0], even, odd)
        for k in range(rows):
            for b in range(2):
                at = (k << 2) | (b << 1)
                right, wrong = even[at] + odd[at], even[at | 1] + odd[at | 1]
                out[0, k, b] += right + wrong
                out[1, k, b] += wrong
