"""Alice's slot numbers by the public string: where frames begin, which frame it is, and whether it stays so."""

import math
from dataclasses import dataclass, replace

import numpy as np

from .. import _ext, preamble
from . import detector_delays
from .tracking import Detections

__all__ = ["FrameSearch", "HeaderWatch", "Numbered", "Offsets", "Slip"]

SIGNIFICANCE = 7.0           # peak over noise that is asked for; the largest of 2^20 noise values lies near 5.3
CONFIRMATION = 4.0           # asked of other clicks, for the one frame number that was found
CLICKS_LIMIT = 1 << 24       # clicks after which the string is held to be absent
LONGEST_DELAY_S = 2e-6       # between detectors
DIRECT = 1024                # clicks in a header's half, at most, that are compared with it one by one: more by Fourier
CANDIDATES = 512             # frame numbers tried at a time, or as many as there are frames with clicks
PATIENCE = 64                # detectors whose delay is not known are waited for, so many times as long as it took to find
                             # the string
CLICKS_COMPARED = 2048       # header clicks that decide on the frame number


@dataclass(frozen=True, slots=True)
class Offsets:
    """What leads from counted slots to Alice's."""

    slots: np.ndarray            # int64 (4,), to add, per detector
    contrast: float              # (on - off) / (on + off) of the clicks in the fixed half of the headers
    significance: float
    left_out: tuple[int, ...] = ()       # detectors whose place could not be told: their clicks are not used


