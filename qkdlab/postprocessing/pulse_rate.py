"""The pulse rate from Bob's tags alone: a Rayleigh spectrum over growing spans."""

import math
from dataclasses import dataclass, replace

import numpy as np

from .. import _ext

__all__ = ["PulseRate", "grow", "longest_span_s", "pulse_rate", "sharpen"]

DRIFT_PER_S = 1.5e-8        # fastest change of the relative rate that is searched for: quartz drifts by 1e-8/s at most
FALSE_ALARM = 1e-9          # probability that noise alone passes for a pulse rate, over all frequencies tried
LEAST_VISIBILITY = 0.05     # weaker lines are real at times (sidebands of a modulated source) but carry no slots
FIRST_SPAN_S = 1e-3
HIGHEST_HARMONIC = 128      # that is used to sharpen: pulses of a hundredth of a slot still show in it
LEAST_HARMONIC_POWER = 30.0     # |R|^2 / N of a harmonic that is believed
BINS_IN_SPAN = 512          # for it: what is left of rate and drift then turns the phase by little within a bin
ONE = 1 << 64               # one slot, in the fixed-point units of the clock

_COSINE = np.array([round(math.cos(2 * math.pi * k / 1024) * (1 << 20)) for k in range(1024)], np.int32)


@dataclass(frozen=True, slots=True)
class PulseRate:
    """A pulse rate found in tags, referred to the middle of the light within the span."""

    rate_hz: float
    drift_hz_per_s: float
    visibility: float            # |mean exp(-2 pi i phase)| with each detector's own phase taken off
    power: float                 # sum over detectors of |R|^2 / N; exponential of mean 1 each where there are no pulses
    time_ps: int                 # the middle of the light
    spread_s: float              # standard deviation of the light in time: what the rate's precision rests on
    turns: tuple[float, ...]     # phase of each detector at `time_ps`, in slots, -0.5 to 0.5
    powers: tuple[float, ...]    # |R|^2 / N of each detector
    harmonic: int = 1            # the highest that was used
    sharpness: float | None = None   # power of it times its square: what all errors rest on; None: `power`

    @property
    def rate_error_hz(self):
        """Standard deviation of the rate."""
        return math.sqrt(self.phase_variance) / self.spread_s

    @property
    def phase_variance(self):
        """Variance of the phase in the middle, in slots^2."""
        return 1 / (8 * math.pi**2 * (self.sharpness or self.power))


def longest_span_s(nominal_hz):
    """Span over which a search with at most 17 trial drifts stays coherent, in seconds."""
    return math.sqrt(8 * 16 * 0.15 / (nominal_hz * DRIFT_PER_S))


def pulse_rate(time_ps, nominal_hz, search_ppm=20.0, detector=None):
    """Find the pulse rate in time tags, without knowing anything but about where it lies.

    The power ``|sum exp(-2 pi i f t)|^2 / N`` of each detector is searched over all frequencies within `search_ppm` of
    the nominal one, over spans from 1 ms on, each twice the last, up to all tags or to the longest coherent span. A
    peak counts where noise alone would give it with probability 1e-9 in all trials together.

    Parameters
    ----------
    time_ps : ndarray of int64, shape (M,)
        Non-decreasing.
    nominal_hz, search_ppm : float
    detector : ndarray of uint8, shape (M,), optional
        0 to 3; detectors may have different delays, so their powers are added, not their amplitudes.

    Returns
    -------
    PulseRate or None
        None where there is no significant peak.

    References
    ----------
    Calderaro et al., Phys. Rev. Applied 13, 054041 (2020), section II: the rate from the spectrum of the tags.
    """
    time_ps = np.ascontiguousarray(time_ps, np.int64)
    detector = np.zeros(len(time_ps), np.uint8) if detector is None else np.ascontiguousarray(detector, np.uint8)
    if not len(time_ps):
        return None
    found, span = None, FIRST_SPAN_S
    last = min((int(time_ps[-1]) - int(time_ps[0]) + 1) * 1e-12, longest_span_s(nominal_hz))
    while True:
        span = min(span, last)
        stop = np.searchsorted(time_ps, int(time_ps[0]) + round(span * 1e12))
        found = grow(found, time_ps[:stop], detector[:stop], span, nominal_hz, search_ppm)
        if span >= last:
            return found
        span *= 2


def grow(found, time_ps, detector, span_s, nominal_hz, search_ppm):
    """One step of the search: a spectrum over a longer span, near what a shorter one found (PulseRate or None).

    What does not stand out of a longer span as well was none: sources have weak lines that come and go.
    """
    if found is None:
        return search(time_ps, detector, span_s, nominal_hz, search_ppm)
    band_hz = 8 * found.rate_error_hz + 4 / span_s + DRIFT_PER_S * nominal_hz * span_s
    return search(time_ps, detector, span_s, found.rate_hz, min(search_ppm, 1e6 * band_hz / nominal_hz))


