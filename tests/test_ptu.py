import datetime
import struct

import hypothesis
import numpy as np
import ptufile
import pytest
from hypothesis import strategies as st

from qkdlab import _ext, datasets
from qkdlab.datasets import ptu
from qkdlab.datatypes import TimeTags
from qkdlab.errors import BadInput

CREATED = datetime.datetime(2024, 5, 17, 12, 30)


@pytest.fixture(scope="module")
def spad(shared):
    return shared / "timetags/libpicoquant/v30_t2.ptu"


def joined(blocks):
    blocks = list(blocks)
    return (np.concatenate([b.time_ps for b in blocks] or [np.zeros(0, np.int64)]),
            np.concatenate([b.channel for b in blocks] or [np.zeros(0, np.uint8)]))


def peer(path):
    """Times and channels of the photons as ptufile decodes them."""
    with ptufile.PtuFile(path) as file:
        records = file.decode_records()
    photons = records[records["channel"] >= 0]
    return photons["time"].astype(np.int64), photons["channel"].astype(np.uint8)


# -------------------------------------------------------------------------------------------------- real recordings


def test_hydraharp_t2_of_one_spad(spad):
    assert datasets.inspect(spad) == {
        "format": "ptu", "records": 435_319, "photons": 305_565, "overflows": 129_754, "markers": 0, "syncs": 0,
        "channels": {"0": 305_565}, "first_ps": 24_433_765, "last_ps": 4_999_964_931_763, "resolution_ps": 1,
        "sync_rate_hz": 0, "complete": True, "warnings": []}
    recording = datasets.open(spad)
    times, channel = joined(recording.tag_blocks())
    assert times[:5].tolist() == [24433765, 42010976, 42303858, 65241860, 71933885]
    assert np.array_equal(times, peer(spad)[0]) and not channel.any()
    assert recording.info["tags"]["MeasDesc_AcquisitionTime"] == 5000
    assert recording.info["tags"]["TTResult_InputRate(0)"] == 121_696
    assert recording.choices is None and recording.source is None and recording.simulated is None


def test_one_overflow_record_stands_for_several(spad):
    # What a reader misses that counts records, or wraps at the period of the first version.
    _, start = ptu.read_header(spad)
    records, state = np.fromfile(spad, np.uint32, offset=start), np.zeros(_ext.records.STATE, np.int64)
    ptu.LAYOUTS[0x01010204].decode(records, 2**62, state, (np.zeros(len(records), np.int64),
                                                           np.zeros(len(records), np.uint8)))
    assert state[0] == 149_011 * 33_554_432 and state[1] == 129_754


def test_t2_under_another_name(shared):
    path = shared / "timetags/eta/200204_HH400_T2_320MHz_HBT.timeres"
    report = datasets.inspect(path)
    assert (report["format"], report["records"], report["photons"], report["overflows"]) == (
        "ptu", 409_482, 384_019, 25_463)
    assert report["channels"] == {"0": 159_298, "1": 224_721}
    assert report["sync_rate_hz"] == 0 and report["complete"] and not report["warnings"]
    times, channel = joined(datasets.open(path).tag_blocks())
    assert times[:4].tolist() == [8584904, 9093711, 9382660, 10060293] and channel[:4].tolist() == [0, 1, 0, 1]
    assert (times[-1], channel[-1]) == (999_986_166_686, 0)
    for ours, theirs in zip((times, channel), peer(path), strict=True):
        assert np.array_equal(ours, theirs)