class FrameSearch:
    """Looks for the public string in gated detections that are handed in stretch by stretch.

    Parameters
    ----------
    sync : SynchronisationSettings
    clock_hz : float
    guess, reach : int
        Counted slot 0 is looked for in Alice's frames ``guess - reach`` to ``guess + reach``, the nearest first. Frames
        before her first one are none: with the guess 0, `reach` is how much later than she Bob may have begun, while
        he may have begun before her at any time.

    Attributes
    ----------
    pending : list of Detections
        All that was handed in.
    reason : str
        What is missing so far, in plain words.
    """

    def __init__(self, sync, clock_hz, guess, reach):
        self._sync, self._guess, self._range = sync, guess, (guess - reach, guess + reach)
        self._half = sync.header_slots // 2
        self._longest_delay = min(sync.frame_slots // 4, math.ceil(LONGEST_DELAY_S * clock_hz))
        self._on = preamble.fixed_pattern(sync)
        self._sign = np.where(self._on, 1, -1).astype(np.int8)
        self._counts = np.zeros((4, sync.frame_slots), np.int32)
        self._clicks = 0
        self._next = 1
        self._found_at = None
        self.pending, self.reason = [], "public string not found: too few clicks so far"

    @property
    def exhausted(self):
        """Whether so many clicks went by that the string must be absent."""
        return self._clicks >= CLICKS_LIMIT

    def add(self, detections):
        """Take a stretch in."""
        self.pending.append(detections)
        self._clicks += len(detections.slot)
        _ext.match.tally(detections.slot, detections.detector, self._counts)

    def attempt(self, final=False):
        """Look for the string, where enough was added since the last time.

        Parameters
        ----------
        final : bool
            No more will come.

        Returns
        -------
        Offsets or None
        """
        if not self.pending:
            return None
        frames = (self.pending[-1].stop_slot - int(self.pending[0].stop_slot)) // self._sync.frame_slots + 1
        header_clicks = self._clicks * self._half / self._sync.frame_slots
        if not final and not self.exhausted and (frames < self._next or header_clicks < 40):
            return None
        self._next = 2 * frames
        start, significance = self._frame_start(self._correlation(self._counts.sum(axis=0)))
        if significance < SIGNIFICANCE:
            self.reason = (f"public string not found: significance {significance:.1f} of {SIGNIFICANCE:.0f} after "
                           f"{frames} frames")
            return None
        self._found_at = self._found_at or frames
        offsets, placed = self._per_detector(start)
        found = self._number(offsets, placed, significance)
        waited = frames >= PATIENCE * self._found_at
        return found and self._place_rest(found, placed, final or self.exhausted or waited)

    def _correlation(self, counts):
        """Clicks in on slots minus clicks in off slots, for each place where the frame may begin (F,)."""
        if int(counts.sum()) * self._half <= DIRECT * self._sync.frame_slots:
            place = _places(counts)
            place = np.concatenate([place - self._sync.frame_slots, place[: np.searchsorted(place, self._half)]])
            score = np.zeros(self._sync.frame_slots, np.int32)
            _ext.correlate.pattern(place, self._sign, 0, score)
            return score
        spectrum = np.fft.rfft(self._sign, self._sync.frame_slots) * np.conj(np.fft.rfft(counts))
        return np.rint(np.fft.irfft(spectrum, self._sync.frame_slots)).astype(np.int64)

    def _frame_start(self, score):
        """What to add to the slots so that frames begin at multiples of their length, and its significance."""
        best, n, total, squares = int(np.argmax(score)), len(score), 0, 0
        for at in range(0, n, 1 << 16):                   # whole numbers in floats: exact, and quick in pieces
            part = score[at : at + (1 << 16)].astype(float)
            total, squares = total + int(part.sum()), squares + int((part * part).sum())
        spread = math.sqrt(max(n * squares - total * total, 0)) / n
        return best, ((int(score[best]) - total / n) / spread if spread else 0.0)

    def _near(self, counts, start):
        """As :meth:`_correlation`, only from ``start - longest_delay`` to ``start + longest_delay``; int32."""
        first = start - self._longest_delay
        place = _places(np.take(counts, np.arange(-start - self._longest_delay, self._half - first), mode="wrap"))
        score = np.zeros(2 * self._longest_delay + 1, np.int32)
        _ext.correlate.pattern(place - (start + self._longest_delay), self._sign, first, score)
        return score

    def _per_detector(self, start):
        """Offsets within the frame of each detector, and which of them stand out by themselves already."""
        offsets, placed, agreement = np.full(4, start, np.int64), np.zeros(4, bool), np.zeros(4)
        for d in np.flatnonzero(self._counts.sum(axis=1)):
            score = self._near(self._counts[d], start)
            score = score / math.sqrt(max(int(self._counts[d].sum()) * self._half / self._sync.frame_slots, 1.0))
            agreement[d] = score[self._longest_delay]
            if score.max() > 6:
                offsets[d], placed[d] = start - self._longest_delay + int(np.argmax(score)), True
        if not placed.any():                         # only all together stood out: begin with those that agree most
            placed = agreement >= min(SIGNIFICANCE / 2, agreement.max())
        return offsets, placed

    def _place_rest(self, found, placed, last_word):
        """Place the other detectors, too, by all that the string tells; None: wait for more clicks."""
        slots, left_out = found.slots.copy(), []
        for d in np.flatnonzero(~placed & (self._counts.sum(axis=1) > 0)):
            clicks = np.concatenate([part.slot[part.detector == d] for part in self.pending]) + slots[d]
            shift, wait = detector_delays.place(self._sync, clicks, self._longest_delay, found.contrast, last_word)
            if wait:
                self.reason = f"public string not yet seen by detector {d}"
                return None
            if shift is None:
                left_out.append(int(d))
            else:
                slots[d] += shift
        return replace(found, slots=slots, left_out=tuple(left_out))

    def _number(self, offsets, placed, significance):
        """Add the number of the first frame to the offsets, from the half of the header that depends on it."""
        row, place, contrast = self._numbered_clicks(offsets, placed)
        if not len(row):
            self.reason = "public string not found: no clicks in its numbered half"
            return None
        most = 3 * len(row) // 4                      # these decide, the others confirm
        if contrast * math.sqrt(most) < SIGNIFICANCE - 1:
            self.reason = f"public string not found: {len(row)} clicks in its numbered half are too few so far"
            return None
        first_row, last_row = int(row.min()), int(row.max())
        row = row - first_row
        best = 0.0
        candidates = self._candidates(first_row, last_row)
        for low, n in candidates:
            patterns, first = self._patterns(low + first_row, n + last_row - first_row)
            score = self._agreement(row[:most], place[:most], patterns, first, n)
            at = int(np.argmax(score))
            best = max(best, float(score[at]))
            if score[at] < SIGNIFICANCE:
                continue
            if self._agreement(row[most:] + at, place[most:], patterns, first, 1)[0] >= CONFIRMATION:
                return Offsets(offsets + (low + at) * self._sync.frame_slots, contrast, min(significance, best))
        self.reason = (f"public string not found: the frame number is not clear (significance {best:.1f} of "
                       f"{SIGNIFICANCE:.0f} among {sum(n for _, n in candidates)} numbers)")
        return None

    def _candidates(self, first_row, last_row):
        """Numbers to try for the frame of counted slot 0, as (first, how many), the nearest to the guess first."""
        low, high = self._range
        low = max(low, -last_row)                    # of all frames with clicks, the last one at least must exist
        step = max(CANDIDATES, last_row - first_row)
        parts = [(at, min(step, high + 1 - at)) for at in range(low, high + 1, step)]
        return sorted(parts, key=lambda part: abs(part[0] + part[1] // 2 - self._guess))

    def _numbered_clicks(self, offsets, placed):
        """Frame (counted from an arbitrary one) and place of the last clicks in the numbered half; the contrast. Of the
        detectors that are placed."""
        rows, places, on, off = [], [], 0, 0
        for stretch in reversed(self.pending):
            slot = (stretch.slot + offsets[stretch.detector])[placed[stretch.detector]]
            frame, place = np.divmod(slot, self._sync.frame_slots)
            fixed = self._on[place[place < self._half]]
            on, off = on + int(fixed.sum()), off + int((~fixed).sum())
            inside = np.flatnonzero((place >= self._half) & (place < 2 * self._half))
            rows.append(frame[inside])
            places.append(place[inside] - self._half)
            if sum(map(len, rows)) >= CLICKS_COMPARED:
                break
        return np.concatenate(rows[::-1]), np.concatenate(places[::-1]), (on - off) / max(on + off, 1)

    def _patterns(self, low, n):
        """Patterns of frames `low` to ``low + n - 1``; those below 0 do not exist: (patterns, first that does)."""
        first = min(max(-low, 0), n)
        patterns = np.zeros((n, (self._half + 63) // 64), np.uint64)
        if first < n:
            patterns[first:] = preamble.frame_patterns(self._sync, low + first, n - first)
        return patterns, first

    def _agreement(self, row, place, patterns, first, n):
        """(on - off) / sqrt(on + off) of the clicks, for each of `n` candidates."""
        on, used = np.zeros(n, np.int64), np.zeros(n, np.int64)
        _ext.match.matches(row, place, patterns, first, on, used)
        return (2 * on - used) / np.sqrt(np.maximum(used, 1))


def _places(counts):
    """Index of each click, in order."""
    place = np.flatnonzero(counts)
    return np.repeat(place, counts[place])


class HeaderWatch:
    """Numbers the slots, and checks by the fixed half of every header that the numbers stay right.

    Detections are given away once the string agrees in their own span and in the one after it: a slip of whole slots
    leaves the phase untouched, and shows only here.

    Parameters
    ----------
    sync : SynchronisationSettings
    offsets : Offsets
    """

    # Where the string is in place, (on - off) / sqrt(on + off) of n header clicks is contrast * sqrt(n) on average;
    # where it is not, 0; with standard deviation 1. A check ends as soon as FIRST are expected and AGREES are there, at
    # the latest when LAST are expected; with less than LEAST there is nothing to judge.
    FIRST, LAST, LEAST = 10.0, 20.0, 3.0
    AGREES = 5.0

    def __init__(self, sync, offsets):
        self._sync, self._offsets = sync, offsets
        self._pattern = preamble.fixed_pattern(sync).astype(np.uint8)
        self._contrast = max(offsets.contrast, 0.05)
        self._held = []                          # a span that agreed and waits for its successor
        self._open = []                          # the span in the making,
        self._score = np.zeros(2, np.int64)      # and its header clicks (off, on)

    def add(self, detections):
        """Take a stretch in.

        Returns
        -------
        list of Numbered
            What is certain now.

        Raises
        ------
        Slip
            Where the string does not agree any more.
        """
        counted, which = detections.slot, detections.detector
        if self._offsets.left_out:
            stay = ~np.isin(which, self._offsets.left_out)
            counted, which = counted[stay], which[stay]
        slot, detector = np.empty(len(counted), np.int64), np.empty(len(counted), np.uint8)
        score = np.zeros(2, np.int64)
        n = _ext.match.place(counted, which, self._offsets.slots, self._sync.frame_slots,
                             self._sync.header_slots, self._pattern, slot, detector, score)
        horizon = detections.stop_slot + int(self._offsets.slots.min()) - 2
        self._open.append(Numbered(slot[:n], detector[:n], horizon, score, detections, self._busy(detections)))
        self._score += score
        agreement, expected = self._agreement()
        if expected < self.FIRST or (agreement < self.AGREES and expected < self.LAST):
            return []
        return self._judge()

    def _busy(self, detections):
        """Slots after whose gate some detector clicked, of all tags there are, in order; none where nobody asked."""
        if not detections.strays:
            return np.empty(0, np.int64)
        offsets = self._offsets.slots
        busy = [slot + offsets[which] for slot, which in ((detections.slot, detections.detector), detections.strays)]
        if detections.first_slot is not None:                     # nobody knows what clicked before: as if one had
            busy.append(detections.first_slot + np.arange(int(offsets.min()) - 1, int(offsets.max())))
        return np.sort(np.concatenate(busy), kind="stable")

    def finish(self, sound):
        """No more will come.

        Parameters
        ----------
        sound : bool
            The recording ended here. Otherwise the clock was lost: the last stretch, where that may have begun, is
            given up, and so is what too few header clicks vouch for.

        Returns
        -------
        (list of Numbered, list of Detections)
            What is certain, and what is not.
        """
        doubtful = []
        if not sound and (self._open or self._held):
            last = (self._open or self._held).pop()
            doubtful.append(last.raw)
            if self._open:
                self._score -= last.score
        if self._agreement()[1] >= self.LEAST:
            try:
                return self._judge() + self._take_held(), doubtful
            except Slip as slip:
                return [], slip.lost + slip.after + doubtful
        rest, self._open = self._open, []
        if sound:
            return self._take_held() + rest, []
        return self._take_held(), [part.raw for part in rest] + doubtful

    def _agreement(self):
        """Standard deviations by which the span in the making agrees with the string, and how many are expected."""
        off, on = map(int, self._score)
        return (on - off) / math.sqrt(max(on + off, 1)), self._contrast * math.sqrt(on + off)

    def _judge(self):
        """Compare the span in the making with the string; if it agrees, it takes the place of the one before."""
        agreement, expected = self._agreement()
        off, on = map(int, self._score)
        span, self._open = self._open, []
        self._score[:] = 0
        certain = self._take_held()
        if agreement < min(self.AGREES, 0.5 * expected):
            # The slip lies where the running sum of on - off stops to grow, or one stretch later.
            growth = np.cumsum([0] + [int(part.score[1] - part.score[0]) for part in span])
            doubtful = certain + span[: int(np.argmax(growth)) + 1]
            raise Slip([part.raw for part in doubtful], [part.raw for part in span[len(doubtful) - len(certain) :]])
        self._held = span
        self._contrast += 0.25 * (max((on - off) / (on + off), 0.05) - self._contrast)
        return certain

    def _take_held(self):
        held, self._held = self._held, []
        return held


@dataclass(frozen=True, slots=True)
class Numbered:
    """Detections in Alice's slot numbers, headers left out."""

    slot: np.ndarray             # int64 (K,)
    detector: np.ndarray         # uint8 (K,)
    horizon: int                 # no later stretch holds a slot before this one
    score: np.ndarray            # clicks in (off, on) slots of the fixed half of the headers
    raw: Detections
    busy: np.ndarray = None      # int64, slots after whose gate some detector clicked (for blanking), in order


class Slip(Exception):
    """The string does not agree: `lost` must be given up, `after` may be tried with another offset (Detections)."""

    def __init__(self, lost, after):
        super().__init__("the public string does not agree any more")
        self.lost, self.after = lost, after
