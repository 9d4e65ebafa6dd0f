"""Records of 32 bits that hold a wrapping count of a clock (macro time) and a time within it (micro time).

The formats that share this differ in where the bits lie: a format gives a function that takes the words apart.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from qkdlab.datasets.picoquant import RECORD_BYTES
from qkdlab.datasets.recording import SyncedTags
from qkdlab.datasets.ticks import to_ps
from qkdlab.datatypes import TimeTags
from qkdlab.errors import BadInput

__all__ = ["MacroStream", "Parts"]


@dataclass(frozen=True)
class Parts:
    """Words taken apart; all arrays have one item a word."""

    photon: np.ndarray            # bool
    wraps: np.ndarray             # int64: how often the macro time wrapped just before this record
    macro: np.ndarray             # uint32: what this record shows of the macro time
    micro: np.ndarray             # uint16
    channel: np.ndarray           # uint8
    overflow: np.ndarray          # bool: a record of its own for a wrap
    marker: np.ndarray            # bool
    gaps: int = 0                 # places where the hardware says that records were lost


@dataclass(frozen=True)
class MacroStream:
    """Records from a byte offset to the end of a file. Calling it reads them: see `Recording.stream`."""

    path: object
    start: int
    split: object                 # uint32 words -> Parts
    period: int                   # ticks of the macro time after which it wraps
    unit_ps: Fraction             # tick of the macro time
    bin_ps: Fraction | None       # bin of the micro time, where the file says

    def __call__(self, tally, block_tags):
        for ticks, _, channel in self._photons(tally, block_tags):
            yield TimeTags(to_ps(ticks, self.unit_ps), channel)

    def synced(self, tally, block_tags):
        """The same photons with macro and micro time apart, as :class:`~qkdlab.datasets.recording.SyncedTags`."""
        for ticks, micro, channel in self._photons(tally, block_tags):
            yield SyncedTags(ticks, micro, channel)

    def _photons(self, tally, block_tags):
        tally.dtime_sum, offset, gaps, unknown = 0, 0, 0, 0
        limit = (2**63 - 1) // (int(self.unit_ps) + 1) - self.period
        words = np.empty(block_tags, np.uint32)
        try:
            with open(self.path, "rb") as file:
                file.seek(self.start)
                while got := file.readinto(words) // RECORD_BYTES:
                    parts = self.split(words[:got])
                    ticks = offset + self.period * np.cumsum(parts.wraps)
                    # A block's wraps are fewer than 2^48: item by item this cannot pass 2^63 unseen.
                    used = int(np.searchsorted(ticks, limit, "right")) if ticks[-1] > limit else got
                    keep = parts.photon[:used]
                    tally.records += used
                    tally.overflows += int(np.count_nonzero(parts.overflow[:used]))
                    tally.markers += int(np.count_nonzero(parts.marker[:used]))
                    unknown += used - int(np.count_nonzero((parts.photon | parts.overflow | parts.marker)[:used]))
                    gaps += parts.gaps
                    micro = parts.micro[:used][keep]
                    tally.dtime_sum += int(micro.sum(dtype=np.int64))
                    if keep.any():
                        yield (ticks[:used] + parts.macro[:used])[keep], micro, parts.channel[:used][keep]
                    if used < got:
                        at = self.start + RECORD_BYTES * tally.records
                        tally.damaged(f"the overflows up to byte {at} add up to more than 2^63 ps: reading stops there")
                        break
                    offset = int(ticks[-1])
        except OSError as error:
            raise BadInput(error.strerror or str(error), where=self.path) from None
        if gaps:
            tally.warnings.append(f"in {gaps} places the hardware says that photons were lost: its buffer was full")
        if unknown:
            tally.warnings.append(f"{unknown} records are marked invalid, without being overflows or markers: passed over")
