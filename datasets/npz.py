"""NumPy archive of tags: ``time_ps`` (int64) and ``channel`` (uint8), as ``np.savez`` writes it.

Read also with other names and types of numbers, see :mod:`qkdlab.datasets.columns`.
"""

import contextlib
import pathlib
import tempfile
import zipfile

import numpy as np

from qkdlab.datasets.columns import find, to_tags
from qkdlab.datasets.newfile import new_file
from qkdlab.datasets.recording import Recording
from qkdlab.errors import BadInput

__all__ = ["SIGNATURE", "SUFFIX", "read", "write"]

SIGNATURE = b"PK\x03\x04"
SUFFIX = ".npz"

FIELDS = {"time_ps": np.dtype("<i8"), "channel": np.dtype("u1")}
COPY_BYTES = 1 << 22


def read(path, *, unit=None):
    """Open an archive of tags, as every ``read`` of :mod:`qkdlab.datasets`.

    `unit` is as for :func:`qkdlab.datasets.columns.find`; ``warnings`` of the recording say what was assumed.
    BadInput names file, array and value.
    """
    path = pathlib.Path(path)
    with _opened(path, unit) as (columns, members):
        tags = _length(members, path)
    return Recording("npz", path, _Stream(path, unit), 1, None, {"records": tags}, columns.assumed)


def _length(members, path):
    """The common length that both headers give."""
    (_, kind, times), (name, _, channels) = ((name, kind, length) for name, (_, kind, length) in members.items())
    if times != channels:
        raise BadInput(f"{times} times, but another number of channels", where=path, field=name, value=channels)
    return times


@contextlib.contextmanager
def _opened(path, unit):
    """The columns, and both members as {name: (file behind the header, dtype, length)}; damage becomes BadInput."""
    try:
        with zipfile.ZipFile(path) as archive, contextlib.ExitStack() as stack:
            names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
            columns = find(names, path, unit)
            files = {name: stack.enter_context(archive.open(f"{name}.npy")) for name in (columns.time, columns.channel)}
            yield columns, {name: (file, *_header(file, name, path)) for name, file in files.items()}
    except BadInput:
        raise
    except FileNotFoundError:
        raise BadInput("no such file", where=path) from None
    except (OSError, zipfile.BadZipFile, zipfile.LargeZipFile, ValueError, EOFError, NotImplementedError, RuntimeError,
            zipfile.zlib.error) as error:
        raise BadInput(f"damaged, or not a NumPy archive: {error}", where=path) from None


def _header(file, name, path):
    """dtype and length of a member."""
    version = np.lib.format.read_magic(file)
    reader = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if reader is None:
        raise BadInput("unknown version of the .npy header", where=path, field=name, value=version)
    shape, _, kind = reader(file)
    if kind.kind not in "iuf" or kind.itemsize > 8 or len(shape) != 1 or shape[0] < 0:
        raise BadInput("a 1-D array of numbers is expected", where=path, field=name, value=f"{kind} of shape {shape}")
    return kind, shape[0]


class _Stream:
    """The tags, block after block: see `Recording.stream`."""

    def __init__(self, path, unit):
        self._path, self._unit = path, unit

    def __call__(self, tally, block_tags):
        with _opened(self._path, self._unit) as (columns, members):
            left = _length(members, self._path)
            while left:
                want = min(left, block_tags)
                raw = [(file.read(want * kind.itemsize), kind) for file, kind, _ in members.values()]
                if any(len(piece) != want * kind.itemsize for piece, kind in raw):
                    raise BadInput(f"the archive ends {left} tags before the number in its header", where=self._path)
                times, channels = (np.frombuffer(piece, kind) for piece, kind in raw)
                yield to_tags(times, channels, columns, where=self._path, first=tally.records)
                tally.records += want
                left -= want


def write(path, blocks):
    """Write tags as an archive that ``np.load`` reads, as every ``write`` of :mod:`qkdlab.datasets`."""
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
