"""A session: blocks through the steps to keys, from a simulated, replayed or live source alike.

A session runs on one worker thread and tells what happens in events. The steps and their values:

========== ===========================================================================================================
step       values
========== ===========================================================================================================
start      title, simulated, records (in the recording, if its header tells; None else)
clock      locked, rate_hz, offset_ppm, visibility, jitter_ps, gate_ps, reason, phase_ps (bins,), histogram (4, bins)
block      time_s, tags, rates_hz (4), qber_test, qber_low, qber_high (None: undefined), gains and gains_expected (by
           intensity, key basis; the latter None where nobody knows), sifted_key_bits, sifted_test_bits, s1, phase_error,
           key_length and signed_length (if stopped now), leak_bits, pa_bits, cor_bits (what the bound takes off; None
           where the proof does not say), reason
reconcile  rounds, leak_bits
amplify    secret_bits, reason, qber_key (None where the block was not corrected)
device     name, state ("away": the session waits for it, or "back"), message (live links only)
end        report (what ``qkdlab distill --json`` prints)
error      message
========== ===========================================================================================================
"""

import threading
import time

import numpy as np

from . import __version__, datatypes, report
from .accounting import Agreement, bound_now
from .choices import refuse_simulated
from .classical_channel import ChannelClosed, LocalChannel
from .datasets.recording import Recording, Tally
from .datatypes import Clicks, DecoyCounts, DistillSettings, Event
from .errors import BadInput
from .ledger import ANNOUNCED_EARLY, PUBLIC_SEED, SIMULATED
from .parties import Alice, Bob, from_system, replayed
from .postprocessing.estimate import qber_interval
from .postprocessing.synchronise import Synchroniser

__all__ = ["Session"]

BLOCK_STEP = 4096            # clicks


class Session:
    """One run over one source, from tags to keys.

    Parameters
    ----------
    source : SimulatedLink, Recording or live link
        Anything with ``source``, ``sync``, ``receiver`` (public settings), ``choices`` (Alice's record), ``simulated``,
        and ``tag_blocks()`` or ``blocks(seconds)`` (Bob's tags).
    distill : DistillSettings, optional
        How bits become key; the recording's own where it has them.
    block_seconds : float
        Stretch of a simulated link's time between two events.
    pace : float, optional
        Seconds of link time per second of wall time; absent: as fast as it goes.
    blockers : iterable of callable
        Each is asked when a block is closed; a text that it gives is the reason why the block gives no key. The
        choices' own ``blocked``, where they have it (see :mod:`qkdlab.randomness`), is always asked.

    Raises
    ------
    BadInput
        Where the source lacks what a key needs (a bare tag file has no record of what was sent).
    """

    def __init__(self, source, distill=None, *, block_seconds=0.1, pace=None, blockers=()):
        for need, why in (("source", "the source's settings"), ("choices", "what the sender prepared")):
            if getattr(source, need, None) is None:
                raise BadInput(f"holds detections only; a key needs {why} as well", where=getattr(source, "path", ""),
                               field=need)
        refuse_simulated(source.choices, source.simulated)
        own = getattr(source.choices, "blocked", None)
        self._blockers = (*blockers, *([own] if own else ()))
        self.source = source
        self.distill = distill or getattr(source, "distill", None) or DistillSettings()
        self.report = None
        self._block_seconds, self._pace = block_seconds, pace
        self._stop, self._go, self._done = threading.Event(), threading.Event(), threading.Event()
        self._go.set()
        self._tally = Tally()
        self._subscribers, self._thread, self._failure = [], None, None

    def blocked(self):
        """Why no key may be made now, by the first blocker that has a reason; or None. One that fails is a reason."""
        for blocker in self._blockers:
            try:
                reason = blocker()
            except Exception as error:
                reason = f"it could not be told whether a key may be made: {error or type(error).__name__}"
            if reason:
                return str(reason)
        return None

    @property
    def agreement(self):
        """The public settings of both parties."""
        return Agreement(self.source.source, self.source.sync, self.source.receiver, self.distill)

    # -------------------------------------------------------------------------------------------------- control

    def subscribe(self, callback):
        """Call ``callback(event)`` on the worker thread for every event; returns a function that ends it."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback) if callback in self._subscribers else None

    def start(self, seconds=None):
        """Begin on a worker thread and return at once. `seconds`: how long (a simulated link without it goes on until
        stopped; a recording ends by itself)."""
        if self._thread is not None:
            raise RuntimeError("a session runs once; make a new one to run again")
        self._thread = threading.Thread(target=self._work, args=(seconds,), name="qkdlab-session", daemon=True)
        self._thread.start()

    def stop(self):
        """Ask the worker to close the present block and end. Returns at once, from any thread."""
        self._stop.set()
        self._go.set()
        if getattr(self.source, "following", False):
            self.source.end_following()

    def pause(self):
        """Hold after the present stretch."""
        self._go.clear()

    def resume(self):
        """Go on after `pause`."""
        self._go.set()

    @property
    def running(self):
        """Whether the worker is at work."""
        return self._thread is not None and not self._done.is_set()

    def wait(self, timeout=None):
        """Wait for the end; whether it has come. Not for notebook cells: a blocked cell also blocks the Stop button."""
        return self._done.wait(timeout)

    def run(self, seconds=None):
        """Run to the end in the present thread's time and return the report.

        Raises
        ------
        BadInput
            As raised by the source.
        """
        self.start(seconds)
        while not self.wait(0.1):        # short waits, so that Ctrl-C is heard
            pass
        if self._failure:
            raise self._failure
        return self.report

    # --------------------------------------------------------------------------------------------------- worker

    def _tell(self, step, block=0, **values):
        event = Event(step, block, values)
        for callback in list(self._subscribers):
            callback(event)

    def _work(self, seconds):
        try:
            self._distill(seconds)
        except Exception as error:
            self._failure = error
            self._tell("error", message=str(error) or type(error).__name__)
        finally:
            self._done.set()

    def _distill(self, seconds):
        seed = getattr(self.source, "public_seed", None)
        draw = replayed(seed) if seed else from_system
        provenance = {"simulated": bool(self.source.simulated), "settings_sha256": self.agreement.digest(),
                      "hash_seeds": "expanded from the recording's public seed" if seed else "operating system",
                      "assumptions": _assumed(self.source, seed),
                      "qkdlab": __version__}
        if hasattr(self.source, "tell"):                 # a live link has something to tell by itself
            self.source.tell = self._tell
        ends = LocalChannel.pair()
        alice = Alice(self.source.choices, self.agreement, ends[0], draw, provenance)
        bob = Bob(self.agreement, ends[1], draw, provenance)
        helper = _Serving(alice)
        self._tell("start", title=_title(self.source), simulated=bool(self.source.simulated),
                   records=getattr(self.source, "info", {}).get("records"))
        try:
            bob.hello()
            receiver = _Receiver(self, bob, draw)
            for tags in self._blocks(seconds):
                while not self._stop.is_set() and not self._go.wait(0.1):        # a pause after a stop holds nothing
                    pass
                receiver.take(tags)
                if self._stop.is_set():
                    break
            receiver.close()
            bob.bye()
        except ChannelClosed as closed:
            raise (helper.join() or closed) from None
        finally:
            ends[1].close()
        failure = helper.join()
        if failure:
            raise failure
        warnings = [*getattr(self.source, "warnings", ()), *self._tally.warnings, *receiver.warnings]
        self.report = report.summary(self, receiver, alice, bob, provenance, title=_title(self.source), warnings=warnings,
                                     stopped=self._stop.is_set())
        self._tell("end", report=self.report)

    def _blocks(self, seconds):
        """Bob's tags, at the asked pace."""
        if hasattr(self.source, "tag_blocks"):
            tally = {"tally": self._tally} if isinstance(self.source, Recording) else {}
            blocks = self.source.tag_blocks(**tally)
        else:
            seconds = float("inf") if seconds is None else seconds
            blocks = self.source.blocks(seconds, self._block_seconds)
        began = time.perf_counter()
        for index, tags in enumerate(blocks):
            yield tags
            if self._pace:
                ahead = (index + 1) * self._block_seconds / self._pace - (time.perf_counter() - began)
                if ahead > 0:
                    self._stop.wait(ahead)


