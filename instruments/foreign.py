"""A driver that somebody else wrote, behind one of our interfaces: its attributes become our parameters."""

import importlib

from qkdlab.errors import BadInput
from qkdlab.instruments import interfaces
from qkdlab.instruments.errors import InstrumentDisconnected, InstrumentError, InstrumentTimeout
from qkdlab.instruments.instrument import LIGHT, Instrument
from qkdlab.instruments.parameters import parameter
from qkdlab.instruments.transports import Held
from qkdlab.settings import checked, nearest

__all__ = ["ForeignInstrument", "adapt", "driver_class"]

KINDS = {name: getattr(interfaces, name) for name in interfaces.__all__ if name not in ("Device", "TimeTagger")}
TYPES = {"float": float, "int": int, "bool": bool, "str": str}
ENTRIES = {"attribute", "unit", "type", "low", "high", "choices", "scale", "help", "read_only"}


class ForeignInstrument(Instrument):
    """Holds the other's driver object; after an error on the line it is made anew, as ours do.

    Subclasses made by :func:`adapt` have the parameters. ``make()`` returns the object, ``get(object, attribute)`` and
    ``put(object, attribute, value)`` read and set, ``end(object)`` closes it.
    """

    make = get = put = end = ask_identity = None
    dark = ()                    # what to set for the safe state: (our name, value)
    _object = None

    def _open(self, session, timeout_s):
        def opening():
            return self._guarded(type(self).ask_identity), self._finish

        return Held(self.address, session, opening)

    def _guarded(self, verb):
        """Do something with the driver object; its errors become ours, and none outlives its connection."""
        try:
            if self._object is None:
                self._object = type(self).make(self.address)
            return verb(self._object)
        except (InstrumentError, BadInput):
            raise
        except Exception as error:                       # another library's own classes, known only there
            self._finish()
            words = f"{type(error).__name__}: {error}"
            kind = InstrumentTimeout if "timeout" in words.lower() or "VI_ERROR_TMO" in words else InstrumentDisconnected
            raise kind(words, device=self.name) from error

    def _finish(self):
        driver, self._object = self._object, None
        if driver is not None:
            try:
                type(self).end(driver)
            except Exception:                            # noqa: S110  (it broke before)
                pass

    def read_attribute(self, attribute):
        with self.transport.lock:
            self._refuse_closed()
            return self._guarded(lambda driver: type(self).get(driver, attribute))

    def set_attribute(self, attribute, value):
        with self.transport.lock:
            self._refuse_closed()
            self._guarded(lambda driver: type(self).put(driver, attribute, value))

    def _refuse_closed(self):
        if self.transport.closed:
            raise InstrumentDisconnected("was closed: connect again", device=self.name)

    def check(self):
        """Ask the other's driver for the identity; one that broke is made anew."""
        with self.transport.lock:
            self._refuse_closed()
            self._guarded(type(self).ask_identity)

    def safe_state(self):
        """What the mapping names as safe."""
        self.force(**dict(self.dark))


def adapt(address, kind, mapping, methods, safe, verbs, settings):
    """An instrument of `kind` over another's driver.

    Parameters
    ----------
    kind : str
        Name of one of our interfaces.
    mapping : dict
        Our setting's name to ``{"attribute", "unit", "type", "low", "high", "choices", "scale", "help", "read_only"}``;
        ``scale`` turns our unit into the other's.
    methods : dict
        Our verb (``"zero"``) to the name of the other's method.
    safe : dict
        What to set to bring the device to its safe state; must be given where it gives light or lets it through.
    verbs : dict
        ``make``, ``get``, ``put``, ``end``, ``ask_identity`` of :class:`ForeignInstrument`.
    settings : dict
        First values, ``session``, ``simulated``.
    """
    if kind not in KINDS:
        raise BadInput(f"unknown kind of device; {nearest(str(kind), KINDS)}", where=address, field="kind", value=kind)
    protocol, members = KINDS[kind], {}
    for name, entry in mapping.items():
        members[name] = _parameter(address, name, entry)
    for name, theirs in methods.items():
        members[name] = _method(theirs)
    if "actuators" in protocol.__annotations__:
        members["actuators"] = tuple(mapping)
    for name in (*protocol.__annotations__, *(n for n in vars(protocol) if not n.startswith("_"))):
        if name not in members:
            raise BadInput(f"a {kind} must have it: say which attribute it is", where=address, field=name)
    for name, value in safe.items():                     # now: not when the light must go off
        if name not in mapping or members[name].set is None:
            raise BadInput("not among the parameters that can be set", where=address, field=f"safe.{name}")
        try:
            checked(value, members[name].kind, f"safe.{name}", members[name].metadata())
        except BadInput as error:
            raise error.at(address) from None
    if protocol in LIGHT and not safe:
        raise BadInput(f"a {kind} gives light or lets it through: say what to set so that there is none", where=address,
                       field="safe")
    members |= {name: staticmethod(verb) for name, verb in verbs.items()}
    made = type(f"Foreign{kind}", (ForeignInstrument,), members | {"kinds": (protocol,), "dark": tuple(safe.items())})
    return made(address, **settings)


def _parameter(address, name, entry):
    for key in entry:
        if key not in ENTRIES:
            raise BadInput(f"unknown entry; {nearest(key, ENTRIES)}", where=address, field=f"{name}.{key}", value=entry[key])
    if "unit" not in entry or "attribute" not in entry:
        raise BadInput("the other driver's attribute and our unit are expected", where=address, field=name, value=entry)
    kind = entry.get("type", "float")
    if kind not in TYPES:
        raise BadInput(f"one of {', '.join(TYPES)} is expected", where=address, field=f"{name}.type", value=kind)
    attribute, scale = entry["attribute"], entry.get("scale", 1)

    def put(device, value):
        device.set_attribute(attribute, value * scale if scale != 1 else value)

    return parameter(TYPES[kind], get=lambda device: device.read_attribute(attribute), unit=entry["unit"],
                     set=None if entry.get("read_only") else put, low=entry.get("low"), high=entry.get("high"),
                     choices=entry.get("choices"), scale=scale, help=entry.get("help", f"{attribute} of the driver behind"))


def _method(theirs):
    def call(self, *arguments, **options):
        with self.transport.lock:
            self._refuse_closed()
            return self._guarded(lambda driver: getattr(driver, theirs)(*arguments, **options))

    return call


def driver_class(driver, address):
    """The class named by ``"package.module:Class"``, or what was given in its place."""
    if not isinstance(driver, str):
        return driver
    module, _, name = driver.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise BadInput(f"cannot be imported: {error}", where=address, field="driver", value=driver) from None
