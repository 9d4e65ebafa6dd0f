import sys
import types

import numpy as np
import pytest

from qkdlab import datasets
from qkdlab.datasets import swabian
from qkdlab.errors import BadInput


def dump(*rows):
    """Tags (type, missed, channel, time) as an array."""
    return np.array([(kind, 0, missed, channel, time) for kind, missed, channel, time in rows], swabian.TAG)


ROWS = [(0, 0, 1, 100), (0, 0, -1, 150), (2, 0, 0, 160), (4, 700, 3, 170), (4, 65_535, 1, 170), (3, 0, 0, 180),
        (0, 0, 18, 2**60), (1, 0, 0, 2**60), (0, 0, -127, 2**60 + 1)]


def test_a_dump(tmp_path):
    dump(*ROWS).tofile(tmp_path / "a.dump")
    (tags,) = datasets.open(tmp_path / "a.dump").tag_blocks()
    assert tags.time_ps.tolist() == [100, 150, 2**60, 2**60 + 1]
    assert tags.channel.tolist() == [1, 129, 18, 255]              # falling edges: 128 and the input
    assert tags.lost == 66_235
    report = datasets.inspect(tmp_path / "a.dump")
    assert (report["records"], report["photons"], report["overflows"]) == (9, 4, 4)
    assert not report["complete"] and "1 error records" in report["warnings"][0]


@pytest.mark.parametrize("block", [1, 2, 3])
def test_what_was_lost_goes_with_the_next_tags(tmp_path, block):
    dump(*ROWS).tofile(tmp_path / "a.dump")
    blocks = list(datasets.open(tmp_path / "a.dump").tag_blocks(block))
    assert sum(b.lost for b in blocks) == 66_235 and sum(len(b) for b in blocks) == 4
    dump(*ROWS[:5]).tofile(tmp_path / "b.dump")
    tally = datasets.Tally()
    lost = sum(b.lost for b in datasets.open(tmp_path / "b.dump").tag_blocks(block, tally))
    assert lost == 66_235 or tally.warnings[0] == f"{66_235 - lost} events were missed behind the last tag"


def test_convert_tells_of_what_was_lost(tmp_path):
    dump(*ROWS[:7]).tofile(tmp_path / "a.dump")
    assert any("66235 clicks" in line for line in datasets.convert(tmp_path / "a.dump", tmp_path / "b.csv"))


@pytest.mark.parametrize(("row", "why"), [((5, 0, 1, 100), "type 5 is unknown"), ((0, 0, 128, 100), "channel 128"),
                                          ((0, 0, -(2**31), 100), "channel -2147483648")])
def test_what_cannot_be_is_where_reading_ends(tmp_path, row, why):
    dump(*ROWS[:2], row, *ROWS[:2]).tofile(tmp_path / "a.dump")
    report = datasets.inspect(tmp_path / "a.dump", form="swabian")
    assert report["photons"] == 2 and "byte 32: " in report["warnings"][0] and why in report["warnings"][0]


# ---------------------------------------------------------------------------------------------------------------- ttbin


class FakeReader:
    """What the maker's FileReader does, as far as it is used."""

    rows = ROWS

    def __init__(self, path):
        self.left = list(self.rows)

    def hasData(self):
        return bool(self.left)

    def getData(self, n):
        if self.left[0] == "junk":
            raise RuntimeError("Incorrect Header")
        now, self.left = dump(*self.left[:n]), self.left[n:]
        return types.SimpleNamespace(getEventTypes=lambda: now["type"], getMissedEvents=lambda: now["missed"],
                                     getChannels=lambda: now["channel"], getTimestamps=lambda: now["time"])


@pytest.fixture
def ttbin(tmp_path):
    (tmp_path / "a.ttbin").write_bytes(b"SITT" + bytes(60))
    return tmp_path / "a.ttbin"


@pytest.fixture
def no_package(monkeypatch):
    for name in ("Swabian", "Swabian.TimeTagger", "TimeTagger"):
        monkeypatch.setitem(sys.modules, name, None)


def test_without_the_makers_package(ttbin, no_package):
    with pytest.raises(BadInput, match="a.ttbin.*not installed: pip install Swabian-TimeTagger"):
        datasets.open(ttbin)


@pytest.mark.parametrize("block", [1, 4, 100])
def test_through_the_makers_package(ttbin, no_package, monkeypatch, block):
    monkeypatch.setitem(sys.modules, "TimeTagger", types.SimpleNamespace(FileReader=FakeReader))
    recording = datasets.open(ttbin)
    assert recording.format == "ttbin"
    blocks = list(recording.tag_blocks(block))
    assert [t for b in blocks for t in b.time_ps.tolist()] == [100, 150, 2**60, 2**60 + 1]
    assert [c for b in blocks for c in b.channel.tolist()] == [1, 129, 18, 255] and sum(b.lost for b in blocks) == 66_235
    assert recording.inspect()["records"] == 9


def test_what_the_makers_package_says_of_junk(ttbin, no_package, monkeypatch):
    monkeypatch.setattr(FakeReader, "rows", ["junk"])
    monkeypatch.setitem(sys.modules, "TimeTagger", types.SimpleNamespace(FileReader=FakeReader))
    with pytest.raises(BadInput, match="a.ttbin: the maker's package cannot read it: Incorrect Header"):
        datasets.inspect(ttbin)
    ttbin.write_bytes(b"SITA")
    with pytest.raises(BadInput, match="SITT is missing"):
        datasets.open(ttbin, form="ttbin")
