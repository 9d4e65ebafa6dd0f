"""Alice's slot counter as Bob sees it: phase, rate and drift followed block by block."""

import math
from dataclasses import dataclass, replace

import numpy as np

from .. import _ext
from .pulse_rate import DRIFT_PER_S, ONE, fixed_rate

__all__ = ["BINS", "Block", "Clock", "phase_of", "phase_within", "sharp_phase"]

BINS = 1024                      # of a phase histogram
LEAST_POWER = 12.0               # |R|^2 / N of a block that shows pulses: noise reaches it with probability e^-12
PIECE_S = 0.04                   # longest straight piece: a drift of 1.5e-8/s bends away from it by 3 ps
CARRY = 0.1                      # phase error (standard deviation, slots) up to which the clock runs on without light
PHASE_WALK = 1e-11               # how clocks wander: phase (s / sqrt s),
RATE_WALK = 1e-10                # relative rate (1 / sqrt s),
DRIFT_WALK = 3e-9                # and drift (1/s / sqrt s): quartz; better clocks are followed all the same
PHASE_FLOOR = 1e-8               # variance (slots^2) of a phase measurement that no number of tags brings down

# cosine and sine of one and of two turns at the middle of each bin, in units of 2^-20, whole numbers
_TURN = np.array([[round(f(2 * math.pi * m * (k + 0.5) / BINS) * (1 << 20)) for k in range(BINS)]
                  for m, f in ((1, math.cos), (1, math.sin), (2, math.cos), (2, math.sin))], np.int32)


def phase_of(counts):
    """Where the pulse stands in a phase histogram.

    Parameters
    ----------
    counts : ndarray of int, shape (BINS,)
        Tags by phase; the pulse belongs in the middle.

    Returns
    -------
    (float, float, float)
        Distance of the pulse from the middle (slots, -0.5 to 0.5), its variance, and the visibility. All are
        computed from whole numbers and rounded, so they are the same on every machine.
    """
    return _phase(np.ascontiguousarray(counts, np.int64), 0, BINS, 1)[:3]


def _phase(counts, first, width, windows):
    """As :func:`phase_of` in the fullest of the windows that begin at `first` and after it, as if that stood in the middle;
    its number, and how many tags it holds."""
    sums = np.empty(4, np.int64)
    at, total = _ext.match.moments(counts, _TURN, first, width, windows, sums)
    c1, s1, c2, s2 = (x / (1 << 20) for x in sums.tolist())
    length = math.sqrt(c1 * c1 + s1 * s1)
    if not total or not length:
        return 0.0, math.inf, 0.0, at, total
    error = round(math.atan2(-s1, -c1) / (2 * math.pi) * 2**30) / 2**30
    # sum of sin^2 of the angles from the mean angle, by the double-angle formula
    across = 0.5 * (total - (c2 * (c1 * c1 - s1 * s1) + 2 * s2 * c1 * s1) / (length * length))
    return error, max(across, 0.0) / (2 * math.pi * length) ** 2 + PHASE_FLOOR, length / total, at, total


