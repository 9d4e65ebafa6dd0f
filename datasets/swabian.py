"""Dump of a Swabian Instruments Time Tagger's tag stream: 16 bytes a tag, the ``Tag`` of the maker's C++ library.

uint8 type, uint8 reserved, uint16 number of missed events, int32 channel, int64 time in ps; little-endian. Types: 0 a tag,
1 an error (the clock was lost), 2 and 3 the begin and end of an overflow, 4 events that were missed meanwhile. A negative
channel is the falling edge of that input: it becomes ``128 + input`` here.
"""

import pathlib

import numpy as np

from qkdlab.datasets.blocks import Records, opened, steady, whole
from qkdlab.datasets.recording import Recording
from qkdlab.datatypes import TimeTags
from qkdlab.errors import BadInput

__all__ = ["FALLING", "SIGNATURE", "Tags", "read", "recognises"]

SIGNATURE = b""

TAG = np.dtype([("type", "u1"), ("reserved", "u1"), ("missed", "<u2"), ("channel", "<i4"), ("time", "<i8")])
TIME_TAG, ERROR, OVERFLOW_BEGIN, OVERFLOW_END, MISSED = range(5)
FALLING = 128
FEWEST = 2                            # tags in a file that is recognised by its tags: each has 5 bytes that are 0
SLACK_PS = 10**6


def read(path):
    """Open a dump.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    Recording
        Missed events are counted as ``lost``, overflow and missed-event records as overflows.

    Raises
    ------
    BadInput
        Naming file, byte offset and value.
    """
    path = pathlib.Path(path)
    with opened(path) as file:
        if not file.read(1):
            raise BadInput("the file is empty", where=path)
        records, warnings = whole(file, path, 0, TAG.itemsize)
    return Recording("swabian", path, Records(path, 0, TAG, _decoder), info={"records": records, "falling_edges": FALLING},
                     warnings=warnings, complete=not warnings)


def recognises(head, size, path):
    """Whether a file holds such tags."""
    tags = np.frombuffer(head, TAG, len(head) // TAG.itemsize)
    return size % TAG.itemsize == 0 and len(tags) >= FEWEST and bool(
        (tags["type"] <= MISSED).all() and not tags["reserved"].any() and (tags["type"] == TIME_TAG).any()
        and not tags["missed"][(tags["type"] == TIME_TAG) | (tags["type"] == ERROR)].any()
        and (np.abs(tags["channel"].astype(np.int64)) < FALLING).all()
        and tags["channel"][tags["type"] == TIME_TAG].any()) and steady(
            tags["time"][tags["type"] == TIME_TAG], SLACK_PS)


class Tags:
    """Columns of a tag stream to TimeTags; what is no tag is counted."""

    def __init__(self, tally):
        self._tally, self._lost = tally, 0

    def __call__(self, kind, missed, channel, time):
        """Columns up to the first that cannot be, as (TimeTags, used, why)."""
        used, why = len(kind), ""
        wrong = (kind > MISSED) | (kind == TIME_TAG) & (channel >= FALLING) | (kind == TIME_TAG) & (channel <= -FALLING)
        if wrong.any():
            used = int(np.argmax(wrong))
            why = (f"the type {kind[used]} is unknown" if kind[used] > MISSED else
                   f"the channel {channel[used]} is not from -{FALLING - 1} to {FALLING - 1}")
            kind, missed, channel, time = kind[:used], missed[:used], channel[:used], time[:used]
        special = kind != TIME_TAG
        if special.any():
            self._lost += int(missed[kind == MISSED].sum())
            self._count(kind[special])
            channel, time = channel[~special], time[~special]
        lost, self._lost = (self._lost, 0) if len(time) else (0, self._lost)        # a block without tags is not passed on
        return TimeTags(time, np.where(channel < 0, FALLING - channel, channel).astype(np.uint8), lost), used, why

    def finish(self):
        if self._lost:
            self._tally.warnings.append(f"{self._lost} events were missed behind the last tag")

    def _count(self, special):
        errors = int(np.count_nonzero(special == ERROR))
        self._tally.overflows += len(special) - errors
        if errors:
            self._tally.damaged(f"{errors} error records: the tagger lost its clock or its connection")


def _decoder(tally):
    tags = Tags(tally)

    def decode(records):
        return tags(*(records[field].copy() for field in ("type", "missed", "channel", "time")))

    decode.finish = tags.finish
    return decode
