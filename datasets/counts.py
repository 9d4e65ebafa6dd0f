"""Tables of counts by intensity and basis, as most data sets are published: for ``qkdlab keylength``.

As text, with settings in comments before the table (the names of the JSON document of ``keylength``) and one row for each
basis and intensity; separated by comma, semicolon or tab::

    # proof = "lim2014"
    # eps_sec = 1e-9
    # eps_cor = 1e-15
    # f_ec = 1.16
    basis,intensity,probability,sent,detections,errors
    key,0.5,0.60,9000000000,20000000,400000
    key,0.1,0.25,3750000000,1750000,52000
    ...

`basis` is key or test (or Z, X), `intensity` the mean photon number; `sent` may be left out, and `probability` too where
all pulses sent are given. As JSON, either the document of ``keylength`` itself, or an object with the same settings and the
rows as ``"counts": [{"basis": ..., ...}, ...]``.
"""

import json
import math
import pathlib
import tomllib
from dataclasses import dataclass, field

from qkdlab.datasets.blocks import opened
from qkdlab.datatypes import BASES, DistillSettings
from qkdlab.errors import BadInput
from qkdlab.settings import nearest

__all__ = ["SIGNATURE", "CountTable", "read", "recognises"]

SIGNATURE = b""

MOST_BYTES = 1 << 24
COLUMNS = {"basis": ("basis", "bases"), "intensity": ("intensity", "mu", "mean_photon_number"),
           "probability": ("probability", "p"), "sent": ("sent", "pulses"),
           "detections": ("detections", "n", "clicks", "counts", "detected"), "errors": ("errors", "m")}
NEEDED = ("basis", "intensity", "detections", "errors")
BASIS = {"key": "key", "test": "test", "z": "key", "x": "test"}
SETTINGS = ("proof", "eps_sec", "eps_cor", "leak_bits", "f_ec", "tails", "sampling", "clamp", "pulses", "probabilities")
DEFAULTS = ("proof", "eps_sec", "eps_cor")       # what a table need not say: as in the settings of distillation


@dataclass(frozen=True)
class CountTable:
    """Counts of a link, ready for a proof.

    Attributes
    ----------
    path : pathlib.Path
    document : dict
        As ``qkdlab keylength`` takes it, see :func:`qkdlab.proofs.counts.from_document`.
    warnings : tuple of str
        What was assumed.
    """

    path: pathlib.Path
    document: dict = field(repr=False)
    warnings: tuple = ()

    def inspect(self):
        """What it holds, ready for JSON."""
        return {"format": "counts", "kind": "count table", **self.document, "complete": True,
                "warnings": list(self.warnings)}


def recognises(head, size, path):
    """Whether it is a table with columns basis and intensity, or JSON with counts of a key and a test basis."""
    text = head.decode("utf-8-sig", errors="replace")
    if text.lstrip()[:1] in ("{", "["):
        return '"intensities"' in text and '"key"' in text or '"counts"' in text and '"basis"' in text
    line = next((line for line in text.splitlines() if line.strip() and not line.startswith("#")), "")
    names = {name for name in map(_column, _cut(line)) if name}
    return {"basis", "intensity"} <= names


def read(path):
    """Read a table of counts.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    CountTable

    Raises
    ------
    BadInput
        Naming file, line and column, and the value.
    """
    path = pathlib.Path(path)
    with opened(path) as file:
        raw = file.read(MOST_BYTES + 1)
    if not raw.strip():
        raise BadInput("the file is empty", where=path)
    if len(raw) > MOST_BYTES:
        raise BadInput(f"more than {MOST_BYTES} bytes: not a table of counts", where=path)
    text = raw.decode("utf-8-sig", errors="replace")
    if path.suffix.lower() == ".json" or text.lstrip()[:1] in ("{", "["):
        return _from_json(text, path)
    settings, rows = _from_text(text, path)
    return _table(settings, rows, path)


def _from_json(text, path):
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"not valid JSON: {error}", where=path) from None
    if not isinstance(document, dict):
        raise BadInput("one JSON object is expected", where=path, value=document)
    if "counts" not in document:
        return CountTable(path, document)
    settings = dict(document)
    listed = settings.pop("counts")
    _check_settings(settings, path)
    if not isinstance(listed, list) or not all(isinstance(row, dict) for row in listed):
        raise BadInput("a list of rows is expected", where=path, field="counts", value=listed)
    return _table(settings, [_row(row, f"{path}: counts[{i}]") for i, row in enumerate(listed)], path)


# -------------------------------------------------------------------------------------------------- rows and columns


def _cut(line):
    separator = next((s for s in (",", ";", "\t") if s in line), None)
    return [part.strip().strip('"') for part in line.strip().split(separator)]


def _column(name):
    """The column that is meant by a name, or None."""
    word = name.strip().lower().replace(" ", "_")
    return next((column for column, names in COLUMNS.items() if word in names), None)


def _from_text(text, path):
    """Settings and rows of a table with column names."""
    settings, rows, names = {}, [], None
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{path}: line {number}"
        if line.startswith("#"):
            if names is None and "=" in line:
                settings |= _setting(line[1:], where)
        elif line.strip() and names is None:
            names = _cut(line)
            _check_names(names, where)
        elif line.strip():
            fields = _cut(line)
            if len(fields) != len(names):
                raise BadInput(f"{len(names)} fields are expected, as there are columns", where=where, value=line.strip())
            rows.append(_row(dict(zip(names, fields, strict=True)), where))
    if names is None:
        raise BadInput("a line of column names is expected: basis, intensity, detections, errors", where=path)
    return settings, rows


