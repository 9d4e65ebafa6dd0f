"""One session a device: a claim on an address, seen by every process of this user."""

import contextlib
import hashlib
import ipaddress
import os
import pathlib
import re
import socket
import tempfile
import threading
import urllib.parse

from qkdlab.instruments.errors import InstrumentInUse

__all__ = ["Claim", "Held"]

_held = {}                       # place: claim, within this process
_PORTS = {"tcp": None, "zmq": None, "http": 80, "https": 443}
_guard = threading.RLock()        # a signal's handler may come here while the same thread is here


def _folder():
    """The user's own runtime folder."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    folder = pathlib.Path(base) / "qkdlab" if base and os.path.isdir(base) else \
        pathlib.Path(tempfile.gettempdir()) / f"qkdlab-{os.getuid() if hasattr(os, 'getuid') else os.getlogin()}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _place(address):
    """One text for every way to write an address: names of a host, protocols to one port, links to a port, options, what a
    VISA resource may leave out."""
    scheme, _, rest = str(address).rpartition("://")
    resource = rest.partition("?")[0]
    with contextlib.suppress(ValueError):                # not an address of that kind: as it is written
        if scheme in _PORTS:
            parts = urllib.parse.urlsplit(f"//{resource}")
            return _port(parts.hostname, parts.port or _PORTS[scheme])
        if scheme == "visa" or (not scheme and "::" in resource):
            return _resource(resource)
        if scheme in ("serial", "file") or resource.startswith("/"):
            return f"file://{os.path.realpath(resource.rstrip('/'))}"
    return str(address)


def _port(host, port):
    with contextlib.suppress(OSError, UnicodeError):     # no such host, or an IPv6 address: as it is written
        host = socket.gethostbyname(host)
    with contextlib.suppress(ValueError):
        ip = ipaddress.ip_address(host)
        host = "127.0.0.1" if ip.is_loopback else ip.compressed
    return f"tcp://{host}:{port}"


def _resource(resource):
    """``USB::0x1313::0x804F::M1``, say, is ``USB0::4883::32847::M1::INSTR``; a socket or a serial port is what it is
    without VISA."""
    first, *parts = resource.split("::")
    kind, board = re.fullmatch(r"([A-Za-z]*)(.*)", first).groups()
    kind, parts = kind.upper(), [part.upper() for part in parts]
    if kind == "ASRL" and board.startswith("/"):
        return f"file://{os.path.realpath(board)}"
    ending = parts.pop() if parts and parts[-1] in ("INSTR", "SOCKET", "RAW") else "INSTR"
    if kind == "TCPIP" and ending == "SOCKET" and len(parts) == 2:
        return _port(parts[0].lower(), int(parts[1]))
    if kind == "TCPIP" and parts:
        parts = [_port(parts[0].lower(), 0), *(parts[1:] or ["INST0"])]
    if kind == "USB":
        parts = [str(int(part, 0)) for part in parts[:2]] + parts[2:3] + [part for part in parts[3:] if part != "0"]
    return "::".join((f"visa://{kind}{board or 0}", *parts, ending))


class Claim:
    """Holds `address` for the session called `session` until released. The lock dies with the process.

    Raises
    ------
    InstrumentInUse
        Naming the session that holds it.
    """

    def __init__(self, address, session=""):
        self.address, self.session = address, session or f"process {os.getpid()}"
        self._place = _place(address)
        with _guard:
            if self._place in _held:
                self._refuse(_held[self._place].session, "this process; close it, or call qkdlab.instruments.close_all()")
            name = hashlib.sha256(self._place.encode()).hexdigest()[:24] + ".lock"
            self._file = open(_folder() / name, "a+", encoding="utf-8")  # noqa: SIM115  (open as long as it is held)
            if not _lock(self._file):
                self._file.seek(0)
                holder = self._file.read().strip() or "another process"
                self._file.close()
                self._refuse(holder, "another process; close it there")
            self._file.truncate(0)
            self._file.write(f"{self.session} (process {os.getpid()})\n" if session else self.session + "\n")
            self._file.flush()
            _held[self._place] = self

    def _refuse(self, holder, where):
        raise InstrumentInUse(f"in use by {holder} in {where}", device=self.address, holder=holder)

    def release(self):
        """Let others have it. Safe to call twice."""
        with _guard:
            if _held.get(self._place) is self:
                del _held[self._place]
                self._file.truncate(0)
                _unlock(self._file)
                self._file.close()


class Held:
    """In place of a transport, for what is no wire of ours: a file, a vendor's library, somebody else's driver.

    ``opening()`` returns the identity and a function that closes it. Without an `address` nothing is claimed.
    """

    def __init__(self, address, session, opening):
        self.lock, self.closed, self.reopened = threading.RLock(), False, 0
        self._claim = Claim(address, session) if address else None
        try:
            self.identity, self._closing = opening()
        except BaseException:
            self._release()
            raise

    def _release(self):
        if self._claim is not None:
            self._claim.release()

    def close(self):
        with self.lock:
            if not self.closed:
                self.closed = True
                try:
                    self._closing()
                finally:
                    self._release()


if os.name == "nt":
    import msvcrt

    def _lock(file):
        file.seek(1 << 20)                               # behind the name, which others must be able to read
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(file):
        file.seek(1 << 20)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _lock(file):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _unlock(file):
        fcntl.flock(file, fcntl.LOCK_UN)
