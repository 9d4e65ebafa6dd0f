"""How wide the gate should be: the key rate it leads to, from what the arrival times and the public settings tell.

A narrow gate loses signal, a wide one lets noise in. The best signal-to-noise ratio would be that of a gate of no width;
what counts is the key. The signal-to-noise ratio is given beside the key rate so that both can be plotted.
"""

import math
from dataclasses import dataclass

import numpy as np

from .clock import BINS

__all__ = ["GateCurve", "gate_curve", "pulse_sigma"]

MISALIGNMENT = 0.01          # error rate of signal clicks, where nobody announced a better value
EFFICIENCY_EC = 1.16         # error-correction cost in units of the Shannon limit
PLENTY = 5000                # tags of the pulse from which its own shape is taken, not a Gaussian's
CENTRES = BINS // 8          # how far (bins) the gate's centre may move from the mean of the pulse


@dataclass(frozen=True, slots=True)
class GateCurve:
    """What each width would give; arrays of one length."""

    width_ps: np.ndarray         # float
    centre_ps: np.ndarray        # float, best centre for this width, from the mean of the pulse
    key_fraction: np.ndarray     # float, secret bits per tag of the key basis' detectors; negative: no key
    signal_to_noise: np.ndarray  # float, inf where no noise was seen
    significance: np.ndarray     # float, signal / sqrt(signal + noise) in the key basis

    @property
    def best(self):
        """Index of the width to take: of the highest key rate, or, where no width gives key, of the greatest
        significance of the signal."""
        return int(np.argmax(self.key_fraction if self.key_fraction.max() > 0 else self.significance))


def gate_curve(counts, period_ps, signal_intensity, mean_intensity=None, *, misalignment=MISALIGNMENT):
    """The key rate as a function of the width of one gate for all detectors.

    Asymptotic rate of decoy-state BB84 with enough decoys (Ma, Qi, Zhao, Lo, PRA 72, 012326 (2005), eq. (1)), per
    sifted detection ``Q1 [1 - h(e1)] - f Q h(E)``: `Q`, `E` from the key basis' detectors, the phase error `e1` from
    those of the test basis, where noise weighs more if less light goes there. Signal and noise in each width come from
    the arrival times alone, which hold no bit; the intensities are public.

    Parameters
    ----------
    counts : ndarray of int, shape (4, BINS) or (BINS,)
        Phase histogram of the detectors (2 * basis + bit), aligned, the pulse in the middle; of all together if that is
        all there is.
    period_ps : float
    signal_intensity : float
        Mean photon number of the signal.
    mean_intensity : float, optional
        Mean photon number over all intensities; absent: as the signal.
    misalignment : float
        Error rate of clicks that are not noise: the test basis' where it was announced.

    Returns
    -------
    GateCurve
    """
    counts = np.asarray(counts)
    key, test = (counts, counts) if counts.ndim == 1 else (counts[:2].sum(axis=0), counts[2:].sum(axis=0))
    both = key if counts.ndim == 1 else key + test
    if not test.sum() or not key.sum():
        key = test = both
    background = background_of(both)
    sigma = pulse_sigma(both, background)
    share = _shares(both, background, sigma)
    width, centre = _grid(background, int(both.sum()))
    kept = share(width, centre)
    signal, noise = zip(*(_parts(c, kept, width) for c in (key, test)), strict=True)
    dimmer = (mean_intensity or signal_intensity) / signal_intensity     # noise weighs so much less on the signal pulses
    value = _key_rate(signal[0], noise[0] * dimmer, signal[1], noise[1] * dimmer, signal_intensity, misalignment)
    value = value / max(int(key.sum()), 1)
    at = _best_centre(value, int(both.sum()))
    pick = np.arange(len(width)), at
    strength = signal[0][pick] / np.sqrt(signal[0][pick] + noise[0][pick] + 1)
    ratio = np.divide(signal[0][pick], noise[0][pick], out=np.full(len(width), math.inf), where=noise[0][pick] > 0)
    return GateCurve(width / BINS * period_ps, centre[at] / BINS * period_ps, value[pick], ratio, strength)


