"""How the devices of a bench stand: what its file sets is read back while a session runs, and a change is noticed."""

import threading
import time

from .instruments.errors import DeviceError, InstrumentError
from .watch import is_away

__all__ = ["Standing"]

OF_VALUE = 1e-3                  # a number that reads back this close to what it was has not moved: the least step of an
OF_SPAN = 1e-4                   # attenuator of 60 dB, the noise of a motor's angle
LATE_S = 5.0                     # clicks come to their block that much later at most: the clock follows in 10 ms


class Standing:
    """What was set for a session, as the devices read it back.

    A knob turned at the panel, another program, or a power cut between two looks changes the light or the detectors, and no
    proof holds for a block that began with other settings. Where something moved, the open block gives no key. What moves
    and is back before the next look stays unseen.

    Parameters
    ----------
    devices : dict of str to Instrument
    names : dict of str to iterable of str
        The settings of each device to be read back; those that cannot be read are left out.
    """

    def __init__(self, devices, names):
        self._read = {}
        for device, settings in names.items():
            declared = devices[device].parameters()
            self._read[device] = [(devices[device], declared[name]) for name in settings if declared[name].get is not None]
        self._lock = threading.Lock()
        self._as_set, self._moved, self._said, self._unseen, self._holds = {}, {}, {}, set(), False

    def begin(self):
        """All devices have been set: this is how they are to stand."""
        found = {name: self._values(name) for name in self._read}
        with self._lock:
            self._as_set, self._holds = found, True

    def end(self):
        """They are about to be set otherwise (light off): one last look, as far as they answer."""
        self.look_at_all()
        with self._lock:
            self._holds = False

    def leave(self, away):
        """Devices went away, and the others are set otherwise at once: no look at those; the block depends on what the
        ones that went say when they are back."""
        with self._lock:
            self._unseen |= set(away) & set(self._as_set) if self._holds else set()
            self._holds = False

    def look(self, name, returned=False):
        """What has moved at one device, in words, where that was not said before; or None. It counts against the open block.

        Parameters
        ----------
        name : str
        returned : bool
            It was away: a switch that we have turned meanwhile, to make it safe, is not held against it.

        Raises
        ------
        InstrumentError
            Where it is not there.
        """
        words = self._note(name, returned)
        said, self._said[name] = self._said.get(name), words
        return "; ".join(words) if words and words != said else None

    def look_at_all(self):
        """As :meth:`look` at each device; who is away is found by others."""
        for name in self._read:
            try:
                self._note(name)
            except InstrumentError:
                pass

    def blocked(self):
        """Why the block that closes now gives no key, or None: what moved since it began, with a look of now."""
        self.look_at_all()
        with self._lock:
            moved, unseen, old = self._moved, sorted(self._unseen), time.monotonic() - LATE_S
            # After the end of the tags some blocks may close one after the other, of which nobody knows what they hold.
            self._moved = {name: seen for name, seen in moved.items() if seen[1] > old or not self._holds}
        words = "; ".join(word for words, _ in moved.values() for word in words)
        if words:
            return f"a setting changed while the block was open: {words}"
        if unseen:
            return f"{', '.join(unseen)} went away while the block was open, and nobody knows how it stood before that"
        return None

    def _note(self, name, returned=False):
        if name not in (self._unseen if returned else self._as_set if self._holds else ()):
            return []
        before = self._as_set[name]
        ours = {d.name: device.known.get(d.name, [None])[0] for device, d in self._read[name] if returned and d.kind is bool}
        now = self._values(name)
        words = [f"{d.name} of {name} was {_text(before[d.name], d)} and is {_text(now[d.name], d)}"
                 for device, d in self._read[name] if not _same(before[d.name], now[d.name], d, device)
                 and not (d.name in ours and now[d.name] == ours[d.name])]
        with self._lock:
            if returned:
                self._unseen.discard(name)
            elif not self._holds:                        # the light went off while it was asked
                return []
            if words:
                self._moved[name] = words, time.monotonic()
        return words

    def _values(self, name):
        values = {}
        for device, declared in self._read[name]:
            try:
                values[declared.name] = declared.read(device)
            except DeviceError as error:
                if is_away(error):
                    raise
                values[declared.name] = None             # it has none that we understand
        return values


def _same(before, now, declared, device):
    if declared.kind is not float or before is None or now is None:
        return before == now
    low, high = declared.limits(device)
    span = 0.0 if low is None or high is None else high - low
    return abs(now - before) <= max(OF_VALUE * abs(before), OF_SPAN * span)


def _text(value, declared):
    if value is None:
        return "not to be read"
    if declared.kind is bool:
        return "on" if value else "off"
    return f"{value:.6g} {declared.unit}".rstrip() if declared.kind is float else str(value)
