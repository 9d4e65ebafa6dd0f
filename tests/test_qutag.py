import struct

import numpy as np
import pytest

from qkdlab import datasets
from qkdlab.datasets import ptu, qutag, qutau
from qkdlab.datatypes import TimeTags
from qkdlab.errors import BadInput

REAL = "timetags/eta/200204_qutag_320MHz_HBT_sync_filtered.qutag"


def joined(path, **settings):
    blocks = list(datasets.open(path, **settings).tag_blocks())
    return np.concatenate([b.time_ps for b in blocks]), np.concatenate([b.channel for b in blocks])


def compressed(times, channels):
    packed = np.empty(len(times), qutag.COMPRESSED)
    bits = np.asarray(times) % 2**37 | np.asarray(channels, np.int64) << 37
    packed["low"], packed["high"] = bits % 2**32, bits >> 32
    return struct.pack("<4xI32x", 40 + packed.nbytes) + packed.tobytes()


def test_a_real_recording(shared):
    report = datasets.inspect(shared / REAL)
    assert (report["format"], report["records"], report["photons"]) == ("qutag", 211_773, 211_773)
    assert report["channels"] == {"1": 43_736, "2": 62_437, "5": 105_600} and report["complete"] and not report["warnings"]
    times, channel = joined(shared / REAL)
    # Beyond 2^53: a reader that passes through float64 loses these digits.
    assert times[:3].tolist() == [342_342_429_999_871_629, 342_342_429_999_876_184, 342_342_430_001_047_831]
    assert channel[:3].tolist() == [5, 1, 5] and (times[-1], channel[-1]) == (342_342_716_696_149_371, 5)
    assert (np.diff(times) >= 0).all()


def test_a_real_recording_comes_back(shared, tmp_path):
    assert datasets.convert(shared / REAL, tmp_path / "b.qutag") == []
    assert (shared / REAL).read_bytes()[40:] == (tmp_path / "b.qutag").read_bytes()[40:]
    assert struct.unpack_from("<I", (shared / REAL).read_bytes(), 4) == struct.unpack_from(
        "<I", (tmp_path / "b.qutag").read_bytes(), 4)              # the size of the file, which the header notes
    assert datasets.convert(tmp_path / "b.qutag", tmp_path / "c.npz") == []
    assert datasets.convert(tmp_path / "c.npz", tmp_path / "d.qutag") == []
    assert (tmp_path / "b.qutag").read_bytes() == (tmp_path / "d.qutag").read_bytes()


def test_a_file_cut_short_says_so(shared, tmp_path):
    (tmp_path / "a.qutag").write_bytes((shared / REAL).read_bytes()[:1045])
    report = datasets.inspect(tmp_path / "a.qutag", form="qutag")
    assert report["photons"] == 100 and not report["complete"]
    assert "inside a record: 5 of 10 bytes at byte 1040" in report["warnings"][0]
    assert "2117770 bytes, the file has 1045" in report["warnings"][1]


def test_compressed_times_go_on(tmp_path):
    times = 2**40 + np.cumsum(np.random.default_rng(1).integers(0, 2**36, 500))
    channels = np.arange(500) % 8
    (tmp_path / "a.qutag").write_bytes(compressed(times, channels))
    for block in (1, 77, 1 << 20):
        blocks = list(datasets.open(tmp_path / "a.qutag").tag_blocks(block))
        found = np.concatenate([b.time_ps for b in blocks])
        assert np.array_equal(found, times - times[0] // 2**37 * 2**37)
        assert np.array_equal(np.concatenate([b.channel for b in blocks]), channels)


def test_markers_are_no_tags(tmp_path):
    (tmp_path / "a.txt").write_text("5,1\n6,104\n7,2\n8,200\n")
    report = datasets.inspect(tmp_path / "a.txt")
    assert (report["records"], report["photons"], report["markers"]) == (4, 2, 2) and report["channels"] == {"1": 1, "2": 1}


def test_the_unit_of_the_quTAU(tmp_path):
    qutag.write(tmp_path / "a.qutag", [TimeTags([0, 10_000, 2**40], [1, 2, 3])])
    ticks = np.array([0, 10_000, 2**40])
    for settings in ({"form": "qutau"}, {"tick_ps": 80.9553}, {"tick_ps": qutau.TICK_PS}):
        assert joined(tmp_path / "a.qutag", **settings)[0].tolist() == [int(t) * 809_553 // 10_000 for t in ticks]
    assert datasets.inspect(tmp_path / "a.qutag", form="qutau")["resolution_ps"] == 80.9553
    # Written with the same unit, the same bytes come back.
    datasets.convert(tmp_path / "a.qutag", tmp_path / "b.qutag", form="qutau")
    assert (tmp_path / "a.qutag").read_bytes() == (tmp_path / "b.qutag").read_bytes()


def test_settings_are_named(tmp_path):
    qutag.write(tmp_path / "a.qutag", [TimeTags([0], [1])])
    with pytest.raises(BadInput, match="tick_ps"):
        datasets.open(tmp_path / "a.qutag", tick=5)
    with pytest.raises(BadInput, match="tick_ps"):
        datasets.open(tmp_path / "a.qutag", tick_ps=0)
    ptu.write(tmp_path / "a.ptu", [])
    with pytest.raises(BadInput, match="no settings"):
        datasets.open(tmp_path / "a.ptu", tick_ps=5)


def test_what_cannot_be_is_where_reading_ends(tmp_path):
    qutag.write(tmp_path / "a.qutag", [TimeTags(np.arange(10), np.ones(10))])
    raw = bytearray((tmp_path / "a.qutag").read_bytes())
    raw[40 + 57] |= 0x80                                     # the time of the sixth tag
    (tmp_path / "b.qutag").write_bytes(raw)
    report = datasets.inspect(tmp_path / "b.qutag")
    assert report["photons"] == 5 and not report["complete"]
    assert "byte 90: the time 9223372036854775813 is 2^63 ps or more" in report["warnings"][0]
    with pytest.raises(BadInput, match=r"c\.txt: line 3: .*channel.*got '6,999'"):
        (tmp_path / "c.txt").write_text("4,5\n\n6,999\n")
        datasets.inspect(tmp_path / "c.txt", form="qutag")


@pytest.mark.parametrize(("tags", "settings", "match"), [
    (TimeTags([-1], [0]), {}, r"time_ps: times before 0 do not fit \(got -1\)"),
    (TimeTags([5, 4], [0, 0]), {}, r"time_ps: times must not step back \(got 4\)"),
    (TimeTags([5, 6], [0, 100]), {}, r"channel: .* \(got 100\)"),
    (TimeTags([5, 6], [0, 1]), {"tick_ps": 5}, r"time_ps: not a multiple of the tick of 5 ps \(got 6\)"),
])
def test_what_does_not_fit_is_refused(tmp_path, tags, settings, match):
    with pytest.raises(BadInput, match=match):
        qutag.write(tmp_path / "a.qutag", [TimeTags([1], [1]) if not settings else TimeTags([], []), tags], **settings)
    assert list(tmp_path.iterdir()) == []