def search(time_ps, detector, span_s, nominal_hz, search_ppm):
    """One spectrum over tags that lie within `span_s` of the first: the significant peak as a PulseRate, or None."""
    if len(time_ps) < 24:
        return None
    band_hz = nominal_hz * search_ppm * 1e-6
    bin_ps = max(1, int(1e12 / (4 * band_hz)))       # Nyquist at twice the band: little loss at its edges
    sums, count = binned(time_ps, detector, nominal_hz, bin_ps, span_s)
    size = 1 << max(6, (2 * len(sums[0]) - 1).bit_length())
    offset_hz = np.fft.fftfreq(size, bin_ps * 1e-12)
    inside = np.flatnonzero(np.abs(offset_hz) <= band_hz)
    t = (np.arange(len(sums[0])) + 0.5) * bin_ps * 1e-12
    drifts = _trial_drifts(nominal_hz, span_s)
    best = (-1.0, 0, 0.0)
    for drift in drifts:
        chirp = np.exp(-1j * np.pi * drift * (t - span_s / 2) ** 2)
        power = sum(np.abs(np.fft.fft(z * chirp, size)) ** 2 / n for z, n in zip(sums, count, strict=True) if n)
        at = inside[np.argmax(power[inside])]
        if power[at] > best[0]:
            best = float(power[at]), offset_hz[at] + _vertex(power, at) / (size * bin_ps * 1e-12), drift
    trials = len(drifts) * (4 * band_hz * span_s + 1)
    if _log_tail(best[0], np.count_nonzero(count)) + math.log(trials) > math.log(FALSE_ALARM):
        return None
    # Rounded far below its error, so that the last bit of a Fourier transform never changes a key.
    found = _refer(time_ps, detector, bin_ps, span_s, round(float(nominal_hz + best[1]) * 1024) / 1024,
                   float(best[2]))
    # A line outside of the searched band is folded into it by the binning, but the tags themselves do not know it.
    return found if found.power > best[0] / 2 and found.visibility > LEAST_VISIBILITY else None


def sharpen(found, time_ps, detector):
    """Make rate, drift and phases more precise by the harmonics of the pulse rate, from tags in which it was found.

    Pulses that are short against the slot have many harmonics, and the phase of the m-th tells the time m times as
    precisely: at 50 MHz and 50 dB, where noise in the slot would hide the pulse otherwise, that makes the difference.
    Each harmonic twice the last starts from what the last one gave, and the ladder ends where it tells no more.

    Parameters
    ----------
    found : PulseRate
    time_ps : ndarray of int64, shape (M,)
        Non-decreasing.
    detector : ndarray of uint8, shape (M,)

    Returns
    -------
    PulseRate
        With ``harmonic`` and ``sharpness``; visibility, power and powers are those of the pulse rate itself.
    """
    best, harmonic = found, 1
    while harmonic <= HIGHEST_HARMONIC:
        finer = _climb(best, time_ps, detector, harmonic)
        if finer is None or finer.sharpness < 1.2 * (best.sharpness or 0.0):
            break
        best, harmonic = finer, 2 * harmonic
    return best


def _climb(found, time_ps, detector, harmonic):
    """Newton's method for phase, rate and drift at a harmonic; None where it does not show."""
    first, span_ps = int(time_ps[0]), int(time_ps[-1] - time_ps[0]) + 1
    bin_ps = span_ps // BINS_IN_SPAN + 1
    sums, count = binned(time_ps, detector, harmonic * found.rate_hz, bin_ps, span_ps * 1e-12)
    middle = (found.time_ps - first) * 1e-12
    t = (np.arange(len(sums[0])) + 0.5) * bin_ps * 1e-12 - middle
    prior = 1 / (2 * (np.pi * harmonic * DRIFT_PER_S * found.rate_hz) ** 2)
    change = np.zeros(3)
    for _ in range(4):
        turn = change[1] * t + (change[2] + harmonic * found.drift_hz_per_s / 2) * t * t
        light = sums * np.exp(-2j * np.pi * turn)
        total = light.sum(axis=1)
        light = (light * np.exp(-1j * np.angle(total))[:, None]).sum(axis=0)
        powers = t[None, :] ** np.arange(5)[:, None]
        moments = powers @ light.real
        bend = np.array([moments[k : k + 3] for k in range(3)])
        if moments[0] <= 0 or np.linalg.det(bend) <= 0:
            return None
        slope = powers[:3] @ light.imag
        # Clocks drift by DRIFT_PER_S at most: in a short span the tags themselves say less than that.
        bend[2, 2] += prior * count.sum() / moments[0]
        slope[2] -= prior * count.sum() / moments[0] * 2 * np.pi * (change[2] + harmonic * found.drift_hz_per_s / 2)
        change = change + np.linalg.solve(bend, slope) / (2 * np.pi)
    power = np.abs(total) ** 2 / np.maximum(count, 1)
    if power.sum() < LEAST_HARMONIC_POWER:
        return None
    rate = _rounded(found.rate_hz + change[1] / harmonic)
    shown = (fixed_rate(harmonic * found.rate_hz) * round(middle * 1e12) % ONE) / ONE
    turns = [old + _wrap(shown + a - harmonic * old) / harmonic if p > 12 else old
             for old, a, p in zip(found.turns, np.angle(total) / (2 * np.pi), power, strict=True)]
    return replace(found, rate_hz=rate, drift_hz_per_s=_rounded(found.drift_hz_per_s + 2 * change[2] / harmonic),
                   turns=tuple(round(_wrap(x) * 2**30) / 2**30 for x in turns), harmonic=harmonic,
                   sharpness=harmonic**2 * float(power.sum()))


