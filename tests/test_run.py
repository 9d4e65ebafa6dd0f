import json
import subprocess
import sys

import h5py
import numpy as np
import pytest

from qkdlab import datasets
from qkdlab.choices import DrawnChoices, RecordedChoices, StoredPattern
from qkdlab.datasets import run
from qkdlab.datatypes import DistillSettings, ReceiverSettings, SourceSettings, SynchronisationSettings, TimeTags
from qkdlab.errors import BadInput

SOURCE, SYNC = SourceSettings(clock_hz=2e8), SynchronisationSettings(frame_slots=1 << 12, header_slots=1 << 8)
RECEIVER, DISTILL = ReceiverSettings(channels=(4, 5, 6, 7), gate_ps=300), DistillSettings(proof="rusca2018")
PUBLIC = {"source": SOURCE, "sync": SYNC, "receiver": RECEIVER, "distill": DISTILL}


def some_tags(n, start=0, lost=0):
    rng = np.random.default_rng(n)
    return TimeTags(start + np.cumsum(rng.integers(0, 10**6, n)), rng.integers(0, 4, n), lost)


def record(path, blocks, **settings):
    with run.RunWriter(path, **settings) as writer:
        for block in blocks:
            writer.append(block)
    return path


def joined(recording, *block_tags):
    blocks = list(recording.tag_blocks(*block_tags))
    return np.concatenate([b.time_ps for b in blocks]), np.concatenate([b.channel for b in blocks])


@pytest.mark.parametrize("block_tags", [1 << 20, 1000, 999])
def test_round_trip(tmp_path, block_tags):
    first, second = some_tags(50_000, 2**60, lost=3), some_tags(2_000, 2**61, lost=4)
    choices = DrawnChoices(SOURCE, SYNC, bytes(range(32)))
    path = record(tmp_path / "run.h5", [first, TimeTags([], []), second], choices=choices, simulated=True,
                  public_seed=b"s" * 32, provenance={"distance_km": 50}, created="2024-05-17T12:30:00+00:00", **PUBLIC)
    recording = datasets.open(path)
    times, channel = joined(recording, block_tags)
    assert np.array_equal(times, np.concatenate([first.time_ps, second.time_ps]))
    assert np.array_equal(channel, np.concatenate([first.channel, second.channel]))
    assert sum(b.lost for b in recording.tag_blocks(block_tags)) == 7
    assert {name: getattr(recording, name) for name in PUBLIC} == PUBLIC
    assert recording.simulated is True and recording.public_seed == b"s" * 32
    assert np.array_equal(recording.choices.at(np.arange(5000)), choices.at(np.arange(5000)))
    assert recording.info["created"].startswith("2024")
    assert json.loads(recording.info["provenance"]) == {"distance_km": 50}
    assert set(json.loads(recording.info["versions"])) == {"qkdlab", "python", "numpy", "h5py", "hdf5"}


def test_what_it_holds(tmp_path):
    tags = some_tags(1000)
    report = datasets.inspect(record(tmp_path / "run.h5", [tags]))
    assert report == {
        "format": "run", "records": 1000, "photons": 1000, "overflows": 0, "markers": 0, "syncs": 0,
        "channels": {str(c): int(n) for c, n in enumerate(np.bincount(tags.channel))},
        "first_ps": int(tags.time_ps[0]), "last_ps": int(tags.time_ps[-1]), "resolution_ps": 1, "sync_rate_hz": None,
        "complete": True, "warnings": []}


@pytest.mark.parametrize("choices", [
    StoredPattern(SOURCE, SYNC, np.arange(12, dtype=np.uint8)),
    RecordedChoices(SOURCE, SYNC, np.arange(3000).astype(np.uint8) % 12, first_slot=7),
])
def test_alice_can_have_a_pattern_or_a_list(tmp_path, choices):
    path = record(tmp_path / "run.h5", [some_tags(10)], choices=choices, source=SOURCE, sync=SYNC)
    again = datasets.open(path).choices
    assert type(again) is type(choices) and np.array_equal(again.symbols, choices.symbols)
    assert getattr(again, "first_slot", None) == getattr(choices, "first_slot", None)


def test_tags_alone(tmp_path):
    recording = datasets.open(record(tmp_path / "run.h5", [some_tags(10)], tick_ps=4))
    assert recording.source is recording.choices is recording.public_seed is recording.simulated is None
    assert recording.tick_ps == 4


def test_an_empty_run(tmp_path):
    report = datasets.inspect(record(tmp_path / "run.h5", []))
    assert report["photons"] == 0 and report["first_ps"] is None and report["complete"]


def test_no_run_is_replaced(tmp_path):
    path = record(tmp_path / "run.h5", [some_tags(10)])
    before = path.read_bytes()
    with pytest.raises(BadInput, match="exists already"):
        record(path, [some_tags(20)])
    assert path.read_bytes() == before


