import numpy as np
import pytest
from samples import t3r_header, t3r_records

from qkdlab import datasets
from qkdlab.datasets import t3r
from qkdlab.errors import BadInput


@pytest.mark.parametrize("version", ["5.0", "6.0"])
def test_what_a_file_holds(tmp_path, version):
    path, words = tmp_path / "a.t3r", t3r_records()
    path.write_bytes(t3r_header(version) + words.tobytes())
    report = datasets.inspect(path)
    assert (report["records"], report["photons"], report["overflows"], report["markers"]) == (101, 90, 10, 1)
    assert report["sync_rate_hz"] == 5_000_000 and report["resolution_ps"] == 62.5 and report["complete"]
    (block,) = datasets.open(path).synced_blocks()
    photons = words[words >> 30 & 1 == 1]
    assert np.array_equal(block.dtime, photons >> 16 & 0xFFF) and np.array_equal(block.channel, photons >> 28 & 3)
    # Each nine photons stand before an overflow: an overflow counts for what comes after it, and is no photon itself.
    assert np.array_equal(block.sync, (photons & 0xFFFF) + 65536 * (np.arange(90) // 9))
    (tags,) = datasets.open(path).tag_blocks()
    assert np.array_equal(tags.time_ps, block.sync * 100_000)
    assert report["dtime_sum"] == int(block.dtime.sum(dtype=np.int64))


@pytest.mark.parametrize(("field", "value"), [
    ("FormatVersion", b"3.0"), ("NumberOfBoards", 2), ("TTTRGlobClock", 0), ("TTTRGlobClock", 2**31 - 1),
    ("Resolution", 0.0), ("Resolution", float("nan")), ("Resolution", float("inf")), ("SyncRate", -1),
    ("NumberOfRecords", -1), ("SpecHeaderLength", -1), ("SpecHeaderLength", 2**31 - 1)])
def test_absurd_values_are_named(tmp_path, field, value):
    path = tmp_path / "absurd.t3r"
    path.write_bytes(t3r_header("5.0", **{field: value}) + t3r_records().tobytes())
    with pytest.raises(BadInput) as caught:
        t3r.read(path)
    assert caught.value.field == field and "absurd.t3r" in caught.value.where


def test_promises_are_not_believed(tmp_path):
    path = tmp_path / "a.t3r"
    path.write_bytes(t3r_header("5.0", NumberOfRecords=2**31 - 1) + t3r_records().tobytes())
    report = datasets.inspect(path)
    assert report["photons"] == 90 and not report["complete"] and "promises 2147483647" in report["warnings"][0]


def test_a_special_header_is_passed_over(tmp_path):
    path = tmp_path / "a.t3r"
    path.write_bytes(t3r_header("6.0", SpecHeaderLength=3) + bytes(12) + t3r_records().tobytes())
    assert datasets.inspect(path)["photons"] == 90
