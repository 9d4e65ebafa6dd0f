"""Time tags in an HDF5 group: 2.5 to 3.5 bytes a tag, safe against a crash after every block, readable while they grow.

::

    delta_ps   int64: time since the tag before; 0 at the start of each chunk of CHUNK tags
    first_ps   int64: time of the first tag of each chunk
    channel    uint8
    block      int64 (B, 4), one row a block: tags after it, clicks that the tagger lost within it, how many tags are in
               the chunks by then, and where in the tail the rest begins. What lies beyond the last row does not count.
    tail_ps, tail_channel   the tags that do not fill a chunk yet, as they are: two halves of CHUNK
    tail_from  int64 (2,): number of the first tag that each half is for

HDF5's own scale-offset filter keeps of each chunk as many bits as its largest gap needs, which for photons is within a
fifth of their entropy; it comes with every HDF5 and is several times as fast as deflate. A chunk is written once, when
it is full; until then its tags are in the tail. The halves of the tail take turns, so that the one which the last row
speaks of stays as it is until the next row is on disk; before it is used anew, ``tail_from`` says so. A reader looks there
after it has read the tail, and opens the file again to see more: HDF5's own refresh (H5Drefresh, up to 2.0 at least)
gives wrong tags where the same dataset is open twice in a process.
"""

import math
from dataclasses import dataclass

import numpy as np

from qkdlab.errors import BadInput

__all__ = ["CHUNK", "Extent", "FirstVersionReader", "TagReader", "TagWriter", "stored"]

CHUNK = 1 << 13
CHANGING = ("block", "first_ps", "tail_ps", "tail_channel", "tail_from")      # whose chunks are written more than once
AT_ONCE = 128 * CHUNK                     # tags that are coded together


