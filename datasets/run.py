"""A run: one HDF5 file with the public settings, Alice's record, Bob's tags and where it all came from.

Layout (version 2)::

    /                attributes: qkdlab = "run", version = 2, created, versions (JSON), provenance (JSON),
                     and where known: source, synchronisation, receiver, distill (JSON), simulated, public_seed (hex)
    /meta            attributes: run_id (UUID version 7), parents (JSON), surroundings (JSON: machine, commit), operator,
                     purpose, notes
    /meta/closed     JSON as bytes: closed (time), content_sha256, tags; empty where the recording was cut short
    /snapshot/start  JSON as bytes: instrument to its settings; likewise /snapshot/end
    /log             JSON as bytes, one line an event
    /bob             attribute tick_ps, and the tags: see :mod:`qkdlab.datasets.tagstore`
    /bob/finished    int64 (1,): number of tags once the recording was closed in order, -1 before
    /alice           attribute kind, and the fields of :mod:`qkdlab.datasets.alice`
    /results/ID      JSON text: what an analysis gave (ID sorts by time); attributes settings_sha256, created

Of version 1, which is read as well, /bob held plain times and there was no /meta, /snapshot, /log and /results.

A run never holds a secret key, nor any part of one: lengths, hashes and ids only. Alice's raw choices are in it, as the
recorded input of a replay in the lab: such a file is to be kept like the raw key of that link.

The file is written in HDF5's single-writer mode: each block is flushed, a crash of the program loses at most the last
one, and others may read while it grows. After a crash other HDF5 tools want ``h5clear -s`` first; qkdlab does not.
"""

import contextlib
import copy
import json
import pathlib
import time

from qkdlab.datasets import alice, photon_hdf5
from qkdlab.datasets.recorder import VERSION, RunWriter
from qkdlab.datasets.recording import Recording
from qkdlab.datasets.tagstore import FirstVersionReader, TagReader, stored
from qkdlab.datatypes import (
    DistillSettings,
    ReceiverSettings,
    SourceSettings,
    SynchronisationSettings,
    TimeTags,
)
from qkdlab.errors import BadInput
from qkdlab.settings import from_table

__all__ = ["SIGNATURE", "SUFFIX", "RunWriter", "keep", "opened", "read", "recognises", "write"]

SIGNATURE = b"\x89HDF\r\n\x1a\n"
SUFFIX = ".h5"

READERS = {1: FirstVersionReader, VERSION: TagReader}
SETTINGS = {"source": SourceSettings, "synchronisation": SynchronisationSettings, "receiver": ReceiverSettings,
            "distill": DistillSettings}
MOST_MISSED = 100                                      # times that a reader finds the tail used anew: 2 s
ATTRIBUTE = {"synchronisation": "sync"}                # where the name in the file is not that of the Recording


def keep(recording):
    """Settings of :func:`write` that another recording decides."""
    names = ("source", "sync", "receiver", "distill", "choices", "simulated", "public_seed", "tick_ps")
    kept = {name: getattr(recording, name) for name in names}
    meta = recording.info.get("meta", {})
    return kept | {name: meta[name] for name in ("operator", "purpose", "notes") if meta.get(name)} | (
        {"parents": [meta["run_id"]]} if "run_id" in meta else {})


def write(path, blocks, **settings):
    """Write a whole run; `settings` as for :class:`RunWriter`. Returns the number of tags.

    Where `blocks` or a value is refused on the way no file is left, unlike with a recording that is cut short.
    """
    with RunWriter(path, **settings) as writer:
        try:
            for block in blocks:
                writer.append(block)
        except BaseException:
            writer.path.unlink()
            raise
    return writer.tags


def recognises(head, size, path):
    """Whether an HDF5 file can be a run: any that is not Photon-HDF5, as :func:`read` says best what else is wrong."""
    return head.startswith(SIGNATURE) and not photon_hdf5.recognises(head, size, path)


