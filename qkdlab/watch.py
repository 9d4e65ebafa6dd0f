"""Keeps an eye on the devices of a live session: who has gone, and who is back."""

import contextlib
import threading

from .instruments.errors import DeviceError, GarbledReply, InstrumentError

__all__ = ["Watch", "is_away"]


def is_away(error):
    """Whether an error means that the device is not there (as opposed to: it refused something)."""
    return isinstance(error, InstrumentError) and (isinstance(error, GarbledReply) or not isinstance(error, DeviceError))


class Watch:
    """A thread that asks each device from time to time who it is; a context manager.

    Parameters
    ----------
    devices : dict of str to device
        Those with a line of their own are asked; files and vendors' objects tell by their own errors.
    tell : callable
        ``tell(name, state, message)`` with state ``"away"`` or ``"back"``, from any thread.
    period_s : float
    gone : callable, optional
        ``gone(name)`` when a device was found to be away.

    Attributes
    ----------
    away : dict of str to str
        Devices that do not answer, and the last error.
    """

    def __init__(self, devices, tell, period_s=1.0, gone=None):
        self._devices = {name: d for name, d in devices.items() if hasattr(getattr(d, "transport", None), "query")}
        self._tell, self._period_s, self._gone = tell, period_s, gone or (lambda name: None)
        self._stop, self._thread = threading.Event(), None
        # Held while a device that went is told and attended to: it is not back before that is done, or the late orders
        # (light off, stop) would reach the recording that begins when it is back.
        self._attending = threading.RLock()
        self.away = {}

    def __enter__(self):
        self._thread = threading.Thread(target=self._run, name="qkdlab-watch", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._stop.set()
        self._thread.join()

    def report(self, name, error):
        """A device was found to be away by who talked to it."""
        with self._attending:
            new = name not in self.away
            self.away[name] = str(error)
            if new:
                self._tell(name, "away", str(error))
                self._gone(name)

    def wait_until_back(self, ended):
        """Wait for all that are away; False where `ended` (an event) was set meanwhile."""
        while self.away:
            if ended.wait(min(self._period_s, 0.2)):
                return False
            for name in list(self.away):
                if name not in self._devices or self._error_of(name) is None:
                    self._back(name)
        return True

    def _back(self, name):
        with self._attending:
            there = self.away.pop(name, None) is not None
        if there:
            self._tell(name, "back", "")

    def _run(self):
        while not self._stop.wait(self._period_s):
            for name in self._devices:
                if self._stop.is_set():
                    return
                if name not in self.away and self._error_of(name) is not None:
                    error = self._error_of(name)         # once more: a single lost answer is no lost device
                    if error is not None:
                        self.report(name, error)

    def _error_of(self, name):
        """None where the device answers with its own identity; else what went wrong."""
        transport = self._devices[name].transport
        if transport.closed:
            return None
        try:
            with contextlib.ExitStack() as held:
                if not transport.lock.acquire(timeout=0.01):
                    return None                          # somebody talks to it right now
                held.callback(transport.lock.release)
                self._devices[name]._identify(transport)
        except InstrumentError as error:
            return error if is_away(error) else None
        return None

