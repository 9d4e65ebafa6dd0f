"""What PicoQuant's file formats share: fixed headers, and 32-bit T2 and T3 records after them, streamed in blocks."""

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from qkdlab import _ext
from qkdlab.datasets.recording import SyncedTags
from qkdlab.datasets.ticks import to_ps
from qkdlab.datatypes import TimeTags
from qkdlab.errors import BadInput

__all__ = ["LAYOUTS", "Layout", "RecordStream", "check_field", "exact", "joined_ps", "promise", "read_part"]

RECORD_BYTES = 4


@dataclass(frozen=True)
class Layout:
    """How 32 bits are divided: the kernel that knows and its arguments."""

    name: str
    mode: int                     # 2 or 3
    kernel: str
    arguments: tuple = ()

    def decode(self, records, limit, state, outputs):
        """(used, photons), see :mod:`qkdlab._ext.records`."""
        return getattr(_ext.records, self.kernel)(records, *self.arguments, limit, state, *outputs)


# T2 overflow periods in ticks: 33,552,000 in the first record version of HydraHarp, 2^25 from the second on.
_T2_V1, _T2_V2 = ("hydraharp_t2", (33_552_000, False)), ("hydraharp_t2", (33_554_432, True))
_T3_V1, _T3_V2 = ("hydraharp_t3", (False,)), ("hydraharp_t3", (True,))

# By record type, as the PTU header has it: PicoQuant, "Time-Tagged File Format Demos".
LAYOUTS = {
    0x00010203: Layout("PicoHarp T2", 2, "picoharp_t2"),
    0x00010303: Layout("PicoHarp T3", 3, "picoharp_t3"),
    0x00010204: Layout("HydraHarp V1 T2", 2, *_T2_V1),
    0x00010304: Layout("HydraHarp V1 T3", 3, *_T3_V1),
    0x01010204: Layout("HydraHarp V2 T2", 2, *_T2_V2),
    0x01010304: Layout("HydraHarp V2 T3", 3, *_T3_V2),
    0x00010205: Layout("TimeHarp 260 N T2", 2, *_T2_V2),
    0x00010305: Layout("TimeHarp 260 N T3", 3, *_T3_V2),
    0x00010206: Layout("TimeHarp 260 P T2", 2, *_T2_V2),
    0x00010306: Layout("TimeHarp 260 P T3", 3, *_T3_V2),
    0x00010207: Layout("generic T2 (MultiHarp, PicoHarp 330)", 2, *_T2_V2),
    0x00010307: Layout("generic T3 (MultiHarp, PicoHarp 330)", 3, *_T3_V2),
}


def exact(value_ps):
    """A time in ps (float) as the simple fraction it stands for (1e-12 s: 1 ps), or else as the exact float."""
    simple = Fraction(value_ps).limit_denominator(1000)
    return simple if abs(simple - Fraction(value_ps)) <= Fraction(value_ps) / 10**14 else Fraction(value_ps)


def promise(path, start, promised):
    """Compare a header's record count (None where it has none) with the size of the file.

    Returns
    -------
    records : int
        Whole records in the file.
    warnings : tuple of str
    complete : bool
    """
    size = os.path.getsize(path) - start
    records, rest = divmod(max(size, 0), RECORD_BYTES)
    warnings, complete = [], True
    if rest:
        warnings.append(f"the file ends inside a record: {rest} of {RECORD_BYTES} bytes at byte {start + size - rest}")
        complete = False
    if promised is None:
        return records, tuple(warnings), complete
    if promised > records:
        warnings.append(f"the header promises {promised} records, the file holds {records}")
        complete = False
    elif promised < records:
        warnings.append(f"the header speaks of {promised} records, the file holds {records}: all of them are read")
        complete = complete and promised > 0          # 0: the recording was never finished
    return records, tuple(warnings), complete


