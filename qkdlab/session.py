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
device     name, state ("away": the session waits for it, "back", or "changed": the open block gives no key), message
           (live links only)
end        report (what ``qkdlab distill --json`` prints)
error      message
========== ===========================================================================================================
"""

import threading
import time
from functools import partial

from . import __version__, report
from .accounting import Agreement
from .choices import refuse_simulated
from .classical_channel import ChannelClosed, LocalChannel
from .datasets.recording import Recording, Tally
from .datatypes import DistillSettings, Event
from .draws import from_system, replayed
from .errors import BadInput
from .ledger import ANNOUNCED_EARLY, PUBLIC_SEED, SIMULATED
from .parties import Alice, Bob
from .receiver import Receiver, goes_on

__all__ = ["Session"]


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
        source's and the choices' own ``blocked``, where they have it (see :mod:`qkdlab.live` and :mod:`qkdlab.randomness`),
        are always asked.
    deliver : callable, optional
        ``deliver(party, key)`` with ``"alice"`` or ``"bob"`` and the :class:`qkdlab.datatypes.SecretKey` of a block, on the
        party's own thread. Who wants the key takes it here: the session itself keeps none, however long it runs.

    Raises
    ------
    BadInput
        Where the source lacks what a key needs (a bare tag file has no record of what was sent).
    """

    def __init__(self, source, distill=None, *, block_seconds=0.1, pace=None, blockers=(), deliver=None):
        for need, why in (("source", "the source's settings"), ("choices", "what the sender prepared")):
            if getattr(source, need, None) is None:
                raise BadInput(f"holds detections only; a key needs {why} as well", where=getattr(source, "path", ""),
                               field=need)
        refuse_simulated(source.choices, source.simulated)
        own = (getattr(one, "blocked", None) for one in (source, source.choices))
        self._blockers = (*blockers, *(blocked for blocked in own if blocked))
        self.source = source
        self.distill = distill or getattr(source, "distill", None) or DistillSettings()
        self.report = None
        self._deliver = deliver or (lambda party, key: None)
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
        alice = Alice(self.source.choices, self.agreement, ends[0], draw, provenance, partial(self._deliver, "alice"))
        bob = Bob(self.agreement, ends[1], draw, provenance, partial(self._deliver, "bob"))
        helper = _Serving(alice)
        self._tell("start", title=_title(self.source), simulated=bool(self.source.simulated),
                   records=getattr(self.source, "info", {}).get("records"))
        try:
            receiver = self._receive(bob, draw, seconds)
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

    def _receive(self, bob, draw, seconds):
        """All of Bob's part, from the first word to the last."""
        bob.hello()
        receiver = Receiver(self.source, self.agreement, bob, draw, tell=self._tell, blocked=self.blocked)
        for tags in self._blocks(seconds):
            while not self._stop.is_set() and not self._go.wait(0.1):        # a pause after a stop holds nothing
                pass
            receiver.take(tags)
            if self._stop.is_set():
                break
        receiver.close()
        bob.bye()
        return receiver

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


def _assumed(source, seed):
    """What a key of this run rests on beyond its proof."""
    assumed = []
    if source.simulated and goes_on(source):
        assumed.append(ANNOUNCED_EARLY)
    if seed:
        assumed.append(PUBLIC_SEED)
    if source.simulated:
        assumed.append(SIMULATED)
    return assumed


def _title(source):
    path = getattr(source, "path", None)
    return getattr(source, "title", None) or (str(path) if path else "simulated link")
