import numpy as np
import pytest

from qkdlab import datasets
from qkdlab.choices import DrawnChoices, RecordedChoices, StoredPattern
from qkdlab.datasets import alice, folder
from qkdlab.datatypes import DistillSettings, ReceiverSettings, SourceSettings, SynchronisationSettings, TimeTags
from qkdlab.errors import BadInput

PUBLIC = {"source": SourceSettings(intensities=(0.48, 0.11, 0.0), clock_hz=2.5e8),
          "sync": SynchronisationSettings(frame_slots=1 << 12, header_slots=1 << 8, string_seed=(1 << 63) - 1),
          "receiver": ReceiverSettings(channels=(1, 2, 4, 8)), "distill": DistillSettings(eps_cor=1e-15)}
SLOTS = np.arange(1000)


def choices_of(kind):
    source, sync, symbols = PUBLIC["source"], PUBLIC["sync"], (np.arange(2000) % 12).astype(np.uint8)
    return {"drawn": lambda: DrawnChoices(source, sync, bytes(range(32))),
            "pattern": lambda: StoredPattern(source, sync, symbols),
            "list": lambda: RecordedChoices(source, sync, symbols)}[kind]()


@pytest.fixture
def recorded(tmp_path):
    with folder.FolderWriter(tmp_path / "run", choices=choices_of("drawn"), simulated=True,
                             public_seed=bytes(range(32)), **PUBLIC) as writer:
        writer.append(TimeTags([10, 20], [1, 8]))
        writer.append(TimeTags([30], [2]))
    return tmp_path / "run"


def edit(path, old, new):
    text = (path / "run.toml").read_text()
    assert old in text
    (path / "run.toml").write_text(text.replace(old, new))


def test_round_trip(recorded):
    recording = datasets.open(recorded)
    assert {name: getattr(recording, name) for name in PUBLIC} == PUBLIC
    assert recording.simulated is True and recording.public_seed == bytes(range(32))
    (tags,) = recording.tag_blocks()
    assert tags.time_ps.tolist() == [10, 20, 30] and tags.channel.tolist() == [1, 8, 2]
    assert np.array_equal(recording.choices.at(SLOTS), choices_of("drawn").at(SLOTS))
    assert datasets.inspect(recorded)["photons"] == 3
    assert sorted(p.name for p in recorded.iterdir()) == ["alice.npz", "bob.ptu", "run.toml"]
    assert [p.name for p in recorded.parent.iterdir()] == ["run"]


@pytest.mark.parametrize("kind", ["drawn", "pattern", "list"])
def test_alices_record(tmp_path, kind):
    choices = choices_of(kind)
    alice.save(tmp_path / "alice.npz", choices)
    again = alice.load(tmp_path / "alice.npz", PUBLIC["source"], PUBLIC["sync"])
    assert type(again) is type(choices) and np.array_equal(again.at(SLOTS), choices.at(SLOTS))
    with pytest.raises(BadInput, match="exists already"):
        alice.save(tmp_path / "alice.npz", choices)


def test_alices_record_as_npy(recorded):
    np.save(recorded / "alice.npy", choices_of("list").symbols)
    edit(recorded, "alice.npz", "alice.npy")
    assert np.array_equal(datasets.open(recorded).choices.at(SLOTS), choices_of("list").at(SLOTS))


@pytest.mark.parametrize(("fields", "match"), [
    ({}, "kind"), ({"kind": "drawn"}, "key"), ({"kind": "drawn", "key": np.zeros(31, np.uint8)}, "32 bytes"),
    ({"kind": "list", "symbols": np.zeros(3, np.uint8)}, "first_slot"),
    ({"kind": "list", "symbols": np.zeros(3, np.uint8), "first_slot": 0.5}, "first_slot"),
    ({"kind": "pattern", "symbols": np.array([0, 99], np.uint8)}, "symbols"),
])
def test_spoilt_records_are_named(tmp_path, fields, match):
    np.savez(tmp_path / "alice.npz", **fields)
    with pytest.raises(BadInput, match=match) as caught:
        alice.load(tmp_path / "alice.npz", PUBLIC["source"], PUBLIC["sync"])
    assert "alice.npz" in str(caught.value)


@pytest.mark.parametrize("raw", [b"", b"PK\x03\x04", b"nonsense", b"\x80\x04N."])
def test_what_is_no_record(tmp_path, raw):
    (tmp_path / "alice.npz").write_bytes(raw)
    with pytest.raises(BadInput, match="alice.npz"):
        alice.load(tmp_path / "alice.npz", PUBLIC["source"], PUBLIC["sync"])


@pytest.mark.parametrize(("old", "new", "match"), [
    ("[receiver]", "[reciever]", r"run\.toml.*did you mean 'receiver'"),
    ("clock_hz", "clock_mhz", r"\[source\]: clock_mhz: unknown setting; did you mean 'clock_hz'"),
    ("simulated = true", "simulated = 1", "simulated"),
    ("simulated = true\n", "", "simulated"),
    ('tags = "bob.ptu"', 'tags = "bob.ht2"', "tags: no such file"),
    ('tags = "bob.ptu"', 'tags = "../bob.ptu"', "inside the folder"),
    ('tags = "bob.ptu"', 'tags = "/bob.ptu"', "inside the folder"),
    ('choices = "alice.npz"', 'choices = "else.npz"', "no such file"),
    ('public_seed = "00', 'public_seed = "0', "32 bytes"),
    ("[source]", "[source", "not valid TOML"),
])
def test_a_spoilt_settings_file_is_named(recorded, old, new, match):
    edit(recorded, old, new)
    with pytest.raises(BadInput, match=match) as caught:
        datasets.open(recorded)
    assert "run" in caught.value.where


def test_a_folder_that_is_no_recording(tmp_path):
    with pytest.raises(BadInput, match=r"without run\.toml"):
        datasets.open(tmp_path)


def test_no_folder_is_replaced_and_none_left_behind(recorded):
    settings = {"choices": choices_of("drawn"), "simulated": True, **PUBLIC}
    with pytest.raises(BadInput, match="exists already"), folder.FolderWriter(recorded, **settings):
        pass
    with pytest.raises(BadInput, match="channel"), folder.FolderWriter(recorded.parent / "b", **settings) as writer:
        writer.append(TimeTags([1], [64]))
    with pytest.raises(BadInput, match="choices"), folder.FolderWriter(recorded.parent / "c",
                                                                       **{**settings, "choices": None}):
        pass
    assert [p.name for p in recorded.parent.iterdir()] == ["run"]
