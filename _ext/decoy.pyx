# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Count detections and errors by intensity and basis; what counts to expect, what they are worth, where that peaks."""
from libc.math cimport INFINITY, ceil, exp, expm1, fabs, floor, lgamma, log, log2, sqrt
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcpy, memset


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
#
# Lim, Curty, Walenta, Xu and Zbinden, PRA 89, 022307 (2014): the channel of section IV, and equations (1) to (5) for
# expected counts that need not be whole. The result of a search is computed again by qkdlab.proofs.

cdef enum:
    SETTINGS = 7             # three intensities, their probabilities, probability of the key basis
    COUNTS = 13              # pulses; detections by (intensity, basis); errors by (intensity, basis)
    BOUNDS = 9               # s0, s1, s0_test, s1_test, v1_test, phase error, leak, signed length, key-basis detections
    FREE = 5                 # coordinates of the search

cdef struct Link:
    const double* slots      # (n_slots, 3): share of the pulses, transmittance with efficiency, dark counts per pulse
    Py_ssize_t n_slots
    double misalignment
    double afterpulse
    double dead_pulses       # dead time in pulse periods
    double bob               # Bob's probability of the key basis; negative: the same as Alice's
    bint passive             # Bob splits the light by that share; otherwise he sends all of it one way
    bint by_key              # a block ends with a number of key-basis detections; otherwise of pulses

cdef struct Price:
    double b                 # ln(1/eps) of a share of eps_sec
    double cost              # bits paid for amplification and verification
    double f_ec
    bint chernoff
    bint gamma
    bint clamp


cdef inline double _entropy(double x) noexcept nogil:
    return -x * log2(x) - (1 - x) * log2(1 - x) if 0 < x < 1 else 0


cdef void _expect(const double* settings, const Link* link, double amount, double* out) noexcept nogil:
    cdef double signal[3]
    cdef double found[3]
    cdef const double* p = settings + 3
    cdef double* n = out + 1
    cdef double* m = out + 7
    cdef double dark, light, share, chosen, load, rate, scale
    cdef double bob = settings[6] if link.bob < 0 else link.bob
    cdef Py_ssize_t t, k, basis
    memset(out, 0, COUNTS * sizeof(double))
    for t in range(link.n_slots):
        dark = link.slots[3 * t + 2]
        for basis in range(2):
            share = 1 - bob if basis else bob
            chosen = 1 if link.passive else share
            if link.passive or not basis:
                light = link.slots[3 * t + 1] * (share if link.passive else 1)
                load = 0
                for k in range(3):
                    signal[k] = -expm1(-light * settings[k])
                    found[k] = signal[k] + 2 * dark * (1 - signal[k])
                    load += p[k] * (1 + link.afterpulse) * found[k]
            rate = link.slots[3 * t] * (1 - settings[6] if basis else settings[6]) * chosen
            rate /= 1 + chosen * load / 2 * link.dead_pulses
            for k in range(3):
                n[2 * k + basis] += rate * p[k] * (1 + link.afterpulse) * found[k]
                m[2 * k + basis] += rate * p[k] * (dark + link.misalignment * signal[k] + link.afterpulse * found[k] / 2)
    scale = amount
    if link.by_key:
        scale = n[0] + n[2] + n[4]
        scale = amount / scale if scale > 0 else 0
    out[0] = scale
    for k in range(1, COUNTS):
        out[k] *= scale


cdef inline void _weighted(double count, double total, double weight, const Price* price, double* minus,
                           double* plus) noexcept nogil:
    # e^k / p_k times bounds of the expected count, as proofs.tails and proofs.photons.weighted have them.
    cdef double b = price.b, deviation
    if price.chernoff:
        minus[0] = count - b / 2 - sqrt(2 * b * count + b * b / 4)
        plus[0] = count + b + sqrt(2 * b * count + b * b)
    else:
        deviation = sqrt(total / 2 * b)
        minus[0] = count - deviation
        plus[0] = count + deviation
    if price.clamp and minus[0] < 0:
        minus[0] = 0
    minus[0] *= weight
    plus[0] *= weight


cdef inline void _photons(const double* n, const double* mu, const double* weight, double tau0, double tau1,
                          const Price* price, double* s0, double* s1) noexcept nogil:
    cdef double minus[3]
    cdef double plus[3]
    cdef double total = n[0] + n[2] + n[4], multi
    cdef Py_ssize_t k
    for k in range(3):
        _weighted(n[2 * k], total, weight[k], price, &minus[k], &plus[k])
    s0[0] = tau0 * (mu[1] * minus[2] - mu[2] * plus[1]) / (mu[1] - mu[2])
    if s0[0] < 0:
        s0[0] = 0
    multi = (mu[1] * mu[1] - mu[2] * mu[2]) / (mu[0] * mu[0]) * (plus[0] - s0[0] / tau0)
    s1[0] = tau1 * mu[0] * (minus[1] - plus[2] - multi) / (mu[0] * (mu[1] - mu[2]) - mu[1] * mu[1] + mu[2] * mu[2])


