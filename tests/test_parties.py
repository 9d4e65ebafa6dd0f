"""What Alice and Bob refuse, whatever the other one says."""

import numpy as np
import pytest
from test_session import make_link, perfect, run_parties  # noqa: F401

from qkdlab.choices import RecordedChoices, StoredPattern
from qkdlab.datatypes import Clicks, TimeTags
from qkdlab.session import Session


class Faulty:
    """A simulated link one of whose detectors sees nothing but `share` of its clicks."""

    simulated = True

    def __init__(self, link, channel, share=0.0):
        self._link, self._channel, self._share = link, channel, share
        self.source, self.sync, self.receiver, self.choices = link.source, link.sync, link.receiver, link.choices

    def blocks(self, seconds, block_seconds):
        rng = np.random.default_rng(1)
        for tags in self._link.blocks(seconds, block_seconds):
            seen = (tags.channel != self._channel) | (rng.random(len(tags)) < self._share)
            yield TimeTags(tags.time_ps[seen], tags.channel[seen])


@pytest.mark.parametrize("channel, share", [(0, 0.0), (1, 0.0), (2, 0.0), (3, 0.0), (0, 0.3)])
def test_a_blind_detector_gives_no_key(channel, share):
    """Bits that one detector alone could see are known to all, and no error rate shows it."""
    report = Session(Faulty(make_link(), channel, share)).run(seconds=0.05)
    assert report["secret_bits"] == 0 and report["alice_key_sha256"] is None
    assert f"{('key', 'test')[channel >> 1]} basis' detector for bit {channel & 1}" in report["reason"]


def test_a_small_mismatch_of_detectors_passes():
    assert Session(Faulty(make_link(), 0, 0.8)).run(seconds=0.1)["secret_bits"] > 0


def test_public_slots_make_no_key(perfect):  # noqa: F811
    """Whoever announces a slot of the public string is refused by both parties."""
    choices, agreement, clicks = perfect
    early = Clicks(clicks.slot - (1 << 12), clicks.basis, clicks.outcome)
    choices = RecordedChoices(choices.source, None, choices.symbols)
    with pytest.raises(ValueError, match="public string"):
        run_parties(choices, agreement, early)


def test_a_pattern_that_was_played_before_bob_listened_gives_no_key(perfect):  # noqa: F811
    choices, agreement, clicks = perfect
    period = 1 << 16
    symbols = np.resize(choices.symbols, period)
    pattern = StoredPattern(choices.source, None, symbols)
    assert run_parties(pattern, agreement, _played(pattern, clicks))[0].reconciliation["verified"]
    later = _played(pattern, Clicks(clicks.slot + period, clicks.basis, clicks.outcome))
    report, alice, bob = run_parties(pattern, agreement, later)
    assert "repeats after 65,536 slots" in report.bound.reason and not alice.keys and not bob.keys


def _played(pattern, clicks):
    """The clicks with the outcomes that the pattern would give."""
    return Clicks(clicks.slot, clicks.basis, pattern.at(clicks.slot) & 1)
