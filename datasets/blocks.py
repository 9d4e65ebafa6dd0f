"""Files without a format of their own beneath them, block by block: records of one length, and lines of numbers."""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from qkdlab import _ext
from qkdlab.errors import BadInput

__all__ = ["LONGEST_LINE", "NumberLines", "Records", "opened", "steady", "whole"]

LONGEST_LINE = 256
TEXT_BYTES = 1 << 22


@contextlib.contextmanager
def opened(path):
    """The file, for reading bytes; what the operating system complains of becomes BadInput."""
    try:
        with open(path, "rb") as file:
            yield file
    except FileNotFoundError:
        raise BadInput("no such file", where=path) from None
    except OSError as error:
        raise BadInput(error.strerror or str(error), where=path) from None


def whole(file, path, start, record_bytes):
    """How many whole records lie behind byte `start` of an open file.

    Returns
    -------
    records : int
    warnings : tuple of str
    """
    size = os.fstat(file.fileno()).st_size - start
    if size < 0:
        raise BadInput("the file ends inside the header", where=f"{path}: byte {start + size}")
    records, rest = divmod(size, record_bytes)
    if rest:
        return records, (f"the file ends inside a record: {rest} of {record_bytes} bytes at byte {start + size - rest}",)
    return records, ()


@dataclass(frozen=True)
class Records:
    """Records of one length up to the end of a file. Calling it reads them: see `Recording.stream`.

    Attributes
    ----------
    path : pathlib.Path
    start : int
        Byte offset of the first record.
    kind : np.dtype
        Of a record.
    decoder : callable
        ``decoder(tally)`` gives what decodes one pass over the file: ``decode(records) -> (TimeTags, used, why)``.
        Reading ends with the warning `why` where less than all the records are used. At the end of the file its method
        ``finish()`` is called, where it has one.
    """

    path: object
    start: int
    kind: np.dtype
    decoder: Callable

    def __call__(self, tally, block_tags):
        decode = self.decoder(tally)
        with opened(self.path) as file:
            left = max(os.fstat(file.fileno()).st_size - self.start, 0) // self.kind.itemsize
            file.seek(self.start)
            room = np.empty(min(block_tags, left), self.kind)
            while got := file.readinto(room.view(np.uint8)) // self.kind.itemsize if len(room) else 0:
                tags, used, why = decode(room[:got])
                tally.records += used
                if len(tags):
                    yield tags
                if used < got:
                    at = self.start + self.kind.itemsize * tally.records
                    tally.damaged(f"byte {at}: {why}: reading stops there")
                    return
        getattr(decode, "finish", bool)()


@dataclass(frozen=True)
class NumberLines:
    """Lines of whole numbers up to the end of a file. Calling it reads them: see `Recording.stream`.

    Attributes
    ----------
    path : pathlib.Path
    decoder : callable
        As for :class:`Records`; it is given int64 (rows, columns), and the first one not used is complained of.
    columns : int
    expected : str
        What a line holds, in words.
    hexadecimal : bool
    skipped_lines : int
        Before the first that counts.
    """

    path: object
    decoder: Callable
    columns: int
    expected: str
    hexadecimal: bool = False
    skipped_lines: int = 0

    def __call__(self, tally, block_tags):
        decode, line, rest = self.decoder(tally), 1 + self.skipped_lines, b""
        with opened(self.path) as file:
            values = np.empty(min(block_tags, os.fstat(file.fileno()).st_size // 2 + 1) * self.columns, np.int64)
            for _ in range(self.skipped_lines):
                file.readline(LONGEST_LINE)
            while more := file.read(TEXT_BYTES):
                text, rows = memoryview(rest + more), -1
                while rows:
                    used, lines, rows, bad = _ext.lines.table(text, self.hexadecimal, self.columns, values)
                    tags, fine, why = decode(values[: rows * self.columns].reshape(-1, self.columns))
                    tally.records += fine
                    if len(tags):
                        yield tags
                    if fine < rows:
                        raise self._wrong(*_row(text, fine, line), why)
                    line, text = line + lines, text[used:]
                    if bad:
                        raise self._wrong(text, line)
                if len(text) > LONGEST_LINE:
                    raise self._wrong(text, line)
                rest = bytes(text)
        # A file that was cut ends within a line: half a number is not a number.
        if rest and not rest.isspace():
            tally.damaged(f"line {line} has no end and is left out: was the file cut?")
        getattr(decode, "finish", bool)()

    def _wrong(self, text, line, why=None):
        shown = bytes(text[:LONGEST_LINE]).split(b"\n", 1)[0].decode("ascii", errors="replace").strip()
        return BadInput(why or f"{self.expected} is expected", where=f"{self.path}: line {line}", value=shown)


def _row(text, row, line):
    """A row of a text whose first line has this number, by its own number: (the text from there on, its line)."""
    for number, words in enumerate(bytes(text).split(b"\n"), line):
        if words.strip(b" \t\r,;"):
            if row == 0:
                return words, number
            row -= 1
    return b"", line


def steady(times, slack=0):
    """Whether times run as those of a recording do: never back by more than `slack`, and not all the same.

    Parameters
    ----------
    times : np.ndarray
        int64 (M,)
    slack : int
        Largest step back, in units of `times`.
    """
    steps = np.diff(times)
    return bool((steps >= -slack).all()) and (len(steps) == 0 or bool((steps != 0).any()))