class _Serving:
    """Alice on her own thread; a failure of hers closes the channel, so that Bob does not wait for ever."""

    def __init__(self, alice):
        self._failure = None
        self._thread = threading.Thread(target=self._serve, args=(alice,), name="qkdlab-alice", daemon=True)
        self._thread.start()

    def _serve(self, alice):
        try:
            alice.serve()
        except ChannelClosed:
            pass
        except Exception as error:
            self._failure = error
        finally:
            alice.channel.close()

    def join(self):
        """Wait for her end; what went wrong, or None."""
        self._thread.join()
        return self._failure


class _Receiver:
    """Bob's side of a session: tags to clicks to blocks, with the events and the time each step took."""

    def __init__(self, session, bob, draw):
        self._session, self.bob = session, bob
        rng = np.random.Generator(np.random.Philox(int.from_bytes(draw(16, "double clicks"), "little")))
        a = session.agreement
        self._synchroniser = Synchroniser(a.source, a.sync, a.receiver, rng)
        self.seconds = dict.fromkeys(("synchronise", "sift", "reconcile", "verify", "bound", "amplify"), 0.0)
        self.reports, self.total = [], DecoyCounts.zeros(len(a.source.intensities))
        self.tags = self.clicks = self.lost = 0
        self.detector_tags = np.zeros(len(a.receiver.channels), np.int64)
        self._next_slot = None
        # On a real link nothing is announced before the last detection of a block, as the proofs assume. A recording
        # has all of its detections already; a simulated Eve does not adapt, and the live view wants the counts.
        source = session.source
        self._held = [] if not source.simulated and _goes_on(source) else None
        self._span_ps = None
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
        channels = self._session.agreement.receiver.channels
        self.detector_tags += np.bincount(tags.channel, minlength=max(channels) + 1)[list(channels)]
        clock = time.perf_counter()
        clicks = self._synchroniser.push(tags)
        self.seconds["synchronise"] += time.perf_counter() - clock
        self._sift(clicks)
        self._tell(tags)
        if self._held is not None and sum(map(len, self._held)) >= self._session.distill.block_key_bits:
            self._close_block()

    def close(self):
        """The source has ended: what waits in the synchroniser, then the last block."""
        clock = time.perf_counter()
        clicks = self._synchroniser.finish()
        self.seconds["synchronise"] += time.perf_counter() - clock
        self._sift(clicks)
        if len(clicks):
            self._tell(None)
        if self.bob.counts.clicks.any() or self._held or not self.reports:
            self._close_block()

    def _sift(self, clicks):
        if self._held is not None:
            self._held += [clicks] if len(clicks) else []
            return
        # A block may end at every BLOCK_STEP-th click only, so that how the tags came makes no difference to it.
        full, begin = self._session.distill.block_key_bits, 0
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
        self.bob.announce(clicks, _secret_slots(self._session.agreement.sync, first, self._next_slot))
        self.seconds["sift"] += time.perf_counter() - clock

    def _close_block(self):
        tell = self._session._tell
        block = self.bob.block
        if self._held:
            for clicks in self._held:
                self._announce(clicks)
            self._held = []
        self.bob.coincidences = self._synchroniser.coincidences
        done = self.bob.distill(lambda rounds, leak_bits: tell("reconcile", block, rounds=rounds, leak_bits=leak_bits),
                                self._session.blocked())
        for step, spent in done.seconds.items():
            self.seconds[step] += spent
        self.reports.append(done)
        self.total = self.total + done.counts
        tell("amplify", block, secret_bits=done.secret_bits, reason=done.bound.reason,
             qber_key=done.counts.qber(0) if done.reconciliation and done.reconciliation["verified"] else None)

    def _tell(self, tags):
        state = self.clock
        if state != self._told_clock:
            self._told_clock = state
            phase_ps, histogram = self._synchroniser.histogram()
            self._session._tell("clock", self.bob.block, **datatypes.as_table(state), phase_ps=phase_ps,
                                histogram=histogram)
        counts = self.bob.counts
        qber, low, high = qber_interval(int(counts.errors[:, 1].sum()), int(counts.clicks[:, 1].sum()))
        bound = bound_now(self._session.agreement, counts)
        sent = counts.sent[:, 0]
        gains = np.divide(counts.clicks[:, 0], sent, out=np.zeros(len(sent)), where=sent > 0)
        self._session._tell(
            "block", self.bob.block, **self._rates(tags), tags=self.tags, qber_test=qber, qber_low=low, qber_high=high,
            gains=gains.tolist(), gains_expected=_expected(self._session.source, state),
            sifted_key_bits=int(counts.clicks[:, 0].sum()), sifted_test_bits=int(counts.clicks[:, 1].sum()),
            s1=bound.s1, phase_error=bound.phase_error, key_length=bound.length, signed_length=bound.signed_length,
            leak_bits=bound.leak_bits, pa_bits=bound.details.get("pa_bits"), cor_bits=bound.details.get("cor_bits"),
            reason=bound.reason if state.locked else state.reason)

    def _rates(self, tags):
        """Link time so far and detections per second of each detector in this stretch."""
        channels = self._session.agreement.receiver.channels
        if tags is None or len(tags) < 2:
            return {"time_s": (self._span_ps[1] - self._span_ps[0]) * 1e-12 if self._span_ps else 0.0,
                    "rates_hz": [0.0] * len(channels)}
        # Since the last tag of the stretch before: a short rest at the end would otherwise show a rate of its own.
        start, end = self._span_ps[1] if self._span_ps else int(tags.time_ps[0]), int(tags.time_ps[-1])
        self._span_ps = (self._span_ps[0] if self._span_ps else start, end)
        counts = np.bincount(tags.channel, minlength=max(channels) + 1)
        return {"time_s": (end - self._span_ps[0]) * 1e-12,
                "rates_hz": [float(counts[c]) / max((end - start) * 1e-12, 1e-12) for c in channels]}


def _goes_on(source):
    """Whether detections go on while the session runs."""
    return getattr(source, "following", False) or not hasattr(source, "tag_blocks")


def _assumed(source, seed):
    """What a key of this run rests on beyond its proof."""
    assumed = []
    if source.simulated and _goes_on(source):
        assumed.append(ANNOUNCED_EARLY)
    if seed:
        assumed.append(PUBLIC_SEED)
    if source.simulated:
        assumed.append(SIMULATED)
    return assumed


def _secret_slots(sync, first, stop):
    """How many slots of [first, stop) lie outside the public headers."""
    public = [(x // sync.frame_slots) * sync.header_slots + min(x % sync.frame_slots, sync.header_slots)
              for x in (first, stop)]
    return stop - first - (public[1] - public[0])


def _expected(source, state):
    """What the simulator's closed forms promise for the key basis, by intensity; None where nobody knows."""
    expected = getattr(source, "expected_gains", None)
    return None if expected is None else [float(g) for g in expected(state.gate_ps)[:, 0]]


def _title(source):
    path = getattr(source, "path", None)
    return getattr(source, "title", None) or (str(path) if path else "simulated link")
