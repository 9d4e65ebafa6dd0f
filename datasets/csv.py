"""Tags as text: a line ``time_ps,channel``, then one tag a line in whole numbers. For import and for the eye."""

import pathlib

from qkdlab.datasets.blocks import LONGEST_LINE, NumberLines, opened
from qkdlab.datasets.newfile import new_file
from qkdlab.datasets.recording import Recording
from qkdlab.datatypes import TimeTags
from qkdlab.errors import BadInput

__all__ = ["SIGNATURE", "SUFFIX", "read", "write"]

SIGNATURE = b"time_ps,channel"
SUFFIX = ".csv"


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
    with opened(path) as file:
        if file.readline(LONGEST_LINE).strip() != SIGNATURE:
            raise BadInput(f"the first line must be '{SIGNATURE.decode()}'", where=f"{path}: line 1")
    return Recording("csv", path, NumberLines(path, _decoder, 2, "a time (int64, ps) and a channel (0 to 255)",
                                              skipped_lines=1))


def _decoder(tally):
    def decode(rows):
        outside = (rows[:, 1] < 0) | (rows[:, 1] > 255)
        used = int(outside.argmax()) if outside.any() else len(rows)
        return TimeTags(rows[:used, 0].copy(), rows[:used, 1]), used, "a channel from 0 to 255 is expected"

    return decode


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
