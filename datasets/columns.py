"""Tables of tags by other people: which column is the time, in which unit, and which the channel.

A column of times is called ``time``, ``timestamp``, ``time_tag``, ``t``, ..., with the unit behind it or not
(``time_ps``, ``t_ns``, ``timestamp (us)``, ``time [s]``); one of channels ``channel``, ``ch``, ``detector``, ``input``, ....
What the names leave open is assumed and said, or, where an assumption could go wrong unseen, refused.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from qkdlab.datatypes import TimeTags
from qkdlab.errors import BadInput

__all__ = ["Columns", "UNITS_PS", "find", "knows", "to_tags"]

UNITS_PS = {"fs": Fraction(1, 1000), "ps": Fraction(1), "ns": Fraction(10**3), "us": Fraction(10**6), "µs": Fraction(10**6),
            "ms": Fraction(10**9), "s": Fraction(10**12), "sec": Fraction(10**12)}
TIMES = {"time", "times", "t", "timestamp", "timestamps", "timetag", "timetags", "arrivaltime", "toa", "tag", "tags"}
CHANNELS = {"channel", "channels", "ch", "chan", "detector", "detectors", "det", "input", "inputs", "channelid",
            "detectorid", "channelnumber"}
EXACT = 2**53                     # ps: whole numbers beyond it do not all exist in float64


@dataclass(frozen=True)
class Columns:
    """Which columns hold the tags.

    Attributes
    ----------
    time, channel : str
        Names as in the file.
    unit_ps : Fraction
        Of the times.
    assumed : tuple of str
        What the names did not say, in words.
    named_unit : bool
        Whether name or caller gave the unit.
    """

    time: str
    channel: str
    unit_ps: Fraction
    assumed: tuple = ()
    named_unit: bool = True


def find(names, where, unit=None):
    """Choose the columns.

    Parameters
    ----------
    names : sequence of str
    where : path-like
        For complaints.
    unit : str, optional
        One of :data:`UNITS_PS`; needed where neither the name says it nor ps may be assumed.

    Returns
    -------
    Columns

    Raises
    ------
    BadInput
        Where no column, or more than one, can be meant.
    """
    if unit is not None and unit not in UNITS_PS:
        raise BadInput(f"one of {', '.join(UNITS_PS)} is expected", where=where, field="unit", value=unit)
    time, named = _one(names, TIMES, "time", where)
    channel, _ = _one(names, CHANNELS, "channel", where)
    if unit is not None and named is not None and UNITS_PS[unit] != UNITS_PS[named]:
        raise BadInput(f"the column is called '{time}'", where=where, field="unit", value=unit)
    told = named or unit
    assumed = () if told else (f"column '{time}' names no unit: its whole numbers are taken as ps",)
    return Columns(time, channel, UNITS_PS[told or "ps"], assumed, told is not None)


def knows(names):
    """How many of time and channel have a column among these names: 0 to 2."""
    words = [_taken_apart(name) for name in names]
    return any(word in TIMES for word, _ in words) + any(word in CHANNELS and unit is None for word, unit in words)


def _one(names, known, what, where):
    """(name, unit or None) of the only column that is called so."""
    found = [(name, unit) for name in names for word, unit in [_taken_apart(name)] if word in known
             and (unit is None or what == "time")]
    if len(found) != 1:
        which = f"more than one: {', '.join(repr(n) for n, _ in found)}" if found else "none"
        raise BadInput(f"one column of the {what}s is expected, there is {which}", where=where, field=what,
                       value=[str(n)[:20] for n in list(names)[:6]])
    return found[0]


def _taken_apart(name):
    """('timestamp', 'ns') of 'Timestamp (ns)': the word without case, spaces and underscores, and its unit."""
    text = str(name).strip().strip('"').strip()
    match = re.fullmatch(r"(.*?)[\s_]*[\s_(\[/](fs|ps|ns|us|µs|ms|s|sec)[)\]]?", text, re.IGNORECASE)
    word, unit = (match[1], match[2].lower()) if match else (text, None)
    return re.sub(r"[\s_-]+", "", word).lower(), unit


def to_tags(times, channels, columns, *, where, first=0, row="row"):
    """Columns as :class:`~qkdlab.datatypes.TimeTags`.

    Parameters
    ----------
    times, channels : array (M,)
        Whole numbers, or floats for `times`.
    columns : Columns
    where : path-like
    first : int
        Number of the first item, for complaints.
    row : str
        What an item is called there.

    Raises
    ------
    BadInput
        Naming the row of a time or channel that does not fit, or that float64 does not hold to the ps.
    """
    def refuse(bad, field, why, values):
        at = int(np.argmax(bad))
        value = values[at].item() if hasattr(values[at], "item") else values[at]
        raise BadInput(why, where=f"{where}: {row} {first + at}", field=field, value=value)

    kind = channels.dtype.kind
    if kind not in "iub" and not (kind == "f" and (channels == np.floor(channels)).all()):
        raise BadInput("whole numbers are expected", where=where, field=columns.channel, value=str(channels.dtype))
    if (bad := ~((channels >= 0) & (channels <= 255))).any():
        refuse(bad, columns.channel, "a channel from 0 to 255 is expected", channels)
    if times.dtype.kind in "iu":
        return TimeTags(_whole(times, columns, refuse), channels.astype(np.uint8))
    if times.dtype.kind != "f":
        raise BadInput("numbers are expected", where=where, field=columns.time, value=str(times.dtype))
    if not columns.named_unit:
        raise BadInput("fractions without a unit: name it in the column (time_ns) or as an option (unit)", where=where,
                       field=columns.time, value=float(times[0]) if len(times) else None)
    if columns.unit_ps <= 1 and (bad := ~(times == np.floor(times))).any():
        refuse(bad, columns.time, "whole ps are expected", times)
    with np.errstate(over="ignore", invalid="ignore"):
        time_ps = np.rint(times.astype(np.float64) * (columns.unit_ps.numerator / columns.unit_ps.denominator))
    if (bad := ~(np.abs(time_ps) <= EXACT)).any():
        why = "a float64 does not hold this time to the ps (2^53 ps at most): export whole numbers"
        refuse(bad, columns.time, why, times)
    return TimeTags(time_ps.astype(np.int64), channels.astype(np.uint8))


def _whole(times, columns, refuse):
    """Whole numbers of a unit as int64 ps."""
    up, down = columns.unit_ps.numerator, columns.unit_ps.denominator
    most = (2**63 - 1) // up
    if len(times) and (int(times.max()) > most or int(times.min()) < -most - 1):
        bad = times > most if int(times.max()) > most else times < -most - 1
        refuse(bad, columns.time, "beyond 2^63 ps", times)
    return times.astype(np.int64) * up // down
