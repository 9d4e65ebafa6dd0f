"""Tags as text: one tag a line, a time and a channel. For import and for the eye.

Written as ``time_ps,channel`` in whole numbers. Read also as others write it: separated by comma, semicolon, tab or
spaces; with a line of column names (see :mod:`qkdlab.datasets.columns`) or without; with comments behind ``#`` or ``%``.
What had to be assumed is among the recording's warnings.
"""

import itertools
import pathlib
import re

import numpy as np

from qkdlab.datasets.columns import UNITS_PS, Columns, find, knows, to_tags
from qkdlab.datasets.newfile import new_file
from qkdlab.datasets.recording import Recording
from qkdlab.datatypes import TimeTags
from qkdlab.errors import BadInput

__all__ = ["SIGNATURE", "SUFFIX", "read", "recognises", "write"]

SIGNATURE = b""
SUFFIX = ".csv"

HEADER = "time_ps,channel"
LONGEST_LINE = 512
MOST_COMMENTS = 1000              # lines before the table
PREVIEW = 200                     # lines by which a table without names is judged
SEPARATORS = (",", ";", "\t", None)              # None: any run of spaces


def recognises(head, size, path):
    """Whether the first line names a time and a channel; in a file called .csv or .tsv one of them, or two numbers, do."""
    if b"\0" in head:
        return False
    lines = [line for line in head.decode("utf-8-sig", errors="replace").splitlines() if line.strip()
             and line.lstrip()[0] not in "#%"]
    if not lines:
        return False
    names = _cut(lines[0])[0]
    called = pathlib.Path(path).suffix.lower() in (".csv", ".tsv")
    return called and len(names) == 2 if _numbers(names) else knows(names) >= (1 if called else 2)


def read(path, *, unit=None):
    """Open a table of tags.

    Parameters
    ----------
    path : path-like
    unit : {"fs", "ps", "ns", "us", "ms", "s"}, optional
        Of the times, where the column's name does not say it.

    Returns
    -------
    Recording
        ``warnings`` say what was assumed.

    Raises
    ------
    BadInput
        Naming file and line; for what is wrong behind the first lines, while the tags are read.
    """
    path = pathlib.Path(path)
    table = _Table(path, unit)
    return Recording("csv", path, table, 1, None, {"columns": table.names}, table.columns.assumed)


def _opened(path):
    try:
        return open(path, encoding="utf-8-sig", errors="replace")
    except FileNotFoundError:
        raise BadInput("no such file", where=path) from None
    except OSError as error:
        raise BadInput(error.strerror or str(error), where=path) from None


def _cut(line, separator=""):
    """A line's fields and the separator: the given one, or the first of :data:`SEPARATORS` that divides it."""
    if separator == "":
        separator = next((s for s in SEPARATORS if s is None or s in line), None)
    return [field.strip().strip('"') for field in line.strip().split(separator)], separator


