"""The bench file: one TOML that names devices, drivers, addresses and limits, and the settings of the link they make.

Table by table::

    simulate = false             the devices themselves, or simulated ones that speak the same bytes
    [devices.NAME]               driver, address, timeout_s, calibrations
      options                    further arguments of the driver's ``connect``
      limits                     setting = [low, high], inside of what the device allows
      settings                   what is set when the bench is opened
      session                    what is set when a session begins (light on); its end is the safe state
    [source] [synchronisation] [receiver] [distill] [choices]      the link, as in ``qkdlab simulate``
    [session] [calibrations]     see :class:`SessionSettings`, :class:`CalibrationSettings`
    [simulation] [channel] [detectors] [clock] [eve] [modulator]   read only where ``simulate = true``
"""

import dataclasses
import importlib.resources
import inspect
import pathlib
import types
import typing

from . import instruments, simulation
from .datatypes import DistillSettings
from .errors import BadInput
from .instruments.instrument import Instrument
from .settings import Settings, from_table, load_toml, nearest, setting
from .store import ChoicesSettings

__all__ = ["BenchFile", "CalibrationSettings", "DeviceSettings", "SessionSettings", "SimulationSettings", "read", "schema",
           "shipped"]


@dataclasses.dataclass(frozen=True, slots=True)
class DeviceSettings(Settings):
    """One device of the bench."""

    driver: str = setting(help="name of the driver, as on the menu of instruments")
    address: str = setting(help="tcp://host:port, zmq://host:port, serial:///dev/ttyUSB0?baud=115200, visa://RESOURCE, "
                                "http://host:port")
    timeout_s: float = setting(2.0, help="how long to wait for an answer", unit="s", low=0, high=600, open_low=True)
    calibrations: tuple[str, ...] = setting((), help="calibrations that the device needs, by name")


@dataclasses.dataclass(frozen=True, slots=True)
class SessionSettings(Settings):
    """How a live session goes about the devices."""

    tagger: str | None = setting(None, help="name of the time tagger; absent: the only one")
    settle_s: float = setting(1.0, help="time between setting the devices and the first tags", unit="s", low=0, high=3600)
    watch_s: float = setting(1.0, help="how often each device is asked whether it is still there", unit="s", low=0.05,
                             high=3600)


@dataclasses.dataclass(frozen=True, slots=True)
class CalibrationSettings(Settings):
    """Without which calibrations no key is made."""

    needed: tuple[str, ...] = setting((), help="names of calibrations that must be in date and within limits")
    store: str | None = setting(None, help="folder of the stored calibrations, beside this file")


@dataclasses.dataclass(frozen=True, slots=True)
class SimulationSettings(Settings):
    """The simulated laboratory."""

    seed: int = setting(0, help="fixes everything that is drawn", low=0)
    speed: float = setting(1.0, help="seconds of the world per second; 0: as fast as it goes", low=0, high=1e6)


SECTIONS = {**simulation.SECTIONS, "distill": DistillSettings, "choices": ChoicesSettings, "session": SessionSettings,
            "calibrations": CalibrationSettings, "simulation": SimulationSettings}
TABLES = ("options", "limits", "settings", "session")           # of a device


@dataclasses.dataclass(frozen=True)
class BenchFile:
    """What a bench file says, checked.

    ``devices``: name to DeviceSettings; ``extras``: name to its four tables; ``tables``: section to settings object.
    """

    path: pathlib.Path
    text: str
    simulate: bool
    devices: dict
    extras: dict
    tables: dict

    def where(self, name, table=""):
        """For error messages: the file and the table of a device."""
        return f"{self.path}: [devices.{name}{'.' if table else ''}{table}]"


def shipped():
    """Path of the bench file that comes with qkdlab: all simulated."""
    return pathlib.Path(str(importlib.resources.files("qkdlab.instruments") / "bench.toml"))


