"""Sources that come as time goes by: a link over instruments, and a recording played as if it were one."""

import contextlib
import threading
import time

import numpy as np

from .datatypes import TimeTags
from .instruments.errors import InstrumentError
from .standing import Standing
from .watch import Watch, is_away

__all__ = ["LiveLink", "Replay"]

SLOWEST = 1e-4                   # a tagger's clock is no more off than that
FINEST_SHARE = 0.005             # a stretch of a long replay is this share of what has passed: some thousand stretches a day


class LiveLink:
    """A source over instruments, taken by :class:`qkdlab.Session` like a recording or a simulated link.

    A device that vanishes pauses the link: it is named (``tell``), the light goes off, and when it answers again the devices
    are set again, it is told to be back and the tags go on. A tagger that was away begins its times anew; they are moved
    behind those before by the time that has passed, and the public string finds the slots again.

    Parameters
    ----------
    choices : object with ``source``, ``sync`` and ``at(slots)``
        What the sender plays (see :mod:`qkdlab.choices`).
    receiver : ReceiverSettings
    tagger : qkdlab.instruments.TimeTagger
    distill : DistillSettings, optional
    devices : dict of str to device, optional
        All that the session needs; they are watched. The tagger is among them, or is watched as ``"tagger"``.
    prepare, rest : callable, optional
        ``prepare(returned)`` is called before the tags begin (set the devices, light on), with the names of those that were
        away; ``rest()`` after they have ended (safe state). Also around a pause.
    record : callable, optional
        Gives a :class:`qkdlab.datasets.recorder.RunWriter`; the tags are written to it before they are handed on.
    finish : callable, optional
        ``finish(writer)`` before the recorder is closed in order.
    standing : qkdlab.standing.Standing, optional
        Notices what moved at the devices.
    once : qkdlab.played.PlayedOnce, optional
        The claim on stored choices.
    watch_s : float
        How often each device is asked whether it is there, and how it stands.

    Attributes
    ----------
    tell : callable
        ``tell("device", name=, state=, message=)``; a session puts its own here.
    blocks_taken, pauses : int
        So far.
    """

    following = True             # it goes on until it is told to end

    def __init__(self, choices, receiver, tagger, *, distill=None, devices=None, prepare=None, rest=None, record=None,
                 finish=None, standing=None, once=None, watch_s=1.0):
        self.choices, self.source, self.sync = choices, choices.source, choices.sync
        self.receiver, self.tagger, self.distill = receiver, tagger, distill
        self.simulated = tagger.simulated
        self._devices = devices or {"tagger": tagger}
        self._name = next((name for name, device in self._devices.items() if device is tagger), "tagger")
        self._prepare, self._rest, self._record, self._finish = prepare, rest, record, finish
        self._standing, self._once = standing or Standing({}, {}), once
        self.title = f"live link, {tagger.identity()}"
        self._watch_s, self._ended, self._writer, self._log = watch_s, threading.Event(), None, threading.Lock()
        self.tell, self._stopping = (lambda step, **values: None), None
        self.blocks_taken = self.pauses = 0

    def blocked(self):
        """Why the block that closes now gives no key: choices played before, or a device that moved; or None."""
        return next((why for one in (self._once, self._standing) if one is not None and (why := one.blocked())), None)

    def block_closed(self):
        """The block that was asked for is closed."""
        self._standing.block_closed()

    def end_following(self):
        """End the tags; from any thread. The tagger is told beside it: one that sees no tag would never say another word."""
        self._ended.set()
        self._stopping = threading.Thread(target=self._stop_tagger, name="qkdlab-stop", daemon=True)
        self._stopping.start()

    def _stop_tagger(self):
        with contextlib.suppress(Exception):
            self.tagger.stop()                           # who waits for its tags waits no longer

    def blocks(self, seconds, block_seconds):
        """Bob's tags for about `seconds` by the tagger's clock (pauses not counted), then the tagger is stopped."""
        self._ended.clear()
        self._stopping = None
        for one in (self._once, self._standing):         # a link may be given to several sessions
            if one is not None:
                one.renew()
        writer = None if self._record is None else self._record()
        with contextlib.ExitStack() as stack:
            if writer is not None:
                stack.enter_context(_InOrder(writer))
                self._writer = writer
                stack.callback(self._forget_writer)
            stack.callback(lambda: self._stopping and self._stopping.join())         # before another recording begins
            done_s, at_ps, stint = 0.0, None, 0
            for tags in self._tags(block_seconds):
                if writer is not None:
                    with self._log:
                        writer.append(tags)
                self.blocks_taken += 1
                if len(tags):
                    since_ps = at_ps if at_ps is not None and stint == self.pauses else int(tags.time_ps[0])
                    at_ps, stint = int(tags.time_ps[-1]), self.pauses
                    done_s += (at_ps - since_ps) * 1e-12
                yield tags
                if done_s > seconds - block_seconds / 2 or self._ended.is_set():
                    return

    def _forget_writer(self):
        with self._log:
            writer, self._writer = self._writer, None
        if self._finish is not None:
            self._finish(writer)

    def _told(self, name, state, message):
        """An event, and a line in the run file."""
        with self._log:
            if self._writer is not None:
                self._writer.log(f"device {state}", device=name, message=message)
        self.tell("device", name=name, state=state, message=message)

    def _gone(self, name):
        """On the watch's thread: no light for nobody."""
        self._standing.leave([name])
        if self._rest is not None:
            with contextlib.suppress(Exception):         # whatever it was: the tagger is still to be stopped
                self._rest()
        self._stop_tagger()

    def _tags(self, block_seconds):
        """The tags of one stint after the other, on one axis of time."""
        watch = Watch(self._devices, self._told, self._watch_s, self._gone, self._standing.look)
        shift_ps, last_ps, began, paused, refused = 0, None, time.monotonic(), False, None
        with watch:
            while not self._ended.is_set():
                returned = set(watch.away)
                try:
                    began_s = self._begin(returned)
                    watch.back(returned)
                    paused = paused and bool(watch.away)
                    if last_ps is not None:
                        shift_ps = last_ps + 1 + round((time.monotonic() - began) * 1e12)
                    # Who went while the devices were set has been attended to: nobody would end the tags for its sake.
                    until_s, first_ps = began_s, None
                    for tags in () if watch.away or self._ended.is_set() else self.tagger.blocks(block_seconds):
                        if shift_ps:
                            tags = TimeTags(tags.time_ps + shift_ps, tags.channel, tags.lost)
                        last_ps, began = (int(tags.time_ps[-1]), time.monotonic()) if len(tags) else (last_ps, began)
                        yield tags
                        self._standing.handed_on(until_s)
                        if len(tags):                    # by the tagger's clock: tags may wait for us, and it may be off
                            first_ps = int(tags.time_ps[0]) if first_ps is None else first_ps
                            until_s = min(time.monotonic(), began_s + (1 - SLOWEST) * 1e-12 * (last_ps - first_ps))
                        watch.refuse_if_it_broke()
                        if watch.away or self._ended.is_set():
                            break
                except InstrumentError as error:
                    name = _culprit(self._devices, error, self._name)
                    if not is_away(error):
                        if not watch.away:
                            raise
                        if str(error) != refused:        # who has just come back may need some time; or somebody's help
                            self._told(name, "away", refused := str(error))
                    watch.report(name, error)
                finally:
                    self._halt(watch.away)
                if not watch.away or self._ended.is_set():
                    return
                self.pauses += not paused
                paused = True
                if not watch.wait_until_back(self._ended):
                    return

    def _begin(self, returned):
        """Returns when the tags began, by ``time.monotonic``."""
        for name, words in self._standing.look_again().items():
            self._told(name, "changed", words)
        if self._once is not None:
            self._once.play()
        if self._prepare is not None:
            self._prepare(returned)
        self._standing.begin()
        began_s = time.monotonic()
        self.tagger.start()
        return began_s

    def _last_look(self, away):
        if away:
            self._standing.leave(away)
        else:
            self._standing.end()

    def _halt(self, away=()):
        """No light, no recording, as far as the devices still listen; before that, where all are there, the last look."""
        for verb in (lambda: self._last_look(list(away)), self._rest, self.tagger.stop):
            if verb is not None:
                with contextlib.suppress(Exception):     # whatever it was: the other one is still to be done
                    verb()