def _numbers(fields):
    return all(re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", field) for field in fields)


class _Table:
    """How the table is laid out. Called, it yields the tags, block after block: see `Recording.stream`."""

    def __init__(self, path, unit):
        self.path, self.skip = path, 0
        with _opened(path) as file:
            head = self._first_lines(file)
        if not head:
            raise BadInput("the file holds no table", where=f"{path}: line {self.skip + 1}")
        self.names, self.separator = _cut(head[0])
        if _numbers(self.names):
            self.columns = self._without_names(head, unit)
        else:
            try:
                self.columns = find(self.names, f"{path}: line {self.skip + 1}", unit)
            except BadInput as error:
                raise error.at(f"{path}: line {self.skip + 1}") from None
            self.skip += 1
        self._use = [self.names.index(name) for name in (self.columns.time, self.columns.channel)]

    def _first_lines(self, file):
        """The first lines of the table; counts in `skip` those before it."""
        while line := file.readline(LONGEST_LINE):
            if line.strip() and line.lstrip()[0] not in "#%":
                return [line, *itertools.islice(iter(lambda: file.readline(LONGEST_LINE), ""), PREVIEW)]
            self.skip += 1
            if self.skip > MOST_COMMENTS:
                break
        return []

    def _without_names(self, head, unit):
        """Two columns of whole numbers: the one that is always a channel is the channel, the second if both are."""
        if unit is not None and unit not in UNITS_PS:
            raise BadInput(f"one of {', '.join(UNITS_PS)} is expected", where=self.path, field="unit", value=unit)
        where = f"{self.path}: line {self.skip + 1}"
        if len(self.names) != 2:
            raise BadInput(f"without column names two columns are expected, there are {len(self.names)}", where=where,
                           value=head[0].strip())
        rows = [_cut(line, self.separator)[0] for line in head[:-1] or head if line.strip()]
        rows = [row for row in rows if len(row) == 2 and _numbers(row)]
        small = [all(re.fullmatch(r"\+?\d{1,3}", row[i]) and int(row[i]) < 256 for row in rows) for i in (0, 1)]
        first_is_time = small[1] or not small[0]
        self.names = ["time", "channel"] if first_is_time else ["channel", "time"]
        assumed = [f"no column names: the {'first' if first_is_time else 'second'} column is taken as the time"]
        if unit is None:
            assumed.append("no unit: its whole numbers are taken as ps")
        return Columns("time", "channel", UNITS_PS[unit or "ps"], tuple(assumed), unit is not None)

    def __call__(self, tally, block_tags):
        with _opened(self.path) as file:
            for _ in range(self.skip):
                file.readline(LONGEST_LINE)
            first = self.skip + 1
            # readline with a limit: a file without line ends is not read into memory whole.
            lines = iter(lambda: file.readline(LONGEST_LINE), "")
            while block := list(itertools.islice(lines, block_tags)):
                tags = self._tags(block, first)
                first += len(block)
                tally.records += len(tags)
                if len(tags):
                    yield tags

    def _tags(self, lines, first):
        """Lines of text as TimeTags; `first` is the number of the first one."""
        kept = [line for line in lines if not line.isspace() and line.lstrip()[0] not in "#%"]
        if not kept:
            return TimeTags(np.empty(0), np.empty(0))
        try:
            if self._ragged(kept):
                raise ValueError
            try:
                times, channels = self._load(kept, np.int64, self._use)
            except ValueError:                            # times with a fraction
                (times,) = self._load(kept, np.float64, self._use[:1])
                (channels,) = self._load(kept, np.int64, self._use[1:])
            return to_tags(times, channels, self.columns, where=self.path)
        except (ValueError, OverflowError):
            raise self._wrong(lines, first) from None

    def _load(self, kept, kind, columns):
        return np.loadtxt(kept, kind, usecols=columns, delimiter=self.separator, comments=None, quotechar='"', ndmin=2).T

    def _ragged(self, kept):
        """Whether a line has more or fewer fields than there are columns."""
        want = len(self.names) - 1
        return self.separator is not None and any(line.count(self.separator) != want for line in kept)

    def _wrong(self, lines, first):
        """What is wrong with the first line that is."""
        time, channel = self._use
        for number, line in enumerate(lines, first):
            if line.isspace() or line.lstrip()[0] in "#%":
                continue
            fields = _cut(line, self.separator)[0]
            where, shown = f"{self.path}: line {number}", line.strip()
            if len(fields) != len(self.names):
                return BadInput(f"{len(self.names)} fields are expected, as in the lines before", where=where, value=shown)
            try:
                times = np.array([int(fields[time])] if "." not in fields[time] and "e" not in fields[time].lower()
                                 else [float(fields[time])])
                if times.dtype == object:
                    raise ValueError
                to_tags(times, np.array([int(fields[channel])]), self.columns, where=self.path)
            except BadInput as error:
                return error.at(where)
            except (ValueError, OverflowError):
                return BadInput("a time and a channel (0 to 255) are expected", where=where, value=shown)
        return BadInput("a time and a channel (0 to 255) on each line are expected",
                        where=f"{self.path}: lines {first} to {first + len(lines) - 1}")


def write(path, blocks):
    """Write tags as text.

    Parameters
    ----------
    path : path-like
        Must not exist; the file appears there when it is complete.
    blocks : iterable of TimeTags

    Returns
    -------
    int
        Number of tags.

    Raises
    ------
    BadInput
        Where the path exists. What `blocks` raises is passed on, and no file is left.
    """
    tags = 0
    with new_file(path) as file:
        file.write(HEADER.encode() + b"\n")
        for block in blocks:
            rows = zip(block.time_ps.tolist(), block.channel.tolist(), strict=True)
            file.write("".join(f"{time},{channel}\n" for time, channel in rows).encode())
            tags += len(block)
    return tags
