"""Faults that were seen in other readers, on real files: none of them is to be here."""

import numpy as np

from qkdlab import datasets
from qkdlab.datasets import ptu
from qkdlab.datatypes import TimeTags


def test_the_overflow_of_the_second_record_version(shared):
    """A listing wraps v30_t2.ptu at 33,552,000 ticks: 2,432 ps lost at each of 149,011 overflows."""
    report = datasets.inspect(shared / "timetags/libpicoquant/v30_t2.ptu")
    assert report["last_ps"] == 4_999_964_931_763                      # of the 5 s in the header
    assert report["last_ps"] - 2_432 * 149_011 == 4_999_602_537_011


def test_markers_are_no_photons(shared):
    """A reader takes 59 of the 193 markers of a PicoHarp T3 picture for photons."""
    report = datasets.inspect(shared / "timetags/napari-flim/hazelnut_first500k.ptu")
    assert (report["photons"], report["overflows"], report["markers"]) == (499_622, 185, 193)
    assert sum(report["channels"].values()) == 499_622


def test_overflows_are_in_no_array(shared):
    """A reader leaves the overflow records of HT3 files among the photons, and another refuses format 2.0."""
    blocks = list(datasets.open(shared / "timetags/libpicoquant/v20.ht3").tag_blocks())
    channel = np.concatenate([block.channel for block in blocks])
    assert np.bincount(channel).tolist() == [7102, 26_648, 3085, 7306]


def test_a_time_of_creation_in_words(tmp_path):
    """A reader falls over a PTU whose File_CreatingTime is a text."""
    ptu.write(tmp_path / "a.ptu", [TimeTags([5, 9], [0, 1])])
    raw = (tmp_path / "a.ptu").read_bytes()
    at = raw.index(b"File_CreatingTime")
    text = ptu._tag("File_CreatingTime", ptu.ANSI, "yesterday, about five")
    (tmp_path / "b.ptu").write_bytes(raw[:at] + text + raw[at + 48 :])
    recording = datasets.open(tmp_path / "b.ptu")
    assert recording.info["tags"]["File_CreatingTime"] == "yesterday, about five" and recording.inspect()["photons"] == 2


def test_a_headers_count_is_no_promise(shared):
    """Truncated recordings: the header speaks of 52,378,636 records, the file has 25."""
    report = datasets.inspect(shared / "timetags/libpicoquant/v10.ht2")
    assert report["records"] == 25 and not report["complete"]


def test_times_beyond_2_to_the_53(shared):
    """float64 loses the last digits of quTAG times; 80-bit floats are needed for timestamp7 in another reader."""
    (tags,) = datasets.open(shared / "timetags/eta/200204_qutag_320MHz_HBT_sync_filtered.qutag").tag_blocks()
    assert tags.time_ps[0] == 342_342_429_999_871_629 != int(float(tags.time_ps[0]))
    (tags,) = datasets.open(shared / "timetags/fpfind/timestamp7_c1234.Aa1.ts").tag_blocks()
    assert int(tags.time_ps[0]) == (0xFD4223D200370328 >> 10) * 125 // 32 > 2**53
