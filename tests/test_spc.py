import numpy as np
import pytest

from qkdlab import datasets
from qkdlab.datasets import spc
from qkdlab.errors import BadInput

HEADER = 0x80000000 | 250                     # 25 ns


def write(path, *words):
    np.array([HEADER, *words], "<u4").tofile(path)
    return path


def test_the_noise_of_a_detector(shared):
    """The maker's own text export of the same file says the same of each photon."""
    path = shared / "timetags/phconvert/test_noise.spc"
    report = datasets.inspect(path)
    assert report["format"] == "spc" and report["photons"] == 6114 and report["dtime_sum"] == 12_990_581
    assert report["complete"] and report["resolution_ps"] == 9500
    recording = datasets.open(path)
    for size in (1 << 20, 100):
        blocks = list(recording.synced_blocks(size))
        sync, dtime = (np.concatenate([getattr(b, name) for b in blocks]) for name in ("sync", "dtime"))
        listed = np.loadtxt(path.with_suffix(".asc"), np.int64)
        assert np.array_equal(sync, listed[:, 0]) and np.array_equal(dtime, listed[:, 1])
    assert sync[:4].tolist() == [44054, 72904, 364634, 412760] and sync[-1] == 1_700_018_969
    assert dtime[:4].tolist() == [2856, 1659, 2626, 1872]
    times = np.concatenate([b.time_ps for b in recording.tag_blocks()])
    assert np.array_equal(times, sync * 9500)
    assert recording.info["bin_ps"] == pytest.approx(2.4430455, abs=1e-9)       # of the .set beside it


def test_flags(tmp_path):
    path = write(tmp_path / "a.spc", 5, 0xC0000003, 7 | 2 << 12, 9 | 1 << 30, 0xD0000000 | 11, 0x80000000, 12 | 1 << 29)
    report = datasets.inspect(path)
    assert (report["photons"], report["overflows"], report["markers"], report["records"]) == (4, 1, 1, 7)
    assert report["channels"] == {"0": 3, "2": 1}
    (block,) = datasets.open(path).synced_blocks()
    # A marker that carries the wrap flag counts as a wrap too.
    assert block.sync.tolist() == [5, 3 * 4096 + 7, 4 * 4096 + 9, 5 * 4096 + 12]
    assert block.dtime.tolist() == [4095] * 4 and datasets.open(path).info["bin_ps"] is None
    assert any("1 places" in w and "lost" in w for w in report["warnings"])
    assert any("1 records are marked invalid" in w for w in report["warnings"])


def test_overflows_beyond_the_end_of_time(tmp_path):
    path = write(tmp_path / "a.spc", 5, *[0xCFFFFFFF] * 400, 6)
    report = datasets.inspect(path)
    assert report["photons"] == 1 and not report["complete"] and "2^63 ps" in report["warnings"][0]


@pytest.mark.parametrize(("raw", "match"), [(b"", "empty"), (b"\xfa\0\0", "byte 3"), (b"\0\0\0\x80" * 9, "byte 0"),
                                            (b"\xfa\0\0\0" * 9, "byte 0")])
def test_bad_headers(tmp_path, raw, match):
    path = tmp_path / "a.spc"
    path.write_bytes(raw)
    with pytest.raises(BadInput, match=match):
        spc.read(path)


def test_a_cut_record_is_said(tmp_path):
    path = write(tmp_path / "a.spc", 5, 6, 7)
    with path.open("r+b") as file:
        file.truncate(15)
    report = datasets.inspect(path)
    assert report["photons"] == 2 and not report["complete"] and "inside a record" in report["warnings"][0]
