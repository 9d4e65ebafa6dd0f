"""What all simulated devices share: commands cut out of a byte stream, answers, things that take time, and faults."""

import dataclasses
import time
from collections import deque
from collections.abc import Callable

from qkdlab.errors import BadInput

__all__ = ["FAULTS", "Conversation", "Device", "Exchange", "Later"]

FAULTS = {
    "delay": "every answer comes `seconds` late (of the wall; default 0.2)",
    "garble": "some bytes of every answer are others",
    "half_line": "an answer breaks off in the middle",
    "stall": "the device hears nothing and says nothing",
    "disconnect": "the connection is closed instead of an answer",
    "stuck": "measured values stay as they are, or at `value`",
}
OVER_TEMPERATURE = {"over_temperature": "the device is too hot and protects itself"}
_SHOWN = 256                     # bytes of an exchange that the transcript keeps


@dataclasses.dataclass(frozen=True, slots=True)
class Later:
    """An answer that has to wait. `answer` may give another Later."""

    remaining_s: Callable[[], float]             # world time
    answer: Callable[[], "bytes | Later"]


@dataclasses.dataclass(frozen=True, slots=True)
class Exchange:
    """One line of a transcript."""

    time_s: float                                # of the world
    sent: bool                                   # by the device
    data: bytes


class Device:
    """A device that is spoken to in bytes. Subclasses give `frames` and `answer`.

    Parameters
    ----------
    world : World
    name : str

    Attributes
    ----------
    scheme : str
        How it is reached: ``tcp``, ``zmq``, ``http``, ``file``, or ``python`` (no bytes at all).
    faults : dict of str to str
        Those it knows, with their meaning.
    transcript : deque of Exchange
        What was said, the last 10 000 exchanges.
    """

    scheme = "tcp"
    faults = FAULTS

    def __init__(self, world, name):
        self.world, self.name, self.transcript = world, name, deque(maxlen=10_000)
        self.rng = world.rng(name)
        self._active, self._stuck = {}, {}
        self._own = None

    # ------------------------------------------------------------------------------------- what a subclass says

    def frames(self, buffer):
        """Take the complete commands out of a bytearray; what is incomplete stays in it."""
        raise TypeError(f"a {type(self).__name__} is not spoken to in bytes")

    def answer(self, frame):
        """What the device does on a command: bytes (perhaps none) or a :class:`Later`."""
        raise TypeError(f"a {type(self).__name__} is not spoken to in bytes")

    def unasked(self):
        """Bytes that the device sends on its own now."""
        return b""

    def failed(self, kind, options):
        """A fault begins: what else it does to this device."""

    def repaired(self, kind):
        """A fault ends."""

    def close(self):
        """Switch off: threads and files end."""

    # ------------------------------------------------------------------------------------------------- for users

    def converse(self):
        """A new connection."""
        return Conversation(self)

    def exchange(self, data=b""):
        """Bytes in, bytes out, without a socket; all calls share one connection. Without data: what came since.

        A device of scheme ``zmq`` takes one message and gives one, perhaps an empty one, or None where none is due.
        """
        if self._own is None or self._own.closed:
            self._own = self.converse()
        if not data:
            self.world.clock.tick()
        return self._own.exchange(data)

    def reading(self, key, value):
        """A measured value as the device shows it: `value`, unless it is stuck."""
        stuck = self.broken("stuck")
        if stuck is None:
            return value
        given = stuck.get("value")
        return self._stuck.setdefault(key, value) if given is None else given

    def fault(self, kind, times=None, **options):
        """Break something, for the next `times` answers or until :meth:`clear`.

        Raises
        ------
        BadInput
            Where the device does not know this fault.
        """
        if kind not in self.faults:
            raise BadInput(f"unknown fault; known: {', '.join(self.faults)}", where=self.name, field="kind", value=kind)
        if times is None and kind == "disconnect":
            times = 1
        with self.world.lock:
            self._active[kind] = {"left": times, "options": options}
            self._stuck.clear()
            self.failed(kind, options)

    def clear(self, kind=None):
        """Mend one fault, or all."""
        with self.world.lock:
            for each in [kind] if kind else list(self._active):
                if self._active.pop(each, None) is not None:
                    self.repaired(each)

    def broken(self, kind):
        """The options of a fault that is on (a dict, perhaps empty), or None."""
        fault = self._active.get(kind)
        return None if fault is None else fault["options"]

    def strikes(self, kind):
        """As :meth:`broken`; an answer's worth of the fault is used up."""
        fault = self._active.get(kind)
        if fault is None:
            return None
        if fault["left"] is not None:
            fault["left"] -= 1
            if fault["left"] <= 0:
                self.clear(kind)
        return fault["options"]

    def heard(self, sent, data):
        """Write a line of the transcript."""
        self.transcript.append(Exchange(self.world.clock.now(), sent, bytes(data[:_SHOWN])))


class Conversation:
    """One connection to a device: what has come in so far, what has to go out."""

    def __init__(self, device):
        self.device, self.closed = device, False
        self._whole = device.scheme == "zmq"         # messages, not a stream: an empty answer is one
        self._buffer, self._commands, self._waiting, self._out = bytearray(), deque(), None, deque()

    @property
    def pending(self):
        """Whether something will have to be sent without a further command."""
        return self._waiting is not None or bool(self._out)

    def exchange(self, data=b""):
        """Bytes in; bytes out that are due now."""
        device = self.device
        with device.world.lock:
            if self._whole:
                self._commands.extend([data] if data else [])
            else:
                self._buffer += data
                self._commands.extend(device.frames(self._buffer))
            self._wake()
            while self._commands and self._waiting is None and not self.closed:
                command = self._commands.popleft()
                device.heard(False, command)
                device.world.clock.tick()
                if device.strikes("stall") is None:
                    self._take(device.answer(command))
            news = b"" if device.broken("stall") is not None else device.unasked()
            if news:
                self._send(news)
            return self._due()

    def _wake(self):
        if self._waiting is not None and self._waiting.remaining_s() <= 0:
            later, self._waiting = self._waiting, None
            self._take(later.answer())

    def _take(self, reply):
        """An answer goes out; one that has to wait holds up what comes behind it."""
        clock = self.device.world.clock
        while isinstance(reply, Later):
            remaining_s = reply.remaining_s()
            if remaining_s > 0 and clock.speed > 0:
                self._waiting = reply
                return
            clock.advance(max(0.0, remaining_s))
            reply = reply.answer()
        self._send(reply)

    def _send(self, data):
        if not data and not self._whole:
            return
        device, due = self.device, 0.0
        if device.strikes("disconnect") is not None:
            self.closed = True
            return
        if device.strikes("half_line") is not None:
            data = data[: len(data) // 2]
        if device.strikes("garble") is not None:
            data = _garbled(data, device.rng)
        delay = device.strikes("delay")
        if delay is not None:
            due = time.monotonic() + delay.get("seconds", 0.2)
        device.heard(True, data)
        self._out.append((due, bytes(data)))

    def _due(self):
        parts = []
        while self._out and self._out[0][0] <= time.monotonic():
            parts.append(self._out.popleft()[1])
        return b"".join(parts) if parts or not self._whole else None


def _garbled(data, rng):
    """The line ends where it did, with other characters in it."""
    data = bytearray(data)
    body = len(data.rstrip(b"\r\n\x00"))
    for i in rng.integers(0, max(1, body), 1 + body // 4):
        data[i] ^= int(rng.integers(1, 16)) << 4 | 1
    return bytes(data)