def test_picoharp_t3_with_markers(shared):
    path = shared / "timetags/napari-flim/hazelnut_first500k.ptu"
    report = datasets.inspect(path)
    assert (report["records"], report["photons"], report["overflows"], report["markers"]) == (
        500_000, 499_622, 185, 193)
    assert report["channels"] == {"1": 499_622} and report["sync_rate_hz"] == 78_020_000
    assert report["resolution_ps"] == pytest.approx(96.96969697, abs=1e-9)
    with ptufile.PtuFile(path) as file:
        records = file.decode_records()
    photons = records[records["channel"] >= 0]
    assert report["dtime_sum"] == photons["dtime"].sum(dtype=np.int64)
    period = 1.281722635221738e-08 * 1e12
    expected = photons["time"] * period + photons["dtime"] * report["resolution_ps"]
    times, _ = joined(datasets.open(path).tag_blocks())
    assert np.abs(times - expected).max() <= 0.51
    assert report["first_ps"] == round(9386 * period + 33 * report["resolution_ps"])
    assert report["last_ps"] // period == 12_188_022


@pytest.mark.parametrize("blocks", [1000, 4097, 1 << 20])
def test_blocks_equal_the_whole(spad, blocks):
    parts = list(datasets.open(spad).tag_blocks(blocks))
    assert max(len(b) for b in parts) <= blocks
    assert np.array_equal(joined(parts)[0], peer(spad)[0])


# ------------------------------------------------------------------------------------------------------- round trips


