"""What all drivers share: opening, identity, snapshot, settings all at once, and the two ways to talk in lines of text."""

import atexit
import contextlib
import dataclasses
import os
import signal
import threading
import time

from qkdlab.errors import BadInput
from qkdlab.instruments.errors import DeviceError, InstrumentDisconnected, InstrumentError, InstrumentTimeout
from qkdlab.instruments.interfaces import Attenuator, IntensityModulator, OpticalSwitch, PulsedSource
from qkdlab.instruments.parameters import parameter
from qkdlab.instruments.transports import Line, open_transport
from qkdlab.settings import Settings, nearest, setting

__all__ = ["LIGHT", "Instrument", "ScpiInstrument", "close_all", "danger", "safe_when_terminated"]

LIGHT = (PulsedSource, IntensityModulator, Attenuator, OpticalSwitch)       # made safe first, in this order

_open = set()                    # held strongly: a laser that a notebook forgot is switched off all the same


class Instrument:
    """A device at an address.

    Parameters
    ----------
    address : str
        See :func:`qkdlab.instruments.transports.open_transport`.
    session : str, optional
        Who holds the device; told to whoever tries to open it meanwhile.
    timeout_s : float, optional
        How long to wait for an answer.
    simulated : bool, optional
        True where the device is known to be a simulated one. One that says so itself is believed.
    **settings
        Places of the device (slot, channel) and first values of its settings, checked and set after opening.
    """

    kinds = ()                   # the interfaces that the driver fulfils
    places = {}                  # what is filled in into the commands, with defaults: whole numbers
    framing = Line()
    timeout_s = 2.0
    address = name = ""
    simulated = False
    transport = None
    limits = own_limits = known = written = narrowed = None
    _closed = False

    def __init__(self, address, *, session="", timeout_s=None, simulated=False, _line=None, **settings):
        self.address, self.name = address, f"{type(self).__name__} at {address}"
        self.limits, self.own_limits, self.known, self.written, self.narrowed = {}, {}, {}, {}, {}
        self.places = self._places(settings)
        for name in settings:
            self._parameter(name)
        self._prepare()
        self.transport = self._open(session, self.timeout_s if timeout_s is None else timeout_s) if _line is None else \
            _line.shared()
        try:
            self.simulated = bool(simulated) or any(word in self.identity().lower() for word in ("simulat", "qkdlab"))
            self.ask_limits()
            self.set(**settings)
        except BaseException:
            self.transport.close()
            raise
        _open.add(self)

    def _places(self, settings):
        places = {name: settings.pop(name, default) for name, default in self.places.items()}
        for name, value in places.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise BadInput("a whole number is expected", where=self.name, field=name, value=value)
        return places

    def _prepare(self):
        """What a driver makes for each of its devices, before it is opened."""

    def _open(self, session, timeout_s):
        return open_transport(self.address, framing=self.framing, identify=self._identify, timeout_s=timeout_s,
                              session=session)

    def _identify(self, transport):
        """The identity exchange of a freshly opened connection. Must fail on a device of another kind or none."""
        return transport.query("*IDN?")

    def __setattr__(self, name, value):
        if not name.startswith("_") and not hasattr(type(self), name):
            raise BadInput(f"there is no such setting; {nearest(name, self.parameters())}", where=self.name, field=name,
                           value=value)
        super().__setattr__(name, value)

    # ------------------------------------------------------------------------------------------------------ verbs

    def identity(self):
        """Maker, model and serial number, as the device itself said when it was opened."""
        return self.transport.identity

    @classmethod
    def parameters(cls):
        """Every declared setting by name, in the order of declaration."""
        found = {}
        for base in reversed(cls.__mro__):
            found |= {name: p for name, p in vars(base).items() if isinstance(p, parameter)}
        return found

    def _parameter(self, name):
        known = self.parameters()
        if name not in known:
            raise BadInput(f"there is no such setting; {nearest(name, [*known, *self.places])}", where=self.name, field=name)
        return known[name]

    def set(self, **values):
        """Set several at once: all are checked before the first byte is sent. Returns the device."""
        values = {name: self._parameter(name).check(self, value) for name, value in values.items()}
        for name, value in values.items():
            self._parameter(name).write(self, value)
        return self

    def beside(self, **settings):
        """Another slot or channel of the same device, on the same line: ``voa.beside(slot=2)``."""
        if not self.places:
            raise BadInput("has no slots or channels", where=self.name)
        return type(self)(self.address, simulated=self.simulated, _line=self.transport, **{**self.places, **settings})

    def ask_limits(self):
        """Ask the device anew for the limits that it alone knows."""
        self.own_limits = {p.name: p.ask_limits(self) for p in self.parameters().values()}
        self.limits = {name: _inside(span, self.narrowed.get(name)) for name, span in self.own_limits.items()}

    def narrow(self, **spans):
        """Allow less than the device does: ``laser.narrow(current_a=(0, 0.08))``. Lasts as long as this object.

        Raises
        ------
        BadInput
            Where there is no such setting, or nothing of the range would be left.
        """
        narrowed = {}
        for name, span in spans.items():
            low, high = self._parameter(name).limits(self)
            left = _inside((low, high), tuple(span))
            if self._parameter(name).kind not in (int, float) or left[0] > left[1]:
                raise BadInput(f"nothing of the device's own range would be left, which is {low} to {high}",
                               where=self.name, field=name, value=list(span))
            narrowed[name] = left
        self.narrowed |= narrowed
        self.limits |= narrowed

    def settings(self):
        """What can be set, with the present values, as an object of a settings class (for a settings panel).

        Changes come back by ``device.set(**qkdlab.settings.to_table(changed))``.
        """
        fields, values = [], {}
        for name, p in self.parameters().items():
            if p.set is None:
                continue
            try:
                values[name] = p.read(self)
            except DeviceError:                          # not known, or outside of what we understand
                values[name] = None
            meta = p.metadata(self)
            meta.pop("open_low")
            fields.append((name, p.kind | None, setting(None, **meta)))
        made = dataclasses.make_dataclass(type(self).__name__ + "Settings", fields, bases=(Settings,), frozen=True)
        made.__doc__ = f"Settings of {self.name}."
        return made(**values)

    def snapshot(self, *, refresh=True, timeout_s=5.0):
        """Every value for the run file, best effort.

        Parameters
        ----------
        refresh : bool
            False gives what was last read or set, without a word to the device.
        timeout_s : float
            After that long the rest is not asked any more.

        Returns
        -------
        dict
            ``{name: {"value", "unit", "time"}}``, time in seconds since 1970, or ``{name: {"error": text}}``.
        """
        record, stop, broken = {}, time.monotonic() + timeout_s, ""
        for name, p in self.parameters().items():
            if not p.snapshot:
                continue
            if refresh and not broken and time.monotonic() > stop:
                broken = f"not read: the {timeout_s:g} s for a snapshot were over"
            try:
                if refresh and not broken:
                    p.read(self)
                value, at = self.known[name]
                record[name] = {"error": broken} if broken else {"value": value, "unit": p.unit, "time": at}
            except KeyError:
                record[name] = {"error": broken or "not known yet"}
            except InstrumentError as error:
                record[name] = {"error": str(error)}
                if isinstance(error, InstrumentDisconnected):
                    broken = str(error)
        return record

    def check(self):
        """Ask the device who it is; InstrumentError where it does not answer."""
        self._identify(self.transport)

    def safe_state(self):
        """Bring the device where it does no harm. Drivers of what can do harm override it."""

    def refuse_beyond(self, about_to_be_set=()):
        """DeviceError where a narrowed setting that stays as it is lies beyond its limits: nobody of ours has set it."""
        for name, (low, high) in self.narrowed.items():
            declared = self.parameters()[name]
            if name in about_to_be_set or declared.get is None:
                continue
            value = declared.read(self)
            slack = 1e-6 * max(abs(end) for end in (low, high) if end is not None)      # a device may round
            if (low is not None and value < low - slack) or (high is not None and value > high + slack):
                raise DeviceError(f"{name} is {value:g} {declared.unit}, outside of the limits {low} to {high}: set it, or "
                                  "let the bench file set it", device=self.name)

    def force(self, **values):
        """Set each of these: also where one before it failed (raised in the end), and whatever :meth:`narrow` says."""
        with contextlib.ExitStack() as stack:
            for name, value in reversed(values.items()):
                stack.callback(self._parameter(name).write, self, value)

    def close(self):
        """Safe state, as far as the device still listens, then let it go. Safe to call twice."""
        with self.transport.lock:                        # nobody puts the light on between the two
            _open.discard(self)
            if self._closed:
                return
            self._closed = True
            try:
                self.safe_state()
            except InstrumentError:
                pass                                     # it is gone: there is nobody to tell
            finally:
                self.transport.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def wait_until(self, condition, timeout_s, what, *, poll_s=0.05):
        """Returns when ``condition()`` is true; InstrumentTimeout naming `what` after `timeout_s`."""
        stop = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > stop:
                raise InstrumentTimeout(f"{what} took longer than {timeout_s:g} s", device=self.name)
            time.sleep(poll_s)

    # ------------------------------------------------------------------------------------------------ lines of text

    def ask(self, text):
        """Send a query, return the answer."""
        return self.transport.query(text)

    def tell(self, text):
        """Send a command; DeviceError where the device refuses it."""
        self.transport.write(text)

    def __repr__(self):
        return f"<{self.name}>"


