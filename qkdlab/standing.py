"""How the devices of a bench stand: what its file sets is read back while a session runs, and a change is noticed."""

import contextlib
import threading
import time

from .instruments.errors import InstrumentError, InstrumentTimeout
from .watch import is_away

__all__ = ["Standing"]

OF_VALUE = 1e-3                  # a number that reads back this close to what it was has not moved: the least step of an
OF_SPAN = 1e-4                   # attenuator of 60 dB
LATE_S = 5.0                     # clicks come to their block that much after their tags at most: the clock follows in 10 ms
END_S = 2.0                      # how long the last look may keep the light on
MUTE = "not to be read"


class Standing:
    """What was set for a session, as the devices read it back.

    A knob turned at the panel, another program, or a power cut between two looks changes the light or the detectors, and no
    proof holds for a block that began with other settings. Where something moved, the open block gives no key. What moves
    and is back before the next look stays unseen; so does what moves, is set by us to put the light out because another
    device went away, and was not looked at between the two.

    Parameters
    ----------
    devices : dict of str to Instrument
    names : dict of str to iterable of str
        The settings of each device to be read back; those that cannot be read are left out.
    """

    def __init__(self, devices, names):
        self._devices, self._read = devices, {}
        for device, settings in names.items():
            declared = devices[device].parameters()
            self._read[device] = [declared[name] for name in settings if declared[name].get is not None]
        self._lock = threading.Lock()
        self.renew()

    def renew(self):
        """A new session: nothing was set yet."""
        with self._lock:
            self._as_set, self._reopened, self._holds, self._ended, self._closed = {}, {}, False, False, False
            self._moved, self._said = {}, {}             # by device: (words, when it was last seen so, whether it still is)
            self._unseen, self._away, self._left = set(), set(), 0.0

    def begin(self):
        """All devices have been set: this is how they are to stand until the session ends. After a pause they are to stand
        as before it."""
        found = {name: self._values(name, patient=True) for name in self._read}
        with self._lock:
            if not self._as_set:
                self._read = {name: [d for d in declared if found[name][d.name] is not MUTE]
                              for name, declared in self._read.items()}
                self._as_set = found
            self._holds, self._ended = True, False
            self._reopened = {name: self._reopenings(name) for name in self._read}
            for name, values in found.items():
                self._keep(name, self._difference(name, values))

    def end(self):
        """They are about to be set otherwise (light off): one last look. Who does not answer soon is asked afterwards."""
        seen = set()
        looking = threading.Thread(target=self._look_at_all, args=(seen,), name="qkdlab-last-look", daemon=True)
        with contextlib.suppress(RuntimeError):          # no new threads: the process is about to end
            looking.start()
            looking.join(END_S)
        with self._lock:
            if self._holds:
                self._unseen |= set(self._read) - seen
                self._left = time.monotonic()
            self._holds, self._ended = False, True

    def leave(self, away):
        """Devices went away, and the others are set otherwise at once: no look at those. The block depends on what all of
        them say later: but for what we set since, where they were there all the time."""
        with self._lock:
            if self._holds:
                self._unseen, self._left, self._holds = set(self._as_set), time.monotonic(), False
            self._away |= set(away) & self._unseen

    def look(self, name):
        """What has moved at one device, in words, where that was not said before; or None. It counts against the open block.

        Raises
        ------
        InstrumentError
            Where it is not there.
        """
        words = self._note(name)
        said, self._said[name] = self._said.get(name), words
        return "; ".join(words) if words and words != said else None

    def look_again(self):
        """All are back, none was set yet. Returns what has moved meanwhile, dict of device to words.

        Raises
        ------
        InstrumentError
            Where one is not there, after all have been looked at.
        """
        with self._lock:
            names = sorted(self._unseen)
        found, lost = {}, None
        for name in names:
            try:
                if words := self._note(name, later=True):
                    found[name] = "; ".join(words)
            except InstrumentError as error:
                lost = error
        if lost is not None:
            raise lost
        return found

    def blocked(self):
        """Why the block that closes now gives no key, or None: what moved since it began, with a look of now."""
        if self._ended and self._unseen:
            with contextlib.suppress(InstrumentError):
                self.look_again()
        self._look_at_all(set())
        with self._lock:
            words = "; ".join(word for words, *_ in self._moved.values() for word in words)
            unseen = sorted(self._unseen & self._away) or sorted(self._unseen)
        if words:
            return f"a setting changed while the block was open: {words}"
        if unseen:
            return f"{', '.join(unseen)} went away while the block was open, and nobody knows how it stood before that"
        return None

    def block_closed(self):
        """The block that was asked for is closed."""
        self._closed = True

    def handed_on(self, until):
        """All tags before `until` (by ``time.monotonic``) have come to their blocks. What moved before that is no fault of
        the open block, if one was closed since."""
        with self._lock:
            if self._closed:
                self._moved = {name: (words, seen, still) for name, (words, seen, still) in self._moved.items()
                               if still or seen > until - LATE_S}
            self._closed = False

    # ------------------------------------------------------------------------------------------------------------ looks

    def _look_at_all(self, seen):
        for name in self._read:
            try:
                self._note(name)
                seen.add(name)
            except InstrumentError:                      # what it had to say is not known; the watch sees to the rest
                with self._lock:
                    if self._holds:
                        self._unseen.add(name)
                        self._away.add(name)

    def _note(self, name, later=False):
        if name not in (self._unseen if later else self._as_set if self._holds else ()):
            return []
        reopened, now = self._reopenings(name), self._values(name)
        words = self._difference(name, now, later)
        with self._lock:
            if not later and not self._holds:            # the light went off while it was asked
                return []
            self._unseen.discard(name)
            self._away.discard(name)
            self._reopened[name] = reopened
            self._keep(name, words, still=not later)
        return words

    def _keep(self, name, words, still=True):
        """Note what differs. What no longer does may have done so until now."""
        if words:
            self._moved[name] = words, time.monotonic(), still
        elif name in self._moved and self._moved[name][2]:
            self._moved[name] = self._moved[name][0], time.monotonic(), False

    def _difference(self, name, now, later=False):
        device, before, words = self._devices[name], self._as_set[name], []
        # One that was away, or was started anew meanwhile, has to say itself how it stood: not what we set since.
        there = later and name not in self._away and self._reopenings(name) == self._reopened.get(name)
        for d in self._read[name]:
            ours, when = device.written.get(d.name, (None, 0.0)) if there else (None, 0.0)
            if not (_same(before[d.name], now[d.name], d, device)
                    or when >= self._left > 0 and _same(ours, now[d.name], d, device)):
                words.append(f"{d.name} of {name} was {_text(before[d.name], d)} and is {_text(now[d.name], d)}")
        return words

    def _reopenings(self, name):
        return self._devices[name].transport.reopened

    def _values(self, name, patient=False):
        return {d.name: _read(self._devices[name], d, patient) for d in self._read[name]}


def _read(device, declared, patient):
    """The value; None where there is none that we understand, though the device is there."""
    for last in (False, True):
        try:
            return declared.read(device) if declared.holds is None or declared.holds(device) else None
        except InstrumentError as error:
            if not is_away(error):
                return None
            if isinstance(error, InstrumentTimeout) and not patient:
                raise                                    # asked once only: the light is on, the watch wants to know as well
            if last and not patient:
                raise
        except Exception:                                # a fault of its driver
            return None
    device.check()                                       # it is there: somebody else's driver cannot read this one
    return MUTE


def _same(before, now, declared, device):
    if not isinstance(before, float) or not isinstance(now, float):
        return before == now
    low, high = declared.limits(device)
    span = 0.0 if low is None or high is None else high - low
    return abs(now - before) <= max(OF_VALUE * abs(before), OF_SPAN * span, 1.5 * declared.step)


def _text(value, declared):
    if value is None or value is MUTE:
        return MUTE
    if declared.kind is bool:
        return "on" if value else "off"
    return f"{value:.6g} {declared.unit}".rstrip() if declared.kind is float else str(value)
