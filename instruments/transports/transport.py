"""Question and answer with one device: locked, timed, reopened after anything went wrong, recorded on request."""

import collections
import threading
import time

from qkdlab.instruments.errors import (
    DeviceError,
    GarbledReply,
    InstrumentDisconnected,
    InstrumentError,
    InstrumentTimeout,
)
from qkdlab.instruments.transports.sessions import Claim

__all__ = ["Transport"]


class Transport:
    """The line to one device. Made by :func:`qkdlab.instruments.transports.open_transport`.

    After a timeout the connection is closed at once, because the answer may still come and would be taken for that of
    the next question; the next exchange opens a new one and asks for the identity first.

    Attributes
    ----------
    lock : threading.RLock
        Held during each exchange; take it around several that belong together.
    identity : str
        What the device said of itself.
    reopened : int
        How often the connection had to be opened anew.
    """

    def __init__(self, address, dial, framing, identify, *, timeout_s, session):
        self.address, self.framing, self.timeout_s = address, framing, timeout_s
        self.lock, self.reopened, self.closed, self.identity = threading.RLock(), 0, False, ""
        self._dial, self._identify, self._connection, self._record = dial, identify, None, None
        self._users, self._opening, self._talking = 1, False, False
        self._claim = Claim(address, session)
        try:
            with self.lock:
                self._ready()
        except BaseException:
            self.close()
            raise

    # --------------------------------------------------------------------------------------------------- exchanges

    def query(self, request, *, framing=None, accept=None, timeout_s=None, private=False):
        """Send a request and return the reply.

        Parameters
        ----------
        request : str or bytes
            As the framing takes it.
        framing : object, optional
            Another framing of this one exchange.
        accept : callable, optional
            Replies are read until ``accept(reply)`` is true, for devices that speak unasked.
        timeout_s : float, optional
            For the whole exchange.
        private : bool
            Keep the reply out of the record: random bits, tags.

        Raises
        ------
        InstrumentTimeout, InstrumentDisconnected, GarbledReply
            The connection was given up; the next exchange opens a new one.
        """
        framing = framing or self.framing

        def exchange(connection, deadline):
            while True:
                reply = framing.read(connection, deadline)
                self._note("<", f"{len(reply)} bytes" if private else reply)
                if accept is None or accept(reply):
                    return reply

        return self._exchange(request, framing, exchange, timeout_s)

    def write(self, request, *, timeout_s=None):
        """Send what has no reply."""
        self._exchange(request, self.framing, lambda connection, deadline: None, timeout_s)

    def _exchange(self, request, framing, read, timeout_s):
        with self.lock:
            timeout_s = timeout_s or self.timeout_s
            if self._talking:                            # a signal's handler in the midst of an exchange of this thread
                self._drop()
                self._talking = False
            connection = self._ready()
            deadline = time.monotonic() + timeout_s
            try:
                self._talking = True
                self._note(">", request)
                connection.send(framing.encode(request), deadline)
                return read(connection, deadline)
            except InstrumentError as error:
                if isinstance(error, GarbledReply) or not isinstance(error, DeviceError):
                    self._drop()
                if isinstance(error, InstrumentTimeout):
                    error.why = f"no answer to {_shown(request)} within {timeout_s:g} s"
                error.device = error.device or self.address
                raise
            except BaseException:                        # an interrupted exchange leaves its answer behind
                self._drop()
                raise
            finally:
                self._talking = False

    # -------------------------------------------------------------------------------------------------- connection

    def _ready(self):
        """A connection on which nothing is left over from before."""
        if self.closed:
            raise InstrumentDisconnected("was closed: connect again", device=self.address)
        if self._connection is not None:
            try:
                rest = self._connection.leftover()
                if rest and not self.framing.is_blank(rest):
                    self._note("?", rest)                # said unasked: whatever it was, no answer to what comes now
                    if self._opening:                    # a greeting
                        self._connection.read_message(time.monotonic() + 1)
                    else:
                        self._drop()
            except InstrumentError:                      # the device hung up meanwhile; nothing is lost
                self._drop()
        if self._connection is None:
            if self._opening:
                raise InstrumentDisconnected("broke while it was opened", device=self.address)
            self._opening = True
            try:
                self._open()
            finally:
                self._opening = False
        return self._connection

    def _open(self):
        known, self.reopened = self.identity, self.reopened + bool(self.identity)
        for attempt in range(3):
            self._connection = self._dialled()
            if attempt or known:
                self._let_settle(self._connection.settle_s)
            try:
                said = self._identify(self)
            except DeviceError as error:
                self._drop()
                error.why = f"not the device that was expected: {error.why}"
                raise
            except BaseException:
                self._drop()
                raise
            if not known or said == known:
                self.identity = said
                return
            self._drop()                                 # perhaps a late answer came through: once more
        raise InstrumentDisconnected(f"another device answers now: {said!r} instead of {known!r}", device=self.address)

    def _dialled(self):
        try:
            return self._dial(time.monotonic() + self.timeout_s)
        except InstrumentError as error:
            raise InstrumentDisconnected(error.why, device=self.address) from None

    def _let_settle(self, settle_s):
        """Throw away what still arrives until the line is silent."""
        silent = time.monotonic() + settle_s
        while settle_s and time.monotonic() < silent:
            if self._connection.leftover():
                self._connection.read_message(time.monotonic() + 1)
                silent = time.monotonic() + settle_s
            time.sleep(settle_s / 20)

    def _drop(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def shared(self):
        """The same line for one more user: it is closed when the last of them closes it."""
        with self.lock:
            if self.closed:
                raise InstrumentDisconnected("was closed: connect again", device=self.address)
            self._users += 1
            return self

    def close(self):
        """Close the connection and give the device free, unless others share it. Safe to call twice."""
        with self.lock:
            self._users -= 1
            if self._users > 0:
                return
            self.closed = True
            self._drop()
            self._claim.release()

    # ------------------------------------------------------------------------------------------------------ record

    def record(self, exchanges=1000):
        """Keep the last `exchanges` lines of what is said from now on; 0 ends it. Random bits and tags are not kept."""
        self._record = collections.deque(maxlen=exchanges) if exchanges else None

    def transcript(self):
        """List of (time in s since 1970, ">" sent or "<" received or "?" unasked, what)."""
        return list(self._record or ())

    def _note(self, direction, what):
        if self._record is not None:
            self._record.append((time.time(), direction, what))


def _shown(request):
    text = repr(request)
    return text if len(text) <= 60 else text[:57] + "..."
