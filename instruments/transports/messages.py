"""Wires that carry whole messages: ZeroMQ, VISA, HTTP."""

import http.client
import urllib.error
import urllib.request

from qkdlab.errors import BadInput
from qkdlab.instruments.errors import DeviceError, InstrumentDisconnected, InstrumentTimeout
from qkdlab.instruments.transports.connections import remaining

__all__ = ["HttpConnection", "PairStream", "VisaConnection", "ZmqConnection"]


class ZmqConnection:
    """``zmq://host:port``: request and reply. A socket that missed a reply is stuck for good: it is thrown away."""

    settle_s = 0.0

    def __init__(self, host, port, deadline):
        import zmq

        self._socket = _connected(zmq.Context.instance().socket(zmq.REQ), host, port)

    def send(self, data, deadline):
        self._socket.send(data)                          # to a queue: does not block

    def read_message(self, deadline):
        if not self._socket.poll(1e3 * remaining(deadline)):
            raise InstrumentTimeout("no answer in time")
        return self._socket.recv()

    def leftover(self):
        return b""                                       # a REQ socket cannot hold what was not asked for

    def close(self):
        self._socket.close(linger=0)


class PairStream:
    """A ZeroMQ PAIR socket from which a device pushes blocks. ``broken`` has something to read once its other end was lost
    (the socket itself would wait in silence for another one)."""

    def __init__(self, host, port):
        import zmq

        self.socket = zmq.Context.instance().socket(zmq.PAIR)
        self.socket.rcvhwm = 32          # blocks that wait for a slow reader: memory has an end, the sender is held up
        self.broken = self.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        _connected(self.socket, host, port)

    def is_broken(self):
        """Whether the other end was lost since the last question."""
        found = False
        while self.broken.poll(0):
            found = bool(self.broken.recv_multipart())
        return found

    def receive(self):
        """The next block without a copy (object with the buffer protocol), or None where none has arrived."""
        import zmq

        try:
            return self.socket.recv(flags=zmq.NOBLOCK, copy=False).buffer
        except zmq.Again:
            return None

    def close(self):
        self.socket.disable_monitor()
        self.broken.close(linger=0)
        self.socket.close(linger=0)


def _connected(socket, host, port):
    socket.linger = 0
    socket.connect(f"tcp://{host}:{port}")
    return socket


class VisaConnection:
    """``visa://RESOURCE``, for example ``visa://USB0::0x1313::0x8078::P0001::INSTR``; ``?library=@py`` chooses the
    library."""

    settle_s = 0.0

    def __init__(self, resource, deadline, *, library=""):
        try:
            import pyvisa
        except ImportError:
            raise BadInput("needs pyvisa: pip install 'qkdlab[visa]'", where=f"visa://{resource}") from None
        self._visa = pyvisa
        self._rest = b""
        try:
            self._manager = pyvisa.ResourceManager(library)
            self._resource = self._manager.open_resource(resource, read_termination="\n", write_termination="",
                                                         open_timeout=int(1e3 * remaining(deadline)))
        except (pyvisa.Error, OSError, ValueError) as error:
            raise InstrumentDisconnected(f"{error}: is the device on?") from None
        if resource.upper().startswith("ASRL"):
            self.settle_s = 0.2                          # as with a serial port

    def send(self, data, deadline):
        self._call(self._resource.write_raw, data, deadline)

    def read_message(self, deadline):
        rest, self._rest = self._rest, b""
        return rest or self._call(self._resource.read_raw, None, deadline)

    def read_until(self, end, deadline):
        message = self.read_message(deadline)
        while end not in message and message.endswith(b"\n"):       # another end than the one that stops a read
            message += self.read_message(deadline)
        line, found, self._rest = message.partition(end)
        return line + found

    def read_until_any(self, ends, deadline):
        message = self.read_message(deadline)
        at = next((i for i, byte in enumerate(message) if byte in ends), len(message) - 1)
        self._rest = message[at + 1 :]
        return message[: at + 1]

    def read_exactly(self, size, deadline):
        data = self._rest
        while len(data) < size:
            data += self._call(self._resource.read_bytes, size - len(data), deadline)
        self._rest = data[size:]
        return data[:size]

    def leftover(self):
        return self._rest

    def _call(self, verb, argument, deadline):
        self._resource.timeout = max(1, int(1e3 * remaining(deadline)))
        try:
            return verb() if argument is None else verb(argument)
        except self._visa.VisaIOError as error:
            if error.error_code == self._visa.constants.StatusCode.error_timeout:
                raise InstrumentTimeout("no answer in time") from None
            raise InstrumentDisconnected(str(error)) from None
        except (self._visa.Error, OSError) as error:
            raise InstrumentDisconnected(str(error)) from None

    def close(self):
        try:
            self._resource.close()
        except (self._visa.Error, OSError):
            pass                                         # it broke before


class HttpConnection:
    """``http://host:port`` and ``https://host``: a request is a path with its query, the reply the body."""

    settle_s = 0.0

    def __init__(self, base):
        self._base, self._reply = base.rstrip("/"), b""
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))    # a device is never behind a proxy

    def send(self, data, deadline):
        try:
            with self._opener.open(self._base + data.decode("ascii"), timeout=remaining(deadline)) as answer:
                self._reply = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise DeviceError(f"refused {data.decode('ascii')!r}", reply=f"{error.code} {error.reason}") from None
        except (urllib.error.URLError, TimeoutError, http.client.HTTPException, OSError) as error:
            if isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError):
                raise InstrumentTimeout("no answer in time") from None
            raise InstrumentDisconnected(str(getattr(error, "reason", error))) from None

    def read_message(self, deadline):
        reply, self._reply = self._reply, b""
        return reply

    def leftover(self):
        return b""

    def close(self):
        self._reply = b""
