"""From tags to gated detections in counted slots: find the rate, align, gate, follow; and again after every loss."""

import math
from dataclasses import dataclass

import numpy as np

from .. import _ext
from .clock import BINS, CARRY, Clock
from .gate import align, choose_gate, jitter_ps
from .pulse_rate import FIRST_SPAN_S, grow, longest_span_s, search, sharpen

__all__ = ["Detections", "LostStretch", "Tracker", "Unlocked"]

TAGS_LIMIT = 1 << 23         # most tags that wait for a pulse rate
ENOUGH_POWER = 400.0         # of all detectors, and
ENOUGH_EACH = 30.0           # of each that has 1 % of the tags: more tags would not make a better start
BLOCK_S = 0.01               # longest block of the clock,
BLOCK_SLIDE = 0.02           # or shorter, as long as the phase may slide by so many slots within (standard deviation);
BLOCK_POWER = 64.0           # but with enough tags for this |R|^2 / N,
BLOCK_TAGS = 1 << 16         # and not more than this many
BLOCK_STRETCH = 8            # where light fades, a block ends after so many times its expected length
GAP_TAGS, GAP_PS = 20, 10**9     # time without tags at which a block ends: expected tags (e^-20), and at least so long
REALIGN_TAGS = 1 << 12, 1 << 18  # when delays are estimated anew: not before so many tags, then when they have doubled,
                                 # later after so many


@dataclass(frozen=True, slots=True)
class Detections:
    """Gated detections of one stretch, in slots counted from the last lock."""

    slot: np.ndarray             # int64 (M,), in order but for the detectors' delays
    detector: np.ndarray         # uint8 (M,)
    stop_slot: int               # where the next stretch begins
    start_ps: int
    stop_ps: int
    strays: tuple = ()           # tags outside of the gate, where asked for: slot after whose gate, detector (both arrays)
    first_slot: int | None = None        # where this stretch begins, if what came before it is not known


@dataclass(frozen=True, slots=True)
class LostStretch:
    """Tags that give no clicks."""

    start_ps: int
    stop_ps: int
    reason: str


@dataclass(frozen=True, slots=True)
class Unlocked:
    """The clock was lost here: slots will be counted anew."""

    time_ps: int
    reason: str


