# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
# What counts to expect of a run that is planned with two decoys, and what they are worth (header only, for decoy.pyx).
#
# Lim, Curty, Walenta, Xu and Zbinden, PRA 89, 022307 (2014): the channel of section IV, and equations (1) to (5) for
# expected counts that need not be whole. The result of a search is computed again by qkdlab.proofs.
from libc.math cimport INFINITY, ceil, exp, expm1, fabs, floor, lgamma, log, log2, sqrt
from libc.string cimport memset

cdef enum:
    SETTINGS = 7             # three intensities, their probabilities, probability of the key basis
    COUNTS = 13              # pulses; detections by (intensity, basis); errors by (intensity, basis)
    BOUNDS = 9               # s0, s1, s0_test, s1_test, v1_test, phase error, leak, signed length, key-basis detections

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


cdef inline double entropy(double x) noexcept nogil:
    return -x * log2(x) - (1 - x) * log2(1 - x) if 0 < x < 1 else 0


cdef inline void expected_counts(const double* settings, const Link* link, double amount, double* out) noexcept nogil:
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


cdef inline void weighted(double count, double total, double weight, const Price* price, double* minus,
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


cdef inline void photons(const double* n, const double* mu, const double* weight, double tau0, double tau1,
                         const Price* price, double* s0, double* s1) noexcept nogil:
    cdef double minus[3]
    cdef double plus[3]
    cdef double total = n[0] + n[2] + n[4], multi
    cdef Py_ssize_t k
    for k in range(3):
        weighted(n[2 * k], total, weight[k], price, &minus[k], &plus[k])
    s0[0] = tau0 * (mu[1] * minus[2] - mu[2] * plus[1]) / (mu[1] - mu[2])
    if s0[0] < 0:
        s0[0] = 0
    multi = (mu[1] * mu[1] - mu[2] * mu[2]) / (mu[0] * mu[0]) * (plus[0] - s0[0] / tau0)
    s1[0] = tau1 * mu[0] * (minus[1] - plus[2] - multi) / (mu[0] * (mu[1] - mu[2]) - mu[1] * mu[1] + mu[2] * mu[2])


cdef inline double no_error_seen(double n_test, double n_key, double b, double enough) noexcept nogil:
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


cdef inline double phase_error(double errors, double n_test, double n_key, const Price* price) noexcept nogil:
    cdef double rate = errors / n_test if errors > 0 else 0
    cdef double both = n_key * n_test, spread, odds, least
    if not price.gamma:
        rate += sqrt((n_key + n_test) * (n_test + 1) / (both * n_test) * price.b)
    else:
        if 0 < rate < 1:
            spread = (n_key + n_test) * (1 - rate) * rate / both
            odds = log2((n_key + n_test) / (both * (1 - rate) * rate)) + 2 * price.b / 0.6931471805599453
            rate += sqrt(spread / 0.6931471805599453 * odds) if odds > 0 else 0
        least = no_error_seen(n_test, n_key, price.b, rate)
        rate = least if rate < least else rate
    return rate if rate < 1 else 1


cdef inline void bounds_of(const double* settings, const double* counts, const Price* price, double* out) noexcept nogil:
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
    photons(n, settings, weight, tau0, tau1, price, &out[0], &out[1])
    photons(n + 1, settings, weight, tau0, tau1, price, &out[2], &out[3])
    weighted(m[3], wrong, weight[1], price, &unused, &m_plus)
    weighted(m[5], wrong, weight[2], price, &m_minus, &unused)
    out[4] = tau1 * (m_plus - m_minus) / (settings[1] - settings[2])
    rate = errors / n_key if n_key > 0 else 0
    out[6] = n_key * price.f_ec * entropy(rate if rate < 0.5 else 0.5)
    out[8] = n_key
    if out[1] > 0 and out[3] > 0:
        out[5] = phase_error(out[4], out[3], out[1], price)
        rate = out[5] if out[5] < 0.5 else 0.5
        out[7] = out[0] + out[1] * (1 - entropy(rate)) - out[6] - price.cost
    else:
        out[5] = 1
        out[7] = -INFINITY


cdef inline double worth_of(const double* settings, const Link* link, double amount, const Price* price) noexcept nogil:
    # Bits per pulse. A negative length is not divided: endless blocks would seem the best of them. Where there can be no
    # key the numbers below guide a search out; no defined length is as low, so that none is ever taken for a rate.
    cdef double counts[COUNTS]
    cdef double bounds[BOUNDS]
    cdef double missing
    expected_counts(settings, link, amount, counts)
    bounds_of(settings, counts, price, bounds)
    if not counts[0] > 0:
        return -4e30
    if not (bounds[1] > 0 and bounds[3] > 0):
        missing = -bounds[1] / (counts[1] + counts[3] + counts[5]) if bounds[1] < 0 else 0
        missing -= bounds[3] / (counts[2] + counts[4] + counts[6]) if bounds[3] < 0 else 0
        return -2e30 * (1 + missing / (1 + missing)) if missing < 1e300 else -4e30
    if bounds[5] >= 0.5:
        return -1e30 * bounds[5]
    return bounds[7] / counts[0] if bounds[7] > 0 else bounds[7]


cdef inline bint usable(const double* settings) noexcept nogil:
    # What proofs.counts asks of a source; and with a key basis rarer than 1 in 50 a block of n_key has no end.
    return (settings[1] - settings[2] >= 1e-9 and settings[2] >= 0 and settings[0] - settings[1] - settings[2] >= 1e-9
            and settings[0] <= 10 and settings[3] >= 1e-15 and settings[4] >= 1e-15 and settings[5] >= 1e-15
            and 0.02 <= settings[6] <= 0.999999)
