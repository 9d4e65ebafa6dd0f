"""The record timer of a simulated ID900: tags from the world, through delays, into streams and histograms."""

import math
import threading

import numpy as np

from qkdlab.simulation import clock as clocks

__all__ = ["Recorder"]

_PIECE_S = 0.05                  # tags made at once
_PULSE_PS = 10_000               # width of a detector's pulse: how much later its falling edge is
_FRAME_SLOTS = 1 << 20           # slots between pulses at STARt, where the link has no frames


class Recorder:
    """One acquisition after another, in a thread of its own.

    Parameters
    ----------
    device : ID900
    buffer_tags : int
    replay : sequence of TimeTags or None
    """

    def __init__(self, device, buffer_tags, replay):
        self._device, self._buffer_tags = device, buffer_tags
        self._replay = [_by_input(tags) for tags in replay] if replay else None
        self._thread, self._stopped, self._hearers = None, threading.Event(), math.inf
        self._histograms = {}
        sync = device.world.link.sync
        self.frame_slots = sync.frame_slots if sync else _FRAME_SLOTS

    @property
    def stage(self):
        """``PLAYING`` while an acquisition runs."""
        return "PLAYING" if self._thread is not None and self._thread.is_alive() else "STOPPED"

    def play(self, width_ps, period_ps, times, repeated):
        """Begin. Sub-acquisitions (`repeated`) are sent when each ends, one long acquisition when the buffer is full."""
        self.stop()
        self._join()
        self._hearers = math.inf
        self._stopped.clear()
        self._thread = threading.Thread(target=self._run, args=(width_ps * 1e-12, period_ps * 1e-12, times, repeated),
                                        name="id900 recorder", daemon=True)
        self._thread.start()

    def stop(self):
        """End the acquisition; what is in the buffer is still sent, but not to who opens a stream after this."""
        if not self._stopped.is_set():
            self._hearers = self._device.link.opened
            self._stopped.set()

    def close(self):
        """Stop and wait."""
        self.stop()
        self._device.link.abandon()
        self._join()

    def _join(self):
        if self._thread is not None:
            self._thread.join(30)

    def histogram(self, index):
        """Counts of a histogram so far, int64 (BCOUnt,)."""
        n = int(self._device.value("HISTogram#:BCOUnt", index, default=1000))
        counts = self._histograms.get(index)
        return counts.copy() if counts is not None and len(counts) == n else np.zeros(n, np.int64)

    def flush(self, index):
        """Empty a histogram."""
        self._histograms.pop(index, None)

    # --------------------------------------------------------------------------------------------------- the thread

    def _run(self, width_s, period_s, times, repeated):
        done, world = 0, self._device.world
        begun_ps, period_ps = world.tagger_ps, round(period_s * 1e12) if repeated else 0
        while done < times and not self._stopped.is_set():
            if self._replay:
                self._send(self._count(self._replay[done % len(self._replay)]))
            else:
                if gap_s := world.seconds_until(begun_ps + done * period_ps):
                    world.take(max(gap_s, 1e-9))                         # the gap: these clicks nobody sees
                self._acquire(begun_ps + done * period_ps, width_s, math.inf if repeated else self._buffer_tags)
            done += 1
        self._device.link.end(self._hearers)

    def _acquire(self, zero_ps, width_s, buffer_tags):
        """One stretch, perhaps without end, from time 0 on: all times are by the tagger's own clock."""
        world, held, n = self._device.world, [], 0
        begun_s = world.clock.now()
        steps = max(1, math.ceil(width_s / _PIECE_S - 1e-9)) if width_s < math.inf else math.inf
        piece_s = width_s / steps if width_s < math.inf else _PIECE_S
        done = 0
        while done < steps and not self._stopped.is_set():
            if self._device.strikes("stall") is not None:
                self._stopped.wait(0.02)
                continue
            start_ps = world.tagger_ps
            tags = world.take(max(world.seconds_until(zero_ps + round(piece_s * (done + 1) * 1e12)), 1e-9))
            held.append(self._count(self._inputs(tags, start_ps, world.tagger_ps, zero_ps)))
            n, done = n + len(tags), done + 1
            world.clock.sleep(begun_s + piece_s * done - world.clock.now(), self._stopped)
            if n >= buffer_tags:
                self._send(_joined(held))
                held, n = [], 0
        if held:
            self._send(_joined(held))

    def _inputs(self, tags, start_ps, stop_ps, zero_ps):
        """Times of STARt (0), INPUt1..4 and GEN1..4 (-1..-4) in a stretch, relative to the acquisition, int64."""
        device, found = self._device, {}
        for i, channel in enumerate(device.world.link.receiver.channels, 1):
            late = _PULSE_PS if device.value("INPUt#:EDGE", i, default="RISING") == "FALLING" else 0
            times = tags.time_ps[tags.channel == channel] if device.seen(i) else tags.time_ps[:0]
            found[i] = np.maximum(times - zero_ps, 0) + late
        link = device.world.link
        frame_ps = self.frame_slots * link.source.period_ps
        first, last = (math.ceil(clocks.true_time_ps(link.clock, t) / frame_ps) for t in (start_ps, stop_ps))
        sync = clocks.read(link.clock, np.rint(np.arange(max(0, first), max(0, last)) * frame_ps).astype(np.int64))
        found[0] = sync - zero_ps if device.seen(0) else sync[:0]
        for g in range(1, 5):
            if device.value("GEN", g):
                period = int(device.value("GEN#:PPERiod", g, default=1e6))
                a, b = (-(-(t - zero_ps) // period) for t in (start_ps, stop_ps))
                found[-g] = np.arange(a, b, dtype=np.int64) * period
        return found

    # ------------------------------------------------------------------------------------------------- where it goes

    def _times(self, found, name, depth=8):
        """Times at the output of a block, or None where nothing is wired."""
        value, kind, i = self._device.value, name.rstrip("0123456789"), int(name[len(name.rstrip("0123456789")) :] or 0)
        if name == "NONE" or depth == 0:
            return None
        if kind in ("STAR", "INPU", "GEN"):
            return found.get(-i if kind == "GEN" else i, np.empty(0, np.int64))
        before = self._times(found, self._device.wired("DELAy#:LINK" if kind == "DELA" else "TSCOmbine#:FIRst:LINK", i),
                             depth - 1)
        if kind == "DELA" and before is not None:
            return before + int(value("DELAy#:VALUe", i, default=0))
        return None if value("TSCOmbine#:OPOUt", i, default="ONLYFIR") == "MUTE" else before

    def _count(self, found):
        """Into the histograms. Pairs across two pieces are few and are not counted. Gives `found` back."""
        value = self._device.value
        for i in range(1, 5):
            a, b = (self._times(found, self._device.wired(f"HISTogram#:{end}:LINK", i)) for end in ("REF", "STOP"))
            if a is not None and b is not None:
                least, width = (int(value(f"HISTogram#:{n}", i, default=d)) for n, d in (("MINimum", 0), ("BWIDth", 100)))
                self._histograms[i] = self.histogram(i) + _differences(a, b, least, width, len(self.histogram(i)))
        return found

    def _send(self, found):
        """Raw tags that are wired and on, to the data link."""
        device, value = self._device, self._device.value
        for i in range(1, 5):
            stop = self._times(found, device.wired("RAW#:STOP:LINK", i))
            if stop is not None and value("RAW#:SEND", i, default=False):
                lost = device.strikes("lost")
                if lost is not None:
                    device.clear("lost")
                    n = min(int(lost.get("tags", 1000)), len(stop))
                    device.lost[i] += n
                    stop = stop[n:]
                reference = self._times(found, device.wired("RAW#:REF:LINK", i))
                device.link.deliver(i, stop, reference, self._hearers)


def _by_input(tags):
    """Recorded tags by input, from time 0 on, in the form in which they are sent."""
    zero = tags.time_ps[0] if len(tags) else 0
    return {i: (tags.time_ps[tags.channel == i - 1] - zero).view(np.uint64) for i in range(1, 5)}


def _joined(parts):
    return {key: np.concatenate([p[key] for p in parts if key in p]) for key in set().union(*parts)}


def _differences(reference, stop, least, width, n):
    """Histogram of all differences stop - reference from `least` on, int64 (n,)."""
    counts = np.zeros(n, np.int64)
    reference = reference.astype(np.int64)
    for begin in range(0, len(reference), 1 << 16):      # so that few pairs are in memory at once
        some = reference[begin : begin + (1 << 16)]
        low, high = np.searchsorted(stop, some + least), np.searchsorted(stop, some + least + n * width)
        pairs = high - low
        place = np.arange(pairs.sum()) + np.repeat(low - np.cumsum(pairs) + pairs, pairs)
        counts += np.bincount((stop[place] - np.repeat(some + least, pairs)) // width, minlength=n)[:n]
    return counts
