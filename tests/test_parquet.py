import sys

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from samples import tags

from qkdlab import datasets
from qkdlab.datasets import parquet
from qkdlab.datatypes import TimeTags
from qkdlab.errors import BadInput


def test_three_bytes_a_tag(tmp_path):
    some = tags(200_000)
    parquet.write(tmp_path / "a.parquet", [some], tick_ps=4)
    assert (tmp_path / "a.parquet").stat().st_size < 3.5 * len(some)
    chunk = pyarrow.parquet.ParquetFile(tmp_path / "a.parquet").metadata.row_group(0).column(0)
    assert "DELTA_BINARY_PACKED" in chunk.encodings and chunk.compression == "ZSTD"
    assert datasets.open(tmp_path / "a.parquet").tick_ps == 4


def test_small_blocks_make_no_small_groups(tmp_path):
    parquet.write(tmp_path / "a.parquet", (TimeTags([i], [0]) for i in range(1000)))
    assert pyarrow.parquet.ParquetFile(tmp_path / "a.parquet").num_row_groups == 1


def test_tables_of_others(tmp_path):
    table = pyarrow.table({"event": ["a", "b"], "t_ns": [1.5, 2.5], "detector": pyarrow.array([1, 2], pyarrow.int32())})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    (block,) = datasets.open(tmp_path / "a.parquet").tag_blocks()
    assert block.time_ps.tolist() == [1500, 2500] and block.channel.tolist() == [1, 2]


@pytest.mark.parametrize(("table", "match"), [
    ({"time_ps": [1, None], "channel": [0, 1]}, "null"), ({"time_ps": ["x"], "channel": [0]}, "column of numbers"),
    ({"a": [1]}, "time: one column"), ({"time_ps": [1, 2], "channel": [0, 300]}, "row 1: channel")])
def test_spoilt_tables_are_named(tmp_path, table, match):
    pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / "a.parquet")
    with pytest.raises(BadInput, match=match):
        datasets.inspect(tmp_path / "a.parquet")


def test_without_the_library(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(BadInput, match=r"pip install 'qkdlab\[parquet\]'"):
        datasets.open(tmp_path / "a.parquet")
    with pytest.raises(BadInput, match="pyarrow"):
        datasets.convert(tmp_path / "a.parquet", tmp_path / "b.parquet")
    assert [p.name for p in tmp_path.iterdir()] == ["a.parquet"]


def test_a_footer_that_claims_too_much(tmp_path):
    parquet.write(tmp_path / "a.parquet", [tags()])
    raw = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "b.parquet").write_bytes(raw[:-8] + b"\xff" * 4 + b"PAR1")
    with pytest.raises(BadInput, match="footer length"):
        datasets.open(tmp_path / "b.parquet")
    assert np.array_equal(next(datasets.open(tmp_path / "a.parquet").tag_blocks()).time_ps, tags().time_ps)
