"""NumPy archive of tags: ``time_ps`` (int64) and ``channel`` (uint8), as ``np.savez`` writes it."""

import contextlib
import pathlib
import tempfile
import zipfile

import numpy as np

from qkdlab.datasets.newfile import new_file
from qkdlab.datasets.recording import Recording
from qkdlab.datatypes import TimeTags
from qkdlab.errors import BadInput

__all__ = ["SIGNATURE", "SUFFIX", "read", "write"]

SIGNATURE = b"PK\x03\x04"
SUFFIX = ".npz"

FIELDS = {"time_ps": np.dtype("<i8"), "channel": np.dtype("u1")}
COPY_BYTES = 1 << 22


def read(path):
    """Open an archive of tags.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    Recording

    Raises
    ------
    BadInput
        Naming file, field and value.
    """
    path = pathlib.Path(path)
    with _opened(path) as members:
        tags = _length(members["time_ps"], members["channel"], path)
    return Recording("npz", path, _Stream(path), 1, None, {"records": tags})


def _length(times, channel, path):
    """The common length that both headers give."""
    if times[1] != channel[1]:
        raise BadInput(f"{times[1]} times, but another number of channels", where=path, field="channel",
                       value=channel[1])
    return times[1]


@contextlib.contextmanager
def _opened(path):
    """Both members as {name: (file behind the header, length)}; damage becomes BadInput."""
    try:
        with zipfile.ZipFile(path) as archive, contextlib.ExitStack() as stack:
            names = set(archive.namelist())
            for name in FIELDS:
                if f"{name}.npy" not in names:
                    raise BadInput("the archive has no such array; time_ps and channel are expected", where=path,
                                   field=name)
            files = {name: stack.enter_context(archive.open(f"{name}.npy")) for name in FIELDS}
            yield {name: (file, _header(file, name, path)) for name, file in files.items()}
    except BadInput:
        raise
    except FileNotFoundError:
        raise BadInput("no such file", where=path) from None
    except (OSError, zipfile.BadZipFile, zipfile.LargeZipFile, ValueError, EOFError, NotImplementedError, RuntimeError,
            zipfile.zlib.error) as error:
        raise BadInput(f"damaged, or not a NumPy archive: {error}", where=path) from None


def _header(file, name, path):
    version = np.lib.format.read_magic(file)
    reader = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if reader is None:
        raise BadInput("unknown version of the .npy header", where=path, field=name, value=version)
    shape, _, kind = reader(file)
    if kind != FIELDS[name] or len(shape) != 1 or shape[0] < 0:
        raise BadInput(f"a 1-D array of {FIELDS[name]} is expected", where=path, field=name,
                       value=f"{kind} of shape {shape}")
    return shape[0]


class _Stream:
    """The tags, block after block: see `Recording.stream`."""

    def __init__(self, path):
        self._path = path

    def __call__(self, tally, block_tags):
        with _opened(self._path) as members:
            left = _length(*members.values(), self._path)
            while left:
                want = min(left, block_tags)
                time_ps, channel = (np.frombuffer(members[name][0].read(want * kind.itemsize), kind)
                                    for name, kind in FIELDS.items())
                if len(time_ps) != want or len(channel) != want:
                    raise BadInput(f"the archive ends {left} tags before the number in its header", where=self._path)
                tally.records += want
                left -= want
                yield TimeTags(time_ps, channel)


def write(path, blocks):
    """Write tags as an archive that ``np.load`` reads.

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
    with new_file(path) as file, contextlib.ExitStack() as stack:
        # The header of an array holds its length, which is known at the end only.
        bodies = {name: stack.enter_context(tempfile.TemporaryFile()) for name in FIELDS}
        tags = 0
        for block in blocks:
            bodies["time_ps"].write(block.time_ps)
            bodies["channel"].write(block.channel)
            tags += len(block)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, kind in FIELDS.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array_header_1_0(
                        member, {"descr": kind.str, "fortran_order": False, "shape": (tags,)})
                    bodies[name].seek(0)
                    while piece := bodies[name].read(COPY_BYTES):
                        member.write(piece)
    return tags
