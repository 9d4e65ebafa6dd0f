"""From time tags to clicks in Alice's slot numbers.

Four steps, each with a file of its own: the pulse rate from the tags alone (:mod:`.pulse_rate`), the clock that follows
it (:mod:`.clock`), detectors aligned and one gate for all (:mod:`.gate`, run by :mod:`.tracking`), slot numbers by the
public string (:mod:`.frames`). Here they are joined into a stream: tags go in, clicks come out, in bounded memory, and
what cannot be synchronised is reported with its place and the reason. How the tags are cut into stretches makes no
difference.
"""

import math
from dataclasses import dataclass

import numpy as np

from .. import _ext
from ..datatypes import Clicks
from ..errors import BadInput
from .clock import BINS
from .detector_order import swapped
from .frames import FrameSearch, HeaderWatch, Slip
from .gate import ClickMaker
from .gate_width import gate_curve
from .tracking import Detections, LostStretch, Tracker

__all__ = ["ClockState", "LostStretch", "Synchroniser", "synchronise"]

DISORDER_PS = 10**9          # tags may be out of order by this much; a larger step back is a new start of Bob's clock
MOST_STEPS = 3               # more of them in one stretch are no clocks that were set back: its tags are not in order
CHECKED = 256                # stretches that are looked at for swapped detectors
MOVED = "the public string does not agree any more"


@dataclass(frozen=True, slots=True)
class ClockState:
    """What is known of Bob's clock now, or was known when the lock was lost. None: not known."""

    locked: bool
    rate_hz: float | None = None             # pulses per second of Bob's clock
    offset_ppm: float | None = None          # of that from the nominal rate
    drift_per_s: float | None = None         # change of the relative rate
    offset_slots: int | None = None          # Alice's slot at the first tag of the lock; negative: Bob was early
    first_frame: int | None = None           # frame of the first click
    visibility: float | None = None          # |mean exp(2 pi i phase)| of all tags, noise included
    jitter_ps: float | None = None           # standard deviation of the pulse
    gate_ps: int | None = None
    delays_ps: tuple[int, ...] | None = None     # of the detectors, against the first
    gated_fraction: float | None = None      # tags inside of the gate
    blanked: int | None = None               # slots with clicks left out so far because a detector may have been dead
    reason: str | None = None                # why there are no clicks


