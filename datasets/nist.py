"""Raw time tags of the loophole-free Bell test of NIST (Shalm et al., Phys. Rev. Lett. 115, 250402 (2015)).

24 bytes an event. Known, from a third party's reader: byte 0 is the channel, bytes 8 to 15 are the time, a little-endian
uint64 of ticks. What bytes 1 to 7 and 16 to 23 hold is not known here: they are passed over. The file does not say the tick
either: 78.125 ps fits the trials of that experiment (99.1 kHz, said to be 100,000 to 140,000 ticks apart) and is taken with
a warning unless it is named. Channel 6 is said to be
the sync pulse.
"""

import pathlib
from fractions import Fraction

import numpy as np

from qkdlab.datasets import qcrypto, timestamp7
from qkdlab.datasets.blocks import Records, opened, steady, whole
from qkdlab.datasets.recording import Recording
from qkdlab.datasets.ticks import exact_tick, most_ticks, to_ps
from qkdlab.datatypes import TimeTags
from qkdlab.errors import BadInput

__all__ = ["SIGNATURE", "read", "recognises"]

SIGNATURE = b""

EVENT = np.dtype({"names": ["channel", "time"], "formats": ["u1", "<u8"], "offsets": [0, 8], "itemsize": 24})
TICK_PS = Fraction(625, 8)
CHANNELS = 16                         # above those of that experiment
FEWEST = 8                            # events in a file that is recognised by them
TELLING = (qcrypto, timestamp7)       # formats whose numbers run on, too, but tell more
LONGEST_GAP = 10**12                  # ticks between events of such a file
SLACK = 10**6


def read(path, *, tick_ps=None):
    """Open a file of raw tags.

    Parameters
    ----------
    path : path-like
    tick_ps : int, float or fractions.Fraction, optional
        By default 78.125, with a warning.

    Returns
    -------
    Recording

    Raises
    ------
    BadInput
        Naming file, byte offset and value.
    """
    path, unit = pathlib.Path(path), TICK_PS if tick_ps is None else exact_tick(tick_ps)
    with opened(path) as file:
        if not file.read(1):
            raise BadInput("the file is empty", where=path)
        records, cut = whole(file, path, 0, EVENT.itemsize)
    warnings = cut if tick_ps else (*cut, f"the file does not say its tick: {float(TICK_PS)} ps is taken (name it: tick_ps)")
    return Recording("nist", path, Records(path, 0, EVENT, lambda tally: _decoder(unit)), unit, None, {"records": records},
                     warnings, not cut, tick_ps=unit)


def recognises(head, size, path):
    """Whether a file holds such events."""
    events = np.frombuffer(head, EVENT, len(head) // EVENT.itemsize)
    time = events["time"].astype(np.int64)
    fits = size % EVENT.itemsize == 0 and len(events) >= FEWEST and bool(
        (events["channel"] < CHANNELS).all() and (time > 0).all() and (np.diff(time) < LONGEST_GAP).all())
    return fits and steady(time, SLACK) and not any(other.recognises(head, size, path) for other in TELLING)


def _decoder(unit):
    most = most_ticks(unit)

    def decode(records):
        time = records["time"].astype(np.int64)
        used = len(time)
        if used and (time.min() < 0 or time.max() > most):
            used = int(np.argmax((time < 0) | (time > most)))
        return TimeTags(to_ps(time[:used], unit), records["channel"][:used].copy()), used, "the time is 2^63 ps or more"

    return decode