def read(path=None):
    """Read and check a bench file; nothing is connected.

    Parameters
    ----------
    path : path-like, optional
        Absent: the shipped one.

    Returns
    -------
    BenchFile

    Raises
    ------
    BadInput
        Naming the file, the table, the key and the nearest that is known.
    """
    path = shipped() if path is None else pathlib.Path(path)
    text, document = load_toml(path)
    known = ("simulate", "devices", *SECTIONS)
    for name, value in document.items():
        if name not in known:
            raise BadInput(f"unknown table; {nearest(name, known)}", where=path, field=f"[{name}]")
        if name != "simulate" and not isinstance(value, dict):
            raise BadInput("a table is expected", where=path, field=name, value=value)
    simulate, devices = document.get("simulate", False), document.get("devices", {})
    if not isinstance(simulate, bool):
        raise BadInput("true or false is expected", where=path, field="simulate", value=simulate)
    if not devices:
        raise BadInput("no device is named: write a table [devices.NAME] for each", where=path, field="devices")
    tables = {name: from_table(cls, document.get(name, {}), f"{path}: [{name}]") for name, cls in SECTIONS.items()}
    made = BenchFile(path, text, simulate, {}, {}, tables)
    for name, table in devices.items():
        _add(made, name, table)
    _refuse_shared_addresses(made)
    return made


def _add(file, name, table):
    if not isinstance(table, dict):
        raise BadInput("a table is expected", where=file.path, field=f"devices.{name}", value=table)
    fields = {field.name for field in dataclasses.fields(DeviceSettings)}
    for key in table:
        if key not in fields and key not in TABLES:
            raise BadInput(f"unknown key; {nearest(key, [*fields, *TABLES])}", where=file.where(name), field=key,
                           value=table[key])
    extras = {key: table.get(key, {}) for key in TABLES}
    for key, value in extras.items():
        if not isinstance(value, dict):
            raise BadInput("a table is expected", where=file.where(name), field=key, value=value)
    entry = from_table(DeviceSettings, {k: v for k, v in table.items() if k not in TABLES}, file.where(name))
    if entry.driver not in instruments.menu.names():
        raise BadInput(f"unknown driver; {nearest(entry.driver, instruments.menu.names())}", where=file.where(name),
                       field="driver", value=entry.driver)
    options = connect_options(entry.driver)
    for key, value in extras["options"].items():
        if options is not None and key not in options:
            raise BadInput(f"unknown option of {entry.driver}; {nearest(key, options)}", where=file.where(name, "options"),
                           field=key, value=value)
    parameters = driver_parameters(entry.driver)
    for key in ("limits", "settings", "session"):
        for setting_name, value in extras[key].items():
            where = file.where(name, key)
            if parameters is not None:
                check_setting(parameters, entry.driver, setting_name, value, where)
            if key == "limits":
                _check_span(setting_name, value, where)
    file.devices[name], file.extras[name] = entry, extras


def check_setting(parameters, driver, name, value, where):
    """Whether a device of this driver has a setting that can be set; BadInput otherwise."""
    settable = [n for n, p in parameters.items() if p.set is not None]
    if name not in settable:
        why = "can only be read" if name in parameters else "there is no such setting"
        raise BadInput(f"{why}; {nearest(name, settable)}", where=where, field=name, value=value)


def _check_span(name, span, where):
    numbers = isinstance(span, list) and len(span) == 2 and all(
        isinstance(end, int | float) and not isinstance(end, bool) for end in span)
    if not numbers or not span[0] <= span[1]:
        raise BadInput("[low, high] is expected", where=where, field=name, value=span)


def _refuse_shared_addresses(file):
    seen = {}
    for name, entry in file.devices.items():
        place = entry.address, tuple(sorted((k, str(v)) for k, v in file.extras[name]["options"].items()))
        if place in seen:
            raise BadInput(f"the device '{seen[place]}' is at this address", where=file.where(name), field="address",
                           value=entry.address)
        seen[place] = name