@pytest.mark.parametrize(("settings", "field"), [
    ({"public_seed": b"short"}, "public_seed"),
    ({"choices": DrawnChoices(SOURCE, SYNC, bytes(32))}, "source"),
    ({"choices": "what", "source": SOURCE}, "choices"),
])
def test_unfit_settings_are_refused_and_no_file_left(tmp_path, settings, field):
    with pytest.raises(BadInput) as caught:
        record(tmp_path / "run.h5", [], **settings)
    assert caught.value.field == field and not list(tmp_path.iterdir())


def test_times_must_not_step_back(tmp_path):
    with pytest.raises(BadInput, match="step back"):
        record(tmp_path / "run.h5", [TimeTags([2], [0]), TimeTags([1], [0])])
    # What was recorded before stays, and says that it was cut short.
    report = datasets.inspect(tmp_path / "run.h5")
    assert report["photons"] == 1 and not report["complete"] and "not closed in order" in report["warnings"][0]


def test_a_crash_loses_at_most_the_last_block(tmp_path):
    path = tmp_path / "run.h5"
    code = f"""
import os, numpy as np
from qkdlab.datasets import run
from qkdlab.datatypes import TimeTags
writer = run.RunWriter({str(path)!r}).__enter__()
for i in range(5):
    writer.append(TimeTags(np.arange(30_000) + 30_000 * i, np.zeros(30_000)))
writer._bob._pack(np.arange(50_000) + 150_000, np.zeros(50_000, np.uint8))       # the block that was under way
writer._file.flush()
os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    report = datasets.inspect(path)
    assert report["photons"] == 150_000 and report["last_ps"] == 149_999
    assert not report["complete"] and "150000 tags in 5 blocks" in report["warnings"][0]


def test_it_can_be_read_while_it_is_written(tmp_path):
    path = tmp_path / "run.h5"
    with run.RunWriter(path) as writer:
        for blocks in range(1, 4):
            writer.append(some_tags(100, blocks * 10**9))
            assert datasets.inspect(path)["photons"] == 100 * blocks
    assert datasets.inspect(path)["complete"]


def change(path, name, value):
    with h5py.File(path, "r+", libver="latest") as file:
        group, _, attribute = name.rpartition("@")
        if attribute and group:
            file[group].attrs[attribute] = value
        elif name.startswith("@"):
            file.attrs[name[1:]] = value
        else:
            del file[name]
            if value is not None:
                file.create_dataset(name, **value)


@pytest.mark.parametrize(("name", "value", "match"), [
    ("@qkdlab", "else", "not a run"),
    ("@version", 99, "version"),
    ("@source", "{", "not valid JSON"),
    ("@source", '{"clock": 1}', "clock_hz"),
    ("@public_seed", "00", "public_seed"),
    ("@public_seed", "zz", "damaged"),
    ("bob@tick_ps", 0.0, "tick_ps"),
    ("alice@kind", "guessed", "kind"),
    ("bob", None, "bob"),
    ("bob/delta_ps", None, "delta_ps"),
    ("bob/delta_ps", {"shape": (100,), "dtype": "f8"}, "delta_ps"),
    ("bob/first_ps", {"shape": (0,), "dtype": "i8"}, "promises more"),
    ("bob/channel", {"shape": (2**50,), "dtype": "u1", "chunks": (1000,)}, "stored"),
    ("bob/block", {"data": np.array([[2**62, 0, 0, 0]])}, "promises more"),
    ("bob/block", {"data": np.array([[2**62, 0, 2**62, 0]])}, "promises more"),
    ("bob/block", {"data": np.array([[100, 0, 0, 5]])}, "promises more"),
    ("bob/block", {"data": np.array([[-1, 0, -1, 0]])}, "promises"),
    ("bob/block", {"data": np.array([7])}, "four columns"),
    ("alice/symbols", {"shape": (2**50,), "dtype": "u1", "chunks": (1000,)}, "promises more"),
    ("alice/symbols", {"shape": (2**40,), "dtype": "u1"}, "promises more"),
])
def test_damage_is_named(tmp_path, name, value, match):
    choices = StoredPattern(SOURCE, SYNC, np.arange(12, dtype=np.uint8))
    path = record(tmp_path / "run.h5", [some_tags(100)], choices=choices, public_seed=bytes(32), **PUBLIC)
    change(path, name, value)
    with pytest.raises(BadInput, match=match) as caught:
        datasets.open(path)
    assert "run.h5" in str(caught.value)


def test_cut_anywhere(tmp_path):
    path = record(tmp_path / "run.h5", [some_tags(3000)], source=SOURCE)
    raw = path.read_bytes()
    for size in [*range(8, 60, 7), *range(60, len(raw), len(raw) // 60)]:
        path.write_bytes(raw[:size])
        with pytest.raises(BadInput, match=r"run\.h5"):
            datasets.inspect(path)
