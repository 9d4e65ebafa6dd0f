"""The ends of the wires: each has ``send``, ``read_until``, ``read_exactly``, ``read_message``, ``leftover``, ``close``.

Deadlines are on :func:`time.monotonic`. A connection is used by one thread at a time and never again after an error.
"""

import re
import socket
import time

from qkdlab.errors import BadInput
from qkdlab.instruments.errors import InstrumentDisconnected, InstrumentTimeout

__all__ = ["SerialConnection", "StreamConnection", "TcpConnection", "remaining"]


def remaining(deadline):
    """Seconds left, or InstrumentTimeout."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise InstrumentTimeout("no answer in time")
    return left


class StreamConnection:
    """Bytes without message boundaries, with a buffer. Subclasses receive some bytes or raise."""

    settle_s = 0.0               # silence to wait for after opening anew: what arrives till then is a late answer

    def __init__(self):
        self._buffer = bytearray()

    def _receive(self, deadline):
        raise InstrumentDisconnected("a stream without a wire")

    def read_until(self, end, deadline):
        """Bytes up to and with `end`."""
        start = 0
        while (at := self._buffer.find(end, start)) < 0:
            start = max(0, len(self._buffer) - len(end) + 1)
            self._buffer += self._receive(deadline)
        return self._take(at + len(end))

    def read_until_any(self, ends, deadline):
        """Bytes up to and with the first that is one of `ends`."""
        pattern = re.compile(b"[" + re.escape(ends) + b"]")
        while not (found := pattern.search(self._buffer)):
            self._buffer += self._receive(deadline)
        return self._take(found.end())

    def read_exactly(self, size, deadline):
        while len(self._buffer) < size:
            self._buffer += self._receive(deadline)
        return self._take(size)

    def read_message(self, deadline):
        """Whatever has arrived."""
        return self._take(len(self._buffer)) if self._buffer else self._receive(deadline)

    def _take(self, size):
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def leftover(self):
        """What has arrived and was not read, without waiting."""
        return bytes(self._buffer)


class TcpConnection(StreamConnection):
    """``tcp://host:port``"""

    def __init__(self, host, port, deadline):
        super().__init__()
        try:
            self._socket = socket.create_connection((host, port), timeout=remaining(deadline))
        except TimeoutError:
            raise InstrumentDisconnected("nobody answers at this address: is the device on, is the cable in?") from None
        except OSError as error:
            raise InstrumentDisconnected(f"{error.strerror or error}: is the device on, is the port right?") from None
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data, deadline):
        try:
            self._socket.settimeout(remaining(deadline))
            self._socket.sendall(data)
        except TimeoutError:
            raise InstrumentTimeout("the device does not take what is sent") from None
        except OSError as error:
            raise InstrumentDisconnected(error.strerror or str(error)) from None

    def _receive(self, deadline):
        try:
            self._socket.settimeout(remaining(deadline))
            data = self._socket.recv(1 << 16)
        except TimeoutError:
            raise InstrumentTimeout("no answer in time") from None
        except OSError as error:
            raise InstrumentDisconnected(error.strerror or str(error)) from None
        if not data:
            raise InstrumentDisconnected("the device closed the connection")
        return data

    def leftover(self):
        try:
            self._socket.settimeout(0)
            data = self._socket.recv(1 << 16)
        except BlockingIOError:
            return bytes(self._buffer)
        except OSError as error:
            raise InstrumentDisconnected(error.strerror or str(error)) from None
        if not data:
            raise InstrumentDisconnected("the device closed the connection")
        self._buffer += data
        return bytes(self._buffer)

    def close(self):
        self._socket.close()


class SerialConnection(StreamConnection):
    """``serial:///dev/ttyUSB0?baud=115200`` (8 bits, no parity, 1 stop bit unless said otherwise)"""

    settle_s = 0.2               # a serial line has no connection that could be given up with its late answers

    def __init__(self, port, deadline, *, baud=115200, bits=8, parity="N", stop=1, rtscts=False):
        super().__init__()
        try:
            import serial
        except ImportError:
            raise BadInput("needs pyserial: pip install 'qkdlab[serial]'", where=f"serial://{port}") from None
        self._error = serial.SerialException
        try:
            self._serial = serial.Serial(port, baudrate=baud, bytesize=bits, parity=parity, stopbits=stop, rtscts=rtscts,
                                         timeout=remaining(deadline), write_timeout=remaining(deadline))
        except (OSError, ValueError) as error:           # SerialException is an OSError
            raise InstrumentDisconnected(f"{error}: is the device plugged in?") from None

    def send(self, data, deadline):
        try:
            self._serial.write_timeout = remaining(deadline)
            self._serial.write(data)
        except OSError as error:
            raise InstrumentDisconnected(str(error)) from None

    def _receive(self, deadline):
        try:
            self._serial.timeout = remaining(deadline)
            data = self._serial.read(1)
            data += self._serial.read(self._serial.in_waiting)
        except OSError as error:
            raise InstrumentDisconnected(str(error)) from None
        if not data:
            raise InstrumentTimeout("no answer in time")
        return data

    def leftover(self):
        try:
            self._buffer += self._serial.read(self._serial.in_waiting)
        except OSError as error:
            raise InstrumentDisconnected(str(error)) from None
        return bytes(self._buffer)

    def close(self):
        self._serial.close()
