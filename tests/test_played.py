"""Stored choices make key in one session only."""

import json

import numpy as np
import pytest
from small_bench import real

from qkdlab import bench, simulation
from qkdlab.instruments import simulated_tagger
from qkdlab.instruments.id900 import Id900
from qkdlab.instruments.servers import SimulatedBench, World
from qkdlab.live import LiveLink
from qkdlab.played import PlayedOnce


@pytest.fixture
def pattern(tmp_path):
    np.save(tmp_path / "pattern.npy", np.arange(64, dtype=np.uint8) % 8)
    return tmp_path / "pattern.npy"


def played(path, who):
    return PlayedOnce(path, who, np.load(path))


def test_the_first_session_may_play_and_go_on_and_the_second_is_named_the_first(pattern):
    first = played(pattern, "Anna")
    assert first.blocked() is None
    first.play()
    first.play()                                         # after a pause
    assert first.blocked() is None
    second = played(pattern, "Bert")
    second.play()
    assert "pattern.npy was played before" in second.blocked() and "Anna" in second.blocked()


def test_another_name_does_not_hide_the_same_choices_and_other_choices_are_free(pattern):
    played(pattern, "Anna").play()
    pattern.rename(pattern.with_name("renamed.npy"))
    again = played(pattern.with_name("renamed.npy"), "Bert")
    again.play()
    assert "renamed.npy was played before" in again.blocked()
    np.save(pattern, np.arange(65, dtype=np.uint8) % 8)
    fresh = played(pattern, "Bert")
    fresh.play()
    assert fresh.blocked() is None


def test_a_mark_that_cannot_be_read_counts_and_one_that_cannot_be_written_blocks(pattern):
    played(pattern, "Anna").play()
    mark, = pattern.parent.glob("*.played")
    assert json.loads(mark.read_text())["file"] == "pattern.npy"
    mark.write_text("{")
    again = played(pattern, "Bert")
    again.play()
    assert "was played before:" in again.blocked()
    gone = PlayedOnce(pattern.parent / "gone" / "pattern.npy", "Bert", np.load(pattern))
    gone.play()
    assert "could not be noted" in gone.blocked()


def test_the_choices_that_were_read_are_marked_and_not_what_the_file_holds_by_now(pattern):
    first = played(pattern, "Anna")
    before = pattern.read_bytes()
    np.save(pattern, np.arange(65, dtype=np.uint8) % 8)
    first.play()
    pattern.write_bytes(before)
    again = played(pattern, "Bert")
    again.play()
    assert "by Anna" in again.blocked()


def test_a_link_to_the_file_in_another_folder_does_not_hide_the_choices(pattern, tmp_path):
    played(pattern, "Anna").play()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "pattern.npy").symlink_to(pattern)
    again = played(tmp_path / "other" / "pattern.npy", "Bert")
    again.play()
    assert "by Anna" in again.blocked()


def test_a_second_session_over_one_link_is_another_session(pattern):
    link = simulation.link_from_tables({}, 1)
    live = LiveLink(link.choices, link.receiver, simulated_tagger.connect(link), once=played(pattern, "Anna"))
    for first in (True, False):
        for _ in zip(range(2), live.blocks(10.0, 0.01), strict=False):
            assert (live.blocked() is None) is first


def test_two_sessions_over_devices_on_the_wire_play_one_pattern(pattern, tmp_path, monkeypatch):
    monkeypatch.setattr(Id900, "start", lambda tagger: None)     # nobody has set up its streams
    with SimulatedBench(World(speed=0), {"laser": "thorlabs_cld", "attenuator": "keysight_attenuator", "tagger": "id900"}) \
            as simulated:
        path = real(tmp_path / "bench.toml", simulated)
        path.write_text(path.read_text() + '[choices]\nfile = "pattern.npy"\nrepeat = true\n')
        for session in ("Anna", "Bert"):
            with bench.open(path, session=session) as lab:
                assert not list(tmp_path.glob("*.played")) or session == "Bert"
                link = lab.link()
                assert link.simulated and not lab.simulated              # the devices say so themselves
                link._begin(())
                why = link.blocked() or ""
                assert ("pattern.npy was played before" in why and "by Anna" in why) is (session == "Bert")
        assert len(list(tmp_path.glob("*.played"))) == 1