class TagWriter:
    """Writes into a group of a file that is in single-writer mode by the time of the first :meth:`append`."""

    def __init__(self, group):
        for name, kind in (("delta_ps", "<i8"), ("channel", "u1")):
            group.create_dataset(name, (0,), kind, maxshape=(None,), chunks=(CHUNK,), scaleoffset=0)
        group.create_dataset("first_ps", (0,), "<i8", maxshape=(None,), chunks=(512,))
        group.create_dataset("block", (0, 4), "<i8", maxshape=(None, 4), chunks=(256, 4))
        for name, kind in (("tail_ps", "<i8"), ("tail_channel", "u1")):
            group.create_dataset(name, (2 * CHUNK,), kind, chunks=(1 << 10,))
        group.create_dataset("tail_from", data=np.zeros(2, np.int64), chunks=(2,))
        self._group, self.tags = group, 0
        self._packed, self._half = 0, 0
        self._tail = np.empty(0, np.int64), np.empty(0, np.uint8)

    def append(self, times, channel, lost=0):
        """Add a block and flush it."""
        before = len(self._tail[0])
        packed = self._pack(times, channel)
        if packed:
            self._half = CHUNK - self._half
            before = 0
            self._group["tail_from"][self._half // CHUNK] = self._packed
            self._group.file.flush()                        # before a tag of the half is written over
        at = self._half + before
        for name, values in zip(("tail_ps", "tail_channel"), self._tail, strict=True):
            if len(values) > before:
                self._group[name][at : self._half + len(values)] = values[before:]
        self.tags += len(times)
        self._commit(lost)

    def finish(self):
        """Put the last, shorter chunk where the others are."""
        if len(self._tail[0]):
            self._write(*self._tail)
            self._tail = self._tail[0][:0], self._tail[1][:0]
            self._commit(0)

    def _pack(self, times, channel):
        """Write the chunks that are full now; the rest waits in memory. Whether there were any."""
        packed = False
        for start in range(0, len(times), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            times_now, channel_now = (np.concatenate(pair) for pair in zip(self._tail, (times[part], channel[part]),
                                                                          strict=True))
            full = len(times_now) // CHUNK * CHUNK
            if full:
                self._write(times_now[:full], channel_now[:full])
                packed = True
            self._tail = times_now[full:].copy(), channel_now[full:].copy()
        return packed

    def _write(self, times, channel):
        delta = np.diff(times, prepend=times[:1])
        delta[::CHUNK] = 0
        extend(self._group["delta_ps"], delta)
        extend(self._group["channel"], channel)
        extend(self._group["first_ps"], times[::CHUNK])
        self._packed += len(times)

    def _commit(self, lost):
        file = self._group.file
        file.flush()
        # Only now does the block count: a reader goes by the last row.
        extend(self._group["block"], np.array([[self.tags, lost, self._packed, self._half]]))
        file.flush()


def extend(dataset, values):
    """Append along the first axis."""
    if len(values):
        start = dataset.shape[0]
        dataset.resize(start + len(values), axis=0)
        dataset[start:] = values


@dataclass(frozen=True)
class Extent:
    """What counts at one moment: tags, of these in chunks, and where the tail begins; rows of the table of blocks."""

    tags: int
    packed: int
    tail_at: int
    blocks: int


class TagReader:
    """Reads what :class:`TagWriter` wrote, also while it goes on writing.

    Raises
    ------
    BadInput
        Where the parts do not fit together; naming `where` and the dataset.
    """

    # The table of blocks is opened first: what it speaks of is on disk by then.
    _parts = {"block": "i8", "delta_ps": "i8", "channel": "u1", "first_ps": "i8", "tail_ps": "i8", "tail_channel": "u1",
              "tail_from": "i8"}

    def __init__(self, group, where):
        self._where = where
        self._data = {name: _checked(_uncached(group, name) if name in CHANGING else group[name], kind, where)
                      for name, kind in self._parts.items()}

    def extent(self):
        """What counts now."""
        rows = self._data["block"]
        if not rows.shape[0]:
            return Extent(0, 0, 0, 0)
        if rows.ndim != 2 or rows.shape[1] != 4:
            raise BadInput("four columns are expected", where=self._where, field="block", value=rows.shape)
        tags, _, packed, at = (int(v) for v in rows[-1])
        extent = Extent(tags, packed, at, rows.shape[0])
        room = min(stored(self._data["delta_ps"]), stored(self._data["channel"]), CHUNK * stored(self._data["first_ps"]))
        if not 0 <= packed <= room:
            raise BadInput(f"the run promises more tags than the {room} that are stored", where=self._where, field="block",
                           value=packed)
        room = min(self._data["tail_ps"].size, self._data["tail_channel"].size) - at
        if at not in (0, CHUNK) or not 0 <= tags - packed <= min(room, CHUNK):
            raise BadInput("the run promises more tags than are stored", where=self._where, field="block", value=tags)
        return extent

    def blocks(self):
        """Tags after each block, and clicks lost within each: int64 (B,) twice."""
        rows = self._data["block"][:]
        return rows[:, 0], rows[:, 1]

    def tail(self, extent, start=0):
        """Times and channels from tag `start` on of those that are in no chunk yet, or None where the writer has gone on
        so far that they are in one by now: then the file is to be opened again."""
        part = slice(extent.tail_at + max(start - extent.packed, 0), extent.tail_at + extent.tags - extent.packed)
        tags = self._data["tail_ps"][part], self._data["tail_channel"][part]
        return tags if self._data["tail_from"][extent.tail_at // CHUNK] == extent.packed else None

    def read(self, start, stop):
        """Times and channels of the tags `start` to `stop`, all of them in chunks."""
        first, begin = start // CHUNK, start // CHUNK * CHUNK
        times = self._data["delta_ps"][begin:stop]
        origins = self._data["first_ps"][first : -(-stop // CHUNK)]
        whole = len(times) // CHUNK * CHUNK
        rows = times[:whole].reshape(-1, CHUNK)
        np.cumsum(rows, axis=1, out=rows)
        rows += origins[: len(rows), None]
        if whole < len(times):
            times[whole:] = np.cumsum(times[whole:]) + origins[-1]
        return times[start - begin :], self._data["channel"][start:stop]


class FirstVersionReader:
    """The tags of runs of version 1: times and channels as they are, deflated."""

    def __init__(self, group, where):
        self._where = where
        self._data = {name: _checked(group[name], kind, where)
                      for name, kind in (("block_end", "i8"), ("lost", "i8"), ("time_ps", "i8"), ("channel", "u1"))}

    def extent(self):
        """What counts now."""
        ends = self._data["block_end"]
        tags = int(ends[-1]) if len(ends) else 0
        room = min(stored(self._data["time_ps"]), stored(self._data["channel"]))
        if not 0 <= tags <= room:
            raise BadInput(f"the run promises more tags than the {room} that are stored", where=self._where,
                           field="block_end", value=tags)
        return Extent(tags, tags, 0, len(ends))

    def blocks(self):
        """As for :class:`TagReader`."""
        ends = self._data["block_end"][:]
        return ends, self._data["lost"][: len(ends)]

    def read(self, start, stop):
        """Times and channels of the tags `start` to `stop`."""
        return self._data["time_ps"][start:stop], self._data["channel"][start:stop]


def _uncached(group, name):
    """A dataset whose chunks are read from the file each time: HDF5 keeps chunks for as long as anybody in this process
    has the dataset open."""
    import h5py

    access = h5py.h5p.create(h5py.h5p.DATASET_ACCESS)
    access.set_chunk_cache(0, 0, 1.0)
    return h5py.Dataset(h5py.h5d.open(group.id, name.encode(), access))


def _checked(dataset, kind, where):
    if dataset.dtype != np.dtype(kind) or dataset.ndim < 1:
        raise BadInput(f"an array of {np.dtype(kind)} is expected", where=where, field=dataset.name.rpartition("/")[2],
                       value=str(dataset.dtype))
    return dataset


def stored(dataset):
    """Number of items that are there: a shape is but a promise."""
    if dataset.chunks:
        return min(dataset.size, dataset.id.get_num_chunks() * math.prod(dataset.chunks))
    return min(dataset.size, dataset.id.get_storage_size() // dataset.dtype.itemsize)