class _InOrder:
    """A writer whose run counts as finished also where the reader of the tags just lost interest."""

    def __init__(self, writer):
        self._writer = writer

    def __enter__(self):
        return self._writer.__enter__()

    def __exit__(self, kind, *rest):
        if kind is not None and issubclass(kind, GeneratorExit):
            kind, rest = None, (None, None)
        return self._writer.__exit__(kind, *rest)


def _culprit(devices, error, otherwise):
    """Name of the device that an error speaks of."""
    return next((name for name, device in devices.items() if error.device and error.device in
                 (getattr(device, "name", None), getattr(device, "address", None))), otherwise)


class Replay:
    """A recording that comes in stretches of link time, so that it can be watched like a live link.

    Parameters
    ----------
    recording : Recording
    block_seconds : float
        Link time of a stretch. The stretches of a recording of hours grow with the time that has passed.
    """

    def __init__(self, recording, block_seconds=0.1):
        self._recording, self._stretch_ps = recording, max(1, round(block_seconds * 1e12))

    def __getattr__(self, name):
        return getattr(self._recording, name)

    def tag_blocks(self, **options):
        """The recording's tags; no TimeTags spans more than one stretch, none is empty."""
        start = end = None
        for tags in self._recording.tag_blocks(**options):
            first = 0
            while first < len(tags):
                time_ps = int(tags.time_ps[first])
                if end is None or time_ps >= end:
                    start = time_ps if start is None else start
                    stretch = max(self._stretch_ps, round(FINEST_SHARE * (time_ps - start)))
                    end = time_ps - time_ps % self._stretch_ps + stretch
                after = int(np.searchsorted(tags.time_ps, end))
                yield TimeTags(tags.time_ps[first:after], tags.channel[first:after], tags.lost if not first else 0)
                first = after