def background_of(counts):
    """Tags that are not in the pulse: furthest from it only they are left, a quarter of the slot is enough to count.

    One more than were seen (the mean of the rate given a count, with all rates as likely before): where none were seen
    there may be some all the same, and a gate must not grow for a single tag far from the pulse.
    """
    far = int(np.roll(counts, BINS // 2)[3 * BINS // 8 : 5 * BINS // 8].sum())
    return float(min(4 * (far + 1), max(int(counts.sum()), 1)))


def pulse_sigma(counts, background):
    """Standard deviation of the pulse in slots, from the window that holds the inner half of its light.

    The inner half is blind to the long tails of detectors, which would widen a mean square.
    """
    middle = len(counts) // 2
    both = np.concatenate([[0], np.cumsum(counts[middle:] + counts[middle - 1 :: -1])])
    light = both - background * np.arange(middle + 1) / middle
    half = 0.5 * (int(counts.sum()) - background)
    if half <= 0:
        return 0.3
    at = int(np.argmax(light >= half))
    width = at - 1 + (half - light[at - 1]) / (light[at] - light[at - 1]) if at else float(middle)
    return float(min(max(width / 0.67449, 0.5), 0.6 * middle)) / (2 * middle)   # 0.67449 sigma hold a half


def _grid(background, total):
    """Widths and centres to try, in bins; the centre moves only where the pulse's own shape is known."""
    width = np.arange(2, BINS + 1, 2)
    centre = np.arange(-CENTRES, CENTRES + 1, 2) if total - background >= PLENTY else np.zeros(1, np.int64)
    return width, centre


def _shares(counts, background, sigma):
    """Function of widths and centres (bins): part of the pulse inside, shape (widths, centres)."""
    light = int(counts.sum()) - background
    if light < PLENTY:
        return lambda width, centre: np.array(
            [[math.erf(w / BINS / (2 * math.sqrt(2) * sigma))] for w in width])
    sums = np.concatenate([[0], np.cumsum(np.concatenate([counts, counts, counts]), dtype=np.int64)])

    def share(width, centre):
        first = BINS + BINS // 2 + centre[None, :] - width[:, None] // 2
        inside = sums[first + width[:, None]] - sums[first]
        return np.clip((inside - background * width[:, None] / BINS) / light, 0.0, 1.0)

    return share


def _parts(counts, kept, width):
    """Signal and noise of one basis in each gate."""
    background = background_of(counts)
    return max(int(counts.sum()) - background, 1.0) * kept, np.broadcast_to(background * width[:, None] / BINS, kept.shape)


def _best_centre(value, total):
    """Index of the best centre for each width: the middle one, unless another is better than chance allows."""
    middle = value.shape[1] // 2
    best = np.argmax(value, axis=1)
    rows = np.arange(len(value))
    better = value[rows, best] - value[rows, middle] > 3 / math.sqrt(max(total, 1)) * np.abs(value[rows, middle])
    return np.where(better, best, middle)


def _key_rate(signal, noise, test_signal, test_noise, intensity, misalignment):
    """Key rate up to a factor: single photons, from the signal and from noise in their pulses, minus the leak."""
    total = signal + noise + 1e-300
    single = signal + intensity * noise + 1e-300
    qber = (misalignment * signal + noise / 2) / total
    phase_error = (misalignment * test_signal + intensity * test_noise / 2) / (
        test_signal + intensity * test_noise + 1e-300)
    return math.exp(-intensity) * single * (1 - _entropy(phase_error)) - EFFICIENCY_EC * total * _entropy(qber)


def _entropy(p):
    p = np.clip(p, 1e-12, 0.5)
    return -p * np.log2(p) - (1 - p) * np.log2(1 - p)