class Synchroniser:
    """Finds Alice's slots in a stream of time tags.

    Parameters
    ----------
    source : SourceSettings
        The nominal pulse rate, and the signal intensity for the choice of the gate.
    sync : SynchronisationSettings
    receiver : ReceiverSettings
    rng : numpy.random.Generator
        For the bits of double clicks; seeded from the system's entropy where real keys are made.
    search_ppm : float
        How far the pulse rate may be from the nominal one.
    late_frames : int
        How many frames after Alice Bob may have started at most (before her he may start at any time), and how far off
        his slots may be after a clock jump.

    Raises
    ------
    BadInput
        Where the source has one intensity only.

    Attributes
    ----------
    lost_stretches : list of LostStretch
        Tags without clicks, and why; neighbours with the same reason are joined.
    """

    def __init__(self, source, sync, receiver, rng, *, search_ppm=20.0, late_frames=1 << 16):
        if len(source.intensities) < 2:
            raise BadInput("the public string needs a second, weaker intensity", field="intensities",
                           value=list(source.intensities))
        self._source, self._sync, self._late_frames = source, sync, int(late_frames)
        self._input = np.full(256, 255, np.uint8)
        self._input[list(receiver.channels)] = range(4)
        blank_slots = math.ceil((receiver.blank_ps or 0) * source.clock_hz * 1e-12)
        self._tracker = Tracker(source.clock_hz, float(search_ppm), source.intensities[0], receiver.gate_ps,
                                float(np.dot(source.intensities, source.probabilities)), keep_strays=blank_slots > 0)
        self._maker, self._blanking = ClickMaker(rng, blank_slots), blank_slots > 0
        self._search = self._watch = self._offsets = self._first_frame = None
        self._first_ps = None        # the first tag
        self._anchor = None          # when (ps) and with which of Alice's slots the last lock began
        self._reason = "no clicks: is the shutter open?"
        self._locked = False
        self._out = []
        self.lost_stretches = []

    def push(self, tags):
        """Take a stretch of tags.

        Parameters
        ----------
        tags : TimeTags
            Later than those before, but for a disorder of at most 1 ms, or of any extent within the stretch. Channels
            that are no detector's are ignored.

        Returns
        -------
        Clicks
            All that is certain by now, later than those given before; public slots are left out. Often empty at first:
            the tags wait until the slots are known, and none is lost by that.
        """
        time_ps, detector = tags.time_ps, np.empty(len(tags), np.uint8)
        highest, in_order = _ext.match.inputs(time_ps, tags.channel, self._input, detector)
        if highest > 3:
            ours = np.flatnonzero(detector < 4)
            time_ps, detector = time_ps[ours], detector[ours]
        back = np.empty(0, np.int64)
        if not in_order:
            back = np.flatnonzero(np.diff(time_ps) < -DISORDER_PS) + 1
        if len(back) > MOST_STEPS:
            order = np.argsort(time_ps, kind="stable")
            time_ps, detector, back, in_order = time_ps[order], detector[order], back[:0], True
        for times, detectors in zip(np.split(time_ps, back), np.split(detector, back), strict=True):
            if len(times):
                self._first_ps = int(times[0]) if self._first_ps is None else self._first_ps
                self._step_back(int(times[0]))
                self._tracker.add(times, detectors, in_order)
                self._run()
        return self._collect()

    def finish(self):
        """The recording has ended: what was waiting is judged by what there is. Returns the last Clicks."""
        self._run(final=True)
        self._end(None)
        self._out.append(self._maker.push(np.empty(0, np.int64), np.empty(0, np.uint8), None))
        return self._collect()

    def histogram(self):
        """Phase histogram of all tags since the lock.

        Returns
        -------
        (ndarray of float, shape (BINS,), ndarray of int64, shape (4, BINS))
            Middle of each bin in ps from the middle of the pulse; tags of each detector.
        """
        clock = self._tracker.clock
        period_ps = 1e12 / (clock.rate_hz if clock else self._source.clock_hz)
        return ((np.arange(BINS) + 0.5) / BINS - 0.5) * period_ps, self._tracker.histogram()

    def gate_curve(self):
        """Key rate and signal-to-noise ratio for each width of the gate, from all tags since the lock.

        Returns
        -------
        GateCurve or None
            None without a lock.
        """
        clock, source = self._tracker.clock, self._source
        if clock is None or not self._tracker.histogram().any():
            return None
        return gate_curve(self._tracker.histogram(), 1e12 / clock.rate_hz, source.intensities[0],
                          float(np.dot(source.intensities, source.probabilities)))

    @property
    def coincidences(self):
        """Slots so far in which detectors of both bases clicked."""
        return self._maker.coincidences

    @property
    def state(self):
        """The ClockState now."""
        tracker, clock, found = self._tracker, self._tracker.clock, self._offsets
        if clock is None:
            return ClockState(False, reason=self._reason)
        slots = np.zeros(4, np.int64) if found is None else found.slots
        delays = clock.delay_ps + np.rint((slots[0] - slots) * (1e12 / clock.rate_hz)).astype(np.int64)
        return ClockState(
            locked=self._locked, rate_hz=clock.rate_hz, offset_ppm=(clock.rate_hz / self._source.clock_hz - 1) * 1e6,
            drift_per_s=clock.drift_hz_per_s / clock.rate_hz,
            offset_slots=None if found is None else int(slots[tracker.reference]), first_frame=self._first_frame,
            visibility=clock.visibility, jitter_ps=tracker.gate.jitter_ps, gate_ps=tracker.gate.width_ps,
            delays_ps=tuple(int(d) for d in delays - delays[0]),
            gated_fraction=tracker.gated / tracker.seen if tracker.seen else None,
            blanked=self._maker.blanked if self._blanking else None,
            reason=None if self._locked else self._reason)

    # ------------------------------------------------------------------------------------------------------ the stream

    def _step_back(self, time_ps):
        """A clock that was set back: all that came before is brought to its end first."""
        latest = self._tracker.latest_ps
        if latest is not None and time_ps < latest - DISORDER_PS:
            reason = f"Bob's clock stepped back by {(latest - time_ps) * 1e-12:.6g} s"
            self._run(final=True)
            self._end(reason)
            self._lose(latest, latest, reason)
            self._tracker.forget()

    def _run(self, final=False):
        for item in self._tracker.run(final):
            if isinstance(item, Detections):
                self._number(item)
            elif isinstance(item, LostStretch):
                self._lose(item.start_ps, item.stop_ps, item.reason)
            else:
                self._end(item.reason)
                self._lose(item.time_ps, item.time_ps, item.reason)

    def _number(self, detections):
        """Give detections their slot numbers, or let them wait for the string."""
        if self._watch is not None:
            try:
                self._emit(self._watch.add(detections))
            except Slip as slip:
                self._give_up(slip.lost, MOVED)
                self._watch, self._locked, self._reason = None, False, MOVED
                for stretch in slip.after:
                    self._number(stretch)
            return
        if self._search is None:
            self._search, self._offsets = self._new_search(), None
        self._search.add(detections)
        self._seek()

    def _new_search(self):
        """Where the string is to be looked for: near Alice's first frame, or near what the last lock foretells."""
        reach, guess, start_ps = self._late_frames, 0, self._tracker.start_ps
        if self._anchor is None:
            reach += round((start_ps - self._first_ps) * 1e-12 * self._source.clock_hz) // self._sync.frame_slots
        else:
            time_ps, slot = self._anchor
            slot += round((start_ps - time_ps) * 1e-12 * self._tracker.clock.rate_hz)
            guess = slot // self._sync.frame_slots
        return FrameSearch(self._sync, self._source.clock_hz, guess, reach)

    def _seek(self, final=False):
        """Look for the string in what waits."""
        search = self._search
        offsets = search.attempt(final)
        self._reason = search.reason
        if offsets is None and (final or search.exhausted):
            self._give_up(search.pending, search.reason)
            self._search = None
        elif offsets is not None:
            self._search, self._offsets, self._locked = None, offsets, True
            self._watch = HeaderWatch(self._sync, offsets)
            self._complain(search.pending, offsets)
            self._anchor = self._tracker.start_ps, int(offsets.slots[self._tracker.reference])
            for stretch in search.pending:
                self._number(stretch)

    def _complain(self, pending, offsets):
        """Tell of detectors that are lost or swapped, at the time of the lock."""
        told = [f"detector {d} saw too little of the public string to tell its delay: its clicks are left out"
                for d in offsets.left_out]
        slot = np.concatenate([part.slot + offsets.slots[part.detector] for part in pending[:CHECKED]])
        told += swapped(self._source, self._sync, slot, np.concatenate([part.detector for part in pending[:CHECKED]]))
        for words in told:
            self._lose(pending[0].start_ps, pending[0].start_ps, words)

    def _end(self, reason):
        """No more detections in these slot counts; `reason` None: the recording ended."""
        if self._search is not None:
            self._seek(final=True)
        if self._watch is not None:
            certain, doubtful = self._watch.finish(sound=reason is None)
            self._emit(certain)
            self._give_up(doubtful, reason or MOVED)
        self._watch = self._search = None
        if reason is not None:
            self._locked, self._reason = False, reason

    def _emit(self, certain):
        for part in certain:
            clicks = self._maker.push(part.slot, part.detector, part.horizon, part.busy)
            if len(clicks):
                self._out.append(clicks)
                if self._first_frame is None:
                    self._first_frame = int(clicks.slot[0]) // self._sync.frame_slots

    def _collect(self):
        out, self._out = self._out, []
        if len(out) == 1:
            return out[0]
        return Clicks(*(np.concatenate([getattr(c, name) for c in out]) if out else np.empty(0)
                        for name in ("slot", "basis", "outcome")))

    def _give_up(self, stretches, reason):
        for stretch in stretches:
            self._lose(stretch.start_ps, stretch.stop_ps, reason)

    def _lose(self, start_ps, stop_ps, reason):
        lost = self.lost_stretches
        if lost and lost[-1].reason == reason and lost[-1].start_ps <= start_ps <= lost[-1].stop_ps + DISORDER_PS:
            start_ps = lost.pop().start_ps
        lost.append(LostStretch(start_ps, stop_ps, reason))
        if not self._locked:
            self._reason = reason


def synchronise(tag_blocks, source, sync, receiver, rng, **options):
    """All clicks of a recording at once.

    Parameters
    ----------
    tag_blocks : iterable of TimeTags
    source, sync, receiver, rng, **options
        As for :class:`Synchroniser`.

    Returns
    -------
    (Clicks, ClockState)
    """
    machine = Synchroniser(source, sync, receiver, rng, **options)
    parts = [machine.push(tags) for tags in tag_blocks]
    parts.append(machine.finish())
    clicks = Clicks(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("slot", "basis", "outcome")))
    return clicks, machine.state
