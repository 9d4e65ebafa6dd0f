"""The vendor's data-link service of an ID900: text commands, JSON answers, raw tags as ZMQ PAIR streams or files.

Source: the vendor's published examples. The service runs on the user's PC on port 6060; a stream is had by connecting a
PAIR socket to the port that was asked for, 4241 + channel by default. Each message is an array of little-endian uint64,
an empty one ends the stream. With a reference index each tag is a pair: the time since the last pulse at the reference
(the pairs' first word is not documented; this is our reading) and that pulse's number.
"""

import json
import math
import pathlib
import shlex
import threading

import numpy as np

from .device import FAULTS, Device
from .server import HOST

__all__ = ["DataLink"]

_MESSAGE_TAGS = 1 << 20


class DataLink(Device):
    """The service of one box.

    Parameters
    ----------
    world : World
    name : str
    folder : path-like
        Files are saved in here and nowhere else.
    """

    scheme = "zmq"
    faults = {**FAULTS, "restart": "the program is started anew: its streams and files are no more"}

    def __init__(self, world, name, folder):
        super().__init__(world, name)
        self._folder, self._sinks, self._next, self._context = pathlib.Path(folder), {}, 1, None

    def answer(self, frame):
        try:
            verb, options = _parsed(frame.decode())
            verbs = {"start-stream": self._start_stream, "start-save": self._start_save, "stop": self._stop}
            return json.dumps(verbs.get(verb, _unknown)(options)).encode()
        except (ValueError, KeyError, OSError) as error:
            return json.dumps({"error": {"description": str(error)}}).encode()

    def _start_stream(self, options):
        import zmq

        self._context = self._context or zmq.Context()
        channel = _channel(options)
        return self._add(_Stream(self._context, int(options.get("stream-port", 4241 + channel))), channel, options)

    def _start_save(self, options):
        channel, path = _channel(options), (self._folder / str(options["filename"])).resolve()
        if not path.is_relative_to(self._folder.resolve()):
            raise ValueError(f"{options['filename']}: not in the folder of this service")
        form = options.get("format", "bin")
        if form not in ("bin", "ascii"):
            raise ValueError(f"{form}: bin or ascii is expected")
        return self._add(_File(path, form), channel, options)

    def _add(self, sink, channel, options):
        sink.channel, sink.with_reference = channel, "with-ref-index" in options
        self._sinks[self._next] = sink
        self._next += 1
        return {"id": self._next - 1}

    def _stop(self, options):
        sink = self._sinks.pop(int(options["id"]), None)
        if sink is None:
            raise ValueError(f"{options['id']}: no such id")
        sink.close()
        return {"id": int(options["id"])}

    # ------------------------------------------------------------------------------------------------- from the box

    @property
    def opened(self):
        """How many streams and files were opened so far."""
        return self._next - 1

    def deliver(self, channel, times, reference, first=math.inf):
        """Tags of one RAW output: uint64 or int64 (n,), ps; `reference` likewise, or None. To the `first` that were
        opened, as far as they are open still."""
        for number, sink in list(self._sinks.items()):
            if sink.channel == channel and number <= first:
                sink.write(_pairs(times, reference) if sink.with_reference else _since(times, reference))

    def end(self, first=math.inf):
        """The acquisition of which these have heard is over."""
        for number, sink in list(self._sinks.items()):
            if number <= first:
                sink.end()

    def abandon(self):
        """Wait for no reader any longer."""
        for sink in list(self._sinks.values()):
            sink.closing.set()

    def failed(self, kind, options):
        if kind == "restart":
            self._forget()
            self.clear(kind)

    def _forget(self):
        for number in list(self._sinks):
            self._sinks.pop(number).close()

    def close(self):
        self._forget()
        if self._context is not None:
            self._context.destroy(linger=0)


def _parsed(text):
    """``start-stream --channel 1 --with-ref-index``: the verb, and a dict of its options."""
    verb, *words = shlex.split(text) or [""]
    options, name = {}, None
    for word in words:
        if word.startswith("--"):
            name = word[2:]
            options[name] = True
        elif name is None:
            raise ValueError(f"{word}: an option is expected")
        else:
            options[name], name = word, None
    return verb, options


def _unknown(options):
    raise ValueError("unknown command: start-stream, start-save or stop is expected")


def _channel(options):
    channel = int(options.get("channel", 0))
    if not 1 <= channel <= 4:
        raise ValueError("--channel 1 to 4 is expected")
    return channel


def _last(times, reference):
    """Index of the last reference pulse before each tag, -1 where there is none yet."""
    return np.searchsorted(reference, times, side="right") - 1


def _since(times, reference):
    if reference is None:
        return times
    last = _last(times, reference)
    return (times - reference[np.maximum(last, 0)])[last >= 0]


def _pairs(times, reference):
    if reference is None:
        return np.column_stack([times, np.zeros(len(times), np.int64)]).ravel()
    last = _last(times, reference)
    return np.column_stack([_since(times, reference), last[last >= 0]]).ravel()


class _Stream:
    """A PAIR socket that waits for its reader."""

    def __init__(self, context, port):
        import zmq

        self._socket = context.socket(zmq.PAIR)
        self._socket.linger, self._socket.sndhwm = 0, 16
        self.closing, self._lock, self._out = threading.Event(), threading.Lock(), zmq.POLLOUT
        try:
            self._socket.bind(f"tcp://{HOST}:{port}")
        except zmq.ZMQError as error:
            self._socket.close()
            raise OSError(error.errno, f"port {port}: {error.strerror}") from None

    def write(self, words):
        words = np.ascontiguousarray(words, "<i8" if words.dtype == np.int64 else "<u8")
        for begin in range(0, len(words), _MESSAGE_TAGS):
            self._send(words[begin : begin + _MESSAGE_TAGS])

    def end(self):
        self._send(b"")

    def _send(self, data):
        with self._lock:
            while not self.closing.is_set():
                if self._socket.poll(50, self._out):
                    self._socket.send(data, copy=False)
                    return

    def close(self):
        self.closing.set()
        with self._lock:
            if not self._socket.closed:
                self._socket.close(linger=1000)          # what was sent still arrives


class _File:
    """Tags in a file, as binary words or as lines of text."""

    def __init__(self, path, form):
        self._file, self._text, self.closing = path.open("wb"), form == "ascii", threading.Event()

    def write(self, words):
        if not self._file.closed:
            self._file.write(b"".join(b"%d\n" % w for w in words.tolist()) if self._text
                             else np.ascontiguousarray(words, "<i8").tobytes())

    def end(self):
        self._file.flush()

    def close(self):
        self._file.close()
