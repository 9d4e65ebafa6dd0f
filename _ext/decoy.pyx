# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Count detections and errors by intensity and basis; what counts to expect, what they are worth, where that peaks."""
from decoy_climb cimport FREE, climb_from, place_on
from decoy_worth cimport BOUNDS, COUNTS, Link, Price, bounds_of, expected_counts, usable, worth_of
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
    if not intensity.shape[0] == basis.shape[0] == error.shape[0] or out.shape[0] != 2 or out.shape[2] != 2:
        raise ValueError(f"equally many of all three, and counts of (2, intensities, 2), are expected, got "
                         f"{intensity.shape[0]}, {basis.shape[0]}, {error.shape[0]}")
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


# ----------------------------------------------------------------------------------- a run that is planned, two decoys


cdef int _fit(bint right) except -1:
    if not right:
        raise ValueError("rows of 7 settings, 3 numbers of a slot, 4 of the receiver, 3 of the price, and room for as many "
                         "results are expected")
    return 0


cdef Link _link(const double[::1] receiver, bint passive, bint by_key) noexcept:
    cdef Link link
    link.misalignment, link.afterpulse, link.dead_pulses, link.bob = receiver[0], receiver[1], receiver[2], receiver[3]
    link.passive, link.by_key = passive, by_key
    return link


cdef Price _price(const double[::1] price, bint chernoff, bint gamma, bint clamp) noexcept:
    cdef Price out
    out.b, out.cost, out.f_ec = price[0], price[1], price[2]
    out.chernoff, out.gamma, out.clamp = chernoff, gamma, clamp
    return out


def expect(const double[:, ::1] settings, const double[:, ::1] slots, const double[::1] receiver, bint passive,
           double amount, bint by_key, double[:, ::1] out):
    """Expected counts for each row of `settings` (n, 7) on one link, into `out` (n, 13).

    `slots` (slots, 3): share of the pulses, transmittance with efficiency, dark counts per detector and pulse.
    `receiver` (4): misalignment, afterpulse probability, dead time in pulse periods, Bob's probability of the key basis
    (negative: Alice's). `amount`: detections in the key basis if `by_key`, else pulses.
    """
    _fit(settings.shape[1] == 7 and slots.shape[1] == 3 and receiver.shape[0] == 4
         and out.shape[0] == settings.shape[0] and out.shape[1] == COUNTS)
    cdef Link link = _link(receiver, passive, by_key)
    cdef Py_ssize_t i
    link.slots, link.n_slots = &slots[0, 0] if slots.shape[0] else NULL, slots.shape[0]
    with nogil:
        for i in range(settings.shape[0]):
            expected_counts(&settings[i, 0], &link, amount, &out[i, 0])


def bounds(const double[:, ::1] settings, const double[:, ::1] counts, const double[::1] price, bint chernoff, bint gamma,
           bint clamp, double[:, ::1] out):
    """What counts (n, 13) of these settings (n, 7) are worth, into `out` (n, 9). `price` (3): ln(1/eps) of a share of
    eps_sec, bits paid whatever happens, efficiency of error correction. The length is -inf where it is undefined."""
    _fit(settings.shape[1] == 7 and counts.shape[1] == COUNTS and price.shape[0] == 3 and out.shape[1] == BOUNDS
         and out.shape[0] == counts.shape[0] == settings.shape[0])
    cdef Price paid = _price(price, chernoff, gamma, clamp)
    cdef Py_ssize_t i, k
    with nogil:
        for i in range(settings.shape[0]):
            bounds_of(&settings[i, 0], &counts[i, 0], &paid, &out[i, 0])
            for k in range(5):                             # a search looks below 0, a result does not
                if out[i, k] < 0 and (k == 4 or (clamp and k % 2)):
                    out[i, k] = 0


def worth(const double[:, ::1] settings, const double[:, ::1] slots, const double[::1] receiver, bint passive,
          double amount, bint by_key, const double[::1] price, bint chernoff, bint gamma, bint clamp, double[::1] out):
    """`expect` and `bounds` in one: bits per pulse for each row of `settings`, or bits where negative, into `out` (n,).

    -1e30 and below where there is no key whatever the length: phase error of one half, no single photon, no detection.
    """
    _fit(settings.shape[1] == 7 and slots.shape[1] == 3 and receiver.shape[0] == 4 and price.shape[0] == 3
         and out.shape[0] == settings.shape[0])
    cdef Link link = _link(receiver, passive, by_key)
    cdef Price paid = _price(price, chernoff, gamma, clamp)
    cdef Py_ssize_t i
    link.slots, link.n_slots = &slots[0, 0] if slots.shape[0] else NULL, slots.shape[0]
    with nogil:
        for i in range(settings.shape[0]):
            out[i] = worth_of(&settings[i, 0], &link, amount, &paid) if usable(&settings[i, 0]) else -8e30


def climb(double[:, ::1] x, const double[:, :, ::1] slots, const double[::1] receiver, bint passive,
          const double[::1] amount, bint by_key, const double[::1] price, bint chernoff, bint gamma, bint clamp,
          const double[::1] step, double brightest, double weakest, Py_ssize_t most, double close, double[::1] best,
          double[:, ::1] settings):
    """Climb from each row of `x` (n, 5) to a peak of `worth`, on link `slots` [i] with `amount` [i].

    Coordinates: logit of mu1 up to `brightest`; logit of mu2 between the `weakest` and what mu1 leaves; logarithms of
    p2/p1 and p3/p1; logit of the key basis. `step` (5) is the first simplex, 0 holds a coordinate. A climb ends after
    some `most` trials or when its corners agree to a relative `close`. Writes the peak into `x`, its height into `best`
    (n,), its settings into `settings` (n, 7); returns the number of trials.
    """
    _fit(x.shape[1] == FREE and slots.shape[2] == 3 and receiver.shape[0] == 4 and price.shape[0] == 3
         and step.shape[0] == FREE and settings.shape[1] == 7
         and x.shape[0] == slots.shape[0] == amount.shape[0] == best.shape[0] == settings.shape[0])
    cdef Link link = _link(receiver, passive, by_key)
    cdef Price paid = _price(price, chernoff, gamma, clamp)
    cdef Py_ssize_t i, used = 0
    link.n_slots = slots.shape[1]
    with nogil:
        for i in range(x.shape[0]):
            link.slots = &slots[i, 0, 0] if link.n_slots else NULL
            used += climb_from(&x[i, 0], &best[i], &step[0], brightest, weakest, &link, amount[i], &paid, most, close)
            place_on(&x[i, 0], brightest, weakest, &settings[i, 0])
    return used
