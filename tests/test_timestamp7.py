import numpy as np
import pytest

from qkdlab import datasets
from qkdlab.datasets import timestamp7
from qkdlab.datatypes import TimeTags
from qkdlab.errors import BadInput


@pytest.fixture
def fpfind(shared):
    return shared / "timetags/fpfind"


def joined(path, block=1 << 20, **settings):
    blocks = list(datasets.open(path, **settings).stream(datasets.Tally(), block))
    return np.concatenate([b.time_ps for b in blocks]), np.concatenate([b.channel for b in blocks])


def test_a_real_calibration(fpfind):
    report = datasets.inspect(fpfind / "timestamp7_c1234.Aa1.ts")
    assert (report["format"], report["records"], report["photons"], report["overflows"]) == ("timestamp7", 2000, 2000, 0)
    assert report["resolution_ps"] == 3.90625 and report["complete"] and not report["warnings"]
    assert {int(c) & 15 for c in report["channels"]} >= {1, 2, 4, 8}
    rate = 2000 / (report["last_ps"] - report["first_ps"]) * 1e12
    assert 2e6 < rate < 3e6                                  # about 2.5 Mevents/s


def test_the_same_events_in_three_layouts(fpfind):
    names = {"a0": "Aa0f", "a2": "Aa2f", "legacy": "Aa1fX"}
    found = {}
    for layout, name in names.items():
        path = fpfind / f"timestamp7_c14_rollover.{name}.ts"
        recording = datasets.open(path)
        assert recording.format == "timestamp7" and recording.info["layout"] == layout
        report = recording.inspect()
        # 138 dummies (bit 4) are not events, though each bears the pattern 8.
        assert (report["records"], report["photons"], report["overflows"]) == (1000, 862, 138)
        assert report["channels"] == {"1": 431, "8": 431} and report["complete"]
        found[layout] = joined(path)
        for block in (1, 3, 100):
            assert all(np.array_equal(*pair) for pair in zip(joined(path, block), found[layout], strict=True))
    for times, patterns in found.values():
        assert np.array_equal(times, found["a2"][0]) and np.array_equal(patterns, found["a2"][1])
    # The first word is edae1bd74ce88f21: 54 bits of 1/256 ns, in whole ps, exactly.
    assert found["a2"][0][0] == (0xEDAE1BD74CE88F21 >> 10) * 125 // 32


def test_a_real_recording_comes_back(fpfind, tmp_path):
    datasets.convert(fpfind / "timestamp7_c1234.Aa1.ts", tmp_path / "b.a1")
    words = np.fromfile(fpfind / "timestamp7_c1234.Aa1.ts", "<u8")
    assert np.array_equal(np.fromfile(tmp_path / "b.a1", "<u8"), words & ~np.uint64(0x3F0))     # but for the flag bits
    datasets.convert(tmp_path / "b.a1", tmp_path / "c.ptu")
    datasets.convert(tmp_path / "c.ptu", tmp_path / "d.qutag")
    datasets.convert(tmp_path / "d.qutag", tmp_path / "e.a1")
    assert (tmp_path / "b.a1").read_bytes() == (tmp_path / "e.a1").read_bytes()


def test_time_goes_round(tmp_path):
    ticks = 2**54 - 50 + np.arange(100)
    words = ticks.astype(np.uint64) << np.uint64(10) | np.uint64(1)
    words.tofile(tmp_path / "a.a1")
    assert joined(tmp_path / "a.a1", legacy=False)[0].tolist() == [t * 125 // 32 for t in ticks.tolist()]


def test_legacy_can_be_said(tmp_path):
    words = np.array([0x123446_00000401], np.uint64)         # one event: nothing shows the order
    words.tofile(tmp_path / "a.a1")
    for legacy, word in ((False, 0x123446_00000401), (True, 0x00000401_00123446)):
        recording = datasets.open(tmp_path / "a.a1", form="timestamp7", legacy=legacy)
        assert recording.inspect()["first_ps"] == (word >> 10) * 125 // 32


def test_half_an_event_at_the_end(tmp_path):
    (tmp_path / "a.a0").write_text("00000401\n0000000f\n00000801\n")
    report = datasets.inspect(tmp_path / "a.a0", form="timestamp7")
    assert report["photons"] == 1 and "upper half" in report["warnings"][0] and not report["complete"]


@pytest.mark.parametrize(("tags", "match"), [
    (TimeTags([-1], [1]), r"time_ps: times before 0 do not fit \(got -1\)"),
    (TimeTags([7, 3], [1, 1]), r"time_ps: times must not step back \(got 3\)"),
    (TimeTags([3, 4], [1, 1]), r"time_ps: not a multiple of the tick of 3.90625 ps \(got 4\)"),
    (TimeTags([3, 70_368_744_177_664_000], [1, 1]), r"time_ps: 54 bits .* \(got 70368744177664000\)"),
    (TimeTags([3], [16]), r"channel: a detector pattern has 4 bits.*\(got 16\)"),
])
def test_what_does_not_fit_is_refused(tmp_path, tags, match):
    with pytest.raises(BadInput, match=match):
        timestamp7.write(tmp_path / "a.a1", [tags])
    assert list(tmp_path.iterdir()) == []


def test_the_last_time_fits(tmp_path):
    last = (2**54 - 1) * 125 // 32
    assert timestamp7.write(tmp_path / "a.a1", [TimeTags([0, last], [1, 15])]) == 2
    assert joined(tmp_path / "a.a1", legacy=False)[0].tolist() == [0, last]


@pytest.mark.parametrize("name", ["x.ts", "x.TS", "x.A1"])
def test_every_ending_of_the_format_is_written(tmp_path, fpfind, name):
    source = fpfind / "timestamp7_c1234.Aa1.ts"
    datasets.convert(source, tmp_path / name)
    assert datasets.inspect(tmp_path / name) == datasets.inspect(source)
