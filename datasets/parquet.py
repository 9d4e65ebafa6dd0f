"""Tags as a Parquet table with columns ``time_ps`` (int64) and ``channel`` (uint8): the smallest archive, 3 bytes a tag.

Times are written as differences (DELTA_BINARY_PACKED), then compressed with zstd. Read also with other names and types
of numbers, see :mod:`qkdlab.datasets.columns`. Needs pyarrow: ``pip install qkdlab[parquet]``.
"""

import contextlib
import pathlib

import numpy as np

from qkdlab.datasets.columns import find, to_tags
from qkdlab.datasets.newfile import new_file
from qkdlab.datasets.recording import Recording
from qkdlab.errors import BadInput

__all__ = ["SIGNATURE", "SUFFIX", "keep", "read", "write"]

SIGNATURE = b"PAR1"
SUFFIX = ".parquet"

GROUP_TAGS = 1 << 20
MOST_FOOTER = 1 << 24             # bytes of the schema and of the list of row groups


def _library(path):
    """pyarrow and its Parquet module, or BadInput with the way to get them."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise BadInput("Parquet needs pyarrow: pip install 'qkdlab[parquet]'", where=path) from None
    return pyarrow, pyarrow.parquet


def read(path, *, unit=None):
    """Open a table of tags, as every ``read`` of :mod:`qkdlab.datasets`.

    `unit` is as for :func:`qkdlab.datasets.columns.find`; ``warnings`` of the recording say what was assumed.
    BadInput names file, column and value.
    """
    path = pathlib.Path(path)
    with _opened(path) as file:
        schema = file.schema_arrow
        columns = find(schema.names, path, unit)
        _check_types(schema, columns, path)
        tags = file.metadata.num_rows
        tick = _tick(schema, path)
    return Recording("parquet", path, _Stream(path, columns, tags), tick, None, {"records": tags}, columns.assumed,
                     tick_ps=tick)


def _check_types(schema, columns, path):
    import pyarrow

    for name in (columns.time, columns.channel):
        kind = schema.field(name).type
        if not (pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind)):
            raise BadInput("a column of numbers is expected", where=path, field=name, value=str(kind))


def _tick(schema, path):
    """The tick that our own files note; 1 ps elsewhere."""
    text = (schema.metadata or {}).get(b"tick_ps", b"1")
    try:
        tick = float(text)
    except ValueError:
        tick = 0
    if not 0 < tick < 1e9:
        raise BadInput("must be above 0 and below 10^9 ps", where=path, field="tick_ps", value=text)
    return tick


@contextlib.contextmanager
def _opened(path):
    """The file, with what pyarrow raises on damage turned into BadInput."""
    pyarrow, parquet = _library(path)
    try:
        with open(path, "rb") as file:
            _check_footer(file, path)
            # Without a buffer size pyarrow would hold whole columns of a row group.
            with parquet.ParquetFile(file, buffer_size=1 << 16) as table:
                yield table
    except BadInput:
        raise
    except FileNotFoundError:
        raise BadInput("no such file", where=path) from None
    except (OSError, pyarrow.ArrowException, ValueError, OverflowError, MemoryError) as error:
        why = " ".join(str(error).split())[:200]
        raise BadInput(f"damaged, or not a Parquet file: {why}", where=path) from None


def _check_footer(file, path):
    """Refuse a file without its end: the table's schema and the places of its parts stand there."""
    size = file.seek(0, 2)
    file.seek(max(size - 8, 0))
    tail = file.read(8)
    length = int.from_bytes(tail[:4], "little")
    if size < 12 or tail[4:] != SIGNATURE:
        raise BadInput("the file does not end with PAR1: it is cut, and without its end nothing of it can be read",
                       where=f"{path}: byte {size}")
    if length > min(size - 12, MOST_FOOTER):
        raise BadInput("the footer claims more bytes than there are", where=f"{path}: byte {size - 8}",
                       field="footer length", value=length)
    file.seek(0)


class _Stream:
    """The tags, block after block: see `Recording.stream`."""

    def __init__(self, path, columns, tags):
        self._path, self._columns, self._tags = path, columns, tags

    def __call__(self, tally, block_tags):
        names = [self._columns.time, self._columns.channel]
        with _opened(self._path) as file:
            for batch in file.iter_batches(batch_size=min(block_tags, GROUP_TAGS), columns=names):
                values = [batch.column(names.index(name) if batch.schema.names == names else name) for name in names]
                for name, column in zip(names, values, strict=True):
                    if column.null_count:
                        raise BadInput("a number is expected in each row", where=f"{self._path}: near row {tally.records}",
                                       field=name, value="null")
                times, channels = (np.asarray(column) for column in values)
                tags = to_tags(times, channels, self._columns, where=self._path, first=tally.records)
                tally.records += len(tags)
                if len(tags):
                    yield tags
        if tally.records != self._tags:
            tally.damaged(f"the table promises {self._tags} rows, the file holds {tally.records}")


def keep(recording):
    """Settings of :func:`write` that another recording decides: its tick."""
    return {"tick_ps": float(recording.tick_ps)}


def write(path, blocks, *, tick_ps=1):
    """Write a table of tags, as every ``write`` of :mod:`qkdlab.datasets`.

    `tick_ps` (float) is that of the tagger; it is noted in the file. BadInput also where pyarrow is not there.
    """
    pyarrow, parquet = _library(path)
    fields = {"time_ps": pyarrow.int64(), "channel": pyarrow.uint8()}
    schema = pyarrow.schema([pyarrow.field(name, kind, nullable=False) for name, kind in fields.items()],
                            {"tick_ps": f"{float(tick_ps):.17g}"})
    tags = 0
    with new_file(path) as file:
        with parquet.ParquetWriter(file, schema, compression="zstd", use_dictionary=["channel"],
                                   write_statistics=["time_ps"],
                                   column_encoding={"time_ps": "DELTA_BINARY_PACKED"}) as table:
            for times, channels in _groups(blocks):
                table.write_table(pyarrow.table([times, channels], schema=schema), row_group_size=GROUP_TAGS)
                tags += len(times)
    return tags


def _groups(blocks):
    """Blocks joined to row groups: small ones would cost a header each."""
    held, length = [], 0
    for block in blocks:
        held.append(block)
        length += len(block)
        if length >= GROUP_TAGS:
            yield _joined(held)
            held, length = [], 0
    if length:
        yield _joined(held)


def _joined(blocks):
    return np.concatenate([b.time_ps for b in blocks]), np.concatenate([b.channel for b in blocks])
