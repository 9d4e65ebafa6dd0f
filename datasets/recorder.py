"""Records a run: one HDF5 file that is safe after every block. The layout is told in :mod:`qkdlab.datasets.run`."""

import hashlib
import json
import pathlib
import platform
import time

import numpy as np

import qkdlab
from qkdlab import provenance as origin
from qkdlab.datasets import alice
from qkdlab.datasets.newfile import refuse_existing
from qkdlab.datasets.tagstore import TagWriter, extend
from qkdlab.entropy import entropy
from qkdlab.errors import BadInput
from qkdlab.settings import to_table

__all__ = ["RunWriter"]

VERSION = 2
ATTEMPTS = 10                    # to begin a run while readers look at it
WORDS = ("operator", "purpose", "notes")
PACKED = {"shuffle": True, "compression": "gzip", "compression_opts": 1}


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
        32 bytes known to both parties, from which the hash seeds of a replay are expanded, so that each replay gives the
        same key. Absent: drawn, where there are `choices` to make a key with.
    tick_ps : int or float
        Of the tagger.
    provenance : dict, optional
        What else is to be known of the run: plain values (instruments, their settings, names). No key material.
    created : str, optional
        ISO 8601; absent: now.
    operator, purpose, notes : str, optional
    parents : iterable of str, optional
        Ids of the runs this one was made from.
    snapshot : dict, optional
        State of the instruments at the start: instrument to its settings, plain values.
    ordered : bool
        False: take tags in the order in which a faulty tagger gave them.

    Attributes
    ----------
    run_id : str
        UUID version 7.

    Raises
    ------
    BadInput
        Where the path exists, or a value does not fit.
    """

    def __init__(self, path, *, source=None, sync=None, receiver=None, distill=None, choices=None, simulated=None,
                 public_seed=None, tick_ps=1, provenance=None, created=None, operator="", purpose="", notes="", parents=(),
                 snapshot=None, ordered=True):
        if public_seed is not None and (not isinstance(public_seed, bytes) or len(public_seed) != 32):
            raise BadInput("32 bytes are expected", field="public_seed")
        if choices is not None and source is None:
            raise BadInput("Alice's record means nothing without the source's settings", field="source")
        self.path, self.tags, self.run_id = pathlib.Path(path), 0, origin.run_id()
        self._alice = None if choices is None else alice.to_fields(choices)
        if choices is not None and public_seed is None:
            public_seed = entropy(32)
        self._settings = {"source": source, "synchronisation": sync, "receiver": receiver, "distill": distill}
        self._attributes = {"created": created or origin.now(), "provenance": _json(provenance or {}, "provenance")}
        if simulated is not None:
            self._attributes["simulated"] = bool(simulated)
        if public_seed is not None:
            self._attributes["public_seed"] = public_seed.hex()
        self._meta = {"run_id": self.run_id, "parents": _json(list(parents), "parents"),
                      "surroundings": _json(origin.surroundings(), "surroundings")}
        for name, words in zip(WORDS, (operator, purpose, notes), strict=True):
            if not isinstance(words, str) or "\0" in words:
                raise BadInput("a text without NUL is expected", field=name, value=words)
            self._meta[name] = words
        self._snapshot = _json(snapshot or {}, "snapshot")
        self._tick, self._last_ps, self._ordered, self._finished = tick_ps, None, ordered, True
        self._hashes = hashlib.sha256(), hashlib.sha256()

    def __enter__(self):
        refuse_existing(self.path)
        # On the way into single-writer mode HDF5 gives up its lock and asks for it anew: a reader who came in between would
        # end the recording before it began.
        for attempt in range(ATTEMPTS):
            try:
                self._create()
                return self
            except (OSError, RuntimeError) as error:
                if "unable to lock" not in str(error) or attempt == ATTEMPTS - 1:
                    raise
                time.sleep(0.01)

    def _create(self):
        import h5py

        self._file = None
        try:
            self._file = h5py.File(self.path, "x", libver="latest")       # single-writer mode needs the newest layout
            self._begin(h5py)
        except FileExistsError:
            raise
        except BaseException:
            if self._file is not None:
                self._file.close()
            self.path.unlink(missing_ok=True)
            raise

    def _begin(self, h5py):
        file = self._file
        file.attrs["version"] = VERSION
        file.attrs["versions"] = json.dumps({
            "qkdlab": qkdlab.__version__, "python": platform.python_version(), "numpy": np.__version__,
            "h5py": h5py.__version__, "hdf5": h5py.version.hdf5_version})
        for name, value in self._attributes.items():
            file.attrs[name] = value
        for name, settings in self._settings.items():
            if settings is not None:
                file.attrs[name] = json.dumps(to_table(settings))
        for name, value in self._meta.items():
            file.require_group("meta").attrs[name] = value
        bob = file.create_group("bob")
        bob.attrs["tick_ps"] = float(self._tick)
        self._bob = TagWriter(bob)
        bob.create_dataset("finished", data=np.full(1, -1, np.int64))
        # Texts that come later, as bytes: single-writer mode knows no texts of variable length and no new attributes.
        for name in ("meta/closed", "snapshot/start", "snapshot/end", "log"):
            file.create_dataset(name, (0,), "u1", maxshape=(None,), chunks=(1 << 10,))
        extend(file["snapshot/start"], _bytes(self._snapshot))
        file.create_group("results")
        if self._alice is not None:
            group = file.create_group("alice")
            group.attrs["kind"] = self._alice["kind"]
            for name in self._alice.keys() - {"kind"}:
                value = np.asarray(self._alice[name])
                group.create_dataset(name, data=value, **(PACKED if value.ndim and len(value) > 512 else {}))
        file.attrs["qkdlab"] = "run"                 # last: who follows the file takes it for a run once it is whole
        file.flush()
        file.swmr_mode = True

    def append(self, tags):
        """Add a block and flush it to disk: times non-decreasing, also from block to block."""
        times = tags.time_ps
        if len(times) and self._ordered:
            if (times[1:] < times[:-1]).any() or (self._last_ps is not None and times[0] < self._last_ps):
                raise BadInput("times must not step back", where=self.path, field="time_ps")
            self._last_ps = int(times[-1])
        self._bob.append(times, tags.channel, tags.lost)
        self.tags += len(tags)
        for digest, column in zip(self._hashes, (times.astype("<i8", copy=False), tags.channel), strict=True):
            digest.update(column)

    def log(self, event, **values):
        """Note an event (an alarm, a shutter, a word of the operator) with the time. Plain values; no key material."""
        extend(self._file["log"], _bytes(_json({"time": origin.now(), "event": event, **values}, "log") + "\n"))
        self._file.flush()

    def snapshot_end(self, snapshot):
        """Note the state of the instruments at the end; once."""
        if len(self._file["snapshot/end"]):
            raise BadInput("the snapshot at the end was taken already", where=self.path, field="snapshot")
        extend(self._file["snapshot/end"], _bytes(_json(snapshot, "snapshot")))
        self._file.flush()

    def abandon(self):
        """Leave the run as a program that died would: what was appended counts, but it was not closed in order."""
        self._finished = False

    def __exit__(self, *exception):
        if exception[0] is None and self._finished:
            self._bob.finish()
            closed = {"closed": origin.now(), "content_sha256": content_sha256(self._hashes), "tags": self.tags}
            extend(self._file["meta/closed"], _bytes(json.dumps(closed)))
            self._file["bob"]["finished"][0] = self.tags
        self._file.close()


def content_sha256(hashes):
    """Hash of Bob's tags: of the sha256 of all times (int64, little-endian) and that of all channels (uint8)."""
    return hashlib.sha256(b"".join(h.digest() for h in hashes)).hexdigest()


def _json(value, field):
    try:
        return json.dumps(value, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BadInput(f"plain values are expected: {error}", field=field) from None


def _bytes(text):
    return np.frombuffer(text.encode(), np.uint8)