def phase_within(counts, window):
    """As :func:`phase_of`, but without the background where the pulse is narrower than the slot: from the window of
    twice `window` bins that holds most tags, looked for where the mean of all allows it. The visibility is that of all.

    Where pulses are short against the slot, the background would be most of the error.
    """
    counts = np.ascontiguousarray(counts, np.int64)
    error, variance, visibility, _, total = _phase(counts, 0, BINS, 1)
    if window >= BINS // 2:
        return error, variance, visibility
    reach = min(BINS // 2, window + math.ceil(5 * BINS * math.sqrt(min(variance, 1.0))))
    centre = BINS // 2 + round(error * BINS)
    for _ in range(2):
        offset, finer, _, at, most = _phase(counts, (centre - reach - window) % BINS, 2 * window,
                                             min(2 * reach + 1, BINS))
        if most - (1 - visibility) * total * 2 * window / BINS < 0.5 * visibility * total:
            return error, variance, visibility
        middle = centre - reach + at
        if reach:
            centre, reach = middle + round(offset * BINS), 0          # once more, around the mean
    found = (middle - BINS // 2) / BINS + offset
    return (found - math.floor(found + 0.5), finer, visibility) if finer < variance else (error, variance, visibility)


def sharp_phase(counts, window):
    """Where a short pulse stands in a histogram of few tags, in which it need not show to :func:`phase_of`.

    Parameters
    ----------
    counts : ndarray of int, shape (BINS,)
    window : int
        Half-width, in bins, that holds a pulse.

    Returns
    -------
    float or None
        Distance from the middle, in slots; None where evenly spread tags would fill a window as much with a probability
        above e^-10 (Poisson, Chernoff bound), or where the pulse is not short.
    """
    total, width = int(counts.sum()), 2 * window
    if width >= BINS // 2:
        return None
    counts = np.ascontiguousarray(counts, np.int64)
    at, most = _ext.match.moments(counts, _TURN, 0, width, BINS, np.empty(4, np.int64))
    expected = total * width / BINS
    if most <= expected or most * math.log(most / expected) - (most - expected) < 10 + math.log(BINS):
        return None
    inside = np.concatenate([counts, counts])[at : at + width]
    middle = (at + float(inside @ (np.arange(width) + 0.5)) / most) / BINS - 0.5
    return middle - math.floor(middle + 0.5)


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of the clock: at `start_ps` it shows ``slot + phase / 2^64`` and gains ``rate / 2^64`` a ps.

    Phase 2^63 is the centre of a pulse: a slot begins half a slot before its pulse. A long stretch bends with the
    drift; it holds straight `pieces`, and its own rate is that of the first.
    """

    start_ps: int
    stop_ps: int
    slot: int
    phase: int
    rate: int
    reason: str | None = None    # why the clock cannot be trusted here
    jumped: bool = False         # there are pulses, but not where they were expected
    bent: tuple = ()             # of Block, where there are several

    @property
    def pieces(self):
        """Straight ones, in order."""
        return self.bent or (self,)


class Clock:
    """Follows Alice's slots by a Kalman filter for phase, rate and drift with one measurement a block of tags.

    The result is piecewise linear, continuous and exact: integers in units of 2^-64 slots. The filter works on what the
    light deviates from it.

    Parameters
    ----------
    found : PulseRate
    start_ps : int
        Where to begin; slots are counted from here.
    delay_ps : ndarray of int64, shape (4,)
        Taken off each detector's times, so that all show the same phase; may be changed between blocks.
    turn : float
        What the clock shows at ``found.time_ps`` (fraction of a slot) for a detector of delay 0.

    window : int
        Half-width, in bins of the phase histogram, around the expected phase in which pulses are looked for first.

    Attributes
    ----------
    time_ps : int
        How far it has run.
    rate_hz, drift_hz_per_s : float
    visibility : float
        ``|mean exp(2 pi i phase)|``, mean over the last blocks.
    """

    def __init__(self, found, start_ps, delay_ps, turn, window=BINS // 2):
        self.delay_ps, self.window, self.visibility = delay_ps, window, found.visibility
        self._filter = _Filter(found)
        self._cycles = ONE // 2 + (round(turn * 2**30) << 34)
        self.time_ps = found.time_ps
        # Back to the start without wandering: what was found was found in these very tags.
        self._close(int(start_ps), self._filter.advance((int(start_ps) - found.time_ps) * 1e-12, walk=0.0))
        self._cycles %= ONE

    @property
    def rate_hz(self):
        return self._filter.rate_hz

    @property
    def drift_hz_per_s(self):
        return self._filter.drift

    @property
    def phase_error(self):
        """Standard deviation of the phase, in slots."""
        return math.sqrt(self._filter.p[0])

    @property
    def rate_error_hz(self):
        """Standard deviation of the rate."""
        return math.sqrt(self._filter.p[3])

    @property
    def slot(self):
        """The slot it shows."""
        return self._cycles >> 64

    def coast(self, stop_ps):
        """Run on to `stop_ps` without measuring; returns the Block."""
        return self._close(stop_ps, self._filter.advance((stop_ps - self.time_ps) * 1e-12))

    def follow(self, time_ps, detector, stop_ps):
        """Measure the phase of a stretch of tags (at least one) and run on to `stop_ps`.

        Returns
        -------
        Block
            With a reason where the pulses that were expected are not there, or are elsewhere.
        """
        state, start_ps = self._filter, self.time_ps
        h = (stop_ps - start_ps) * 1e-12
        middle = min(max(((int(time_ps[0]) + int(time_ps[-1])) // 2 - start_ps) * 1e-12, 0.0), h)
        ahead = self._ahead(stop_ps)
        error, variance, visibility = self._measure(time_ps, detector, ahead)
        if len(ahead) == 1:                                       # the straight line runs above the parabola
            error -= 0.5 * state.drift * middle * (h - middle)
        state.advance(middle)
        reason, correction, jumped = None, 0.0, False
        if visibility**2 * len(time_ps) < LEAST_POWER:
            state.advance(h - middle)
            reason = "no pulses seen" if self.visibility**2 * len(time_ps) > 4 * LEAST_POWER else None
        elif abs(error) > 6 * math.sqrt(state.p[0] + variance) + 0.02:
            state.advance(h - middle)
            reason, jumped = f"the phase jumped by {error:+.2f} slots", True
        else:
            phase, rate_change, drift_change = state.correct(error, variance)
            state.advance(h - middle)
            correction = phase + rate_change * (h - middle) + 0.5 * drift_change * (h - middle) ** 2
            self.visibility += (visibility - self.visibility) / 8
        return self._run(ahead, correction, reason, jumped)

    def _ahead(self, stop_ps):
        """Straight pieces up to `stop_ps`, as far as known before they are measured: (stop_ps, mean rate in Hz)."""
        span, state = stop_ps - self.time_ps, self._filter
        n = max(1, math.ceil(span * 1e-12 / PIECE_S))
        h = span * 1e-12 / n
        return [(self.time_ps + span * (k + 1) // n, state.rate_hz + state.drift * (k + 0.5) * h) for k in range(n)]

    def _measure(self, time_ps, detector, ahead):
        """Phase error of tags against the pieces that lie ahead, its variance, and the visibility."""
        counts, at, cycles, start_ps = np.zeros((4, BINS), np.int32), 0, self._cycles, self.time_ps
        for stop_ps, rate_hz in ahead:
            rate = fixed_rate(rate_hz)
            stop = len(time_ps) if stop_ps == ahead[-1][0] else int(np.searchsorted(time_ps, stop_ps))
            _ext.match.histogram(time_ps[at:stop], detector[at:stop], self.delay_ps, start_ps, cycles % ONE, rate, counts)
            at, cycles, start_ps = stop, cycles + rate * (stop_ps - start_ps), stop_ps
        return phase_within(counts.sum(axis=0), self.window)

    def _run(self, ahead, correction, reason, jumped):
        """Go through the pieces, with the correction spread over all of them."""
        span_ps = max(ahead[-1][0] - self.time_ps, 1)
        pieces = [self._close(stop_ps, rate_hz, correction * ((stop_ps - self.time_ps) / span_ps), reason, jumped)
                  for stop_ps, rate_hz in ahead]
        return pieces[0] if len(pieces) == 1 else replace(pieces[0], stop_ps=pieces[-1].stop_ps, bent=tuple(pieces))

    def _close(self, stop_ps, rate_hz, correction=0.0, reason=None, jumped=False):
        """End a straight piece: a node of the clock, where the next one begins."""
        span = stop_ps - self.time_ps
        rate = fixed_rate(rate_hz)
        # Pulses at a phase above the middle mean that the clock runs ahead, hence the sign.
        gain = rate * span - (round(correction * 2**24) << 40)
        if span:
            rate, gain = gain // span, gain // span * span
        block = Block(self.time_ps, stop_ps, self._cycles >> 64, self._cycles % ONE, rate, reason, jumped)
        self._cycles += gain
        self.time_ps = stop_ps
        return block


class _Filter:
    """Kalman filter with the state (phase, rate, drift) in slots, slots/s, slots/s^2; the phase itself is kept outside.

    `p` is the upper triangle of the covariance, row by row.
    """

    def __init__(self, found):
        self.rate_hz, self.drift = found.rate_hz, found.drift_hz_per_s
        grid = (DRIFT_PER_S * found.rate_hz) ** 2
        span4 = (12 * found.spread_s**2) ** 2
        # Variances of a least-squares parabola through light that is spread evenly over the span; the drift was found
        # on a grid only, whose step is 1.4 / span^2 (standard deviation).
        drift = min(grid, (2 / found.harmonic**2 + 9.1 / (found.sharpness or found.power)) / span4)
        self.p = [found.phase_variance, 0.0, 0.0, found.rate_error_hz**2, 0.0, drift]
        f = found.rate_hz
        self._walk = (PHASE_WALK * f) ** 2, (RATE_WALK * f) ** 2, (DRIFT_WALK * f) ** 2

    def advance(self, h, walk=1.0):
        """Move the state by h (s, of either sign), while the clock wanders; returns the mean rate on the way."""
        a, b, c, d, e, f = self.p
        qa, qd, qf = (q * abs(h) * walk for q in self._walk)
        self.p = [a + h * (2 * b + h * (c + d + h * (e + 0.25 * h * f))) + qa,
                  b + h * (c + d + h * (1.5 * e + 0.5 * h * f)), c + h * (e + 0.5 * h * f),
                  d + h * (2 * e + h * f) + qd, e + h * f, f + qf]
        mean = self.rate_hz + 0.5 * self.drift * h
        self.rate_hz += self.drift * h
        return mean

    def correct(self, error, variance):
        """Take in that the phase is off by `error`; returns by how much phase, rate and drift were off.

        The clock must run slower where pulses come late in its slots, hence the signs: all three are subtracted.
        """
        a, b, c, d, e, f = self.p
        k = [x / (a + variance) for x in (a, b, c)]
        self.p = [a - k[0] * a, b - k[0] * b, c - k[0] * c, d - k[1] * b, e - k[1] * c, f - k[2] * c]
        change = [x * error for x in k]
        self.rate_hz -= change[1]
        self.drift -= change[2]
        return change