cdef double _no_error_seen(double n_test, double n_key, double b, double enough) noexcept nogil:
    # proofs.sampling.hypergeometric with no errors. Each key error escapes the test with probability at most n/(n + k),
    # which bounds the answer; it is found exactly only where that bound is above `enough`.
    cdef double k = floor(n_test), n = ceil(n_key), low = 0, high, middle, sizes, tail
    if k < 1 or n < 1:
        return 1
    high = ceil(2 * b / -log(n / (n + k))) + 2
    if high <= enough * n_key:
        return 0
    if high > n:
        high = n
    while high - low > 1:
        middle = floor((low + high) / 2)
        if n - middle < 0:
            high = middle
            continue
        tail = (lgamma(n + k - middle + 1) - lgamma(n + k + 1)) + (lgamma(n + 1) - lgamma(n - middle + 1))
        sizes = (fabs(lgamma(n + k - middle + 1)) + lgamma(n + k + 1) + lgamma(n + 1) + lgamma(n - middle + 1)
                 + 2 * lgamma(middle + 1) + 2 * lgamma(k + 1))
        if tail + 1e-15 * sizes <= -2 * b:
            high = middle
        else:
            low = middle
    return high / n_key if high < n_key else 1


cdef double _phase_error(double errors, double n_test, double n_key, const Price* price) noexcept nogil:
    cdef double rate = errors / n_test if errors > 0 else 0
    cdef double both = n_key * n_test, spread, odds, least
    if not price.gamma:
        rate += sqrt((n_key + n_test) * (n_test + 1) / (both * n_test) * price.b)
    else:
        if 0 < rate < 1:
            spread = (n_key + n_test) * (1 - rate) * rate / both
            odds = log2((n_key + n_test) / (both * (1 - rate) * rate)) + 2 * price.b / 0.6931471805599453
            rate += sqrt(spread / 0.6931471805599453 * odds) if odds > 0 else 0
        least = _no_error_seen(n_test, n_key, price.b, rate)
        rate = least if rate < least else rate
    return rate if rate < 1 else 1


cdef void _bounds(const double* settings, const double* counts, const Price* price, double* out) noexcept nogil:
    # Where there is no single photon the length is undefined: -inf, and a phase error of 1.
    cdef const double* n = counts + 1
    cdef const double* m = counts + 7
    cdef double weight[3]
    cdef double tau0 = 0, tau1 = 0, share, unused, m_plus, m_minus
    cdef double n_key = n[0] + n[2] + n[4], errors = m[0] + m[2] + m[4], wrong = m[1] + m[3] + m[5], rate
    cdef Py_ssize_t k
    for k in range(3):
        share = exp(settings[k])
        weight[k] = share / settings[3 + k]
        share = settings[3 + k] / share
        tau0 += share
        tau1 += share * settings[k]
    _photons(n, settings, weight, tau0, tau1, price, &out[0], &out[1])
    _photons(n + 1, settings, weight, tau0, tau1, price, &out[2], &out[3])
    _weighted(m[3], wrong, weight[1], price, &unused, &m_plus)
    _weighted(m[5], wrong, weight[2], price, &m_minus, &unused)
    out[4] = tau1 * (m_plus - m_minus) / (settings[1] - settings[2])
    rate = errors / n_key if n_key > 0 else 0
    out[6] = n_key * price.f_ec * _entropy(rate if rate < 0.5 else 0.5)
    out[8] = n_key
    if out[1] > 0 and out[3] > 0:
        out[5] = _phase_error(out[4], out[3], out[1], price)
        rate = out[5] if out[5] < 0.5 else 0.5
        out[7] = out[0] + out[1] * (1 - _entropy(rate)) - out[6] - price.cost
    else:
        out[5] = 1
        out[7] = -INFINITY


cdef double _worth(const double* settings, const Link* link, double amount, const Price* price) noexcept nogil:
    # Bits per pulse. A negative length is not divided: endless blocks would seem the best of them. Where there can be no
    # key the numbers below guide a search out; no defined length is as low, so that none is ever taken for a rate.
    cdef double counts[COUNTS]
    cdef double bounds[BOUNDS]
    cdef double missing
    _expect(settings, link, amount, counts)
    _bounds(settings, counts, price, bounds)
    if not counts[0] > 0:
        return -4e30
    if not (bounds[1] > 0 and bounds[3] > 0):
        missing = -bounds[1] / (counts[1] + counts[3] + counts[5]) if bounds[1] < 0 else 0
        missing -= bounds[3] / (counts[2] + counts[4] + counts[6]) if bounds[3] < 0 else 0
        return -2e30 * (1 + missing / (1 + missing)) if missing < 1e300 else -4e30
    if bounds[5] >= 0.5:
        return -1e30 * bounds[5]
    return bounds[7] / counts[0] if bounds[7] > 0 else bounds[7]


cdef bint _usable(const double* settings) noexcept nogil:
    # What proofs.counts asks of a source; and with a key basis rarer than 1 in 50 a block of n_key has no end.
    return (settings[1] - settings[2] >= 1e-9 and settings[2] >= 0 and settings[0] - settings[1] - settings[2] >= 1e-9
            and settings[0] <= 10 and settings[3] >= 1e-15 and settings[4] >= 1e-15 and settings[5] >= 1e-15
            and 0.02 <= settings[6] <= 0.999999)


