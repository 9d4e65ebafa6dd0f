"""Tags as text: a line ``time_ps,channel``, then one tag a line in whole numbers. For import and for the eye."""

import itertools
import pathlib

import numpy as np

from qkdlab.datasets.newfile import new_file
from qkdlab.datasets.recording import Recording
from qkdlab.datatypes import TimeTags
from qkdlab.errors import BadInput

__all__ = ["SIGNATURE", "SUFFIX", "read", "write"]

SIGNATURE = b"time_ps,channel"
SUFFIX = ".csv"

LONGEST_LINE = 64


def read(path):
    """Open a table of tags.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    Recording

    Raises
    ------
    BadInput
        Naming file and line; for what is wrong behind the first line, while the tags are read.
    """
    path = pathlib.Path(path)
    with _opened(path) as file:
        if file.readline(LONGEST_LINE).strip() != SIGNATURE.decode():
            raise BadInput(f"the first line must be '{SIGNATURE.decode()}'", where=f"{path}: line 1")
    return Recording("csv", path, _Stream(path))


def _opened(path):
    try:
        return open(path, encoding="ascii", errors="replace")
    except FileNotFoundError:
        raise BadInput("no such file", where=path) from None
    except OSError as error:
        raise BadInput(error.strerror or str(error), where=path) from None


class _Stream:
    """The tags, block after block: see `Recording.stream`."""

    def __init__(self, path):
        self._path = path

    def __call__(self, tally, block_tags):
        with _opened(self._path) as file:
            file.readline(LONGEST_LINE)
            first = 2
            # readline with a limit: a file without line ends is not read into memory whole.
            lines = iter(lambda: file.readline(LONGEST_LINE), "")
            while block := list(itertools.islice(lines, block_tags)):
                tags = _tags(block, first, self._path)
                first += len(block)
                tally.records += len(tags)
                if len(tags):
                    yield tags


def _tags(lines, first, path):
    """Lines of text as TimeTags; `first` is the number of the first one."""
    kept = [line for line in lines if not line.isspace()]
    if not kept:
        return TimeTags(np.empty(0), np.empty(0))
    try:
        table = np.loadtxt(kept, np.int64, delimiter=",", ndmin=2, comments=None)
        if table.shape[1] != 2:
            raise ValueError
    except (ValueError, OverflowError):
        raise _wrong(lines, first, path) from None
    if table[:, 1].min() < 0 or table[:, 1].max() > 255:
        raise _wrong(lines, first, path)
    return TimeTags(table[:, 0], table[:, 1])


def _wrong(lines, first, path):
    """What is wrong with the first line that is."""
    for number, line in enumerate(lines, first):
        try:
            time, channel = line.split(",")
            fine = -(2**63) <= int(time) < 2**63 and 0 <= int(channel) <= 255
        except ValueError:
            fine = False
        if not fine and not line.isspace():
            return BadInput("a time (int64, ps) and a channel (0 to 255) are expected", where=f"{path}: line {number}",
                            value=line.strip())
    return BadInput("a time (int64, ps) and a channel (0 to 255) on each line are expected",
                    where=f"{path}: lines {first} to {first + len(lines) - 1}")


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
        file.write(SIGNATURE + b"\n")
        for block in blocks:
            rows = zip(block.time_ps.tolist(), block.channel.tolist(), strict=True)
            file.write("".join(f"{time},{channel}\n" for time, channel in rows).encode())
            tags += len(block)
    return tags
