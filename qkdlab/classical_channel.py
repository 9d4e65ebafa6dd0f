"""All that is said aloud between the parties, counted.

Leakage is what this channel counted, not what somebody remembered to add: every message declares how many of its bits
depend on the sifted key, and the sum is charged. A channel does not hide anything (Eve hears all); it must be
authenticated in use, which is noted as an assumption in every bound until a link carries authentication keys.
"""

import abc
import collections
import queue
import socket
import struct

__all__ = ["ClassicalChannel", "ChannelClosed", "LocalChannel", "SocketChannel"]

_HEADER = struct.Struct("<16sIQ")   # kind, key-dependent bits, payload bytes
_LONGEST = 1 << 32                  # bytes: what claims to be longer is no message of ours


class ChannelClosed(ConnectionError):
    """The other party has gone."""


class ClassicalChannel(abc.ABC):
    """One end of the public channel.

    Attributes
    ----------
    sent, heard : Counter of str to int
        Payload bytes by kind of message, in each direction.
    leaked : Counter of str to int
        Key-dependent bits by kind of message, both directions together.
    messages : int
        Messages in both directions.
    """

    def __init__(self):
        self.sent, self.heard, self.leaked = (collections.Counter() for _ in range(3))
        self.messages = 0

    def send(self, kind, payload=b"", *, key_bits=0):
        """Say `payload` (bytes, or anything with a buffer) aloud.

        Parameters
        ----------
        kind : str
            What is said, 1 to 16 ASCII letters; the other party must expect the same.
        payload : bytes-like
        key_bits : int
            How many of its bits depend on the sifted key.

        Raises
        ------
        ChannelClosed
            Where this end was closed or, as far as can be seen, the other party has gone.
        """
        payload = memoryview(payload).tobytes()
        name = kind.encode("ascii")
        if not 1 <= len(name) <= 16 or not 0 <= key_bits < 1 << 32:
            raise ValueError("a kind of 1 to 16 letters and 0 to 2**32 - 1 key bits are expected, "
                             f"got '{kind}' and {key_bits}")
        self._write(_HEADER.pack(name, key_bits, len(payload)) + payload)
        self._count(self.sent, kind, payload, key_bits)

    def listen(self):
        """Wait for the next message, whatever it is, and return its kind and payload.

        Raises
        ------
        ChannelClosed
            Where the other party has gone, or this end was closed.
        ValueError
            Where what came cannot be a message of this channel.
        """
        name, key_bits, size = _HEADER.unpack(self._read(_HEADER.size))
        kind = name.rstrip(b"\0").decode("ascii", "replace")
        if size > _LONGEST:
            raise ValueError(f"classical channel: '{kind}' announces {size} bytes, more than {_LONGEST}")
        payload = self._read(size)
        self._count(self.heard, kind, payload, key_bits)
        return kind, payload

    def hear(self, kind):
        """Wait for the next message, which must be of this `kind`, and return its payload.

        Raises
        ------
        ChannelClosed
            Where the other party has gone.
        ValueError
            Where another kind of message came: the two parties run different protocols.
        """
        came, payload = self.listen()
        if came != kind:
            raise ValueError(f"classical channel: '{kind}' was expected, '{came}' came")
        return payload

    def _count(self, side, kind, payload, key_bits):
        side[kind] += len(payload)
        self.leaked[kind] += key_bits
        self.messages += 1

    @abc.abstractmethod
    def _write(self, data): ...

    @abc.abstractmethod
    def _read(self, size): ...

    @abc.abstractmethod
    def close(self):
        """Tell the other party that nothing more comes. Closing twice does no harm."""

    def __enter__(self):
        return self

    def __exit__(self, *reason):
        self.close()


class LocalChannel(ClassicalChannel):
    """Both parties in one process, each on its own thread: ``alice_end, bob_end = LocalChannel.pair()``."""

    def __init__(self, outbox, inbox):
        super().__init__()
        self._outbox, self._inbox, self._buffer, self._closed = outbox, inbox, b"", False

    @classmethod
    def pair(cls):
        """The two ends."""
        a, b = queue.SimpleQueue(), queue.SimpleQueue()
        return cls(a, b), cls(b, a)

    def _write(self, data):
        self._check()
        self._outbox.put(data)

    def _read(self, size):
        self._check()
        if size and not self._buffer:
            self._buffer = self._inbox.get()
            if self._buffer is None:
                self._inbox.put(None)          # for the next one who asks
                self._buffer = b""
                raise ChannelClosed("the other party closed the classical channel")
        # A message is written whole, so header and payload never straddle two queue items.
        head, self._buffer = self._buffer[:size], self._buffer[size:]
        return head

    def _check(self):
        if self._closed:
            raise ChannelClosed("this end of the classical channel is closed")

    def close(self):
        if not self._closed:
            self._closed = True
            self._outbox.put(None)


class SocketChannel(ClassicalChannel):
    """One end over a connected stream socket: two processes, or two hosts.

    Attributes
    ----------
    connection : socket.socket
    """

    def __init__(self, connection):
        super().__init__()
        self.connection = connection
        if connection.family in (socket.AF_INET, socket.AF_INET6):
            # Cascade is a ping-pong of small messages.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = connection.makefile("rb")

    def _write(self, data):
        self._check()
        try:
            self.connection.sendall(data)
        except ConnectionError as error:
            raise ChannelClosed(f"the other party closed the classical channel ({error.strerror})") from error

    def _read(self, size):
        self._check()
        try:
            data = self._reader.read(size)
        except ConnectionError as error:
            raise ChannelClosed(f"the other party closed the classical channel ({error.strerror})") from error
        if len(data) < size:
            raise ChannelClosed("the other party closed the classical channel")
        return data

    def _check(self):
        if self._reader.closed:
            raise ChannelClosed("this end of the classical channel is closed")

    def close(self):
        self._reader.close()
        self.connection.close()
