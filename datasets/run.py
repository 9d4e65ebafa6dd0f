"""A run: one HDF5 file with the public settings, Alice's record, Bob's tags and where it all came from.

Layout (version 1)::

    /                attributes: qkdlab = "run", version = 1, created, versions (JSON), provenance (JSON),
                     and where known: source, synchronisation, receiver, distill (JSON), simulated, public_seed (hex)
    /bob             attribute tick_ps
    /bob/time_ps     int64, chunked, shuffled, compressed
    /bob/channel     uint8, likewise
    /bob/block_end   int64: number of tags after each block. What lies beyond the last entry does not count.
    /bob/lost        int64: clicks that the tagger lost within each block
    /bob/finished    uint8 (1,): 1 once the recording was closed in order
    /alice           attribute kind, and the fields of :mod:`qkdlab.datasets.alice`

A run never holds a secret key, nor any part of one: lengths, hashes and ids only. Alice's raw choices are in it, as the
recorded input of a replay in the lab: such a file is to be kept like the raw key of that link.

The file is written in HDF5's single-writer mode: each block is flushed, a crash of the program loses at most the last
one, and others may read while it grows. After a crash other HDF5 tools want ``h5clear -s`` first; qkdlab does not.
"""

import contextlib
import datetime
import json
import math
import pathlib
import platform

import numpy as np

import qkdlab
from qkdlab.datasets import alice, photon_hdf5
from qkdlab.datasets.newfile import refuse_existing
from qkdlab.datasets.recording import Recording
from qkdlab.datatypes import (
    DistillSettings,
    ReceiverSettings,
    SourceSettings,
    SynchronisationSettings,
    TimeTags,
)
from qkdlab.errors import BadInput
from qkdlab.settings import from_table, to_table

__all__ = ["SIGNATURE", "SUFFIX", "RunWriter", "keep", "read", "recognises", "write"]

SIGNATURE = b"\x89HDF\r\n\x1a\n"
SUFFIX = ".h5"

VERSION = 1
CHUNK_TAGS = 1 << 14              # small, as a flush writes the chunk it is in once more
SETTINGS = {"source": SourceSettings, "synchronisation": SynchronisationSettings, "receiver": ReceiverSettings,
            "distill": DistillSettings}
ATTRIBUTE = {"synchronisation": "sync"}                # where the name in the file is not that of the Recording


class RunWriter:
    """Records a run, as a context manager: ``writer.append(tags)`` for each block.

    Parameters
    ----------
    path : path-like
        Must not exist.
    source, sync, receiver, distill : settings, optional
    choices : object, optional
        Alice's record, one of the kinds in :mod:`qkdlab.choices`.
    simulated : bool, optional
    public_seed : bytes, optional
        32 bytes known to both parties, from which the hash seeds of a replay are expanded.
    tick_ps : int or float
        Of the tagger.
    provenance : dict, optional
        What else is to be known of the run: plain values (instruments, their settings, names). No key material.
    created : str, optional
        ISO 8601; absent: now.

    Raises
    ------
    BadInput
        Where the path exists, or a value does not fit.
    """

    def __init__(self, path, *, source=None, sync=None, receiver=None, distill=None, choices=None, simulated=None,
                 public_seed=None, tick_ps=1, provenance=None, created=None):
        if public_seed is not None and (not isinstance(public_seed, bytes) or len(public_seed) != 32):
            raise BadInput("32 bytes are expected", field="public_seed")
        if choices is not None and source is None:
            raise BadInput("Alice's record means nothing without the source's settings", field="source")
        self.path, self.tags = pathlib.Path(path), 0
        self._alice = None if choices is None else alice.to_fields(choices)
        self._settings = {"source": source, "synchronisation": sync, "receiver": receiver, "distill": distill}
        self._attributes = {"created": created or datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                            "provenance": json.dumps(provenance or {}, sort_keys=True)}
        if simulated is not None:
            self._attributes["simulated"] = bool(simulated)
        if public_seed is not None:
            self._attributes["public_seed"] = public_seed.hex()
        self._tick = tick_ps
        self._last_ps = None

    def __enter__(self):
        import h5py

        refuse_existing(self.path)
        self._file = h5py.File(self.path, "x", libver="latest")       # single-writer mode needs the newest layout
        try:
            self._begin(h5py)
        except BaseException:
            self._file.close()
            self.path.unlink()
            raise
        return self

    def _begin(self, h5py):
        file, packed = self._file, {"shuffle": True, "compression": "gzip", "compression_opts": 1}
        file.attrs["qkdlab"], file.attrs["version"] = "run", VERSION
        file.attrs["versions"] = json.dumps({
            "qkdlab": qkdlab.__version__, "python": platform.python_version(), "numpy": np.__version__,
            "h5py": h5py.__version__, "hdf5": h5py.version.hdf5_version})
        for name, value in self._attributes.items():
            file.attrs[name] = value
        for name, settings in self._settings.items():
            if settings is not None:
                file.attrs[name] = json.dumps(to_table(settings))
        bob = file.create_group("bob")
        bob.attrs["tick_ps"] = float(self._tick)
        for name, kind in (("time_ps", "<i8"), ("channel", "u1")):
            bob.create_dataset(name, (0,), kind, maxshape=(None,), chunks=(CHUNK_TAGS,), **packed)
        for name in ("block_end", "lost"):
            bob.create_dataset(name, (0,), "<i8", maxshape=(None,), chunks=(512,))
        bob.create_dataset("finished", data=np.zeros(1, np.uint8))
        if self._alice is not None:
            group = file.create_group("alice")
            group.attrs["kind"] = self._alice["kind"]
            for name in self._alice.keys() - {"kind"}:
                value = np.asarray(self._alice[name])
                group.create_dataset(name, data=value, **(packed if value.ndim and len(value) > 512 else {}))
        file.flush()
        file.swmr_mode = True

    def append(self, tags):
        """Add a block and flush it to disk: times non-decreasing, also from block to block."""
        times, bob = tags.time_ps, self._file["bob"]
        if len(times):
            if (times[1:] < times[:-1]).any() or (self._last_ps is not None and times[0] < self._last_ps):
                raise BadInput("times must not step back", where=self.path, field="time_ps")
            self._last_ps = int(times[-1])
        self.tags += len(tags)
        _extend(bob["time_ps"], times)
        _extend(bob["channel"], tags.channel)
        self._file.flush()
        # Only now does the block count: a reader goes by the last end.
        _extend(bob["lost"], np.array([tags.lost]))
        _extend(bob["block_end"], np.array([self.tags]))
        self._file.flush()

    def __exit__(self, *exception):
        if exception[0] is None:
            self._file["bob"]["finished"][0] = 1
        self._file.close()


