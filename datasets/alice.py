"""Alice's record as named fields, for the files that carry it.

It is the input of a replay in the lab, where one machine plays both parties: her choices decide her raw key, so a file
that holds them is as secret as the raw key of that link. Keys that came out of a link are in no file.

======== ======================================== ===========================================================
kind     further fields                           class
======== ======================================== ===========================================================
drawn    key: uint8 (32,)                         :class:`qkdlab.choices.DrawnChoices`
pattern  symbols: uint8 (N,)                      :class:`qkdlab.choices.StoredPattern`
list     symbols: uint8 (N,), first_slot: int     :class:`qkdlab.choices.RecordedChoices`
======== ======================================== ===========================================================
"""

import pathlib
import zipfile

import numpy as np

from qkdlab.choices import DrawnChoices, RecordedChoices, StoredPattern, load_choices
from qkdlab.datasets.newfile import new_file
from qkdlab.errors import BadInput

__all__ = ["from_fields", "load", "save", "to_fields"]


def to_fields(choices):
    """Alice's record as a dict of its kind and arrays."""
    if isinstance(choices, DrawnChoices):
        return {"kind": "drawn", "key": np.frombuffer(choices.key, np.uint8)}
    if isinstance(choices, StoredPattern):
        return {"kind": "pattern", "symbols": choices.symbols}
    if isinstance(choices, RecordedChoices):
        return {"kind": "list", "symbols": choices.symbols, "first_slot": choices.first_slot}
    raise BadInput("drawn, stored or recorded choices are expected", field="choices", value=type(choices).__name__)


def from_fields(fields, source, sync):
    """Alice's record from its fields. Raises BadInput naming the field."""
    kind = str(fields.get("kind", ""))
    needed = {"drawn": ("key",), "pattern": ("symbols",), "list": ("symbols", "first_slot")}
    if kind not in needed:
        raise BadInput(f"one of {', '.join(needed)} is expected", field="kind", value=kind)
    for name in needed[kind]:
        if name not in fields:
            raise BadInput(f"is missing from a record of kind '{kind}'", field=name)
    if kind == "drawn":
        key = np.asarray(fields["key"])
        if key.dtype != np.uint8 or key.shape != (32,):
            raise BadInput("32 bytes are expected", field="key")
        return DrawnChoices(source, sync, key.tobytes())
    if kind == "pattern":
        return StoredPattern(source, sync, np.asarray(fields["symbols"]))
    first = np.asarray(fields["first_slot"])
    if first.dtype.kind not in "iu" or first.shape != ():
        raise BadInput("a whole number is expected", field="first_slot", value=first.tolist())
    return RecordedChoices(source, sync, np.asarray(fields["symbols"]), int(first))


def save(path, choices):
    """Write Alice's record as ``.npz``; the path must not exist."""
    fields = to_fields(choices)
    with new_file(path) as file:
        np.savez_compressed(file, **fields)


def load(path, source, sync):
    """Alice's record from ``.npz``, or from ``.npy`` (a list of symbols that starts at slot 0).

    Raises
    ------
    BadInput
        Naming file and field.
    """
    path = pathlib.Path(path)
    if path.suffix == ".npy":
        return load_choices(path, source, sync)
    try:
        with np.load(path, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise BadInput("a .npz file with Alice's record is expected", where=path)
            fields = {name: archive[name] for name in archive.files}
        return from_fields(fields, source, sync)
    except FileNotFoundError:
        raise BadInput("no such file", where=path) from None
    except BadInput as error:
        raise error.at(path) from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise BadInput(f"not readable as .npz: {error}", where=path) from None
