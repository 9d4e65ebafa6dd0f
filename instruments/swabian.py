"""Swabian Instruments Time Taggers by the maker's library (``pip install Swabian-TimeTagger``).

Modelled on the maker's stream of tags: times in ps, inputs (negative: falling edge) and kinds of events (0 tag, 1 error,
2 and 3 begin and end of an overflow, 4 missed). The meaning of these numbers is from memory of the maker's pages.
"""

import contextlib
import threading

import numpy as np

from qkdlab.datatypes import TimeTags
from qkdlab.errors import BadInput
from qkdlab.instruments.errors import InstrumentDisconnected
from qkdlab.instruments.instrument import Instrument
from qkdlab.instruments.interfaces import TimeTagger
from qkdlab.instruments.parameters import parameter
from qkdlab.instruments.transports import Held

__all__ = ["Swabian", "connect"]

POLL_S = 0.05
BUFFER_TAGS = 1 << 24            # what the library holds for us between two polls


def connect(address="swabian://", *, channels=(1, 2, 3, 4), library=None, **settings):
    """The Time Tagger with a serial number.

    Parameters
    ----------
    address : str
        ``swabian://SERIAL``, or without a serial number the first one found.
    channels : sequence of int
        Inputs to record; ``-n`` is the falling edge of input n and appears in the tags as 128 + n.
    library : module, optional
        In place of the maker's.
    """
    if library is None:
        try:
            from Swabian import TimeTagger as library
        except ImportError:
            raise BadInput("needs the maker's library: pip install Swabian-TimeTagger", where=address) from None
    channels = tuple(channels)
    if not channels or len(set(channels)) != len(channels) or not all(0 < abs(n) < 128 for n in channels):
        raise BadInput("different inputs, 1 to 127 or -1 to -127, are expected", where=address, field="channels",
                       value=channels)
    made = type("Swabian", (Swabian,), {"_library": library, "_channels": channels} | _settings_of(channels))
    return made(address, **settings)


def _settings_of(channels):
    """A trigger level and a dead time for each input."""
    found = {}
    for n in sorted({abs(n) for n in channels}):
        found[f"threshold_{n}_v"] = parameter(
            get=lambda device, n=n: device.call("getTriggerLevel", n), unit="V", low=-2.5, high=2.5,
            set=lambda device, volts, n=n: device.call("setTriggerLevel", n, volts), help=f"level of a click at input {n}")
        found[f"dead_time_{n}_ps"] = parameter(
            int, get=lambda device, n=n: device.call("getDeadtime", n), unit="ps", low=0,
            set=lambda device, ps, n=n: device.call("setDeadtime", n, ps), help=f"time without a second click at input {n}")
    return found


class Swabian(Instrument):
    """A time tagger; the class of each has the settings of its inputs."""

    kinds = (TimeTagger,)
    _library, _channels, _serial, _tagger, _stream, _stopped = None, (), "", None, None, None

    def _open(self, session, timeout_s):
        self._serial = self.address.partition("://")[2]

        def opening():
            tagger = self._guarded(self._found)
            self._serial = self._guarded(tagger.getSerial)
            model = self._guarded(tagger.getModel) if hasattr(tagger, "getModel") else "Time Tagger"
            return f"Swabian,{model},{self._serial}", self._free

        self._stopped = threading.Event()
        return Held(self.address, session, opening)

    # The library has no words for a tagger that was unplugged: its objects raise RuntimeError from then on.

    def _guarded(self, verb, *arguments):
        try:
            return verb(*arguments)
        except RuntimeError as error:
            self._free()
            raise InstrumentDisconnected(f"{error}: is it plugged in, is no other program using it?",
                                         device=self.name) from None

    def _found(self):
        """The library's tagger; one that was lost is looked for anew, and set as it was."""
        if self._tagger is None:
            self._tagger = self._library.createTimeTagger(*([self._serial] if self._serial else []))
            for name, (value, _) in list(self.known.items()):
                self._parameter(name).set(self, value)
        return self._tagger

    def _free(self):
        tagger, self._tagger = self._tagger, None
        if tagger is not None:
            with contextlib.suppress(RuntimeError):
                self._library.freeTimeTagger(tagger)

    def call(self, verb, *arguments):
        """A verb of the library's tagger; InstrumentDisconnected where it is gone."""
        with self.transport.lock:
            if self.transport.closed:
                raise InstrumentDisconnected("was closed: connect again", device=self.name)
            return self._guarded(lambda: getattr(self._found(), verb)(*arguments))

    def check(self):
        """InstrumentDisconnected where it is gone; one that is back is set as it was."""
        self.call("getSerial")

    def start(self):
        """Begin to record."""
        self._stopped.clear()
        with self.transport.lock:
            self.check()
            self._stream = self._guarded(self._library.TimeTagStream, self._tagger, BUFFER_TAGS, list(self._channels))

    def blocks(self, block_seconds):
        """TimeTags of about `block_seconds` each, until `stop`; ``lost`` counts the clicks that the device missed."""
        stream = self._stream
        if stream is None:
            raise BadInput("the tagger was not started: call start() first", where=self.name)
        while not self._stopped.is_set():
            taken, waited = [], 0.0
            while waited < block_seconds and not self._stopped.wait(min(POLL_S, block_seconds - waited)):
                waited += POLL_S
                taken.append(self._take(stream))         # often, so that the library's buffer does not run over
            taken.append(self._take(stream))
            yield TimeTags(np.concatenate([t for t, _, _ in taken]), np.concatenate([c for _, c, _ in taken]),
                           sum(lost for _, _, lost in taken))

    def _take(self, stream):
        """(times, inputs, lost) of what has come since the last time."""
        with self.transport.lock:
            data = self._guarded(stream.getData)
        times, inputs, kinds = (np.asarray(a) for a in (data.getTimestamps(), data.getChannels(), data.getEventTypes()))
        lost = int(np.asarray(data.getMissedEvents())[kinds == 4].sum()) + int((kinds == 1).sum())
        if not (kinds == 0).all():
            times, inputs = times[kinds == 0], inputs[kinds == 0]
        return times.astype(np.int64), np.where(inputs < 0, 128 - inputs, inputs).astype(np.uint8), lost

    def stop(self):
        """End the recording; `blocks` yields what is left and ends. Safe from any thread."""
        self._stopped.set()

    def safe_state(self):
        """The recording ends."""
        self.stop()
        stream, self._stream = self._stream, None
        if stream is not None:
            self._guarded(stream.stop)
