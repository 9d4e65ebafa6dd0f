"""Other ends of the wire for tests: they say what they are told to, on loopback. No device is modelled here."""

import contextlib
import math
import os
import socket
import threading
import time
import urllib.parse


def until(condition, patience_s=60):
    """Wait for what other threads do."""
    end = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.002)


class TcpFake:
    """Cuts what arrives into requests (at `end`, or every `size` bytes) and sends back ``answer(request)``.

    An answer is bytes, None for nothing, or a list of both. `received` holds every request of every connection.
    """

    def __init__(self, answer, *, end=b"\n", size=None, greeting=b""):
        self.answer, self.end, self.size, self.greeting = answer, end, size, greeting
        self.received, self.connections, self._open = [], 0, []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self):
        while True:
            try:
                wire, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(wire)
            self._threads.append(threading.Thread(target=self._serve, args=(wire,), daemon=True))
            self._threads[-1].start()

    def _serve(self, wire):
        rest = b""
        with contextlib.suppress(OSError), wire:
            wire.sendall(self.greeting)
            while data := wire.recv(1 << 16):
                rest += data
                while (cut := self._cut(rest)) is not None:
                    request, rest = rest[:cut], rest[cut:]
                    self.received.append(request)
                    answer = self.answer(request.removesuffix(self.end) if self.size is None else request)
                    for part in answer if isinstance(answer, list) else [answer]:
                        if part:
                            wire.sendall(part)

    def _cut(self, rest):
        if self.size is not None:
            return self.size if len(rest) >= self.size else None
        at = rest.find(self.end)
        return None if at < 0 else at + len(self.end)

    def hang_up(self):
        """Break every connection."""
        for wire in self._open:
            with contextlib.suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)

    def close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()
        for thread in self._threads:
            thread.join(60)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


class ZmqFake:
    """Replies to ZeroMQ requests: ``answer(text) -> text or bytes``, or None to stay silent."""

    def __init__(self, answer):
        import zmq

        self.answer, self.received, self._stop = answer, [], threading.Event()
        self._socket = zmq.Context.instance().socket(zmq.ROUTER)
        self.port = self._socket.bind_to_random_port("tcp://127.0.0.1")
        self.address = f"zmq://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while not self._stop.is_set():
            if not self._socket.poll(20):
                continue
            who, empty, request = self._socket.recv_multipart()
            self.received.append(request.decode())
            answer = self.answer(request.decode())
            if answer is not None:
                self._socket.send_multipart([who, empty, answer if isinstance(answer, bytes) else answer.encode()])

    def close(self):
        self._stop.set()
        self._thread.join(60)
        self._socket.close(0)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


class HttpFake:
    """``answer(path, query dict) -> bytes``, or an int as an HTTP status."""

    def __init__(self, answer):
        import http.server

        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                parts = urllib.parse.urlsplit(self.path)
                outer.received.append(self.path)
                body = answer(parts.path, dict(urllib.parse.parse_qsl(parts.query)))
                self.send_response(body if isinstance(body, int) else 200)
                self.end_headers()
                if not isinstance(body, int):
                    self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.received = []
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(60)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


class Script:
    """Answers a list of (sent, reply) pairs in this order, after any number of the exchanges in `always`.

    What does not fit the script is kept in `surprises` and answered with `otherwise`.
    """

    def __init__(self, pairs=(), always=None, otherwise=b"?\n"):
        self.pairs, self.always, self.surprises, self.otherwise = list(pairs), always or {}, [], otherwise

    def __call__(self, request):
        if self.pairs and request == self.pairs[0][0]:
            return self.pairs.pop(0)[1]
        if request in self.always:
            return self.always[request]
        self.surprises.append(request)
        return self.otherwise

    def is_done(self):
        return not self.pairs and not self.surprises


def wrong_values(p, low, high):
    """What a setting of this kind and range must refuse."""
    if p.kind is bool:
        return [1, "ON", None]
    if p.kind is str:
        return ["no such word", 3, None] if p.choices else [3, None]
    wrong = [math.nan, math.inf, -math.inf, "3 dB", True, None, [1.0], 10**400]
    wrong += [high + 1e-3 * abs(high) + 1, 1e30] if high is not None else []
    return wrong + ([low - 1e-3 * abs(low) - 1, -1e30] if low is not None else []) + ([1.5] if p.kind is int else [])


@contextlib.contextmanager
def serial_port(address):
    """The path of a pseudo serial port behind which the TCP device at `address` sits."""
    import tty

    master, slave = os.openpty()
    tty.setraw(slave)
    host, _, port = address.removeprefix("tcp://").partition(":")
    wire = socket.create_connection((host, int(port)))

    def pump(read, write):
        with contextlib.suppress(OSError):
            while data := read():
                write(data)

    threads = [threading.Thread(target=pump, args=pair, daemon=True) for pair in (
        (lambda: os.read(master, 4096), wire.sendall), (lambda: wire.recv(4096), lambda data: os.write(master, data)))]
    for thread in threads:
        thread.start()
    try:
        yield os.ttyname(slave)
    finally:
        os.close(slave)
        with contextlib.suppress(OSError):
            wire.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(60)
        wire.close()
        os.close(master)
