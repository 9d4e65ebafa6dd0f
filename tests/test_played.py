"""Stored choices make key in one session only."""

import contextlib
import json

import numpy as np
import pytest
from small_bench import real

from qkdlab import bench
from qkdlab.instruments.errors import InstrumentError
from qkdlab.instruments.servers import SimulatedBench, World
from qkdlab.played import PlayedOnce


@pytest.fixture
def pattern(tmp_path):
    np.save(tmp_path / "pattern.npy", np.arange(64, dtype=np.uint8) % 8)
    return tmp_path / "pattern.npy"


def test_the_first_session_may_play_and_go_on_and_the_second_is_named_the_first(pattern):
    first = PlayedOnce(pattern, "Anna")
    assert first.blocked() is None
    first.play()
    first.play()                                         # after a pause
    assert first.blocked() is None
    second = PlayedOnce(pattern, "Bert")
    second.play()
    assert "pattern.npy was played before" in second.blocked() and "Anna" in second.blocked()


def test_another_name_does_not_hide_the_same_choices_and_other_choices_are_free(pattern):
    PlayedOnce(pattern, "Anna").play()
    pattern.rename(pattern.with_name("renamed.npy"))
    again = PlayedOnce(pattern.with_name("renamed.npy"), "Bert")
    again.play()
    assert "renamed.npy was played before" in again.blocked()
    np.save(pattern, np.arange(65, dtype=np.uint8) % 8)
    fresh = PlayedOnce(pattern, "Bert")
    fresh.play()
    assert fresh.blocked() is None


def test_a_mark_that_cannot_be_read_counts_and_one_that_cannot_be_written_blocks(pattern):
    PlayedOnce(pattern, "Anna").play()
    mark, = pattern.parent.glob("*.played")
    assert json.loads(mark.read_text())["file"] == "pattern.npy"
    mark.write_text("{")
    again = PlayedOnce(pattern, "Bert")
    again.play()
    assert "was played before:" in again.blocked()
    pattern.unlink()
    gone = PlayedOnce(pattern, "Bert")
    gone.play()
    assert "could not be noted" in gone.blocked()


def test_two_sessions_over_devices_on_the_wire_play_one_pattern(pattern, tmp_path):
    with SimulatedBench(World(speed=0), {"laser": "thorlabs_cld", "attenuator": "keysight_attenuator", "tagger": "id900"}) \
            as simulated:
        path = real(tmp_path / "bench.toml", simulated)
        path.write_text(path.read_text() + '[choices]\nfile = "pattern.npy"\nrepeat = true\n')
        for session in ("Anna", "Bert"):
            with bench.open(path, session=session) as lab:
                assert not list(tmp_path.glob("*.played")) or session == "Bert"
                link = lab.link()
                assert link.simulated and not lab.simulated              # the devices say so themselves
                with contextlib.suppress(InstrumentError):               # nobody has set up the stream of this tagger
                    link._begin(())
                why = link.blocked() or ""
                assert ("pattern.npy was played before" in why and "by Anna" in why) is (session == "Bert")
        assert len(list(tmp_path.glob("*.played"))) == 1