@atexit.register
def close_all():
    """Bring every device that this process holds to its safe state and let it go, what gives light first; done at the end
    of the process too."""
    for device in sorted(_open, key=danger):
        with contextlib.suppress(Exception):             # one that fails, however, does not keep the others from it
            device.close()


def danger(device):
    """Order in which devices are made safe: what gives light or lets it through, then the others."""
    return next((i for i, kind in enumerate(LIGHT) if kind in device.kinds), len(LIGHT))


def safe_when_terminated():
    """On SIGTERM (a notebook's kernel is shut down) and SIGHUP (the terminal is closed) all devices go to their safe state
    before the process ends.

    Does nothing outside of the main thread, or where the program handles the signal itself: then the exit does it.
    """
    for name in ("SIGTERM", "SIGHUP"):                   # Windows has no SIGHUP
        number = getattr(signal, name, None)
        if number and threading.current_thread() is threading.main_thread() and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _end)


def _end(number, frame):
    close_all()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _inside(span, narrowed):
    """The part of a span of limits (None: no limit) that lies inside of a narrower one."""
    if narrowed is None:
        return span
    low, high = span
    return (narrowed[0] if low is None else max(low, narrowed[0])), (narrowed[1] if high is None else min(high, narrowed[1]))


class ScpiInstrument(Instrument):
    """A device that keeps its errors in a queue, asked after every command."""

    error_query = "SYST:ERR?"

    def tell(self, text):
        with self.transport.lock:
            self.transport.write(text)
            reply = self.ask(self.error_query)
            if not _is_no_error(reply):
                self._empty_queue()
                raise DeviceError(f"refused {text!r}", device=self.name, reply=reply)

    def _empty_queue(self):
        for _ in range(30):                              # an older error must not be taken for one of the next command
            if _is_no_error(self.ask(self.error_query)):
                return


def _is_no_error(reply):
    try:
        return int(reply.split(",")[0]) == 0
    except ValueError:
        raise DeviceError("not an entry of an error queue", reply=reply) from None
