"""Dead times across detectors: what they do to neighbouring bits, and that blanking undoes it."""

import itertools

import numpy as np
import pytest

from qkdlab.accounting import Agreement, block_bound
from qkdlab.datatypes import (
    DecoyCounts,
    DistillSettings,
    ReceiverSettings,
    SourceSettings,
    SynchronisationSettings,
    TimeTags,
)
from qkdlab.postprocessing.gate import ClickMaker
from qkdlab.postprocessing.synchronise import Synchroniser
from qkdlab.proofs.assumptions import BLANKED, LIVE_DETECTORS
from qkdlab.simulation.link import SimulatedLink
from qkdlab.simulation.settings import ChannelSettings, ClockSettings, DetectorSettings, EveSettings

SYNC = SynchronisationSettings(frame_slots=1 << 17, header_slots=1 << 13, string_seed=9)
SOURCE = SourceSettings()
DEAD_PS = 60_000


@pytest.fixture(scope="module")
def tags():
    """12 ms at high rate with 60 ns of dead time, detectors a few slots apart, noise outside of the gate."""
    link = SimulatedLink(
        SOURCE, SYNC, ChannelSettings(distance_km=60, pulse_fwhm_ps=50),
        DetectorSettings(efficiency=0.8, dead_time_ps=DEAD_PS, afterpulse_probability=0.0, dark_rate_hz=2e5,
                         jitter_fwhm_ps=50, delay_ps=(0, 2350, -1100, 90), key_basis_probability=0.7),
        ClockSettings(offset_ps=-10**9), EveSettings(), ReceiverSettings(), seed=3)
    parts = list(link.blocks(0.012, 0.01))
    return TimeTags(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("time_ps", "channel")))


def clicks(tags, blank_ps, size=10_000):
    machine = Synchroniser(SOURCE, SYNC, ReceiverSettings(blank_ps=blank_ps), np.random.default_rng(5))
    parts = [machine.push(TimeTags(tags.time_ps[at : at + size], tags.channel[at : at + size]))
             for at in range(0, len(tags), size)] + [machine.finish()]
    return *(np.concatenate([getattr(p, n) for p in parts]) for n in ("slot", "basis", "outcome")), machine.state


def neighbours(slot, basis, outcome, within):
    """(pairs of key bits that follow each other within so many slots, share of them that differ)"""
    key = basis == 0
    near = np.flatnonzero(np.diff(slot[key]) <= within)
    bit = outcome[key]
    return len(near), float((bit[near] != bit[near + 1]).mean()) if len(near) else 0.5


