"""Keeps an eye on the devices of a live session: who has gone, and who is back."""

import contextlib
import threading

from .instruments.errors import DeviceError, GarbledReply, InstrumentError

__all__ = ["Watch", "is_away"]


def is_away(error):
    """Whether an error means that the device is not there (as opposed to: it refused something)."""
    return isinstance(error, InstrumentError) and (isinstance(error, GarbledReply) or not isinstance(error, DeviceError))


BUSY = InstrumentError("somebody talks to it right now")


class Watch:
    """A thread that asks each device from time to time who it is; a context manager.

    Parameters
    ----------
    devices : dict of str to device
        Asked by their ``check``; one without it tells by its own errors.
    tell : callable
        ``tell(name, state, message)`` with state ``"away"``, ``"back"`` or ``"changed"``, from any thread.
    period_s : float
    gone : callable, optional
        ``gone(name)`` when a device was found to be away.
    look : callable, optional
        ``look(name)`` at a device that is there: words where it stands otherwise than it should, told with the state
        ``"changed"``.

    Attributes
    ----------
    away : dict of str to str
        Devices that do not answer, and the last error.
    """

    def __init__(self, devices, tell, period_s=1.0, gone=None, look=None):
        self._devices = {name: device for name, device in devices.items() if hasattr(device, "check")}
        self._tell, self._period_s, self._gone = tell, period_s, gone or (lambda name: None)
        self._look_at = look or (lambda name: None)
        self._stop, self._thread, self._failure = threading.Event(), None, None
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
                try:
                    self._gone(name)                     # the light goes off whatever those who hear of it do
                finally:
                    self._tell(name, "away", str(error))

    def wait_until_back(self, ended):
        """Wait until all that are away answer again; False where `ended` (an event) was set meanwhile.

        They are away until :meth:`back` is told: one that answers may still refuse to go on.
        """
        while not ended.wait(min(self._period_s, 1.0)):
            self.refuse_if_it_broke()
            with self._attending:
                away = list(self.away)
            if all(self._error_of(name) is None for name in away):
                return True
        return False

    def refuse_if_it_broke(self):
        """Raise what ended the watch: nobody watches any more, the session ends with it."""
        if self._failure is not None:
            raise self._failure

    def back(self, names):
        """These devices were set again, and go on."""
        for name in names:
            with self._attending:
                was_away = self.away.pop(name, None) is not None
            if was_away:
                self._tell(name, "back", "")

    def _run(self):
        try:
            self._look()
        except Exception as error:                       # of somebody who was told; what is away stays so
            self._failure = error

    def _look(self):
        while not self._stop.wait(self._period_s):
            for name in self._devices:
                if self._stop.is_set():
                    return
                error = name not in self.away and self._lost(name) and self._lost(name)
                if error:                                # asked twice: a single lost answer is no lost device
                    self.report(name, error)
                elif name not in self.away and (words := self._glance(name)):
                    self._tell(name, "changed", words)

    def _glance(self, name):
        with _free(self._devices[name]) as free, contextlib.suppress(InstrumentError):    # the next round asks who is there
            return self._look_at(name) if free else None

    def _lost(self, name):
        error = self._error_of(name)
        return error if error is not BUSY and is_away(error) else None

    def _error_of(self, name):
        """None where the device answers with its own identity; else what went wrong."""
        device = self._devices.get(name)
        if device is None:
            return None
        with _free(device) as free:
            try:
                if not free:
                    return BUSY
                device.check()
                return None
            except InstrumentError as error:
                return error
            except Exception as error:                   # a fault of its driver: the device is not known to be there
                return InstrumentError(f"{type(error).__name__}: {error}")


@contextlib.contextmanager
def _free(device):
    """Its line, held; False where somebody talks to it right now."""
    lock = device.transport.lock
    free = lock.acquire(timeout=0.01)
    try:
        yield free
    finally:
        if free:
            lock.release()