# ------------------------------------------------------------------------------------------------------ the search


cdef inline void _place(const double* x, double brightest, double weakest, double* settings) noexcept nogil:
    # Any five numbers to settings in order: weakest < mu2 < mu1 - weakest, probabilities that sum to 1, a basis.
    cdef double room = brightest - 2 * weakest, a = exp(x[2]), c = exp(x[3])
    settings[0] = 2 * weakest + room / (1 + exp(-x[0]))
    settings[1] = weakest + (settings[0] - 2 * weakest) / (1 + exp(-x[1]))
    settings[2] = weakest
    settings[3] = 1 / (1 + a + c)
    settings[4] = a / (1 + a + c)
    settings[5] = c / (1 + a + c)
    settings[6] = 1 / (1 + exp(-x[4]))


cdef double _height(const double* x, double brightest, double weakest, const Link* link, double amount,
                    const Price* price) noexcept nogil:
    cdef double settings[SETTINGS]
    _place(x, brightest, weakest, settings)
    return _worth(settings, link, amount, price) if _usable(settings) else -8e30


cdef Py_ssize_t _climb(double* x, double* best, const double* step, double brightest, double weakest, const Link* link,
                       double amount, const Price* price, Py_ssize_t most, double close) noexcept nogil:
    """Nelder and Mead, Comput. J. 7, 308 (1965), upwards, over the coordinates whose step is not 0."""
    cdef double corner[FREE + 1][FREE]
    cdef double height[FREE + 1]
    cdef double centre[FREE]
    cdef double trial[FREE]
    cdef double farther[FREE]
    cdef double h, h2
    cdef Py_ssize_t axis[FREE]
    cdef Py_ssize_t dims = 0, i, j, used, low, high, second
    for j in range(FREE):
        if step[j] != 0:
            axis[dims] = j
            dims += 1
    for i in range(dims + 1):
        memcpy(corner[i], x, FREE * sizeof(double))
        if i:
            corner[i][axis[i - 1]] += step[axis[i - 1]]
        height[i] = _height(corner[i], brightest, weakest, link, amount, price)
    memcpy(trial, x, FREE * sizeof(double))
    memcpy(farther, x, FREE * sizeof(double))
    used = dims + 1
    while used < most:
        low, high = 0, 0
        for i in range(1, dims + 1):
            if height[i] < height[low]:
                low = i
            if height[i] > height[high]:
                high = i
        second = high
        for i in range(dims + 1):
            if i != low and height[i] < height[second]:
                second = i
        if height[high] - height[low] <= close * fabs(height[high]):
            break
        for j in range(dims):
            h = 0
            for i in range(dims + 1):
                if i != low:
                    h += corner[i][axis[j]]
            centre[j] = h / dims
            trial[axis[j]] = 2 * centre[j] - corner[low][axis[j]]
        h = _height(trial, brightest, weakest, link, amount, price)
        used += 1
        if h > height[high]:
            for j in range(dims):
                farther[axis[j]] = 3 * centre[j] - 2 * corner[low][axis[j]]
            h2 = _height(farther, brightest, weakest, link, amount, price)
            used += 1
            if h2 > h:
                memcpy(corner[low], farther, sizeof(farther))
                height[low] = h2
            else:
                memcpy(corner[low], trial, sizeof(trial))
                height[low] = h
            continue
        if h > height[second]:
            memcpy(corner[low], trial, sizeof(trial))
            height[low] = h
            continue
        for j in range(dims):
            if h > height[low]:
                farther[axis[j]] = 0.5 * centre[j] + 0.5 * trial[axis[j]]
            else:
                farther[axis[j]] = 0.5 * centre[j] + 0.5 * corner[low][axis[j]]
        h2 = _height(farther, brightest, weakest, link, amount, price)
        used += 1
        if h2 > height[low] and h2 >= h:
            memcpy(corner[low], farther, sizeof(farther))
            height[low] = h2
            continue
        for i in range(dims + 1):
            if i != high:
                for j in range(dims):
                    corner[i][axis[j]] = 0.5 * (corner[i][axis[j]] + corner[high][axis[j]])
                height[i] = _height(corner[i], brightest, weakest, link, amount, price)
        used += dims
    high = 0
    for i in range(1, dims + 1):
        if height[i] > height[high]:
            high = i
    best[0] = height[high]
    memcpy(x, corner[high], FREE * sizeof(double))
    return used


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
            _expect(&settings[i, 0], &link, amount, &out[i, 0])


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
            _bounds(&settings[i, 0], &counts[i, 0], &paid, &out[i, 0])
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
            out[i] = _worth(&settings[i, 0], &link, amount, &paid) if _usable(&settings[i, 0]) else -8e30


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
            used += _climb(&x[i, 0], &best[i], &step[0], brightest, weakest, &link, amount[i], &paid, most, close)
            _place(&x[i, 0], brightest, weakest, &settings[i, 0])
    return used
