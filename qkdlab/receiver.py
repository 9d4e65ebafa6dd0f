"""Bob's side of a session."""

import time

import numpy as np

from .accounting import bound_now
from .datatypes import Clicks, DecoyCounts, as_table
from .postprocessing.estimate import qber_interval
from .postprocessing.synchronise import Synchroniser

__all__ = ["Receiver", "goes_on"]

BLOCK_STEP = 4096            # clicks
REST = 0.1                   # of the stretch before: what is shorter tells no rate of its own


class Receiver:
    """Bob's side of a session: tags to clicks to blocks, with the events and the time each step took.

    Parameters
    ----------
    source : SimulatedLink, Recording or live link
        As of :class:`qkdlab.Session`.
    agreement : Agreement
    bob : Bob
        Who has said hello.
    draw : callable
        ``draw(n_bytes, purpose) -> bytes``: for the bits of double clicks.
    tell : callable
        ``tell(step, block, **values)``: hears the events ``clock``, ``block``, ``reconcile`` and ``amplify``.
    blocked : callable
        Asked when a block is closed: why no key may be made now, or None.

    Attributes
    ----------
    reports : list of BlockReport
    total : DecoyCounts
        Of all blocks.
    tags, clicks, lost : int
        Detections so far, those of them in the gate, and those that the tagger says it lost.
    detector_tags : np.ndarray
        int64 (4,), detections of each detector.
    seconds : dict of str to float
        Time spent in each step.
    """

    def __init__(self, source, agreement, bob, draw, *, tell, blocked):
        self._source, self._agreement, self.bob, self._tell, self._blocked = source, agreement, bob, tell, blocked
        rng = np.random.Generator(np.random.Philox(int.from_bytes(draw(16, "double clicks"), "little")))
        self._synchroniser = Synchroniser(agreement.source, agreement.sync, agreement.receiver, rng)
        self.seconds = dict.fromkeys(("synchronise", "sift", "reconcile", "verify", "bound", "amplify"), 0.0)
        self.reports, self.total = [], DecoyCounts.zeros(len(agreement.source.intensities))
        self.tags = self.clicks = self.lost = 0
        self.detector_tags = np.zeros(len(agreement.receiver.channels), np.int64)
        self._next_slot = None
        # On a real link nothing is announced before the last detection of a block, as the proofs assume. A recording
        # has all of its detections already; a simulated Eve does not adapt, and the live view wants the counts.
        self._held = [] if not source.simulated and goes_on(source) else None
        self._span_ps = self._rated = None
        self._told_clock = None

    @property
    def warnings(self):
        """Tags that gave no clicks, and why."""
        return [f"clicks from {s.start_ps * 1e-12:.6f} s to {s.stop_ps * 1e-12:.6f} s of Bob's clock are not used: "
                f"{s.reason}" for s in self._synchroniser.lost_stretches]

    @property
    def clock(self):
        """State of the clock recovery."""
        return self._synchroniser.state

    def take(self, tags):
        """One stretch of tags."""
        self.tags += len(tags)
        self.lost += tags.lost
        channels = self._agreement.receiver.channels
        self.detector_tags += np.bincount(tags.channel, minlength=max(channels) + 1)[list(channels)]
        clock = time.perf_counter()
        clicks = self._synchroniser.push(tags)
        self.seconds["synchronise"] += time.perf_counter() - clock
        self._sift(clicks)
        self._tell_stretch(tags)
        if self._held is not None and sum(map(len, self._held)) >= self._agreement.distill.block_key_bits:
            self._close_block()

    def close(self):
        """The source has ended: what waits in the synchroniser, then the last block."""
        clock = time.perf_counter()
        clicks = self._synchroniser.finish()
        self.seconds["synchronise"] += time.perf_counter() - clock
        self._sift(clicks)
        if len(clicks):
            self._tell_stretch(None)
        if self.bob.counts.clicks.any() or self._held or not self.reports:
            self._close_block()

    def _sift(self, clicks):
        if self._held is not None:
            self._held += [clicks] if len(clicks) else []
            return
        # A block may end at every BLOCK_STEP-th click only, so that how the tags came makes no difference to it.
        full, begin = self._agreement.distill.block_key_bits, 0
        while begin < len(clicks):
            end = len(clicks)
            if self.bob.sifted_key_bits + end - begin >= full:
                end = min(end, begin + BLOCK_STEP - self.clicks % BLOCK_STEP)
            self._announce(Clicks(*(getattr(clicks, name)[begin:end] for name in ("slot", "basis", "outcome"))))
            begin = end
            if not self.clicks % BLOCK_STEP and self.bob.sifted_key_bits >= full:
                self._close_block()

    def _announce(self, clicks):
        if not len(clicks):
            return
        clock = time.perf_counter()
        first = int(clicks.slot[0]) if self._next_slot is None else self._next_slot
        self._next_slot = int(clicks.slot[-1]) + 1
        self.clicks += len(clicks)
        self.bob.announce(clicks, _secret_slots(self._agreement.sync, first, self._next_slot))
        self.seconds["sift"] += time.perf_counter() - clock

    def _close_block(self):
        tell, block = self._tell, self.bob.block
        if self._held:
            for clicks in self._held:
                self._announce(clicks)
            self._held = []
        self.bob.coincidences = self._synchroniser.coincidences
        blocked = self._blocked()
        getattr(self._source, "block_closed", lambda: None)()
        done = self.bob.distill(lambda rounds, leak_bits: tell("reconcile", block, rounds=rounds, leak_bits=leak_bits),
                                blocked)
        for step, spent in done.seconds.items():
            self.seconds[step] += spent
        self.reports.append(done)
        self.total = self.total + done.counts
        tell("amplify", block, secret_bits=done.secret_bits, reason=done.bound.reason,
             qber_key=done.counts.qber(0) if done.reconciliation and done.reconciliation["verified"] else None)

    def _tell_stretch(self, tags):
        """The events after a stretch of tags (None: what came at the end)."""
        state = self.clock
        if state != self._told_clock:
            self._told_clock = state
            phase_ps, histogram = self._synchroniser.histogram()
            self._tell("clock", self.bob.block, **as_table(state), phase_ps=phase_ps, histogram=histogram)
        counts = self.bob.counts
        qber, low, high = qber_interval(int(counts.errors[:, 1].sum()), int(counts.clicks[:, 1].sum()))
        bound = bound_now(self._agreement, counts)
        sent = counts.sent[:, 0]
        gains = np.divide(counts.clicks[:, 0], sent, out=np.zeros(len(sent)), where=sent > 0)
        self._tell(
            "block", self.bob.block, **self._rates(tags), tags=self.tags, qber_test=qber, qber_low=low, qber_high=high,
            gains=gains.tolist(), gains_expected=_expected(self._source, state),
            sifted_key_bits=int(counts.clicks[:, 0].sum()), sifted_test_bits=int(counts.clicks[:, 1].sum()),
            s1=bound.s1, phase_error=bound.phase_error, key_length=bound.length, signed_length=bound.signed_length,
            leak_bits=bound.leak_bits, pa_bits=bound.details.get("pa_bits"), cor_bits=bound.details.get("cor_bits"),
            reason=bound.reason if state.locked else state.reason)

    def _rates(self, tags):
        """Link time so far and detections per second of each detector in this stretch."""
        channels = self._agreement.receiver.channels
        if tags is None or len(tags) < 2:
            return {"time_s": (self._span_ps[1] - self._span_ps[0]) * 1e-12 if self._span_ps else 0.0,
                    "rates_hz": [0.0] * len(channels)}
        # Since the last tag of the stretch before. A short rest, as at the end, has too few tags for a rate of its own:
        # they count with the next stretch.
        start, end = self._span_ps[1] if self._span_ps else int(tags.time_ps[0]), int(tags.time_ps[-1])
        self._span_ps = (self._span_ps[0] if self._span_ps else start, end)
        counts = np.bincount(tags.channel, minlength=max(channels) + 1)[list(channels)]
        since_ps, counted, before_s, rates_hz = self._rated or (start, 0, 0.0, None)
        counts, seconds = counts + counted, (end - since_ps) * 1e-12
        if seconds > REST * before_s or rates_hz is None:
            rates_hz = (counts / max(seconds, 1e-12)).tolist()
            self._rated = end, 0, seconds, rates_hz
        else:
            self._rated = since_ps, counts, before_s, rates_hz
        return {"time_s": (end - self._span_ps[0]) * 1e-12, "rates_hz": rates_hz}


def goes_on(source):
    """Whether detections go on while the session runs."""
    return getattr(source, "following", False) or not hasattr(source, "tag_blocks")


def _secret_slots(sync, first, stop):
    """How many slots of [first, stop) lie outside the public headers."""
    public = [(x // sync.frame_slots) * sync.header_slots + min(x % sync.frame_slots, sync.header_slots)
              for x in (first, stop)]
    return stop - first - (public[1] - public[0])


def _expected(source, state):
    """What the simulator's closed forms promise for the key basis, by intensity; None where nobody knows."""
    expected = getattr(source, "expected_gains", None)
    return None if expected is None else [float(g) for g in expected(state.gate_ps)[:, 0]]
