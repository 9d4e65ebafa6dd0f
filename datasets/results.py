"""What else a run holds: where it comes from, what happened, and what analyses gave."""

import hashlib
import json

import numpy as np

from qkdlab import provenance
from qkdlab.datasets import run
from qkdlab.datasets.recorder import content_sha256
from qkdlab.datasets.recording import BLOCK_TAGS, Tally
from qkdlab.errors import BadInput

__all__ = ["about", "add_note", "add_result", "read_results", "verify"]

WORDS = ("run_id", "operator", "purpose", "notes")


def about(path):
    """All that a run says of itself, without the tags.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    dict
        ``run_id, created, closed, complete, simulated, tags, blocks, lost, first_ps, last_ps, seconds, content_sha256,
        operator, purpose, notes, parents, versions, surroundings, provenance, settings, snapshot (start, end), log,
        warnings``; ready for JSON. None where the file does not say; a run of version 1 has the id ``version-1-`` and a
        hash.

    Raises
    ------
    BadInput
        As :func:`qkdlab.datasets.open`.
    """
    recording = run.read(path)
    with run.opened(path) as file:
        meta = recording.info["meta"]
        extent, reader = run.whole_extent(file, path)
        first, last = (_time_of(reader, extent, at) for at in (0, extent.tags - 1))
        closed = _json_of(file, "meta/closed", path) or {}
        known = {name: str(meta.get(name) or "") for name in WORDS}
        return {
            **known, "run_id": known["run_id"] or _first_version_id(recording, first, last),
            "created": recording.info["created"], "closed": closed.get("closed"), "complete": recording.complete,
            "simulated": recording.simulated, "tags": extent.tags, "blocks": extent.blocks,
            "lost": int(reader.blocks()[1].sum()), "first_ps": first, "last_ps": last,
            "seconds": None if first is None or last is None else (last - first) * 1e-12,
            "content_sha256": closed.get("content_sha256"),
            "parents": json.loads(meta.get("parents", "[]")), "surroundings": json.loads(meta.get("surroundings", "{}")),
            "versions": json.loads(recording.info["versions"] or "{}"),
            "provenance": json.loads(recording.info["provenance"] or "{}"),
            "settings": {name: json.loads(file.attrs[name]) for name in run.SETTINGS if name in file.attrs},
            "snapshot": {end: _json_of(file, f"snapshot/{end}", path) for end in ("start", "end")},
            "log": [json.loads(line) for line in _text(file, "log").splitlines()],
            "warnings": list(recording.warnings),
        }


def _time_of(reader, extent, number):
    """Time of one tag; None where there is none, or the recorder has just used its place anew."""
    if not extent.tags:
        return None
    found = reader.read(number, number + 1) if number < extent.packed else reader.tail(extent, number)
    return None if found is None else int(found[0][0])


def _first_version_id(recording, first, last):
    words = repr([recording.info["created"], recording.info["records"], first, last, recording.public_seed])
    return "version-1-" + hashlib.sha256(words.encode()).hexdigest()[:32]


def _text(file, name):
    return file[name][:].tobytes().decode() if name in file else ""


def _json_of(file, name, path):
    text = _text(file, name)
    try:
        return json.loads(text) if text else None
    except ValueError as error:
        raise BadInput(f"not valid JSON: {error}", where=path, field=name) from None


def add_result(path, result):
    """Keep what an analysis gave in the run's file.

    Parameters
    ----------
    path : path-like
    result : dict
        Plain values, with at least ``settings_sha256``: a session's report. No key material.

    Returns
    -------
    str
        Its id.

    Raises
    ------
    BadInput
        Where nothing can be added to the file, or the result is not of plain values.
    """
    try:
        text = json.dumps(result, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BadInput(f"plain values are expected: {error}", field="result") from None
    with run.opened(path, "r+") as file:
        name = provenance.run_id()
        data = np.frombuffer(text.encode(), np.uint8)
        stored = file.require_group("results").create_dataset(name, data=data, compression="gzip")
        stored.attrs["settings_sha256"] = str(result.get("settings_sha256", ""))
        stored.attrs["created"] = provenance.now()
    return name


def read_results(path):
    """What analyses of a run gave, oldest first.

    Returns
    -------
    list of dict
        ``id, created, settings_sha256, result``.
    """
    with run.opened(path) as file:
        return [{"id": name, "result": _json_of(file, f"results/{name}", path),
                 **{key: str(file["results"][name].attrs.get(key, "")) for key in ("created", "settings_sha256")}}
                for name in sorted(file.get("results", ()))]


def add_note(path, words):
    """Add a line to the notes of a run."""
    if not isinstance(words, str) or not words.strip() or "\0" in words:
        raise BadInput("some words are expected", field="notes", value=words)
    with run.opened(path, "r+") as file:
        meta = file.require_group("meta")
        before = str(meta.attrs.get("notes", ""))
        meta.attrs["notes"] = f"{before}\n{words}".strip()


def verify(path):
    """Whether the tags of a run are those that were recorded: None where the file does not know.

    Raises
    ------
    BadInput
        As :func:`qkdlab.datasets.open`.
    """
    expected = about(path)["content_sha256"]
    if expected is None:
        return None
    hashes = hashlib.sha256(), hashlib.sha256()
    for tags in run.read(path).stream(Tally(), BLOCK_TAGS):
        for digest, column in zip(hashes, (tags.time_ps.astype("<i8", copy=False), tags.channel), strict=True):
            digest.update(column)
    return expected == content_sha256(hashes)