def read(path):
    """Open a run.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    Recording

    Raises
    ------
    BadInput
        Naming file, field and value.
    """
    path = pathlib.Path(path)
    with opened(path) as file:
        tags, warnings = _extent(file, path)
        fields = _public(file, path)
        if "alice" in file:
            if fields["source"] is None:
                raise BadInput("Alice's record means nothing without the source's settings", where=path, field="source")
            record = {"kind": file["alice"].attrs.get("kind")}
            record |= {name: _whole(file["alice"][name], path) for name in file["alice"]}
            try:
                fields["choices"] = alice.from_fields(record, fields["source"], fields["sync"])
            except BadInput as error:
                raise error.at(f"{path}: /alice") from None
        tick = float(file["bob"].attrs.get("tick_ps", 1))
        info = {"records": tags, **{name: file.attrs.get(name) for name in ("created", "versions", "provenance")},
                "meta": dict(file["meta"].attrs) if "meta" in file else {}}
    if not 0 < tick < 1e9:
        raise BadInput("must be above 0 and below 10^9 ps", where=path, field="tick_ps", value=tick)
    return Recording("run", path, _Stream(path), tick, None, info, warnings, not warnings, tick_ps=tick, **fields)


@contextlib.contextmanager
def opened(path, mode="r"):
    """The file of a run ("r+": to add a result), with what h5py raises on damage turned into BadInput."""
    path = pathlib.Path(path)
    try:
        with _h5(path) if mode == "r" else _h5_for_more(path) as file:
            if file.attrs.get("qkdlab") != "run":
                raise BadInput("an HDF5 file, but not a run of qkdlab", where=path, field="qkdlab",
                               value=file.attrs.get("qkdlab"))
            if file.attrs.get("version") not in READERS:
                raise BadInput(f"this qkdlab reads runs of version {' and '.join(map(str, READERS))}", where=path,
                               field="version", value=file.attrs.get("version"))
            yield file
    except BadInput:
        raise
    except FileNotFoundError:
        raise BadInput("no such file", where=path) from None
    except KeyError as error:
        raise BadInput(f"the run lacks a part: {error.args[0]}", where=path) from None
    except (OSError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        if "unable to lock" in str(error):
            raise BadInput("another program has the run open: try again when it is done", where=path) from None
        raise BadInput(f"damaged, or not a run: {error}", where=path) from None


def _h5(path):
    """The file, also where it is being written, or its writer died: both leave it marked as open."""
    import h5py

    for attempt in range(10):
        growing = _marked_as_open(path)              # before the attempt: it may be closed during it
        try:
            return h5py.File(path, "r")
        except OSError as error:
            if "already open" in str(error):
                break
            # While it grows, its length may be newer than what its first bytes say of it.
            if "truncated" not in str(error) or not growing or attempt == 9:
                raise
            time.sleep(0.02)
    # Not at first: in this mode HDF5 waits minutes for a damaged part, as if a writer would mend it.
    return h5py.File(path, "r", libver="latest", swmr=True)


def _marked_as_open(path):
    """Whether the file says that somebody writes into it: bit 0 of the superblock's consistency flags, byte 11."""
    with open(path, "rb") as file:
        head = file.read(12)
    return len(head) == 12 and head[8] >= 3 and bool(head[11] & 1)


def _h5_for_more(path):
    """The file, to add to it: only where nobody records into it any more."""
    import h5py

    try:
        file = h5py.File(path, "r+", libver="latest")
    except OSError as error:
        if "already open" not in str(error):
            raise
        raise BadInput("is still being recorded, or was cut short: nothing is added to it (`qkdlab convert` makes a whole "
                       "run of what is there)", where=path) from None
    return file


def tag_reader(file, path):
    """The reader of the tags for the file's version."""
    return READERS[int(file.attrs["version"])](file["bob"], path)


def whole_extent(file, path):
    """How much of the tags counts, and their reader."""
    reader = tag_reader(file, path)
    return reader.extent(), reader


def is_finished(file, extent):
    """Whether the recording was closed in order and all of it is seen (another reader of this process can hold an older
    view of the file, which HDF5 then shows to us as well)."""
    finished = int(file["bob"]["finished"][0])
    return bool(finished) if file.attrs["version"] == 1 else finished == extent.tags == extent.packed


def _extent(file, path):
    """How many tags count, and what is amiss."""
    extent, _ = whole_extent(file, path)
    if is_finished(file, extent):
        return extent.tags, ()
    return extent.tags, (f"the recording was not closed in order; {extent.tags} tags in {extent.blocks} blocks are there",)


def _whole(dataset, path):
    if stored(dataset) < dataset.size:
        raise BadInput(f"the run promises more items than the {stored(dataset)} that are stored", where=path,
                       field=dataset.name, value=dataset.size)
    return dataset[()]


def _public(file, path):
    """Settings and marks from the attributes."""
    fields = {}
    for name, cls in SETTINGS.items():
        text = file.attrs.get(name)
        try:
            table = None if text is None else json.loads(text)
        except ValueError as error:
            raise BadInput(f"not valid JSON: {error}", where=path, field=name) from None
        fields[ATTRIBUTE.get(name, name)] = None if table is None else from_table(cls, table, f"{path}: {name}")
    simulated, seed = file.attrs.get("simulated"), file.attrs.get("public_seed")
    fields["simulated"] = None if simulated is None else bool(simulated)
    fields["public_seed"] = None if seed is None else bytes.fromhex(seed)
    if seed is not None and len(fields["public_seed"]) != 32:
        raise BadInput("32 bytes in hexadecimal are expected", where=path, field="public_seed", value=seed)
    return fields


class _Stream:
    """Bob's tags of a run, block after block: see `Recording.stream`."""

    def __init__(self, path):
        self._path, self._waiting = path, None

    def following(self, waiting):
        """The same, going on while the run grows: see :mod:`qkdlab.datasets.follow`."""
        other = copy.copy(self)
        other._waiting = waiting
        return other

    def __call__(self, tally, block_tags):
        start, limit, missed = 0, None, 0
        while True:
            with opened(self._path) as file:
                extent, reader = whole_extent(file, self._path)
                finished = is_finished(file, extent)
                limit = extent.tags if limit is None or self._waiting else limit
                ends, lost = reader.blocks()
                if finished:
                    for stop in _stops(start, limit, block_tags):
                        yield _counted(reader.read(start, stop), start, ends, lost, tally)
                        start = stop
                    return
                stop = min(start + block_tags, extent.packed, limit)
                tags = reader.read(start, stop) if start < stop else reader.tail(extent, start)
            # A file that grows is not held open meanwhile: who opens it elsewhere in this process would see it as it was.
            if tags is None:                                # the recorder was faster
                missed = _once_more(missed, self._path)
                continue
            missed, tags = 0, [column[: limit - start] for column in tags]
            while len(tags[0]):
                block, tags = [column[:block_tags] for column in tags], [column[block_tags:] for column in tags]
                yield _counted(block, start, ends, lost, tally)
                start += len(block[0])
            if start == limit and not (self._waiting and self._waiting(start)):
                return


def _stops(start, end, block_tags):
    """Ends of the blocks from `start` to `end`."""
    return (min(begin + block_tags, end) for begin in range(start, end, block_tags))


def _counted(tags, start, ends, lost, tally):
    """One block. A recorded block's losses go with its last tag."""
    times, channel = tags
    stop = start + len(times)
    tally.records += len(times)
    return TimeTags(times, channel, int(lost[(ends > start) & (ends <= stop)].sum()))


def _once_more(missed, path):
    """Wait for a moment before the file is opened again; a second reader in this process can hold an older view of it."""
    if missed == MOST_MISSED:
        raise BadInput("is being recorded, and this program has it open elsewhere: try again later", where=path)
    time.sleep(0.02)
    return missed + 1
