"""Each record type of PicoQuant's hardware, against another reader; T3 records with their dtimes."""

import datetime

import numpy as np
import ptufile
import pytest
from samples import ht_header

from qkdlab import datasets
from qkdlab.datasets import ht, picoquant, ptu
from qkdlab.errors import BadInput

CREATED = datetime.datetime(2024, 5, 17, 12, 30)
PICOHARP = (0x00010203, 0x00010303)
TYPES = [family | mode for family in (0x00010003, 0x00010004, 0x01010004, 0x00010005, 0x00010006, 0x00010007)
         for mode in (0x0200, 0x0300)]


def records(kind, n=3000):
    """Photons on all channels, overflows (also several in one, also a count of 0), markers and syncs, at random."""
    rng, t3 = np.random.default_rng(kind), kind & 0x0300 == 0x0300
    photons, pick = rng.integers(0, 2**32, n), rng.random(n)
    if kind in PICOHARP:
        photons = (photons & 0x3FFFFFFF) + (t3 << 28)              # inputs 0 to 3, with a router 1 to 4: what there is
        overflow, marker = 0xF0000000, 0xF0000000 | (3 << 16 if t3 else 5)
    else:
        photons = photons & 0x7FFFFFFF
        # Version 1 has no counts; an overflow of T2 with a count is what others multiply in 32 bits: keep it small.
        overflow = 0xFE000000 | (0 if kind & 0xFF00FFFF in (0x00000204, 0x00000304) else rng.integers(0, 20, n))
        marker = 0x80000000 | rng.integers(1, 16, n) << 25 | rng.integers(0, 1024, n)
    return np.select([pick < 0.2, pick < 0.25], [overflow, marker], photons).astype(np.uint32)


def write(path, kind, words):
    raw = ptu._header(records=len(words), last_ps=0, inputs=1, resolution_ps=4, comment="", created=CREATED)
    for name, value in ((b"TTResultFormat_TTTRRecType", kind), (b"Measurement_Mode", kind >> 8 & 0xFF)):
        at = raw.index(name + b"\0") + 40
        raw = raw[:at] + value.to_bytes(8, "little") + raw[at + 8 :]
    path.write_bytes(raw + words.tobytes())
    return path


def test_every_type_is_known():
    assert sorted(picoquant.LAYOUTS) == sorted(TYPES)


@pytest.mark.parametrize("kind", TYPES, ids=hex)
def test_every_type_against_another_reader(tmp_path, kind):
    words = records(kind)
    path = write(tmp_path / "a.ptu", kind, words)
    with ptufile.PtuFile(path) as file:
        theirs = file.decode_records()
    report, photons = datasets.inspect(path), theirs[theirs["channel"] >= 0]
    overflows = words >> 25 == 127 if kind not in PICOHARP else words == 0xF0000000
    assert (report["records"], report["photons"], report["overflows"]) == (3000, len(photons), np.count_nonzero(overflows))
    assert report["markers"] + report["syncs"] == 3000 - len(photons) - np.count_nonzero(overflows)
    recording = datasets.open(path)
    if recording.synced:
        (ours,) = recording.synced_blocks()
        assert np.array_equal(ours.sync, photons["time"].astype(np.int64)) and np.array_equal(ours.dtime, photons["dtime"])
        assert report["dtime_sum"] == photons["dtime"].sum(dtype=np.int64)
    else:
        times = np.concatenate([b.time_ps for b in recording.stream(datasets.Tally(), 1 << 20)])
        assert np.array_equal(times, 4 * photons["time"].astype(np.int64)) and "dtime_sum" not in report
        with pytest.raises(BadInput, match="dtime"):
            recording.synced_blocks()
    channels = np.concatenate([b.channel for b in recording.stream(datasets.Tally(), 1 << 20)])
    shown = channels.astype(int) - photons["channel"]            # another reader may count PicoHarp's inputs from 1
    assert len(set(shown.tolist())) == 1 and shown[0] in (0, 1)


@pytest.mark.parametrize(("version", "mode", "wrap"), [("1.0", 2, 33_552_000), ("1.0", 3, 1024), ("2.0", 2, 3 * 33_554_432),
                                                       ("2.0", 3, 3 * 1024)])
def test_ht_of_both_formats_and_modes(tmp_path, version, mode, wrap):
    header = bytearray(ht_header(records=3))
    header[16:22] = version.encode().ljust(6, b"\0")
    at = header.index((3).to_bytes(4, "little"), 328)            # the measurement mode, which the sample sets to T3
    header[at : at + 4] = mode.to_bytes(4, "little")
    path = tmp_path / "a.ht"
    photon = 2 << 25 | (7 if mode == 2 else 5 << 10 | 7)
    path.write_bytes(header + np.array([photon, 0xFE000003, photon], "<u4").tobytes())
    recording = datasets.open(path)
    assert recording.format == f"ht{mode}" and ht.read_header(path)[0]["FormatVersion"] == version
    if mode == 3:
        (block,) = recording.synced_blocks()
        assert block.sync.tolist() == [7, 7 + wrap] and block.dtime.tolist() == [5, 5] and block.channel.tolist() == [2, 2]
    else:
        (block,) = recording.tag_blocks()
        assert block.time_ps.tolist() == [7 * 16, (7 + wrap) * 16]


def test_dtimes_of_a_real_picture(shared):
    (ours,) = datasets.open(shared / "timetags/napari-flim/hazelnut_first500k.ptu").synced_blocks()
    assert ours.sync[:5].tolist() == [9386, 14821, 14822, 20748, 31617] and ours.sync[-1] == 12_188_022
    assert ours.dtime[:5].tolist() == [33, 27, 24, 97, 18] and ours.dtime.min() == 0 and ours.dtime.max() == 132
    assert np.bincount(ours.dtime).argmax() == 12


def test_syncs_and_dtimes_of_a_real_ht3(shared):
    blocks = list(datasets.open(shared / "timetags/libpicoquant/v20.ht3").synced_blocks(5000))
    sync, dtime = (np.concatenate([getattr(b, name) for b in blocks]) for name in ("sync", "dtime"))
    assert sync[:5].tolist() == [113, 653, 1376, 1540, 1800] and sync[-1] == 9_988_918
    assert dtime[:4].tolist() == [13146, 22450, 29169, 25714] and len(sync) == 44_141
