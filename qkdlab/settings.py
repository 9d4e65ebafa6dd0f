"""A setting is declared once: type, unit, range, choices and meaning. The check, the widget and the record all use it.

A settings class is a frozen dataclass that inherits :class:`Settings` and whose fields are made by :func:`setting`.
Building one checks every field; :func:`from_table` builds one from a TOML table and names the nearest known key.
"""

import dataclasses
import difflib
import functools
import hashlib
import json
import math
import textwrap
import tomllib
import types
import typing

from .errors import BadInput

__all__ = ["Settings", "checked", "digest", "from_table", "load_toml", "nearest", "read_toml", "setting", "template",
           "to_table"]


def setting(default=dataclasses.MISSING, *, help, unit="", low=None, high=None, choices=None, open_low=False):
    """A dataclass field with its unit, range (inclusive; `open_low` excludes the lower end), choices and meaning."""
    meaning = {"help": help, "unit": unit, "low": low, "high": high, "choices": choices, "open_low": open_low}
    return dataclasses.field(default=default, metadata=meaning)


_hints = functools.cache(typing.get_type_hints)


class Settings:
    """Checks each field at construction; subclasses add checks between fields in ``check``."""

    __slots__ = ()

    def __post_init__(self):
        hints = _hints(type(self))
        for field in dataclasses.fields(self):
            if field.metadata:
                value = checked(getattr(self, field.name), hints[field.name], field.name, field.metadata)
                object.__setattr__(self, field.name, value)
        self.check()

    def check(self):
        """Relations between fields; raise :class:`BadInput` naming the field."""

    def replace(self, **changes):
        """A copy with some fields changed, checked again."""
        return dataclasses.replace(self, **changes)


def checked(value, kind, name, meta):
    """`value` as the declared type `kind` and inside the range of `meta` (as :func:`setting` keeps it), or BadInput."""
    if isinstance(kind, types.UnionType):
        if value is None and type(None) in kind.__args__:
            return None
        kind = next(k for k in kind.__args__ if k is not type(None))
    origin = typing.get_origin(kind)
    if origin is tuple:
        if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
            raise BadInput("a list is expected", field=name, value=value)
        inner = typing.get_args(kind)[0]
        return tuple(checked(v, inner, name, meta) for v in value)
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, kind):
            raise BadInput(f"a {kind.__name__} is expected", field=name, value=value)
        return value
    if kind is float:
        if isinstance(value, bool | str | bytes):
            raise BadInput("a number is expected", field=name, value=value)
        try:
            value = float(value)
        except (TypeError, ValueError, OverflowError):
            raise BadInput("a number is expected", field=name, value=value) from None
        if not math.isfinite(value):
            raise BadInput("a finite number is expected", field=name, value=value)
    elif kind is int:
        try:
            whole = not isinstance(value, bool | str | bytes) and int(value) == value
        except (TypeError, ValueError, OverflowError):      # not a number, NaN, infinite
            whole = False
        if not whole:
            raise BadInput("a whole number is expected", field=name, value=value)
        value = int(value)
    elif kind in (bool, str, bytes) and not isinstance(value, kind):
        raise BadInput(f"a {kind.__name__} is expected", field=name, value=value)
    unit = f" {meta['unit']}" if meta["unit"] else ""
    if meta["choices"] is not None and value not in meta["choices"]:
        raise BadInput(f"one of {', '.join(map(str, meta['choices']))} is expected", field=name, value=value)
    if meta["low"] is not None and (value < meta["low"] or (meta["open_low"] and value == meta["low"])):
        word = "above" if meta["open_low"] else "at least"
        raise BadInput(f"must be {word} {meta['low']}{unit}", field=name, value=value)
    if meta["high"] is not None and value > meta["high"]:
        raise BadInput(f"must be at most {meta['high']}{unit}", field=name, value=value)
    return value


def nearest(word, known):
    """' (did you mean ...?)' for the known word nearest to `word`, or the whole list where none is near."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(sorted(known))}"


def from_table(cls, table, where=""):
    """Build settings of class `cls` from a dict, refusing unknown keys.

    Raises
    ------
    BadInput
        Naming `where`, the field and the value.
    """
    if not isinstance(table, dict):
        raise BadInput("a table of settings is expected", where=where, value=table)
    fields = {f.name: f for f in dataclasses.fields(cls)}
    for key in table:
        if key not in fields:
            raise BadInput(f"unknown setting; {nearest(key, fields)}", where=where, field=key, value=table[key])
    for name, field in fields.items():
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING and name not in table:
            raise BadInput(f"is missing: {field.metadata.get('help', '')}", where=where, field=name)
    try:
        return cls(**table)
    except BadInput as error:
        raise error.at(where) from None


def to_table(settings):
    """A settings object as plain values (for TOML, JSON and HDF5 attributes); None fields are left out."""
    table = {}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            table[field.name] = to_table(value)
        elif value is not None:
            table[field.name] = list(value) if isinstance(value, tuple) else value
    return table


def digest(*settings):
    """sha256 over several settings objects: two analyses with one digest used the same settings."""
    text = json.dumps([[type(s).__name__, to_table(s)] for s in settings], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def load_toml(path):
    """A TOML file as it is.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    text : str
    tables : dict

    Raises
    ------
    BadInput
        Where it cannot be read, or is no TOML.
    """
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        return text, tomllib.loads(text)
    except FileNotFoundError:
        raise BadInput("no such file", where=path) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"not valid TOML: {error}", where=path) from None
    except OSError as error:
        raise BadInput(error.strerror or str(error), where=path) from None


def read_toml(path, sections):
    """Read a TOML file whose tables are settings classes.

    Parameters
    ----------
    path : path-like
    sections : dict of str to settings class
        Table name to class. A table that is absent is built from the defaults.

    Returns
    -------
    dict of str to settings object
    """
    _, tables = load_toml(path)
    for name in tables:
        if name not in sections:
            raise BadInput(f"unknown table; {nearest(name, sections)}", where=path, field=f"[{name}]")
    return {name: from_table(cls, tables.get(name, {}), f"{path}: [{name}]") for name, cls in sections.items()}


def template(sections):
    """A commented TOML text of all settings with their defaults, units and ranges; a setting without a default is
    commented out."""
    lines = []
    for name, cls in sections.items():
        lines += ["", f"[{name}]", *(f"# {line}" for line in textwrap.wrap(_first_sentence(cls), 100))]
        for field in dataclasses.fields(cls):
            entry = _toml_value(field.default)
            lines.append(f"{f'{field.name} = {entry}' if entry else f'# {field.name} =':<44} # {_meaning(field.metadata)}")
    return "\n".join(lines).strip() + "\n"


def _first_sentence(cls):
    return " ".join((cls.__doc__ or "").split()).split(". ")[0].rstrip(".") + "."


def _toml_value(value):
    """A default as TOML; None where there is none."""
    return None if value is None or value is dataclasses.MISSING else json.dumps(value)


def _meaning(meta):
    unit = f" [{meta['unit']}]" if meta["unit"] else ""
    low, high = meta["low"], meta["high"]
    span = "" if low is None else f", at least {low:g}" if high is None else f", {low:g} to {high:g}"
    choices = f": {', '.join(map(str, meta['choices']))}" if meta["choices"] else ""
    return f"{meta['help']}{unit}{span}{choices}"
