"""A recording: what every format is read into."""

import pathlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from qkdlab.datatypes import TimeTags
from qkdlab.errors import BadInput
from qkdlab.streams import merge

__all__ = ["BLOCK_TAGS", "Recording", "SyncedTags", "Tally"]

BLOCK_TAGS = 1 << 20


@dataclass
class Tally:
    """What passed by while a recording was read."""

    records: int = 0
    overflows: int = 0                 # overflow records
    markers: int = 0
    syncs: int = 0
    dtime_sum: int | None = None       # of T3 records
    complete: bool = True
    warnings: list = field(default_factory=list)

    def damaged(self, warning):
        """Say why not all of the recording could be read."""
        self.complete = False
        self.warnings.append(warning)


@dataclass(frozen=True, slots=True)
class SyncedTags:
    """Photons as a T3 recording has them: the number of the clock period, and the time within it, kept apart."""

    sync: np.ndarray             # int64 (M,): sync periods, or ticks of the macro time, since the start
    dtime: np.ndarray = field(repr=False)        # uint16 (M,): bins since the sync
    channel: np.ndarray = field(repr=False)      # uint8 (M,): input number

    def __len__(self):
        return len(self.sync)


@dataclass(frozen=True)
class Recording:
    """Recorded time tags and, where they came with them, the settings and Alice's record.

    Attributes
    ----------
    format : str
        Name of the format.
    path : pathlib.Path
    stream : callable
        ``stream(tally, block_tags)`` yields :class:`~qkdlab.datatypes.TimeTags` in the order of the file and counts in
        the :class:`Tally` what it passes.
    resolution_ps : fractions.Fraction or int
        Tick of the tags in ps; T3: bin of the dtime.
    sync_rate_hz : int or float or None
        As the header has it.
    info : dict
        What the header says, by the format's own names; ``"records"`` is the number of whole records in the file.
    warnings : tuple of str
        What was amiss when the file was opened.
    complete : bool
        Whether all that the header promises is there.
    tick_ps : fractions.Fraction or int
        Every time from :meth:`tag_blocks` is a multiple of it, if it is whole (T3: 1, as times are rounded to ps).
    source, sync, receiver, distill : settings or None
        :class:`~qkdlab.datatypes.SourceSettings`, `SynchronisationSettings`, `ReceiverSettings`, `DistillSettings`.
    choices : object or None
        Alice's record, see :mod:`qkdlab.choices`. Alice only.
    simulated : bool or None
    public_seed : bytes or None
        32 bytes that both parties know, from which the seeds of the hashes are expanded.
    """

    format: str
    path: pathlib.Path
    stream: Callable = field(repr=False)
    resolution_ps: object = 1
    sync_rate_hz: float | None = None
    info: dict = field(default_factory=dict, repr=False)
    warnings: tuple = ()
    complete: bool = True
    tick_ps: object = 1
    source: object = field(default=None, repr=False)
    sync: object = field(default=None, repr=False)
    receiver: object = field(default=None, repr=False)
    distill: object = field(default=None, repr=False)
    choices: object = field(default=None, repr=False)
    simulated: bool | None = None
    public_seed: bytes | None = field(default=None, repr=False)

    def tag_blocks(self, block_tags=BLOCK_TAGS, tally=None):
        """The tags from first to last, in time order, in blocks of bounded memory.

        Tags that step back in the file are put in order, as far as they belong to the same block or the one before.

        Parameters
        ----------
        block_tags : int
            No block has more tags than this.
        tally : Tally, optional
            Filled while the blocks pass.

        Yields
        ------
        TimeTags
            `time_ps` non-decreasing, also from block to block; `channel` as the file has it; none is empty.

        Raises
        ------
        BadInput
            Where the file cannot be read on, or the times step back by more than a block.
        """
        if block_tags != int(block_tags) or block_tags < 1:
            raise BadInput("must be at least 1", field="block_tags", value=block_tags)
        return _in_order(self.stream(Tally() if tally is None else tally, int(block_tags)), self.path)

    @property
    def synced(self):
        """Whether the photons have a time since the last sync of their own (T3 and its like)."""
        return getattr(self.stream, "synced", None) is not None

    def synced_blocks(self, block_tags=BLOCK_TAGS, tally=None):
        """The photons of a T3 recording with sync number and dtime apart, in the order of the file.

        ``stream.unit_ps`` is the sync period (or tick of the macro time), ``stream.bin_ps`` the bin of the dtime (None
        where the file does not say).

        Parameters
        ----------
        block_tags, tally
            As for :meth:`tag_blocks`.

        Yields
        ------
        SyncedTags

        Raises
        ------
        BadInput
            Where the recording has no such times, or cannot be read on.
        """
        if not self.synced:
            raise BadInput("this recording has no times since a sync: see tag_blocks", where=self.path, field="dtime")
        if block_tags != int(block_tags) or block_tags < 1:
            raise BadInput("must be at least 1", field="block_tags", value=block_tags)
        return self.stream.synced(Tally() if tally is None else tally, int(block_tags))

    def inspect(self):
        """Read all of it and say what it holds.

        Returns
        -------
        dict
            ``format, records, photons, overflows, markers, syncs, channels, first_ps, last_ps, resolution_ps,
            sync_rate_hz, complete, warnings`` and for T3 ``dtime_sum``. ``overflows`` counts overflow records (one may
            stand for several overflows), so that records = photons + overflows + markers + syncs + unknown ones (of
            which a warning tells). ``first_ps`` and ``last_ps`` are those of the first and last photon in the file.
        """
        tally, channels = Tally(), np.zeros(256, np.int64)
        first = last = None
        steps_back = 0
        for block in self.stream(tally, BLOCK_TAGS):
            times = block.time_ps
            steps_back += int(np.count_nonzero(times[1:] < times[:-1])) + (last is not None and int(times[0]) < last)
            first, last = int(times[0]) if first is None else first, int(times[-1])
            channels += np.bincount(block.channel, minlength=256)
        warnings = [*self.warnings, *tally.warnings]
        if steps_back:
            warnings.append(f"{steps_back} tags are earlier than the one before them")
        report = {
            "format": self.format,
            "records": tally.records,
            "photons": int(channels.sum()),
            "overflows": tally.overflows,
            "markers": tally.markers,
            "syncs": tally.syncs,
            "channels": {str(c): int(channels[c]) for c in np.flatnonzero(channels)},
            "first_ps": first,
            "last_ps": last,
            "resolution_ps": _number(self.resolution_ps),
            "sync_rate_hz": self.sync_rate_hz,
            "complete": self.complete and tally.complete,
            "warnings": warnings,
        }
        if tally.dtime_sum is not None:
            report["dtime_sum"] = tally.dtime_sum
        return report