def _setting(text, where):
    """{name: value} of a comment that is a setting; other comments may hold '=' too."""
    name, _, value = text.partition("=")
    if name.strip() not in SETTINGS:
        return {}
    try:
        return {name.strip(): tomllib.loads(f"x = {value}")["x"]}
    except tomllib.TOMLDecodeError:
        raise BadInput("a number, a list or a text in quotes is expected", where=where, field=name.strip(),
                       value=value.strip()) from None


def _check_settings(settings, path):
    for name in settings:
        if name not in SETTINGS:
            raise BadInput(f"unknown setting; {nearest(name, SETTINGS)}", where=path, field=name, value=settings[name])


def _check_names(names, where):
    columns = [_column(name) for name in names]
    for name, column in zip(names, columns, strict=True):
        if column is None:
            raise BadInput(f"unknown column; {nearest(name, [n for c in COLUMNS.values() for n in c])}", where=where,
                           field="".join(x if x.isprintable() else "?" for x in name[:40]))
        if columns.count(column) > 1:
            raise BadInput(f"more than one column of {column}", where=where, field=name)
    for column in NEEDED:
        if column not in columns:
            raise BadInput(f"the table has no such column; it has {', '.join(names)}", where=where, field=column)


def _row(fields, where):
    """One row, checked, by the names of :data:`COLUMNS`, with the place it came from."""
    row = {"where": where}
    _check_names(list(fields), where)
    for name, value in fields.items():
        column = _column(name)
        if value in ("", None) and column not in NEEDED:
            continue
        row[column] = _basis(value, where, name) if column == "basis" else _value(value, column, where, name)
    if row.get("sent") is not None and row["detections"] > row["sent"]:
        raise BadInput("more than the pulses sent", where=where, field="detections", value=row["detections"])
    if row["errors"] > row["detections"]:
        raise BadInput(f"more errors than the {row['detections']} detections", where=where, field="errors",
                       value=row["errors"])
    return row


def _basis(value, where, name):
    basis = BASIS.get(str(value).strip().lower())
    if basis is None:
        raise BadInput(f"one of {', '.join(BASIS)} is expected", where=where, field=name, value=value)
    return basis


def _value(value, column, where, name):
    """A number: whole and not negative for counts, finite for intensity and probability."""
    try:
        number = value if isinstance(value, int) else int(value) if str(value).strip().isdigit() else float(value)
        fine = not isinstance(value, bool) and math.isfinite(number) and number >= 0
    except (TypeError, ValueError, OverflowError):
        fine = False
    counted = column in ("sent", "detections", "errors")
    if fine and counted:
        fine = number < 2**63 and number == int(number) and (isinstance(number, int) or number <= 2**53)
    if not fine:
        raise BadInput(f"a {'whole ' * counted}number of at least 0 is expected", where=where, field=name, value=value)
    return float(number) if column in ("intensity", "probability") else int(number)


# ------------------------------------------------------------------------------------------------------- the table


def _table(settings, rows, path):
    """Rows and settings as a document."""
    cells, told = {}, []
    for row in rows:
        cell = (row["basis"], row["intensity"])
        if cell in cells:
            raise BadInput(f"a second row for intensity {cell[1]:g} in the {cell[0]} basis", where=row["where"],
                           field="basis")
        cells[cell] = row
    intensities = sorted({mu for _, mu in cells}, reverse=True)
    for basis in BASES:
        for mu in intensities:
            if (basis, mu) not in cells:
                raise BadInput(f"no row for intensity {mu:g} in the {basis} basis", where=path, field="basis")
    if not intensities:
        raise BadInput("the table has no rows", where=path)
    document = {"intensities": intensities}
    for basis in BASES:
        document[basis] = {"n": [cells[basis, mu]["detections"] for mu in intensities],
                           "m": [cells[basis, mu]["errors"] for mu in intensities]}
    if any("sent" in row for row in rows):
        document["sent"] = {basis: [_sent(cells[basis, mu]) for mu in intensities] for basis in BASES}
    for name in DEFAULTS:
        if name not in settings:
            document[name] = getattr(DistillSettings(), name)
            told.append(f"{name} is not given: {document[name]} is taken")
    document |= settings
    if "probabilities" not in settings:
        document["probabilities"] = _probabilities(cells, document, told, path)
    return CountTable(path, document, tuple(told))


def _sent(row):
    if "sent" not in row:
        raise BadInput("is missing in this row, but given in others", where=row["where"], field="sent")
    return row["sent"]


def _probabilities(cells, document, told, path):
    """How often each intensity was chosen: as the column says, or by the pulses sent."""
    intensities = document["intensities"]
    given = [[cells[basis, mu]["probability"] for basis in BASES if "probability" in cells[basis, mu]] for mu in intensities]
    if all(given):
        for mu, values in zip(intensities, given, strict=True):
            if max(values) != min(values):
                raise BadInput(f"intensity {mu:g} has two different ones", where=path, field="probability", value=values)
        return [values[0] for values in given]
    if "sent" not in document:
        raise BadInput("is missing: give a column of probabilities, or one of pulses sent", where=path, field="probability")
    sent = [sum(document["sent"][basis][i] for basis in BASES) for i in range(len(intensities))]
    if not sum(sent):
        raise BadInput("no pulses were sent", where=path, field="sent")
    told.append("probabilities are not given: the shares of the pulses sent are taken")
    return [n / sum(sent) for n in sent]