def _extend(dataset, values):
    if len(values):
        start = len(dataset)
        dataset.resize((start + len(values),))
        dataset[start:] = values


def keep(recording):
    """Settings of :func:`write` that another recording decides."""
    names = ("source", "sync", "receiver", "distill", "choices", "simulated", "public_seed", "tick_ps")
    return {name: getattr(recording, name) for name in names}


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
    with _opened(path) as file:
        if file.attrs.get("qkdlab") != "run":
            raise BadInput("an HDF5 file, but not a run of qkdlab", where=path, field="qkdlab",
                           value=file.attrs.get("qkdlab"))
        if file.attrs.get("version") != VERSION:
            raise BadInput(f"this qkdlab reads runs of version {VERSION}", where=path, field="version",
                           value=file.attrs.get("version"))
        tags, warnings = _extent(file["bob"], path)
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
        info = {"records": tags, **{name: file.attrs.get(name) for name in ("created", "versions", "provenance")}}
    if not 0 < tick < 1e9:
        raise BadInput("must be above 0 and below 10^9 ps", where=path, field="tick_ps", value=tick)
    return Recording("run", path, _Stream(path, tags), tick, None, info, warnings, not warnings, tick_ps=tick, **fields)


@contextlib.contextmanager
def _opened(path):
    """The file, with what h5py raises on damage turned into BadInput."""
    try:
        with _h5(path) as file:
            yield file
    except BadInput:
        raise
    except FileNotFoundError:
        raise BadInput("no such file", where=path) from None
    except KeyError as error:
        raise BadInput(f"the run lacks a part: {error.args[0]}", where=path) from None
    except (OSError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise BadInput(f"damaged, or not a run: {error}", where=path) from None


def _h5(path):
    """The file, also where it is being written, or its writer died: both leave it marked as open."""
    import h5py

    try:
        return h5py.File(path, "r")
    except OSError as error:
        if "already open" not in str(error):
            raise
        # Not at first: in this mode HDF5 waits minutes for a damaged part, as if a writer would mend it.
        return h5py.File(path, "r", libver="latest", swmr=True)


def _extent(bob, path):
    """How many tags count, and what is amiss."""
    ends, warnings = bob["block_end"], []
    tags = int(ends[-1]) if len(ends) else 0
    for name, kind in (("time_ps", "i8"), ("channel", "u1")):
        dataset = bob[name]
        if dataset.dtype != np.dtype(kind) or dataset.ndim != 1:
            raise BadInput(f"a 1-D array of {np.dtype(kind)} is expected", where=path, field=name,
                           value=str(dataset.dtype))
        if not 0 <= tags <= _stored(dataset):
            raise BadInput(f"the run promises more tags than the {_stored(dataset)} that are stored", where=path,
                           field=name, value=tags)
    if not bob["finished"][0]:
        warnings.append(f"the recording was not closed in order; {tags} tags in {len(ends)} blocks are there")
    return tags, tuple(warnings)


def _stored(dataset):
    """Number of items that are there: a shape is but a promise."""
    if dataset.chunks:
        return min(dataset.size, dataset.id.get_num_chunks() * math.prod(dataset.chunks))
    return min(dataset.size, dataset.id.get_storage_size() // dataset.dtype.itemsize)


def _whole(dataset, path):
    if _stored(dataset) < dataset.size:
        raise BadInput(f"the run promises more items than the {_stored(dataset)} that are stored", where=path,
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

    def __init__(self, path, tags):
        self._path, self._tags = path, tags

    def __call__(self, tally, block_tags):
        with _opened(self._path) as file:
            bob = file["bob"]
            ends, lost = bob["block_end"][:], bob["lost"][: len(bob["block_end"])]
            for start in range(0, self._tags, block_tags):
                stop = min(start + block_tags, self._tags)
                # A recorded block's losses go with its last tag.
                within = lost[(ends > start) & (ends <= stop)].sum()
                tally.records += stop - start
                yield TimeTags(bob["time_ps"][start:stop], bob["channel"][start:stop], int(within))