class Tracker:
    """Follows the pulses in a stream of tags, in bounded memory.

    Parameters
    ----------
    clock_hz : float
        Nominal.
    search_ppm : float
    signal_intensity : float
    gate_ps : int or None
    mean_intensity : float, optional
    keep_strays : bool
        Whether Detections tell of the tags outside of the gate, too.

    Attributes
    ----------
    clock : Clock or None
        The present one, or the last; None before any pulse rate was found.
    gate : Gate
    reference : int
        Detector whose delay is 0.
    start_ps : int
        Time of the last lock, slot 0.
    seen, gated : int
        Tags since the lock, and how many of them lie in the gate.
    latest_ps : int or None
        Latest tag that came in.
    """

    def __init__(self, clock_hz, search_ppm, signal_intensity, gate_ps, mean_intensity=None, *, keep_strays=False):
        self._keep_strays = keep_strays
        self._clock_hz, self._search_ppm = clock_hz, search_ppm
        self._intensities = signal_intensity, gate_ps, mean_intensity
        self._time, self._detector = np.empty(0, np.int64), np.empty(0, np.uint8)
        self._room = self._time, self._detector
        self._new, self._count, self._in_order = [], 0, True
        self.clock = None
        self.forget()

    def forget(self):
        """Look for the pulse rate anew, whatever the time of the next tags."""
        self._unlock()
        self.latest_ps = None

    def _unlock(self):
        self._following, self._found, self._span_s = False, None, FIRST_SPAN_S
        self._blind = True                       # what clicked just before the next stretch is not known

    def add(self, time_ps, detector, in_order=False):
        """Tags to wait (at least one): int64, and uint8 from 0 to 3. Sorted later unless they are `in_order`."""
        self._in_order &= in_order and (self.latest_ps is None or int(time_ps[0]) >= self.latest_ps)
        self._new.append((time_ps, detector))
        self._count += len(time_ps)
        self.latest_ps = max(int(time_ps[-1]), int(time_ps[-1]) if self.latest_ps is None else self.latest_ps)

    def run(self, final=False):
        """Go as far as the waiting tags lead; with `final` to their end. Yields Detections, LostStretch, Unlocked."""
        while self._count and (final or self._ready()):
            self._join()
            yield from self._track() if self._following else self._acquire()

    def _ready(self):
        """Whether the next span (without a clock) or the next block (with it) is complete."""
        if not self._following:
            first = int(self._time[0] if len(self._time) else self._new[0][0][0])
            return self.latest_ps >= first + self._span_ps() or self._count >= TAGS_LIMIT
        wanted = self._block_tags(self.clock)
        return self._count > wanted or self.latest_ps >= self.clock.time_ps + self._longest_block_ps(wanted)

    def _join(self):
        """Put what came in behind what waits, in a room that is used again and again."""
        if not self._new:
            return
        if self._count > len(self._room[0]):
            self._room = np.empty(self._count, np.int64), np.empty(self._count, np.uint8)
        parts = zip((self._time, self._detector), *self._new, strict=True)
        self._time, self._detector = (_filled(room, waiting) for room, waiting in zip(self._room, parts, strict=True))
        if not self._in_order and (self._time[1:] < self._time[:-1]).any():
            order = np.argsort(self._time, kind="stable")
            self._time, self._detector = self._time[order], self._detector[order]
        self._new, self._in_order = [], True

    def _drop(self, n):
        self._time, self._detector = self._time[n:], self._detector[n:]
        self._count -= n

    def histogram(self):
        """Tags of each detector by phase since the lock, int64 (4, BINS)."""
        return self._settled + self._recent if self.clock else np.zeros((4, BINS), np.int64)

    # ------------------------------------------------------------------------------------------ the rate, and the lock

    def _span_ps(self):
        return round(min(self._span_s, longest_span_s(self._clock_hz)) * 1e12)

    def _acquire(self):
        """Look for the pulse rate in a span that doubles each time."""
        start, span_ps = int(self._time[0]), self._span_ps()
        n = min(int(np.searchsorted(self._time, start + span_ps)), TAGS_LIMIT)
        time_ps, detector = self._time[:n], self._detector[:n]
        last = self._span_s >= longest_span_s(self._clock_hz)
        if n in (TAGS_LIMIT, len(self._time)):
            last, span_ps = True, int(time_ps[-1]) - start + 1
        self._found = grow(self._found, time_ps, detector, span_ps * 1e-12, self._clock_hz, self._search_ppm)
        if self._found and (last or _plenty(self._found, detector)):
            # Light that is spread evenly begins 1.7 standard deviations before its middle: tags long before that were
            # taken before Alice sent, and the clock need not be right there.
            dark = int(np.searchsorted(time_ps, self._found.time_ps - round(3e12 * self._found.spread_s)))
            if dark:
                yield LostStretch(start, int(time_ps[dark]), "no pulses seen")
                self._drop(dark)
            self._lock(time_ps[dark:], detector[dark:])
        elif last:
            stop = n if n == len(self._time) else max(1, int(np.searchsorted(time_ps, start + span_ps // 2)))
            yield LostStretch(start, int(time_ps[stop - 1]) + 1, self._missing(n))
            self._drop(stop)
            self._unlock()
        else:
            self._span_s *= 2

    def _missing(self, n):
        if n < 24:
            return "no clicks: is the shutter open?"
        return f"no pulse rate found near {self._clock_hz / 1e6:.9g} MHz +-{self._search_ppm:g} ppm"

    def _lock(self, time_ps, detector):
        """Align the detectors and choose the gate on the tags in which the rate was found."""
        found, self.start_ps = sharpen(self._found, time_ps, detector), int(time_ps[0])
        period_ps = 1e12 / found.rate_hz
        turns, powers = np.array(found.turns), np.array(found.powers)
        self.reference = int(np.argmax(powers))
        turn = turns[self.reference]
        delays = np.where(powers > 12, np.rint(_wrap(turn - turns) * period_ps), 0).astype(np.int64)
        self._tags_per_ps = len(time_ps) / max(int(time_ps[-1]) - self.start_ps, 1)
        window = min(BINS // 2, 3 * BINS // (2 * found.harmonic) + 2)     # pulses with that harmonic are as narrow
        for _ in range(3):
            counts = self._rehearse(Clock(found, self.start_ps, delays, turn, window), time_ps, detector)
            delays = align(counts, delays, period_ps, window)
            window = _half_width(jitter_ps(counts, period_ps), period_ps)
        self._choose(counts, period_ps)
        self.clock, self._following = Clock(found, self.start_ps, delays, turn, window), True
        self._recent, self._settled = np.zeros((4, BINS), np.int32), np.zeros((4, BINS), np.int64)     # of so many tags:
        self.seen = self.gated = self._fresh = self._old = 0

    def _choose(self, counts, period_ps):
        """Choose the gate; returns the half-width, in bins, in which pulses are looked for."""
        self.gate = choose_gate(counts, period_ps, *self._intensities)
        return _half_width(self.gate.jitter_ps, period_ps)

    def _rehearse(self, clock, time_ps, detector):
        """Run a clock over tags; returns the phase histogram by its final course."""
        counts, at = np.zeros((4, BINS), np.int32), 0
        while at < len(time_ps):
            stop = min(at + self._block_tags(clock), len(time_ps))
            self._fold(clock, time_ps[at:stop], detector[at:stop], int(time_ps[stop - 1]) + 1, (0, 0), counts)
            at = stop
        return counts

    # ------------------------------------------------------------------------------------------------------- following

    def _block_tags(self, clock):
        least = BLOCK_POWER / max(clock.visibility, 0.02) ** 2
        length_s = min(BLOCK_S, BLOCK_SLIDE / clock.rate_error_hz)
        return int(min(max(self._tags_per_ps * length_s * 1e12, least), BLOCK_TAGS))

    def _fold(self, clock, time_ps, detector, stop_ps, window, counts):
        """Follow the clock over one block and gate its tags: (Block, slots, detectors)."""
        block = clock.follow(time_ps, detector, max(stop_ps, clock.time_ps))
        slot, which = np.empty(len(time_ps), np.int64), np.empty(len(time_ps), np.uint8)
        kept = 0
        for piece, part in _parts(block, time_ps):
            kept += _ext.match.gate(time_ps[part], detector[part], clock.delay_ps, piece.start_ps, piece.slot,
                                    piece.phase, piece.rate, *window, slot[kept:], which[kept:], counts)
        return block, slot[:kept], which[:kept]

    def _strays(self, block, time_ps, detector, window):
        """The tags that the gate leaves out: (slots after whose gate they came, detectors)."""
        if not self._keep_strays:
            return ()
        slot, which, kept = np.empty(len(time_ps), np.int64), np.empty(len(time_ps), np.uint8), 0
        for piece, part in _parts(block, time_ps):
            kept += _ext.match.strays(time_ps[part], detector[part], self.clock.delay_ps, piece.start_ps, piece.slot,
                                      piece.phase, piece.rate, *window, slot[kept:], which[kept:])
        return slot[:kept], which[:kept]

    def _longest_block_ps(self, wanted):
        return round(BLOCK_STRETCH * wanted / self._tags_per_ps)

    def _next_block(self):
        """Tags of the next block, where it ends, and where the clock is to go on from (both ps)."""
        wanted = self._block_tags(self.clock)
        time_ps = self._time[: wanted + 1]
        n = min(wanted, len(time_ps))
        gaps = _gaps(time_ps, max(GAP_TAGS / self._tags_per_ps, GAP_PS))
        if len(gaps):
            n = int(gaps[0]) + 1
        longest = self.clock.time_ps + self._longest_block_ps(wanted)
        if int(time_ps[n - 1]) >= longest:
            n, gaps = max(1, int(np.searchsorted(time_ps, longest))), ()
        resume = int(time_ps[n]) if n < len(time_ps) else int(time_ps[-1]) + 1
        return n, int(time_ps[n - 1]) + 1 if len(gaps) else resume, resume

    def _track(self):
        """One block."""
        clock, (n, stop_ps, resume_ps) = self.clock, self._next_block()
        window = self.gate.window(1e12 / clock.rate_hz)
        block, slot, which = self._fold(clock, self._time[:n], self._detector[:n], stop_ps, window, self._recent)
        if self._elsewhere(block, n) and block.start_ps != self.start_ps:
            self._unlock()                                     # its tags are tried again
            yield Unlocked(block.start_ps, block.reason)
            return
        strays = self._strays(block, self._time[:n], self._detector[:n], window)
        self._drop(n)
        self.seen, self.gated, self._fresh = self.seen + n, self.gated + len(slot), self._fresh + n
        self._tags_per_ps += 0.5 * (n / max(resume_ps - block.start_ps, 1000) - self._tags_per_ps)
        if block.reason is None:
            first, self._blind = block.slot if self._blind else None, False
            yield Detections(slot, which, clock.slot, block.start_ps, block.stop_ps, strays, first)
        else:
            self._blind = True
            yield LostStretch(block.start_ps, block.stop_ps, block.reason)
        clock.coast(max(resume_ps, clock.time_ps))
        if clock.phase_error > CARRY:
            self._unlock()
            yield Unlocked(block.stop_ps, "the clock could not be carried on without light")
        elif self._fresh >= min(max(REALIGN_TAGS[0], self._old), REALIGN_TAGS[1]):
            self._realign()

    def _elsewhere(self, block, n):
        """Whether a block without the expected pulses has others."""
        if block.reason is None or block.jumped:
            return block.jumped
        span_s = (block.stop_ps - block.start_ps) * 1e-12
        return search(self._time[:n], self._detector[:n], span_s, self._clock_hz, self._search_ppm) is not None

    def _realign(self):
        """Let the delays follow what was seen: the mean of all at first, of the last tags later."""
        weight = max(self._fresh / (self._fresh + self._old), 0.125)
        clock = self.clock
        clock.delay_ps = align(self._recent, clock.delay_ps, 1e12 / clock.rate_hz, clock.window, weight)
        first = self._old < REALIGN_TAGS[1]
        self._settled += self._recent
        self._recent[:] = 0
        self._old, self._fresh = self._old + self._fresh, 0
        if first:                                # the start was aligned on few tags: now the pulse is seen more clearly
            clock.window = self._choose(self._settled, 1e12 / clock.rate_hz)


def _half_width(jitter_ps, period_ps):
    """Bins on either side of the middle that hold a pulse."""
    return min(BINS // 2, math.ceil(4 * jitter_ps / period_ps * BINS) + 2)


def _filled(room, parts):
    """The beginning of an array, into which others were copied; the first of them may be a part of it."""
    at = 0
    for part in parts:
        room[at : at + len(part)] = part
        at += len(part)
    return room[:at]


def _gaps(time_ps, longest_ps):
    """Indices of the tags after which there are none for longer than `longest_ps`."""
    coarse = np.append(time_ps[::256], time_ps[-1:])
    if len(time_ps) < 2 or int(np.diff(coarse).max()) <= longest_ps:
        return ()
    return np.flatnonzero(np.diff(time_ps) > longest_ps)


def _parts(block, time_ps):
    """The straight pieces of a block, and which of its tags (a slice) belong to each."""
    edges = [0, *(int(np.searchsorted(time_ps, piece.stop_ps)) for piece in block.pieces[:-1]), len(time_ps)]
    return [(piece, slice(a, b)) for piece, a, b in zip(block.pieces, edges, edges[1:], strict=False)]


def _plenty(found, detector):
    """Whether more tags would not make a better start."""
    share = np.bincount(detector, minlength=4) / len(detector)
    return found.power >= ENOUGH_POWER and all(
        power >= ENOUGH_EACH for power, part in zip(found.powers, share, strict=True) if part >= 0.01)


def _wrap(turns):
    return turns - np.floor(turns + 0.5)