def test_dead_time_makes_neighbouring_bits_differ_and_blanking_ends_it(tags):
    slot, basis, outcome, state = clicks(tags, None)
    pairs, differ = neighbours(slot, basis, outcome, DEAD_PS // 1000 - 5)
    assert pairs > 500 and differ > 0.95, "the detector that clicked is dead, the other one is not"
    assert state.blanked is None
    slot, basis, outcome, state = clicks(tags, DEAD_PS)
    assert not neighbours(slot, basis, outcome, DEAD_PS // 1000)[0] and state.blanked > 2000
    pairs, differ = neighbours(slot, basis, outcome, 400)
    assert pairs > 500 and abs(differ - 0.5) < 4 * 0.5 / np.sqrt(pairs)


def test_all_tags_count_also_those_outside_of_the_gate(tags):
    """Each slot that counts, against the raw tags themselves: none of them within the dead time before its gate."""
    slot, *_, state = clicks(tags, DEAD_PS)
    all_slots, *_ = clicks(tags, None)
    at = tags.time_ps - np.array(state.delays_ps)[tags.channel]
    period_ps = 1e12 / state.rate_hz
    at = state.offset_slots + (at - tags.time_ps[0]) / period_ps         # in Alice's slots, but for a few slots
    early = at < at[0] + 10**6                                           # later the drift bends this straight line
    turn = np.angle(np.exp(2j * np.pi * at[early]).mean()) / (2 * np.pi)
    rounded = np.round(at[early] - turn)
    shift = max(range(-5, 6), key=lambda s: np.isin(rounded + s, all_slots).sum())
    assert np.isin(rounded + shift, all_slots).mean() > 0.7
    at = np.sort(at[early] - turn + shift)
    opens = slot - state.gate_ps / 2 / period_ps
    opens = opens[(opens > at[50]) & (opens < at[-50])]
    assert len(opens) > 200
    assert (opens - at[np.searchsorted(at, opens - 0.05) - 1]).min() > DEAD_PS / period_ps - 0.1
    assert len(tags) - np.isin(rounded + shift, all_slots).sum() > 500, "there are tags outside of the gate"


@pytest.mark.parametrize("size", [331, 10**6])
def test_block_borders_make_no_difference(tags, size):
    a, b = clicks(tags, DEAD_PS), clicks(tags, DEAD_PS, size)
    assert all(np.array_equal(x, y) for x, y in zip(a[:3], b[:3], strict=True)) and a[3] == b[3]


def test_what_is_left_is_a_part_of_what_there_was(tags):
    every, *_ = clicks(tags, None)
    some, *_, state = clicks(tags, DEAD_PS)
    assert np.isin(some, every).all() and state.blanked >= len(every) - len(some) > 2000
    none, *_, state = clicks(tags, 0)
    assert np.array_equal(none, every) and state.blanked is None


def made(slot, detector, busy, reach, horizons=(None,)):
    maker, parts = ClickMaker(np.random.default_rng(1), reach), []
    edges = [-(1 << 60), *(h for h in horizons if h is not None), 1 << 60]
    for (low, high), horizon in zip(itertools.pairwise(edges), horizons, strict=True):
        part, stray = (slot >= low) & (slot < high), (busy >= low) & (busy < high)
        parts.append(maker.push(slot[part], detector[part], horizon, busy[stray]))
    return np.concatenate([p.slot for p in parts]), maker.blanked


def test_a_double_click_is_not_taken_for_a_dead_time():
    """Two detectors in one slot, both ready before: the slot counts, as a double click."""
    slot, detector = np.array([5, 5, 7, 20]), np.array([0, 1, 2, 3], np.uint8)
    got, blanked = made(slot, detector, slot, 10)
    assert got.tolist() == [5, 20] and blanked == 1


def test_the_window_is_as_long_as_told():
    slot, detector = np.array([100, 110, 121, 131]), np.zeros(4, np.uint8)
    assert made(slot, detector, slot, 10)[0].tolist() == [100, 121]
    assert made(slot, detector, slot, 9)[0].tolist() == [100, 110, 121, 131]
    assert made(slot, detector, np.sort(np.append(slot, 111)), 10)[0].tolist() == [100]


@pytest.mark.parametrize("seed", range(4))
def test_blanking_across_horizons(seed):
    rng = np.random.default_rng(seed)
    slot = np.sort(rng.integers(0, 3000, 400))
    detector, busy = rng.integers(0, 4, 400).astype(np.uint8), np.sort(np.append(slot, rng.integers(0, 3000, 100)))
    whole = made(slot, detector, busy, 7)
    cut = made(slot, detector, busy, 7, (*np.unique(rng.integers(0, 3000, 30)).tolist(), None))
    assert np.array_equal(whole[0], cut[0]) and whole[1] == cut[1]
    assert whole[0].tolist() == [s for s in np.unique(slot) if not ((busy >= s - 7) & (busy < s)).any()]


def test_a_new_start_is_blind():
    """After a gap in the tags nobody knows whether a detector clicked just before."""
    link = SimulatedLink(
        SOURCE, SYNC, ChannelSettings(distance_km=60), DetectorSettings(), ClockSettings(offset_ps=-10**9), EveSettings(),
        ReceiverSettings(), seed=3)
    tags = next(iter(link.blocks(0.02, 0.02)))
    cut = TimeTags(tags.time_ps[5:], tags.channel[5:])
    blank_ps = 10**9
    slot, *_ = clicks(cut, blank_ps)
    first = clicks(cut, None)[0][0]
    assert not len(slot) or slot[0] >= first + blank_ps // 1000 - 2000


def test_the_bound_says_how_it_stands():
    sent = np.array([[7e8, 7e7], [2e8, 2e7], [1e8, 1e7]]).astype(np.int64)
    counts = DecoyCounts(sent, sent // 100, sent // 5000)
    for blank_ps, said, other in ((None, LIVE_DETECTORS, BLANKED), (0, LIVE_DETECTORS, BLANKED),
                                  (50_000, BLANKED, LIVE_DETECTORS)):
        agreement = Agreement(SOURCE, SYNC, ReceiverSettings(blank_ps=blank_ps), DistillSettings())
        bound = block_bound(agreement, counts, f_ec=1.16)
        assert said in bound.assumptions and other not in bound.assumptions
