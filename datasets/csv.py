"""Tags as text: one tag a line, a time and a channel. For import and for the eye.

Written as ``time_ps,channel`` in whole numbers. Read also as others write it: separated by comma, semicolon, tab or
spaces; with a line of column names (see :mod:`qkdlab.datasets.columns`) or without; with comments behind ``#`` or ``%``
before the table. What had to be assumed is among the recording's warnings.
"""

import itertools
import pathlib
import re
from dataclasses import dataclass

import numpy as np

from qkdlab.datasets.blocks import LONGEST_LINE, NumberLines, opened
from qkdlab.datasets.columns import UNITS_PS, Columns, find, knows, to_tags
from qkdlab.datasets.newfile import new_file
from qkdlab.datasets.recording import Recording
from qkdlab.datatypes import TimeTags
from qkdlab.errors import BadInput

__all__ = ["SIGNATURE", "SUFFIX", "read", "recognises", "write"]

SIGNATURE = b""
GENERAL = True
SUFFIX = ".csv"

HEADER = b"time_ps,channel"
MOST_COMMENTS = 1000              # lines before the table
PREVIEW = 200                     # lines by which a table is judged
SEPARATORS = (",", ";", "\t", None)              # None: any run of spaces
WHOLE = re.compile(r"-?\d+")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def recognises(head, size, path):
    """Whether the first line names a time and a channel; in a file called .csv or .tsv one of them, or two numbers, do."""
    if b"\0" in head:
        return False
    line = next((line for line in head.split(b"\n") if not _comment(line)), b"")
    names = _cut(_text(line))[0]
    called = pathlib.Path(path).suffix.lower() in (".csv", ".tsv")
    return called and len(names) == 2 if _numbers(names) else knows(names) >= (1 if called else 2)


def read(path, *, unit=None):
    """Open a table of tags, as every ``read`` of :mod:`qkdlab.datasets`.

    `unit` is as for :func:`qkdlab.datasets.columns.find`; ``warnings`` of the recording say what was assumed.
    BadInput names file and line; for what is wrong behind the first lines, while the tags are read.
    """
    path = pathlib.Path(path)
    layout = _layout(path, unit)
    stream = (NumberLines(path, layout.decoder, len(layout.names), layout.expected, skipped_lines=layout.skipped_lines)
              if layout.whole else _MixedLines(path, layout))
    return Recording("csv", path, stream, 1, None, {"columns": layout.names}, layout.columns.assumed)


# ------------------------------------------------------------------------------------------------------- layout


@dataclass(frozen=True)
class _Layout:
    """How a table is laid out."""

    path: object
    names: list
    separator: str | None
    columns: Columns
    skipped_lines: int            # before the first tag
    whole: bool                   # all fields are whole numbers, as far as the first lines show

    @property
    def use(self):
        """Places of the time and of the channel in a line."""
        return [self.names.index(name) for name in (self.columns.time, self.columns.channel)]

    @property
    def expected(self):
        return f"a line of {len(self.names)} whole numbers (int64), with a time and a channel (0 to 255),"

    def decoder(self, tally):
        """See :class:`~qkdlab.datasets.blocks.Records`."""
        (time, channel), most = self.use, (2**63 - 1) // self.columns.unit_ps.numerator

        def decode(rows):
            wrong = (rows[:, channel] < 0) | (rows[:, channel] > 255)
            late = (rows[:, time] > most) | (rows[:, time] < -most)
            used = int((wrong | late).argmax()) if (wrong | late).any() else len(rows)
            tags = to_tags(rows[:used, time], rows[:used, channel], self.columns, where=self.path)
            why = "a channel from 0 to 255" if used < len(rows) and wrong[used] else "a time below 2^63 ps"
            return tags, used, f"{why} is expected"

        return decode


def _text(raw):
    return raw.decode("utf-8-sig", errors="replace").strip()


def _comment(line):
    return line.isspace() or line.lstrip()[:1] in (b"#", b"%", b"")


def _cut(text, separator=""):
    """A line's fields and the separator: the given one, or the first of :data:`SEPARATORS` that divides it."""
    if separator == "":
        separator = next((s for s in SEPARATORS if s is None or s in text), None)
    return [field.strip().strip('"') for field in text.split(separator)], separator


def _numbers(fields):
    return all(NUMBER.fullmatch(field) for field in fields)


def _layout(path, unit):
    """Judge a table by its first lines."""
    with opened(path) as file:
        skipped, head = _first_lines(file)
    where = f"{path}: line {skipped + 1}"
    if not head:
        raise BadInput("the file holds no table", where=where)
    if not head[0].endswith(b"\n"):
        raise BadInput("the first line has no end within reach: is this a table?", where=where, value=_text(head[0])[:40])
    names, separator = _cut(_text(head[0]))
    if _numbers(names):
        names, columns = _nameless(names, [_cut(_text(line), separator)[0] for line in head], unit, where)
    else:
        columns, skipped, head = find(names, where, unit), skipped + 1, head[1:]
    if head and not head[-1].endswith(b"\n"):
        head = head[:-1]
    whole = all(WHOLE.fullmatch(field.strip()) for line in map(_text, head) if line for field in line.split(separator))
    return _Layout(path, names, separator, columns, skipped, whole)