def _rounded(value):
    """Far below any error, so that the last bit of a sum never changes a key."""
    return round(float(value) * 2**20) / 2**20


def binned(time_ps, detector, rate_hz, bin_ps, span_s):
    """Sums of exp(-2 pi i rate t) per detector and time bin, complex (4, bins), and tags per detector."""
    n_bins = max(int(span_s * 1e12), int(time_ps[-1] - time_ps[0])) // bin_ps + 1
    sums, count = np.zeros((4, n_bins, 2), np.int64), np.zeros(4, np.int64)
    _ext.match.phasors(time_ps, detector, int(time_ps[0]), fixed_rate(rate_hz), bin_ps, _COSINE, sums, count)
    return (sums[:, :, 0] + 1j * sums[:, :, 1]) / (1 << 20), count


def _trial_drifts(nominal_hz, span_s):
    """Drifts (Hz/s) so close that the phase between neighbours stays within 0.15 slots over the span."""
    n = math.ceil(nominal_hz * DRIFT_PER_S * span_s**2 / 16 / 0.15 - 0.5)
    return np.linspace(-1, 1, 2 * n + 1) * nominal_hz * DRIFT_PER_S if n > 0 else np.zeros(1)


def _vertex(power, at):
    """Where the parabola through a peak and its two neighbours is highest, in bins from the peak."""
    left, middle, right = power[at - 1], power[at], power[(at + 1) % len(power)]
    bend = left - 2 * middle + right
    return float(0.5 * (left - right) / bend) if bend < 0 else 0.0


def _log_tail(power, n_detectors):
    """Log of the probability that `n_detectors` exponentials of mean 1 sum to `power` or more."""
    terms = sum(power**k / math.factorial(k) for k in range(max(1, n_detectors)))
    return -power + math.log(terms)


def _refer(time_ps, detector, bin_ps, span_s, rate_hz, drift):
    """Phases, powers, middle and spread of the light at a known rate (in the middle of the span) and drift."""
    sums, count = binned(time_ps, detector, rate_hz, bin_ps, span_s)
    t = (np.arange(len(sums[0])) + 0.5) * bin_ps * 1e-12
    sums = sums * np.exp(-1j * np.pi * drift * (t - span_s / 2) ** 2)
    total = sums.sum(axis=1)
    powers = np.abs(total) ** 2 / np.maximum(count, 1)
    light = (sums * np.exp(-1j * np.angle(total))[:, None]).real.sum(axis=0)
    middle = min(max(float(light @ t / light.sum()), 0.0), span_s)
    spread = math.sqrt(max(float(light @ (t - middle) ** 2 / light.sum()), (0.02 * span_s) ** 2))
    # The phase of the sum is that of a clock which shows 0 at the first tag: phase at the middle = rate * t + phase.
    shown = (fixed_rate(rate_hz) * round(middle * 1e12) % ONE) / ONE + 0.5 * drift * (middle - span_s / 2) ** 2
    turns = [_wrap(round((shown + a) * 2**30) / 2**30) for a in np.angle(total) / (2 * np.pi)]
    return PulseRate(
        rate_hz + drift * (middle - span_s / 2), drift, float(np.abs(total).sum() / count.sum()), float(powers.sum()),
        int(time_ps[0]) + round(middle * 1e12), spread, tuple(turns), tuple(map(float, powers)))


def _wrap(turns):
    """Into -0.5 to 0.5."""
    return turns - math.floor(turns + 0.5)


def fixed_rate(rate_hz):
    """Slots per ps in units of 2^-64."""
    return round(rate_hz * (ONE / 1e12))
