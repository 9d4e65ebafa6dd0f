import struct

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from qkdlab import datasets
from qkdlab.datasets import ht
from qkdlab.errors import BadInput


@pytest.fixture(scope="module")
def ht2(shared):
    return shared / "timetags/libpicoquant/v10.ht2"


@pytest.fixture(scope="module")
def ht3(shared):
    return shared / "timetags/libpicoquant/v20.ht3"


def test_ht2_of_format_1(ht2):
    report = datasets.inspect(ht2)
    assert (report["format"], report["records"], report["photons"], report["overflows"]) == ("ht2", 25, 19, 6)
    # Format 1.0 counts half picoseconds: the first raw time is 25176106.
    assert report["first_ps"] == 12_588_053 and report["resolution_ps"] == 0.5
    assert report["sync_rate_hz"] == 522_093 and not report["complete"]
    assert report["warnings"] == ["the header promises 52378636 records, the file holds 25"]
    (tags,) = datasets.open(ht2).tag_blocks()
    listed = np.loadtxt(ht2.with_suffix(".ht2.data"), np.int64, delimiter=",")
    assert np.array_equal(tags.channel, listed[:, 0]) and np.array_equal(tags.time_ps, listed[:, 1])


def test_ht3_of_format_2(ht3):
    report = datasets.inspect(ht3)
    assert (report["format"], report["records"], report["photons"], report["overflows"], report["markers"]) == (
        "ht3", 53_606, 44_141, 9_465, 0)
    assert report["channels"] == {"0": 7102, "1": 26_648, "2": 3085, "3": 7306}
    assert report["resolution_ps"] == 16 and report["sync_rate_hz"] == 998_898 and report["complete"]
    recording = datasets.open(ht3)
    assert recording.info["tags"]["AcquisitionTime"] == 10_000
    period, times = 1e12 / 998_898, np.concatenate([b.time_ps for b in recording.tag_blocks(5000)])
    assert (times[:5] // period).tolist() == [113, 653, 1376, 1540, 1800]
    assert np.rint((times[:4] % period) / 16).tolist() == [13146, 22450, 29169, 25714]
    assert times[-1] // period == 9_988_918


@pytest.mark.parametrize("name", ["v10.ht2", "v20.ht3"])
def test_headers_agree_with_another_reader(shared, name):
    folder = shared / "timetags/libpicoquant"
    header, _ = ht.read_header(folder / name)
    header |= {f"InputRate[{i}]": rate for i, rate in enumerate(header["InputRate"])}
    compared = 0
    for line in (folder / f"{name}.header").read_text().splitlines():
        key, value = line.split(" = ")
        if key in header:
            shown = header[key]
            assert value == (f"{shown:.6f}" if isinstance(shown, float) else str(shown)), key
            compared += 1
    assert compared > 40


def test_cut_at_every_byte(ht2, tmp_path):
    path = tmp_path / "cut.ht2"
    path.write_bytes(ht2.read_bytes())
    with path.open("r+b") as file:
        for size in range(899, -1, -1):
            file.truncate(size)
            if size < 800:
                with pytest.raises(BadInput, match=r"cut\.ht2"):
                    datasets.open(path)
                continue
            report = datasets.inspect(path)
            assert report["records"] == (size - 800) // 4 and not report["complete"]


@pytest.mark.parametrize(("at", "value", "field"), [
    (0x10, b"9.0\0\0\0", "FormatVersion"),
    (0x14C, struct.pack("<i", 64), "BitsPerRecord"),
    (0x154, struct.pack("<i", 7), "MeasurementMode"),
    *((0x160, struct.pack("<d", x), "Resolution") for x in (0.0, -1.0, float("nan"), float("inf"))),
    (0x298, struct.pack("<i", -1), "InputChannelsPresent"),
    (0x298, struct.pack("<i", 2**31 - 1), "InputChannelsPresent"),
    (0x314, struct.pack("<i", 2**31 - 1), "ImgHdrSize"),
    (0x314, struct.pack("<i", -4), "ImgHdrSize"),
    (0x318, struct.pack("<q", -(2**63)), "NumRecords"),
])
def test_absurd_values_are_named(ht2, tmp_path, at, value, field):
    raw, path = bytearray(ht2.read_bytes()), tmp_path / "absurd.ht2"
    raw[at : at + len(value)] = value
    path.write_bytes(raw)
    with pytest.raises(BadInput) as caught:
        datasets.open(path)
    assert caught.value.field == field and "absurd.ht2" in caught.value.where


@pytest.mark.parametrize("rate", [0, -1])
def test_t3_needs_its_sync_rate(ht3, tmp_path, rate):
    raw, path = bytearray(ht3.read_bytes()), tmp_path / "a.ht3"
    raw[0x308:0x30C] = struct.pack("<i", rate)
    path.write_bytes(raw)
    with pytest.raises(BadInput, match="SyncRate"):
        datasets.open(path)


def test_an_image_header_is_passed_over(ht2, tmp_path):
    raw, path = bytearray(ht2.read_bytes()), tmp_path / "a.ht2"
    raw[0x314:0x318] = struct.pack("<i", 3)
    path.write_bytes(raw[:800] + bytes(12) + raw[800:])
    assert datasets.inspect(path)["first_ps"] == 12_588_053


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "fuzz.ht2"


@hypothesis.settings(max_examples=100, deadline=None)
@hypothesis.given(st.lists(st.tuples(st.integers(0, 899), st.integers(0, 255)), max_size=12), st.integers(0, 900))
def test_random_changes(ht2, scratch, changes, size):
    raw = bytearray(ht2.read_bytes())
    for at, byte in changes:
        raw[at] = byte
    scratch.write_bytes(raw[:size])
    try:
        report = datasets.inspect(scratch)
    except BadInput as error:
        assert "fuzz.ht2" in str(error)
    else:
        assert report["records"] <= 225 and (report["first_ps"] or 0) >= 0
