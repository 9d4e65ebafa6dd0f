"""What Alice and Bob refuse, whatever the other one says."""

import struct
import threading

import numpy as np
import pytest
from test_session import make_link, perfect, run_parties  # noqa: F401

from qkdlab import parties
from qkdlab.accounting import block_bound, efficiency
from qkdlab.choices import RecordedChoices, StoredPattern
from qkdlab.classical_channel import ChannelClosed, LocalChannel
from qkdlab.datatypes import Clicks, TimeTags
from qkdlab.parties import Alice, Bob
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


@pytest.mark.parametrize("kind, payload", [
    ("clicks", b""), ("clicks", bytes(7)), ("clicks", b"\xff" * 8 + bytes(8)), ("clicks", bytes(8) + b"\xff" * 8),
    ("distill", b""), ("distill", bytes(9)), ("distill", struct.pack("<d", float("nan"))), ("hello", b"\xff"),
    ("verified", b""), ("nonsense", b""),
])
def test_alice_refuses_what_is_malformed(perfect, kind, payload):  # noqa: F811
    choices, agreement, _ = perfect
    ends = LocalChannel.pair()
    alice = Alice(choices, agreement, ends[0])
    ends[1].send(kind, payload)
    ends[1].close()
    with pytest.raises(ValueError):
        alice.serve()
    assert not alice.keys


def test_a_party_that_vanishes_ends_the_other(perfect):  # noqa: F811
    choices, agreement, clicks = perfect
    ends = LocalChannel.pair()
    bob, failures = Bob(agreement, ends[1]), []

    def drive():
        try:
            bob.hello()
            bob.announce(clicks, 1000)
        except ChannelClosed as closed:
            failures.append(closed)

    thread = threading.Thread(target=drive, daemon=True)
    thread.start()
    ends[0].hear("hello")
    ends[0].send("hello", agreement.digest().encode() + bytes(8))
    ends[0].hear("clicks")
    ends[0].close()
    thread.join(60)
    assert failures and not thread.is_alive()


def test_parties_that_disagree_on_the_length_stop(monkeypatch):
    """One finds a key, the other none: neither waits for ever, and no key stays."""
    seen = []

    def second_finds_none(agreement, counts, **leak):
        seen.append(block_bound(agreement, counts, **leak))
        return seen[-1] if len(seen) % 2 else parties.no_key(agreement, counts, "for the test")

    monkeypatch.setattr(parties, "block_bound", second_finds_none)
    session = Session(make_link())
    session.start(seconds=0.05)
    assert session.wait(60) and session.report is None and len(seen) == 2


def test_all_that_was_said_of_the_key_is_charged(perfect):  # noqa: F811
    """Key-dependent bits count whatever the message they came in is called."""
    choices, agreement, clicks = perfect
    plain = run_parties(choices, agreement, clicks)[0]
    more = run_parties(choices, agreement, clicks, more_bits=("cascade-seed", 1000))[0]
    spread = more.reconciliation["leak_bits"] - plain.reconciliation["leak_bits"]
    assert abs(spread - 1000) < 300 and more.bound.leak_bits == more.reconciliation["leak_bits"]


def test_efficiency_where_it_means_something():
    assert efficiency(1000, 10_000, 0) is None and efficiency(1000, 10_000, 10_000) is None
    assert efficiency(1000, 10_000, 100) == pytest.approx(1000 / (10_000 * 0.0807931), rel=1e-5)
