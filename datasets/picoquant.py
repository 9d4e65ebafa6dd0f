"""What PicoQuant's file formats share: 32-bit T2 and T3 records after a header, streamed in blocks."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from qkdlab import _ext
from qkdlab.datatypes import TimeTags
from qkdlab.errors import BadInput

__all__ = ["LAYOUTS", "Layout", "RecordStream", "exact", "promise"]

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
    """Compare a header's record count with the size of the file.

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

    def __call__(self, tally, block_tags):
        state = np.zeros(_ext.records.STATE, np.int64)
        records = np.empty(block_tags, np.uint32)
        if self.layout.mode == 3:
            tally.dtime_sum = 0
        try:
            with open(self.path, "rb") as file:
                file.seek(self.start)
                for got in self._fills(file, records, tally):
                    tags, used = self._decode(records[:got], state)
                    self._count(tally, state, used)
                    if len(tags):
                        yield tags
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
        """One block as TimeTags, and how many of its records were used."""
        counts, channel = np.empty(len(records), np.int64), np.empty(len(records), np.uint8)
        if self.layout.mode == 2:
            used, photons = self.layout.decode(records, self._limit(), state, (counts, channel))
            return TimeTags(_to_ps(counts[:photons], self.unit_ps), channel[:photons]), used
        dtime = np.empty(len(records), np.uint16)
        used, photons = self.layout.decode(records, self._limit(), state, (counts, dtime, channel))
        whole, part = divmod(self.unit_ps, 1)
        counts, dtime = counts[:photons], dtime[:photons]
        rest = np.rint(counts * float(part) + dtime * float(self.bin_ps)).astype(np.int64)
        return TimeTags(counts * int(whole) + rest, channel[:photons]), used

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


def _to_ps(ticks, unit_ps):
    """Ticks to whole ps (rounded down where a tick is no whole number of ps), in place, in integers if possible."""
    if unit_ps.denominator <= 16:
        if unit_ps.numerator != 1:
            ticks *= unit_ps.numerator
        if unit_ps.denominator != 1:
            ticks //= unit_ps.denominator
        return ticks
    whole, part = divmod(unit_ps, 1)
    rest = np.floor(ticks * float(part)).astype(np.int64)
    ticks *= int(whole)
    ticks += rest
    return ticks
