"""Light that comes in pulses: its rate, how sharp the pulses are in each detector, and what comes between them."""

import math
from dataclasses import dataclass

import numpy as np

from .. import _ext
from .gate_width import pulse_sigma
from .pulse_rate import ONE, binned, fixed_rate, grow, longest_span_s, pulse_rate

__all__ = ["Folder", "Peak", "peak"]

MOST_TAGS = 1 << 21          # in one span
PIECE_TAGS = 1024            # whose common phase is taken as that of the pulse: right to 1/30 of the jitter
LEAST_POWER = 12.0           # |R|^2 / N of a piece; noise alone has more with a chance of e^-12
BEND_SLOTS = 0.005           # a drifting phase may bend by so much within a piece that is folded with one rate
FWHM = math.sqrt(8 * math.log(2))


@dataclass(frozen=True, slots=True)
class Peak:
    """A detector's clicks against the phase of the pulses."""

    fwhm_ps: float               # pulse, detector and tagger together
    fwhm_error_ps: float
    background: float            # clicks spread evenly over the period, as a share of all
    background_error: float


def peak(counts, period_ps):
    """Width and background of a folded peak that lies in the middle.

    The width is that of the Gaussian whose inner half is as wide as the inner half of the light: tails, which detectors
    have, do not widen it. The background is counted in the quarter of the period furthest from the peak.

    Parameters
    ----------
    counts : ndarray of int64, shape (bins,)
        At least 8 bins.
    period_ps : float

    Returns
    -------
    Peak or None
        None where there are fewer than 50 clicks in the peak, or it is as broad as the period.
    """
    bins, total = len(counts), int(counts.sum())
    outside = int(np.roll(counts, bins // 2)[3 * bins // 8 : 5 * bins // 8].sum())
    light = total - 4 * outside
    if light < 50 or light < 6 * math.sqrt(total):
        return None
    sigma = pulse_sigma(counts, 4.0 * outside)
    if sigma >= 0.2:
        return None
    # A quantile of a Gaussian: sigma sqrt(P (1 - P)) / (2 f(0.674)) / sqrt(n); n light clicks among `total`.
    error = 1.17 * sigma * math.sqrt(total) / light
    return Peak(FWHM * sigma * period_ps, FWHM * max(error, 0.3 / bins) * period_ps, 4 * outside / total,
                4 * math.sqrt(max(outside, 1)) / total)


class Folder:
    """Follows the pulses through a stream of tags in spans of bounded memory, and folds them onto one period.

    Parameters
    ----------
    nominal_hz : float
    search_ppm : float
    n : int
        Detectors, at most 4.

    Attributes
    ----------
    counts : ndarray of int64, shape (n, bins)
        Tags of each detector by phase; its pulse is in the middle.
    tags, followed : int
        All tags, and those in spans where a pulse rate was found.
    """

    def __init__(self, nominal_hz, search_ppm, n):
        self._nominal, self._ppm, self._n = nominal_hz, search_ppm, n
        bins = 1 << min(max(round(math.log2(1e12 / nominal_hz / 2)), 6), 16)
        self.counts = np.zeros((n, bins), np.int32)
        self.span_s = longest_span_s(nominal_hz)
        self.tags = self.followed = 0
        self._found, self._sums = None, []

    def sees(self, time_ps, detector):
        """Whether the first span of these tags shows pulses; nothing is counted."""
        stop = np.searchsorted(time_ps, int(time_ps[0]) + round(self.span_s * 1e12))
        return pulse_rate(time_ps[:stop], self._nominal, self._ppm, detector[:stop]) is not None

    def push(self, time_ps, detector):
        """One span of tags: at most `span_s` long."""
        self.tags += len(time_ps)
        found = None
        if self._found is not None and len(time_ps) >= 24:
            found = grow(self._found, time_ps, detector, (int(time_ps[-1]) - int(time_ps[0]) + 1) * 1e-12,
                         self._nominal, self._ppm)
        found = found or pulse_rate(time_ps, self._nominal, self._ppm, detector)
        if found is None:
            return
        self._found = found
        self.followed += len(time_ps)
        clicks = np.bincount(detector, minlength=4)
        self._sums.append((found.rate_hz, found.rate_error_hz, clicks, np.sqrt(np.array(found.powers) * clicks),
                           np.array(found.turns)))
        self._fold(found, time_ps, detector)

    def _fold(self, found, time_ps, detector):
        """Add a span to the histograms, in pieces whose phase is taken from their own tags: clocks wander."""
        turns, start = np.array(found.turns), int(time_ps[0])
        delay = np.rint((turns[0] - turns[: self._n]) * 1e12 / found.rate_hz).astype(np.int64)
        span_ps = int(time_ps[-1]) + 1 - start
        bend_ps = 2e12 * math.sqrt(2 * BEND_SLOTS / max(abs(found.drift_hz_per_s), 1e-9))
        piece_ps = max(1, min(span_ps * PIECE_TAGS // len(time_ps), int(bend_ps), span_ps))
        sums, _ = binned(time_ps, detector, found.rate_hz, piece_ps, span_ps * 1e-12)
        light = (sums * np.exp(-2j * np.pi * (turns - turns[0]))[:, None]).sum(axis=0)
        at = np.searchsorted(time_ps, start + piece_ps * np.arange(1, len(light) + 1, dtype=np.int64))
        for i, (begin, end) in enumerate(zip(np.append(0, at), at, strict=False)):
            if abs(light[i]) ** 2 < LEAST_POWER * (end - begin):
                continue                                   # hardly any light
            since = i * piece_ps + piece_ps // 2
            shown = fixed_rate(found.rate_hz) * since % ONE + round((np.angle(light[i]) / (2 * np.pi) + 0.5) * ONE)
            rate = found.rate_hz + found.drift_hz_per_s * (start + since - found.time_ps) * 1e-12
            _ext.match.histogram(time_ps[begin:end], detector[begin:end], delay, start + since, shown % ONE,
                                 fixed_rate(rate), self.counts)

    @property
    def rate_hz(self):
        """(Pulse rate, its standard deviation): the mean over the spans, by their precision; or None."""
        if not self._sums:
            return None
        rates, errors = (np.array([s[i] for s in self._sums]) for i in (0, 1))
        weight = 1 / errors**2
        mean = float(rates[0] + (weight @ (rates - rates[0])) / weight.sum())
        scatter = math.sqrt(weight @ (rates - mean) ** 2 / weight.sum() / max(len(rates) - 1, 1))
        return mean, max(float(weight.sum() ** -0.5), scatter)

    @property
    def visibility(self):
        """``|mean exp(-2 pi i phase)|`` within the spans: of all detectors, and of each, float64 (n,)."""
        clicks, lengths = (sum(s[i] for s in self._sums) for i in (2, 3))
        return float(lengths.sum() / clicks.sum()), (lengths / np.maximum(clicks, 1))[: self._n]

    def delays_ps(self):
        """Delay of each detector against the first, within half a period, float64 (n,): mean over the spans."""
        turns = np.mean([np.exp(2j * np.pi * (s[4][0] - s[4])) for s in self._sums], axis=0)
        return (np.angle(turns) / (2 * np.pi) * 1e12 / self.rate_hz[0])[: self._n]