@dataclass(frozen=True)
class RecordStream:
    """Records of one layout from a byte offset to the end of a file. Calling it reads them: see `Recording.stream`."""

    path: object
    start: int                    # byte offset of the first record
    layout: Layout
    unit_ps: Fraction             # T2: tick; T3: sync period
    bin_ps: Fraction = Fraction(0)
    promised: Callable | None = None      # records that the header promises now; 0: it does not say
    waiting: Callable | None = None       # while the file grows: see qkdlab.datasets.follow

    def following(self, waiting):
        """The same, going on while the file grows."""
        return replace(self, waiting=waiting)

    @property
    def synced(self):
        """T3: a callable like this one that yields `SyncedTags`; None for T2, which has no time since a sync."""
        return self._synced if self.layout.mode == 3 else None

    def _synced(self, tally, block_tags):
        for photons in self._photons(tally, block_tags):
            yield SyncedTags(*photons)

    def __call__(self, tally, block_tags):
        for counts, dtime, channel in self._photons(tally, block_tags):
            yield TimeTags(to_ps(counts, self.unit_ps) if dtime is None else
                           joined_ps(counts, dtime, self.unit_ps, self.bin_ps), channel)

    def _photons(self, tally, block_tags):
        """Blocks of ticks or sync numbers, dtimes (T3, else None) and channels, none empty."""
        state = np.zeros(_ext.records.STATE, np.int64)
        if self.layout.mode == 3:
            tally.dtime_sum = 0
        try:
            with open(self.path, "rb") as file:
                left = max(os.fstat(file.fileno()).st_size - self.start, 0) // RECORD_BYTES
                records = np.empty(block_tags if self.waiting else min(block_tags, left), np.uint32)
                file.seek(self.start)
                for got in self._fills(file, records, tally):
                    photons, used = self._decode(records[:got], state)
                    self._count(tally, state, used)
                    if len(photons[0]):
                        yield photons
                    if used < got:
                        at = self.start + RECORD_BYTES * tally.records
                        tally.damaged(f"the overflows up to byte {at} add up to more than 2^63 ps: reading stops there")
                        break
        except OSError as error:
            raise BadInput(error.strerror or str(error), where=self.path) from None
        if unknown := int(state[4]):
            tally.warnings.append(f"{unknown} special records have no meaning in the {self.layout.name} layout")

    def _fills(self, file, records, tally):
        """Fill `records` again and again; how many of them each time."""
        while True:
            count = file.readinto(records)
            got, rest = divmod(count, RECORD_BYTES)
            if got:
                yield got
            if self.waiting is None and not got:
                return
            if self.waiting is None or count == records.nbytes:
                continue
            file.seek(-rest, os.SEEK_CUR)              # a part of a record waits for its rest
            if not self._goes_on(file, tally):
                if rest:
                    tally.damaged(f"the file ends inside a record: {rest} of {RECORD_BYTES} bytes at byte {file.tell()}")
                return

    def _goes_on(self, file, tally):
        """Wait at the present end of a growing file; whether to look again."""
        size = os.fstat(file.fileno()).st_size
        if size < file.tell():
            raise BadInput("the file became shorter while it was followed", where=f"{self.path}: byte {size}")
        if 0 < (self.promised() if self.promised else 0) <= tally.records:
            return False
        return self.waiting(size)

    def _decode(self, records, state):
        """Photons of one block (ticks or sync numbers, dtimes, channels), and how many of its records were used."""
        counts, channel = np.empty(len(records), np.int64), np.empty(len(records), np.uint8)
        if self.layout.mode == 2:
            used, photons = self.layout.decode(records, self._limit(), state, (counts, channel))
            return (counts[:photons], None, channel[:photons]), used
        dtime = np.empty(len(records), np.uint16)
        used, photons = self.layout.decode(records, self._limit(), state, (counts, dtime, channel))
        return (counts[:photons], dtime[:photons], channel[:photons]), used

    def _limit(self):
        """Largest overflow total for which every time still fits 63 bits, also while it is converted."""
        if self.layout.mode == 2 and self.unit_ps.denominator <= 16:
            return (2**63 - 1) // self.unit_ps.numerator - 2**28
        return (2**63 - 2**46) // (int(self.unit_ps) + 1) - (2**28 if self.layout.mode == 2 else 2**16)

    @staticmethod
    def _count(tally, state, used):
        tally.records += used
        tally.overflows, tally.markers, tally.syncs = (int(n) for n in state[1:4])
        if tally.dtime_sum is not None:
            tally.dtime_sum = int(state[5])


def joined_ps(sync, dtime, unit_ps, bin_ps):
    """Sync numbers and dtimes as ps, rounded to the nearest."""
    whole, part = divmod(unit_ps, 1)
    return sync * int(whole) + np.rint(sync * float(part) + dtime * float(bin_ps)).astype(np.int64)


def read_part(file, path, fields):
    """Read one packed part of a header: `fields` of (name, struct code). Raises BadInput naming the field that is cut."""
    at, layout = file.tell(), struct.Struct("<" + "".join(code for _, code in fields))
    raw = file.read(layout.size)
    if len(raw) < layout.size:
        done = 0
        for name, code in fields:                                                 # name the field that is cut
            done += struct.calcsize("<" + code)
            if done > len(raw):
                raise BadInput("the file ends inside the header", where=f"{path}: byte {at + len(raw)}", field=name)
    values = dict(zip((name for name, _ in fields), layout.unpack(raw), strict=True))
    values.pop("_", None)
    return {name: _text(v) if isinstance(v, bytes) else v for name, v in values.items()}


def _text(raw):
    return raw.split(b"\0", 1)[0].decode("latin-1")


def check_field(path, header, name, fine, why):
    """Refuse a header field that is not `fine`."""
    if not fine:
        raise BadInput(why, where=path, field=name, value=header[name])