def _first_lines(file):
    """How many lines come before the table, and its first lines. None is longer than the limit."""
    skipped = 0
    while (line := file.readline(LONGEST_LINE)) and skipped <= MOST_COMMENTS:
        if not _comment(line):
            return skipped, [line, *itertools.islice(iter(lambda: file.readline(LONGEST_LINE), b""), PREVIEW)]
        skipped += 1
    return skipped, []


def _nameless(fields, rows, unit, where):
    """Names for two columns of numbers: the one that always fits a channel is the channel, the second if both do."""
    if unit is not None and unit not in UNITS_PS:
        raise BadInput(f"one of {', '.join(UNITS_PS)} is expected", where=where, field="unit", value=unit)
    if len(fields) != 2:
        raise BadInput(f"without column names two columns are expected, there are {len(fields)}", where=where,
                       value=fields[:4])
    rows = [row for row in rows if len(row) == 2 and _numbers(row)]
    fits = [all(re.fullmatch(r"\d{1,3}", row[i]) and int(row[i]) < 256 for row in rows) for i in (0, 1)]
    first_is_time = fits[1] or not fits[0]
    assumed = [f"no column names: the {'first' if first_is_time else 'second'} column is taken as the time"]
    if unit is None:
        assumed.append("no unit: its whole numbers are taken as ps")
    names = ["time", "channel"] if first_is_time else ["channel", "time"]
    return names, Columns("time", "channel", UNITS_PS[unit or "ps"], tuple(assumed), unit is not None)


# ------------------------------------------------------------------------------------------------------- numbers


@dataclass(frozen=True)
class _MixedLines:
    """Lines among whose fields are fractions or texts. Calling it reads them: see `Recording.stream`."""

    path: object
    layout: _Layout

    def __call__(self, tally, block_tags):
        with opened(self.path) as file:
            for _ in range(self.layout.skipped_lines):
                file.readline(LONGEST_LINE)
            first, lines = self.layout.skipped_lines + 1, iter(lambda: file.readline(LONGEST_LINE), b"")
            while block := list(itertools.islice(lines, block_tags)):
                cut = block.pop() if not block[-1].endswith(b"\n") else b""
                tags = self._tags([_text(line) for line in block], first)
                first += len(block)
                tally.records += len(tags)
                if len(tags):
                    yield tags
                if len(cut) >= LONGEST_LINE:
                    raise self._wrong([_text(cut)], first)
                if cut and not cut.isspace():
                    tally.damaged(f"line {first} has no end and is left out: was the file cut?")

    def _tags(self, lines, first):
        kept = [line for line in lines if line]
        if not kept:
            return TimeTags(np.empty(0), np.empty(0))
        try:
            fields = [_cut(line, self.layout.separator)[0] for line in kept]
            if any(len(row) != len(self.layout.names) for row in fields):
                raise ValueError
            times, channels = (np.array([row[i] for row in fields]) for i in self.layout.use)
            channels, time_ps = channels.astype(np.int64), np.empty(len(kept), np.int64)
            whole = np.array([WHOLE.fullmatch(time) is not None for time in times])
            for part, kind in ((whole, np.int64), (~whole, np.float64)):
                tags = to_tags(times[part].astype(kind), channels[part], self.layout.columns, where=self.path)
                time_ps[part] = tags.time_ps
            return TimeTags(time_ps, channels)
        except (ValueError, OverflowError):
            raise self._wrong(lines, first) from None

    def _wrong(self, lines, first):
        """What is wrong with the first line that is."""
        for number, line in enumerate(lines, first):
            fields, where = _cut(line, self.layout.separator)[0], f"{self.path}: line {number}"
            if not line:
                continue
            if len(fields) != len(self.layout.names):
                return BadInput(f"{len(self.layout.names)} fields are expected, as there are columns", where=where,
                                value=line)
            time, channel = (fields[i] for i in self.layout.use)
            try:
                times = np.array([int(time) if WHOLE.fullmatch(time) else float(time)])
                to_tags(times, np.array([int(channel)]), self.layout.columns, where=self.path)
            except BadInput as error:
                return error.at(where)
            except (ValueError, OverflowError):
                return BadInput("a time and a channel (0 to 255) are expected", where=where, value=line)
        return BadInput("a time and a channel (0 to 255) on each line are expected",
                        where=f"{self.path}: lines {first} to {first + len(lines) - 1}")


# ------------------------------------------------------------------------------------------------------- writing


def write(path, blocks):
    """Write tags as text, as every ``write`` of :mod:`qkdlab.datasets`."""
    tags = 0
    with new_file(path) as file:
        file.write(HEADER + b"\n")
        for block in blocks:
            rows = zip(block.time_ps.tolist(), block.channel.tolist(), strict=True)
            file.write("".join(f"{time},{channel}\n" for time, channel in rows).encode())
            tags += len(block)
    return tags