def some_tags(n=4000, far=0):
    """Equal times, gaps of 1 and of many overflows, 4 minutes without a tag, then times beyond 2^53; `far`: a gap."""
    rng = np.random.default_rng(n)
    times = np.cumsum(rng.choice([0, 1, 999, 2**25 - 1, 2**25, 2**25 + 1, 2**33 + 5], n))
    times[n // 4 :] += 2**48
    times[n // 3 :] += far
    return times, rng.integers(0, 64, n).astype(np.uint8)


def pieces(times, channel, block):
    return (TimeTags(times[i : i + block], channel[i : i + block]) for i in range(0, len(times), block))


@pytest.mark.parametrize("block", [1, 7, 1000, 4000])
@pytest.mark.parametrize("far", [0, 5 * 2**50 + 3, 2**62])
def test_round_trip_to_the_bit(tmp_path, block, far):
    times, channel = some_tags(far=far)
    path = tmp_path / "a.ptu"
    assert ptu.write(path, pieces(times, channel, block), created=CREATED) == 4000
    # The peer multiplies overflow counts in 32 bits, so gaps beyond 9 minutes are ours alone.
    for got in [joined(datasets.open(path).tag_blocks())] + ([] if far else [peer(path)]):
        assert np.array_equal(got[0], times) and np.array_equal(got[1], channel)
    assert [p.name for p in tmp_path.iterdir()] == ["a.ptu"]
    report = datasets.inspect(path)
    assert report["complete"] and report["photons"] == 4000 and report["records"] == 4000 + report["overflows"]


def test_times_beyond_the_exact_floats(tmp_path):
    times = 342_342_429_999_871_629 + np.array([0, 1, 1, 2**25, 2**30])
    ptu.write(tmp_path / "a.ptu", [TimeTags(times, np.arange(5))])
    assert joined(datasets.open(tmp_path / "a.ptu").tag_blocks())[0].tolist() == times.tolist()
    assert (tmp_path / "a.ptu").stat().st_size < 4000


def test_same_tags_same_bytes_whatever_the_blocks(tmp_path):
    times, channel = some_tags()
    for block in (7, 4000):
        ptu.write(tmp_path / f"{block}.ptu", pieces(times, channel, block), created=CREATED)
    assert (tmp_path / "7.ptu").read_bytes() == (tmp_path / "4000.ptu").read_bytes()


def test_header_is_what_others_look_for(tmp_path):
    path = tmp_path / "a.ptu"
    ptu.write(path, [TimeTags([0, 4, 2_500_000_000_000], [0, 3, 1])], resolution_ps=4, comment="µ", created=CREATED)
    with ptufile.PtuFile(path) as file:
        tags = file.tags
        assert file.record_type == 0x01010204 and file.global_resolution == 4e-12
    assert tags["TTResult_NumberOfRecords"] == datasets.inspect(path)["records"] and tags["HW_InpChannels"] == 4
    assert tags["MeasDesc_AcquisitionTime"] == 2500 and tags["File_Comment"] == "µ"
    assert abs(tags["File_CreatingTime"] - CREATED) < datetime.timedelta(milliseconds=1)
    assert joined(datasets.open(path).tag_blocks())[0].tolist() == [0, 4, 2_500_000_000_000]
    assert datasets.inspect(path)["resolution_ps"] == 4


def test_an_empty_recording(tmp_path):
    ptu.write(tmp_path / "a.ptu", [])
    report = datasets.inspect(tmp_path / "a.ptu")
    assert (report["first_ps"], report["last_ps"], report["photons"], report["channels"]) == (None, None, 0, {})
    assert report["complete"] and list(datasets.open(tmp_path / "a.ptu").tag_blocks()) == []


@pytest.mark.parametrize(("tags", "settings", "field"), [
    (TimeTags([1, 2], [0, 64]), {}, "channel"),
    (TimeTags([-1, 2], [0, 1]), {}, "time_ps"),
    (TimeTags([5, 4], [0, 1]), {}, "time_ps"),
    (TimeTags([8, 9], [0, 1]), {"resolution_ps": 4}, "time_ps"),
    (TimeTags([8], [0]), {"resolution_ps": 0}, "resolution_ps"),
    (TimeTags([8], [0]), {"resolution_ps": 0.5}, "resolution_ps"),
])
def test_what_does_not_fit_is_refused_and_no_file_left(tmp_path, tags, settings, field):
    with pytest.raises(BadInput) as caught:
        ptu.write(tmp_path / "a.ptu", [tags], **settings)
    assert caught.value.field == field
    assert list(tmp_path.iterdir()) == []


def test_no_step_back_from_block_to_block(tmp_path):
    with pytest.raises(BadInput, match="step back"):
        ptu.write(tmp_path / "a.ptu", [TimeTags([5], [0]), TimeTags([4], [0])])


def test_no_file_is_replaced(tmp_path):
    path = tmp_path / "a.ptu"
    path.write_text("precious")
    with pytest.raises(BadInput, match="exists already"):
        ptu.write(path, [])

    def meanwhile():
        (tmp_path / "b.ptu").write_text("precious")
        yield TimeTags([1], [0])

    with pytest.raises(BadInput, match="exists already"):
        ptu.write(tmp_path / "b.ptu", meanwhile())
    with pytest.raises(BadInput, match="does not exist"):
        ptu.write(tmp_path / "nowhere" / "a.ptu", [])
    assert path.read_text() == (tmp_path / "b.ptu").read_text() == "precious"
    assert len(list(tmp_path.iterdir())) == 2


# --------------------------------------------------------------------------------------------------------- bad input


def patched(raw, name, value):
    """The file with another value in one tag."""
    at = raw.index(name.encode() + b"\0") + 40
    return raw[:at] + value + raw[at + 8 :]


@pytest.fixture
def small(tmp_path):
    ptu.write(tmp_path / "small.ptu", [TimeTags([10, 2**26, 2**27], [0, 1, 2])], created=CREATED)
    return (tmp_path / "small.ptu").read_bytes()


def test_cut_at_every_byte(spad, tmp_path):
    raw, path = spad.read_bytes(), tmp_path / "cut.ptu"
    _, start = ptu.read_header(spad)
    path.write_bytes(raw[: start + 9])
    with path.open("r+b") as file:
        for size in range(start + 9, -1, -1):
            file.truncate(size)
            if size < start:
                with pytest.raises(BadInput, match=r"cut\.ptu"):
                    datasets.open(path)
                continue
            report = datasets.inspect(path)
            assert report["records"] == (size - start) // 4 and not report["complete"]
            assert any("435319" in w for w in report["warnings"])
            assert any("inside a record" in w for w in report["warnings"]) == bool((size - start) % 4)


def test_a_cut_header_names_the_byte(spad, tmp_path):
    (tmp_path / "cut.ptu").write_bytes(spad.read_bytes()[:1000])
    with pytest.raises(BadInput, match=r"cut\.ptu: byte \d+: after \w+: the file ends inside the header"):
        datasets.open(tmp_path / "cut.ptu")


@pytest.mark.parametrize("count", [4, 10**6, 2**62])
def test_promises_are_not_believed(small, tmp_path, count):
    records = datasets.inspect(tmp_path / "small.ptu")["records"]
    path = tmp_path / "more.ptu"
    path.write_bytes(patched(small, "TTResult_NumberOfRecords", (records + count).to_bytes(8, "little")))
    report = datasets.inspect(path)
    assert report["photons"] == 3 and not report["complete"] and str(records + count) in report["warnings"][0]


def test_a_recording_that_was_never_finished_is_read_whole(small, tmp_path):
    path = tmp_path / "open.ptu"
    path.write_bytes(patched(small, "TTResult_NumberOfRecords", bytes(8)))
    report = datasets.inspect(path)
    assert report["photons"] == 3 and not report["complete"] and "speaks of 0 records" in report["warnings"][0]


@pytest.mark.parametrize(("name", "value"), [
    *(("MeasDesc_GlobalResolution", struct.pack("<d", x))
      for x in (0.0, -1e-12, float("nan"), float("inf"), 1.0, 1e300, 5e-324)),
    ("TTResult_NumberOfRecords", (-1).to_bytes(8, "little", signed=True)),
    ("TTResultFormat_TTTRRecType", bytes(8)),
    ("TTResultFormat_TTTRRecType", (2**63 - 1).to_bytes(8, "little")),
    ("TTResultFormat_BitsPerRecord", (64).to_bytes(8, "little")),
    ("File_Comment", (2**63 - 1).to_bytes(8, "little")),
    ("File_Comment", (-8).to_bytes(8, "little", signed=True)),
    ("File_Comment", (2**40).to_bytes(8, "little")),
])
def test_absurd_values_are_named(small, tmp_path, name, value):
    path = tmp_path / "absurd.ptu"
    path.write_bytes(patched(small, name, value))
    with pytest.raises(BadInput) as caught:
        datasets.open(path)
    assert caught.value.field == name and "absurd.ptu" in caught.value.where


@pytest.mark.parametrize("name", ["TTResultFormat_TTTRRecType", "MeasDesc_GlobalResolution"])
def test_missing_and_mistyped_tags_are_named(small, tmp_path, name):
    path = tmp_path / "missing.ptu"
    path.write_bytes(small.replace(name.encode(), b"x" * len(name)))
    with pytest.raises(BadInput, match=name):
        datasets.open(path)
    at = small.index(name.encode()) + 36
    path.write_bytes(small[:at] + struct.pack("<I", ptu.BOOL) + small[at + 4 :])
    with pytest.raises(BadInput, match=name):
        datasets.open(path)


def test_all_kinds_of_tags(small, tmp_path):
    def tag(name, kind, body=b"", value=None):
        return ptu.TAG.pack(name, -1, kind, len(body).to_bytes(8, "little") if value is None else value) + body

    more = (tag(b"w", ptu.WIDE, "né".encode("utf-16-le") + b"\0\0") + tag(b"f", ptu.FLOATS, struct.pack("<2d", 1, 2))
            + tag(b"b", ptu.BLOB, bytes(1000)) + tag(b"y", ptu.BOOL, value=b"\xff" * 8) + tag(b"\x02odd", ptu.EMPTY)
            + tag(b"c", ptu.COLOR) + tag(b"s", ptu.BITS))
    path = tmp_path / "kinds.ptu"
    path.write_bytes(small[:16] + more + small[16:])
    tags, _ = ptu.read_header(path)
    assert tags["w"] == "né" and tags["f"] == [1, 2] and tags["b"] == 1000 and tags["y"] is True
    assert "\x02odd" in tags and datasets.inspect(path)["photons"] == 3
    path.write_bytes(small[:16] + tag(b"bad", 0x12345678) + small[16:])
    with pytest.raises(BadInput, match=r"byte 16: bad: unknown tag type \(got '0x12345678'\)"):
        datasets.open(path)


def test_records_that_run_past_the_end_of_time(small, tmp_path):
    path = tmp_path / "late.ptu"
    path.write_bytes(small + struct.pack("<I", 0xFFFFFFFF) * 20_000)
    report = datasets.inspect(path)
    assert not report["complete"] and report["photons"] == 3 and report["records"] < 20_000
    assert any("2^63 ps" in w for w in report["warnings"])


def test_tags_out_of_order_are_put_in_order_or_refused(small, tmp_path):
    tags = TimeTags(np.arange(0, 4000, 10), np.arange(400) % 4)
    ptu.write(tmp_path / "a.ptu", [tags], created=CREATED)
    raw = bytearray((tmp_path / "a.ptu").read_bytes())
    words = np.frombuffer(raw, np.uint32, offset=len(raw) - 1600)
    for a, b in ((3, 4), (99, 100), (250, 259)):                       # the second pair lies across two blocks
        words[[a, b]] = words[[b, a]]
    (tmp_path / "a.ptu").write_bytes(raw)
    times, channel = joined(datasets.open(tmp_path / "a.ptu").tag_blocks(100))
    assert np.array_equal(times, tags.time_ps) and np.array_equal(channel, tags.channel)
    assert "4 tags are earlier" in datasets.inspect(tmp_path / "a.ptu")["warnings"][0]
    words[[0, 399]] = words[[399, 0]]
    (tmp_path / "a.ptu").write_bytes(raw)
    with pytest.raises(BadInput, match="step back by more than a block"):
        list(datasets.open(tmp_path / "a.ptu").tag_blocks(100))


@pytest.mark.parametrize("block_tags", [0, -1, 0.5])
def test_block_length_is_checked(small, tmp_path, block_tags):
    with pytest.raises(BadInput, match="block_tags"):
        datasets.open(tmp_path / "small.ptu").tag_blocks(block_tags)


def refused_or_reported(path, raw):
    """Neither a crash nor an impossible report."""
    path.write_bytes(raw)
    try:
        report = datasets.inspect(path)
    except BadInput as error:
        assert path.name in str(error)
        return
    assert report["records"] <= len(raw) // 4 and min(report["channels"].values(), default=1) > 0
    assert report["photons"] == 0 or report["first_ps"] >= 0 <= report["last_ps"]


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "fuzz.ptu"


@hypothesis.settings(max_examples=100, deadline=None)
@hypothesis.given(st.binary(max_size=400))
def test_random_bytes(scratch, raw):
    refused_or_reported(scratch, raw)
    refused_or_reported(scratch, ptu.SIGNATURE + raw)


@hypothesis.settings(max_examples=100, deadline=None)
@hypothesis.given(st.data())
def test_a_header_with_random_changes(scratch, data):
    ptu_bytes = ptu._header(records=0, last_ps=0, inputs=1, resolution_ps=1, comment="", created=CREATED)
    raw = bytearray(ptu_bytes + data.draw(st.binary(max_size=60)))
    for at, byte in data.draw(st.lists(st.tuples(st.integers(0, len(raw) - 1), st.integers(0, 255)), max_size=8)):
        raw[at] = byte
    refused_or_reported(scratch, bytes(raw))


def test_random_records_of_every_layout(scratch):
    rng = np.random.default_rng(2)
    for kind in ptu.LAYOUTS:
        header = ptu._header(records=50_000, last_ps=0, inputs=1, resolution_ps=1, comment="", created=CREATED)
        header = patched(header, "TTResultFormat_TTTRRecType", kind.to_bytes(8, "little"))
        refused_or_reported(scratch, header + rng.bytes(200_000))