def driver_class(name):
    """The class of a driver; None where it is made only when connecting."""
    module = instruments.menu.get(name)
    classes = [one for one in vars(module).values() if inspect.isclass(one) and issubclass(one, Instrument)
               and one.__module__ == module.__name__]
    return classes[0] if classes else None


def driver_parameters(name):
    """Settings of a driver by name, or None where only the device tells."""
    cls = driver_class(name)
    return (cls.parameters() or None) if cls else None


def connect_options(name):
    """Names of the arguments of a driver's ``connect`` that a bench file may give; None: any."""
    module, cls = instruments.menu.get(name), driver_class(name)
    own = inspect.signature(module.connect).parameters.values()
    named = [p.name for p in own if p.kind is p.KEYWORD_ONLY]
    return None if cls is None else sorted({*named, *cls.places})


# ------------------------------------------------------------------------------------------------------------- schema

def schema():
    """JSON schema (draft 2020-12) of bench files, for editors: made from the settings classes and the drivers."""
    drivers = instruments.menu.names()
    device = {**_of_class(DeviceSettings), "required": ["driver", "address"]}
    device["properties"]["driver"]["enum"] = drivers
    device["properties"] |= {key: {"type": "object"} for key in TABLES}
    device["allOf"] = [made for made in map(_of_driver, drivers) if made]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "qkdlab bench file", "type": "object",
            "additionalProperties": False, "required": ["devices"],
            "properties": {
                "simulate": {"type": "boolean", "default": False, "description": "simulated devices at their own addresses"},
                "devices": {"type": "object", "minProperties": 1, "additionalProperties": device},
                **{name: _of_class(cls) for name, cls in SECTIONS.items()}}}


def _of_class(cls):
    hints = typing.get_type_hints(cls)
    properties = {}
    for field in dataclasses.fields(cls):
        properties[field.name] = _of_kind(hints[field.name], field.metadata)
        if field.default is not dataclasses.MISSING and field.default is not None:
            properties[field.name]["default"] = list(field.default) if isinstance(field.default, tuple) else field.default
    return {"type": "object", "additionalProperties": False, "properties": properties,
            "description": " ".join((cls.__doc__ or "").split())}


def _of_kind(kind, meta):
    if isinstance(kind, types.UnionType):
        kind = next(k for k in kind.__args__ if k is not type(None))
    unit = f" [{meta['unit']}]" if meta["unit"] else ""
    if typing.get_origin(kind) is tuple:
        inner = _of_kind(typing.get_args(kind)[0], {**meta, "help": "", "unit": ""})
        inner.pop("description")
        return {"type": "array", "items": inner, "description": meta["help"] + unit}
    names = {bool: "boolean", int: "integer", float: "number", str: "string"}
    made = {"type": names[kind], "description": meta["help"] + unit} if kind in names else {"description": meta["help"]}
    if meta["choices"] is not None:
        made["enum"] = list(meta["choices"])
    if meta["low"] is not None:
        made["exclusiveMinimum" if meta["open_low"] else "minimum"] = meta["low"]
    if meta["high"] is not None:
        made["maximum"] = meta["high"]
    return made


def _of_driver(name):
    """What the tables of a device with this driver may hold, or None where only the device tells."""
    parameters, options = driver_parameters(name), connect_options(name)
    if parameters is None:
        return None
    settable = {n: _of_kind(p.kind, p.metadata()) for n, p in parameters.items() if p.set is not None}
    span = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
    numbers = {n: span for n, p in parameters.items() if p.set is not None and p.kind in (int, float)}
    tables = {"settings": settable, "session": settable, "limits": numbers}
    then = {key: {"type": "object", "additionalProperties": False, "properties": value} for key, value in tables.items()}
    if options is not None:
        then["options"] = {"type": "object", "additionalProperties": False, "properties": {n: {} for n in options}}
    return {"if": {"properties": {"driver": {"const": name}}}, "then": {"properties": then}}
