"""From photons and dark counts to clicks: when they come, which ones the detectors are ready for, what they breed."""

import math

import numpy as np

from .. import _ext

__all__ = ["AFTERPULSE", "DARK", "EVE", "SIGNAL", "DetectorBank", "dark_counts", "jittered"]

SIGNAL, DARK, AFTERPULSE, EVE = 0, 1, 2, 3       # EVE: photons that Eve sent
_REACH = 8                   # jitter is cut at this many standard deviations (a chance of 1e-15)
_NEVER = -(1 << 62)


def jittered(times_ps, sigma_ps, rng):
    """Times (float64, ps) with a Gaussian added, cut at 8 sigma, as int64 ps."""
    if sigma_ps > 0:
        shift = rng.standard_normal(len(times_ps))
        times_ps = times_ps + sigma_ps * np.clip(shift, -_REACH, _REACH, out=shift)
    return np.rint(times_ps).astype(np.int64)


def edge_ps(sigma_ps, delay_ps):
    """How far before the end of a stretch its tags are not final, because later pulses may still be tagged there."""
    return math.ceil(_REACH * sigma_ps) + max(0, -min(delay_ps)) + 1


def dark_counts(start_ps, end_ps, rate_hz, rng):
    """Poisson processes of four detectors in [start_ps, end_ps): times int64 (n,) in no order, detectors uint8 (n,)."""
    counts = rng.poisson(rate_hz * (end_ps - start_ps) * 1e-12, 4)
    return rng.integers(start_ps, end_ps, counts.sum()), np.repeat(np.arange(4, dtype=np.uint8), counts)


class DetectorBank:
    """Four detectors with their memory: when each clicked last, which afterpulses are to come, what came too early.

    Parameters
    ----------
    start_ps : int
        When they are switched on.
    """

    def __init__(self, start_ps):
        self._settled = start_ps                     # all before is final
        self._last_ps = np.full(4, _NEVER)
        self._pending_ps, self._pending_detector, self._n_pending = np.zeros(64, np.int64), np.zeros(64, np.uint8), 0
        self._held = tuple(np.empty(0, t) for t in (np.int64, np.uint8, np.int64, np.uint8))

    def clicks(self, settings, candidates, until_ps, rng):
        """Pass avalanche candidates before `until_ps` through dead time and afterpulsing; keep the others for later.

        Parameters
        ----------
        settings : DetectorSettings
        candidates : tuple of ndarray, each of shape (n,)
            Time (int64, ps; what lies before the last `until_ps` is moved there), detector (uint8), slot (int64),
            origin (uint8), in any order.
        until_ps : int
        rng : numpy.random.Generator

        Returns
        -------
        tuple of ndarray, each of shape (m,)
            The same of the clicks, in time order. An afterpulse has slot -1.
        """
        columns = [np.concatenate(pair) for pair in zip(self._held, candidates, strict=True)]
        np.maximum(columns[0], self._settled, out=columns[0])
        order = np.argsort(columns[0], kind="stable")
        columns = [column[order] for column in columns]
        parts, used, done = [], 0, False
        while not done:
            time, detector, source, used, done = self._some(settings, columns[0], columns[1], used, until_ps, rng)
            bred = source < 0
            slot, origin = (np.full(len(source), fill, column.dtype) for fill, column in
                            ((-1, columns[2]), (AFTERPULSE, columns[3])))
            slot[~bred], origin[~bred] = columns[2][source[~bred]], columns[3][source[~bred]]
            parts.append((time, detector, slot, origin))
        self._held = tuple(column[used:] for column in columns)
        self._settled = max(self._settled, until_ps)
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))

    def _some(self, settings, time, detector, first, until_ps, rng):
        """One call of the kernel from candidate `first` on: clicks, the index each came from, candidates used, done."""
        room = len(time) - first + len(time) // 8 + 64
        if self._n_pending == len(self._pending_ps):
            self._pending_ps, self._pending_detector = (
                np.concatenate([a, np.zeros_like(a)]) for a in (self._pending_ps, self._pending_detector))
        out_ps, out_detector, out_origin = np.empty(room, np.int64), np.empty(room, np.uint8), np.empty(room, np.int64)
        used, self._n_pending, n, done = _ext.channel.detect(
            time[first:], detector[first:], until_ps, settings.dead_time_ps, _afterpulse_delays(settings, room, rng),
            self._last_ps, self._pending_ps, self._pending_detector, self._n_pending, out_ps, out_detector, out_origin)
        origin = out_origin[:n]
        origin[origin >= 0] += first
        return out_ps[:n], out_detector[:n], origin, first + used, done


def _afterpulse_delays(settings, n, rng):
    """For n clicks: how long after the dead time each one's afterpulse comes, int64 ps, -1 where there is none."""
    delays = np.full(n, -1, np.int64)
    if settings.afterpulse_probability > 0:
        where = np.flatnonzero(rng.random(n) < settings.afterpulse_probability)
        delays[where] = (rng.standard_exponential(len(where)) * settings.afterpulse_decay_ps).astype(np.int64)
    return delays