def _number(value):
    """An int where it is whole, else a float."""
    return int(value) if value == int(value) else float(value)


def _in_order(blocks, path):
    """Blocks in time order. One block is held back, as the next may reach into it."""
    held, last = None, None
    for block in blocks:
        if (block.time_ps[1:] < block.time_ps[:-1]).any():
            block = _sorted(block)
        if held is None:
            held = block
            continue
        if block.time_ps[0] < held.time_ps[-1]:
            held, block = _merged(held, block)
        yield _not_before(held, last, path)
        last, held = int(held.time_ps[-1]), block
    if held is not None:
        yield _not_before(held, last, path)


def _sorted(tags):
    order = np.argsort(tags.time_ps, kind="stable")
    return TimeTags(tags.time_ps[order], tags.channel[order], tags.lost)


def _merged(a, b):
    """Two blocks that overlap, as two of the same lengths that do not."""
    both, cut = merge(a, b), len(a)
    return (TimeTags(both.time_ps[:cut], both.channel[:cut], a.lost),
            TimeTags(both.time_ps[cut:], both.channel[cut:], b.lost))


def _not_before(block, last, path):
    if last is not None and block.time_ps[0] < last:
        raise BadInput("the times step back by more than a block: is the file damaged, or are there two in one?",
                       where=path, field="time_ps", value=int(block.time_ps[0]))
    return block
