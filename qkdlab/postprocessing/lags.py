"""How long after a click the next ones come: dead time, afterpulsing, and a comb of lags where the light is pulsed."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls
from scipy.special import gammainc, xlogy

from .. import _ext

__all__ = ["MOST_LOAD", "Afterpulsing", "DeadTime", "LagCounts", "afterpulsing", "dead_time", "lag_period_hz",
           "light_correlation"]

ENOUGH = 25.0                # log likelihood ratio at which an edge or an excess is one
NEAR_EDGE = 0.9              # clicks that come earlier than this part of the edge are strays, not the detector's
SHORTEST_PS, MOST_PAIRS = 10**8, 2e7     # of the search for a period: shortest longest lag, and pairs that are enough
MOST_LOAD = 0.25             # part of the time in which a detector may be dead, for its afterpulses to be told apart
RENEWALS = 64                # dead times after which a detector has forgotten the click


class LagCounts:
    """A histogram of the lags of one detector's clicks, filled from a stream; see :mod:`qkdlab._ext.correlate`.

    Parameters
    ----------
    longest_ps : int
    most : int
        How many clicks before each one count: 1 for the gaps between neighbours.
    bits : int
        Bins an octave, as a power of two.
    rate : int
        0: lags in ps. Otherwise in slots, of which ``rate / 2^64`` go into 1 ps.

    Attributes
    ----------
    counts : ndarray of int64, shape (bins,)
    low, width : ndarray of float64, shape (bins,)
        Shortest lag of each bin and number of units in it.
    """

    def __init__(self, longest_ps, most, bits, rate=0):
        self.longest_ps, self._most, self._bits, self._rate = int(longest_ps), most, bits, rate
        units = (self.longest_ps * rate >> 64) + 1 if rate else self.longest_ps
        b = np.arange(_ext.correlate.bin_of(units, bits) + 1)
        octave = np.maximum((b >> bits) - 1, 0)
        self.low, self.width = np.ldexp(b - (octave << bits), octave), np.ldexp(1.0, octave)
        self.counts = np.zeros(len(b), np.int64)
        self._tail = np.empty(0, np.int64)

    def push(self, time_ps):
        """Clicks (int64, non-decreasing) that follow those before."""
        if not len(time_ps):
            return
        before = len(self._tail)
        time_ps = np.concatenate([self._tail, time_ps])
        _ext.correlate.lags(time_ps, before, self.longest_ps, self._most, self._rate, self._bits, self.counts)
        reach = np.searchsorted(time_ps, time_ps[-1] - self.longest_ps)
        self._tail = time_ps[max(int(reach), len(time_ps) - self._most) :].copy()


@dataclass(frozen=True, slots=True)
class DeadTime:
    """Shortest time between two clicks of a detector."""

    dead_time_ps: float
    error_ps: float
    ready_ps: float              # edge of the gaps: from here on the detector is ready as often as later
    strays: int                  # gaps far below the edge: not made by this detector's recovery


def dead_time(gaps, period_ps=None):
    """The dead time from a histogram of gaps in ps.

    The edge is where the likelihood of "fewer gaps below than just above" is largest: gaps in [0, x) against those in
    [x, 2x). The dead time is the shortest gap near the edge (down to 0.9 of it), less what one expects to wait for a
    first one: that waiting time, read off the gaps one period (light that is not pulsed: 5 %) later, is its error.

    Parameters
    ----------
    gaps : LagCounts
    period_ps : float, optional
        Of pulsed light.

    Returns
    -------
    DeadTime or None
        None where no edge is significant.
    """
    same = int(gaps.counts[0])                             # tags that were written twice: no detector does that
    upto = np.concatenate([[0, 0], np.cumsum(gaps.counts[1:])])
    edges = np.append(gaps.low, gaps.low[-1] + gaps.width[-1])
    at = np.flatnonzero((gaps.counts > 0) & (gaps.low > 0) & (2 * gaps.low <= edges[-1]))
    if not len(at):
        return None
    below = upto[at].astype(float)
    above = np.interp(2 * gaps.low[at], edges, upto) - below
    gain = xlogy(above, 2 * above) + xlogy(below, 2 * below) - xlogy(above + below, above + below)
    gain[above < 4 * below] = 0
    best = at[np.argmax(gain)]
    if gain.max() < ENOUGH:
        return None
    ready = gaps.low[best]
    if period_ps is None:
        until = np.interp(ready * np.array([1.2, 1.8, 2.2]), edges, upto)
        if until[1] - until[0] < 0.02 * (until[2] - until[1]):
            return None                                    # the edge is the first tick of a coarse clock
    first = at[np.argmax(gaps.low[at] >= NEAR_EDGE * ready)]
    shortest = gaps.low[first] + gaps.width[first] / 2
    later = shortest + (0.05 * shortest if period_ps is None else period_ps)
    # Where the gaps counted from `later` downwards are one: as long would one wait for a first gap here.
    strictly = np.flatnonzero(np.diff(upto, prepend=-1) > 0)
    wait = later - np.interp(np.interp(later, edges, upto) - 1, upto[strictly], edges[strictly])
    wait = min(max(wait, gaps.width[first] / 2), shortest)
    return DeadTime(float(shortest - wait), float(wait), float(max(ready, shortest)), same + int(upto[first]))


@dataclass(frozen=True, slots=True)
class Afterpulsing:
    """Clicks that clicks leave behind."""

    probability: float           # afterpulses that a click leaves, at least 0
    error: float
    decay_ps: tuple[float, ...]  # time constants, shortest first; none where no excess is significant
    shares: tuple[float, ...]    # of the probability
    reach_ps: float              # lags up to here were counted


def light_correlation(together, alone, clicks, duration_ps, unit_ps=1.0):
    """How much more often than at random two detectors click at each lag: what the light does, not a detector.

    Parameters
    ----------
    together : LagCounts
        Of all detectors' clicks as one stream.
    alone : sequence of LagCounts
        Of each detector, with the same bins.
    clicks : sequence of int
    duration_ps, unit_ps : float

    Returns
    -------
    (ndarray of float64, ndarray of float64), each of shape (bins,), or None
        The correlation, in groups of bins with at least 400 pairs, and the variance of its logarithm times the number
        of bins in the group. None where it is that of steady light, or nobody can tell.
    """
    pairs = together.counts - sum(own.counts for own in alone)
    n = np.asarray(clicks, float)
    expected = (n.sum() ** 2 - (n**2).sum()) * together.width * unit_ps / duration_ps
    pairs, expected = pairs[:-1], expected[:-1]
    group = np.cumsum(pairs) // 400
    group = np.unique(group, return_inverse=True)[1]
    if len(n) < 2 or group.max(initial=0) < 10:
        return None
    found, steady, bins = (np.bincount(group, x) for x in (pairs, expected, np.ones(len(pairs))))
    ratio = found / steady
    scatter = ((found - steady * ratio[-10:].mean()) ** 2 / steady)[:-10]
    if len(scatter) < 1 or scatter.sum() < len(scatter) + 6 * math.sqrt(2 * len(scatter)):
        return None
    return (np.append(ratio[group], 1.0), np.append((bins / np.maximum(found, 1))[group], 0.0))


def afterpulsing(lags, clicks, duration_ps, dead_ps, unit_ps=1.0, light=None):
    """Afterpulse probability and time constants from the autocorrelation of one detector's clicks.

    Pairs of clicks at lag l are ``N [s dM(l) + sum_j p_j dF_j(l) v(l)]``: dM is what a detector with dead time and
    clicks at random would give (a renewal process; flat, but for a ripple after the dead time), s a scale for light that
    is not quite steady, F_j exponentials that begin after the dead time, v the chance that the detector is ready. One or
    two exponentials are fitted; the probability itself is the excess of pairs within five of the slowest time constant,
    whatever its form. As afterpulses leave afterpulses, an excess E means a probability E / (1 + E).

    Parameters
    ----------
    lags : LagCounts
        All pairs up to a longest lag.
    clicks : int
    duration_ps : float
    dead_ps : float
        0 where it is not known.
    unit_ps : float
        Unit of the lags: 1 ps, or the pulse period.
    light : tuple of ndarray, optional
        From :func:`light_correlation`: what of the excess is the light's own.

    Returns
    -------
    Afterpulsing or None
        None where there are too few pairs for any statement, or the detector is dead too often.
    """
    dead, rate = dead_ps / unit_ps, clicks * unit_ps / duration_ps
    use = lags.low + lags.width - 0.5 > dead
    use[-1] = False                                        # the last bin reaches beyond the longest lag
    low, high = lags.low[use] - 0.5, lags.low[use] + lags.width[use] - 0.5
    low = np.maximum(low, dead)
    pairs, load = lags.counts[use], rate * dead
    if pairs.sum() < 100 or load > MOST_LOAD:
        return None
    ready = rate / (1 - load)
    flat = _renewals(high, ready, dead) - _renewals(low, ready, dead)
    live = np.minimum(flat / (ready * (high - low)), 1.0)
    blur = 0.0
    if light is not None:
        flat, blur = flat * light[0][use], (flat * light[0][use]) ** 2 * light[1][use]
    tails = _decays(low - dead, high - dead, live, np.geomspace(max(dead, 10.0, 1e3 / unit_ps) / 10, high[-1] / 3, 40))
    scale, decays, weights = _fit(pairs / clicks, flat, tails, clicks)
    reach = dead + 5 * decays[-1] if decays else dead + max(10 * dead, 1e6 / unit_ps)
    near = high <= max(reach, high[0])
    far = max(float(pairs[~near].sum()), 1.0)
    excess = float(((pairs / clicks - scale * flat) / live)[near].sum())
    error = math.hypot(math.sqrt((pairs / live**2)[near].sum()) / clicks, scale * flat[near].sum() / math.sqrt(far),
                       math.sqrt(np.broadcast_to(blur, near.shape)[near].sum()))
    # A click more costs the clicks of its own dead time, and those that are counted as background hold afterpulses of
    # clicks that never were: both take the load off, to first order.
    crowding = 1 - 2 * load
    error = math.hypot(error, load * max(excess, 0.0) / 2) / crowding
    excess /= crowding
    probability = excess / (1 + max(excess, 0.0))
    return Afterpulsing(max(probability, 0.0), error / (1 + max(excess, 0.0)) ** 2, tuple(d * unit_ps for d in decays),
                        tuple(weights), float(high[near][-1] * unit_ps))


def _renewals(x, ready, dead):
    """Expected clicks up to lag x after a click, at random with `ready` per unit where the detector is not dead."""
    if dead * ready < 1e-9:
        return ready * x
    last = np.minimum(x, RENEWALS * dead)
    k = np.arange(1, RENEWALS + 1)
    upto = gammainc(k, ready * np.maximum(last[:, None] - k * dead, 0)).sum(axis=1)
    return upto + (x - last) * ready / (1 + ready * dead)


def _decays(low, high, live, times):
    """Afterpulses that fall into each bin, for each time constant: list of (time constant, float64 (bins,))."""
    return [(a, (np.exp(-low / a) - np.exp(-high / a)) * live) for a in times]


def _fit(found, flat, tails, clicks):
    """Scale of the flat part, time constants and their shares, by Poisson likelihood over a grid of time constants."""
    def fitted(*which):
        columns = np.stack([flat, *(tails[i][1] for i in which)], axis=1)
        model = np.maximum(found, flat)
        for _ in range(3):
            weight = 1 / np.sqrt(np.maximum(model, 0.5 / clicks))
            part = nnls(columns * weight[:, None], found * weight)[0]
            model = columns @ part
        model = np.maximum(model, 1e-12 / clicks)
        return clicks * float((xlogy(found, model / np.maximum(found, 1e-300)) - model + found).sum()), part, which

    none, single = fitted(), max((fitted(i) for i in range(len(tails))), key=lambda f: f[0])
    if single[0] < none[0] + ENOUGH / 2 or not single[1][1]:
        return float(none[1][0]), (), ()
    coarse = range(0, len(tails), 3)
    best = max((fitted(i, j) for i in coarse for j in coarse if i < j), key=lambda f: f[0])
    near = [range(max(i - 2, 0), min(i + 3, len(tails))) for i in best[2]]
    best = max((fitted(i, j) for i in near[0] for j in near[1] if i < j), key=lambda f: f[0])
    if best[0] < single[0] + ENOUGH / 2 or not best[1].all():
        best = single
    parts = best[1][1:]
    return float(best[1][0]), tuple(float(tails[i][0]) for i in best[2]), tuple((parts / parts.sum()).tolist())


def lag_period_hz(time_ps, detector, *, bin_ps=100, most_bins=1 << 21):
    """The strongest rate at which clicks repeat, from the spectrum of their lags; or None where none is significant.

    Needs no guess, unlike :func:`.pulse_rate.pulse_rate`, for which it is one: good to some 1e-6.

    Parameters
    ----------
    time_ps : ndarray of int64, shape (M,)
        Non-decreasing.
    detector : ndarray of uint8, shape (M,)
        Lags are those within each detector.
    bin_ps : int
        Rates up to ``1 / (2 bin_ps)`` are seen.
    most_bins : int
        The longest lag, in bins.

    Returns
    -------
    float or None
        Hz.
    """
    if len(time_ps) < 100:
        return None
    counts = np.bincount(detector).astype(float)
    pairs_per_ps = (counts**2).sum() / max(int(time_ps[-1] - time_ps[0]), 1)
    bins = int(min(max(1e6 / (pairs_per_ps * bin_ps), SHORTEST_PS / bin_ps), most_bins))
    enough = int(len(time_ps) * min(1.0, MOST_PAIRS / (pairs_per_ps * bins * bin_ps)))
    histogram = np.zeros(bins + 1, np.int64)
    for d in np.flatnonzero(counts):
        own = np.ascontiguousarray(time_ps[:enough][detector[:enough] == d], np.int64)
        _ext.correlate.lags(own, 0, (bins - 1) * bin_ps, len(own), (1 << 64) // bin_ps, 23, histogram)
    lags = histogram[:bins].astype(float)
    dead = int(np.argmax(np.cumsum(lags) > 1e-3 * lags.sum()))
    window = np.zeros(bins)
    window[dead:] = np.hanning(bins - dead)
    lags -= lags[dead:].mean() if dead < bins else 0.0
    size = 1 << (bins - 1).bit_length()
    power = np.abs(np.fft.rfft(lags * window, size)) ** 2
    power /= max((histogram[:bins] * window**2).sum(), 1.0)      # exponential of mean 1 where nothing repeats
    first = max(int(20 * size / (bins - dead + 1)), int(5e4 * bin_ps * 1e-12 * size))
    power[:first] = 0
    at = int(np.argmax(power))
    if power[at] < math.log(len(power) / 1e-9) or at + 1 >= len(power):
        return None
    # Narrow pulses have many overtones as strong as the fundamental: the lowest strong line tells which one this is.
    low = int(np.argmax(power > 0.5 * power[at]))
    low += int(np.argmax(power[low : low + 4]))
    left, middle, right = np.sqrt(power[at - 1 : at + 2])
    bend = left - 2 * middle + right
    line = at + (0.5 * (left - right) / bend if bend < 0 else 0.0)
    return float(line / max(round(at / low), 1) / (size * bin_ps) * 1e12)
