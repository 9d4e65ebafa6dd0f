import dataclasses

import numpy as np
import pytest
from tags import blocks, simulate

from qkdlab import _ext
from qkdlab.datatypes import ReceiverSettings, SourceSettings, SynchronisationSettings, TimeTags
from qkdlab.errors import BadInput
from qkdlab.postprocessing.synchronise import Synchroniser, synchronise
from qkdlab.simulation.link import SimulatedLink
from qkdlab.simulation.settings import ChannelSettings, ClockSettings, DetectorSettings, EveSettings

SYNC = SynchronisationSettings(frame_slots=1 << 17, header_slots=1 << 13, string_seed=9)
RECEIVER = ReceiverSettings()


def source(clock_hz=1e9):
    return SourceSettings(clock_hz=clock_hz)


def run(tags, clock_hz=1e9, size=1 << 15, receiver=RECEIVER, sync=SYNC, **options):
    """(Clicks, state, lost stretches)"""
    machine = Synchroniser(source(clock_hz), sync, receiver, np.random.default_rng(5), **options)
    parts = [machine.push(stretch) for stretch in blocks(tags, size)] + [machine.finish()]
    slots = np.concatenate([part.slot for part in parts])
    assert (np.diff(slots) > 0).all() and (slots >= 0).all()
    assert (slots % sync.frame_slots >= sync.header_slots).all(), "public slots are no clicks"
    return parts, machine.state, machine.lost_stretches


def secret_slots(truth, sync=SYNC):
    slots = truth.slot[truth.slot >= 0]
    return slots[slots % sync.frame_slots >= sync.header_slots]


def compare(parts, truth, sync=SYNC):
    """(part of the true clicks that was found, clicks that are none)"""
    got = np.concatenate([part.slot for part in parts])
    return np.isin(secret_slots(truth, sync), got).mean(), int((~np.isin(got, truth.slot)).sum())


# One line each: the pulse rate, Bob's ppm and drift, when he starts, loss, seconds.
LINKS = [
    (1e9, 15, 1e-8, 0.2, 20, 0.05),
    (1e9, -15, -1e-8, -0.03, 20, 0.06),
    (1e9, -15, 1e-8, -0.2, 40, 1.2),
    (1e9, 19, -1e-8, 0.3, 50, 8.0),
    (1e8, 15, 1e-8, 1.2, 20, 0.2),
    (1e8, -15, -1e-8, -0.4, 30, 1.4),
    (1e8, 15, 1e-8, 0.3, 40, 8.0),
    (2.5e9, -19, 1e-8, 0.7, 30, 0.1),
    (5e7, 12, -1e-8, -0.5, 40, 16.0),
]


@pytest.mark.parametrize(("clock_hz", "ppm", "drift", "start_s", "loss_db", "seconds"), LINKS)
def test_slots_are_recovered(clock_hz, ppm, drift, start_s, loss_db, seconds):
    truth = simulate(source(clock_hz), SYNC, seconds=seconds, loss_db=loss_db, start_s=start_s, ppm=ppm, drift=drift,
                     jitter_ps=40, dark_hz=50)
    parts, state, lost = run(truth.tags, clock_hz)
    found, wrong = compare(parts, truth)
    assert state.locked and state.reason is None
    assert found > 0.97, "the gate takes a few percent, a few slots are given up before the light came"
    # Dark counts in the gate and nothing else: a signal tag with a wrong slot would show here.
    dark = 200 * seconds * state.gate_ps * clock_hz * 1e-12
    assert wrong < dark + 5 * np.sqrt(dark) + 1e-3 * len(truth.slot)
    assert state.offset_ppm == pytest.approx(-ppm - drift * seconds * 1e6, abs=0.003)
    assert seconds < 1 or state.drift_per_s == pytest.approx(-drift, abs=4e-9)
    assert state.jitter_ps == pytest.approx(40, rel=0.25)
    if start_s > 0:
        assert not lost
        assert abs(state.offset_slots - start_s * clock_hz) < 1 + clock_hz * 1e-12 * (truth.tags.time_ps[0] - 10**12)
        assert state.first_frame in (int(start_s * clock_hz) // SYNC.frame_slots + k for k in range(3))
    else:
        assert state.offset_slots < 1e-6 * clock_hz and state.first_frame <= 0.02 * clock_hz // SYNC.frame_slots
        assert all(s.stop_ps < 10**12 - (start_s - 0.05) * 1e12 for s in lost)


def test_without_noise_every_click_is_right():
    truth = simulate(source(), SYNC, seconds=0.05, loss_db=20, ppm=9, drift=1e-8, dark_hz=0, jitter_ps=60)
    parts, _, _ = run(truth.tags)
    found, wrong = compare(parts, truth)
    assert found > 0.999 and wrong == 0
    slot, basis, outcome = (np.concatenate([getattr(p, n) for p in parts]) for n in ("slot", "basis", "outcome"))
    want = dict(zip(truth.slot.tolist(), truth.tags.channel.tolist(), strict=True))
    assert [want[s] for s in slot.tolist()] == (2 * basis + outcome).tolist()


def test_delays_of_detectors_are_taken_off():
    """Within the slot and beyond it; the weak detectors of a biased receiver too."""
    delays = (0, 5300, -7450, 250)
    truth = simulate(source(), SYNC, seconds=0.2, loss_db=26, ppm=-7, drift=1e-8, delays_ps=delays)
    parts, state, lost = run(truth.tags)
    found, wrong = compare(parts, truth)
    assert found > 0.98 and wrong < 0.002 * len(truth.slot) and not lost
    assert np.abs(np.array(state.delays_ps) - delays).max() <= 4


@pytest.mark.parametrize("size", [3, 777, 10**6])
def test_how_tags_are_cut_makes_no_difference(size):
    n = 3000 if size == 3 else None
    truth = simulate(source(), SYNC, seconds=0.05 if n is None else 0.004, loss_db=20 if n is None else 17, ppm=9,
                     start_s=-0.001, dark_hz=3000)
    whole, state, lost = run(truth.tags)
    parts, state_2, lost_2 = run(truth.tags, size=size)
    for name in ("slot", "basis", "outcome"):
        assert np.array_equal(*(np.concatenate([getattr(p, name) for p in x]) for x in (whole, parts)))
    assert state == state_2 and lost == lost_2
    assert sum(map(len, whole)) > 1000


@pytest.mark.parametrize("path", _ext.paths)
def test_every_instruction_path_gives_the_same_clicks(path, monkeypatch):
    import importlib
    truth = simulate(source(), SYNC, seconds=0.02, loss_db=20, ppm=9)
    results = []
    for name in (path, _ext.paths[0]):
        monkeypatch.setattr(_ext, "match", importlib.import_module(f"qkdlab._ext.{name}.match"))
        clicks, state = synchronise(blocks(truth.tags, 5000), source(), SYNC, RECEIVER, np.random.default_rng(5))
        results.append((clicks.slot.tolist(), clicks.outcome.tolist(), state))
    assert results[0] == results[1] and len(results[0][0]) > 1000


def test_other_inputs_of_the_tagger_are_ignored():
    truth = simulate(source(), SYNC, seconds=0.03, loss_db=20)
    receiver = ReceiverSettings(channels=(7, 5, 3, 9))
    marks = np.sort(np.random.default_rng(1).integers(10**12, 103 * 10**10, 3000))
    time_ps = np.concatenate([truth.tags.time_ps, marks])
    channel = np.concatenate([np.array([7, 5, 3, 9], np.uint8)[truth.tags.channel], np.zeros(3000, np.uint8)])
    order = np.argsort(time_ps, kind="stable")
    parts, _, _ = run(TimeTags(time_ps[order], channel[order]), receiver=receiver)
    plain, _, _ = run(truth.tags)
    assert np.array_equal(np.concatenate([p.slot for p in parts]), np.concatenate([p.slot for p in plain]))


def test_a_given_gate_is_used():
    truth = simulate(source(), SYNC, seconds=0.03, loss_db=20, jitter_ps=60)
    _, state, _ = run(truth.tags, receiver=RECEIVER.replace(gate_ps=120))
    assert state.gate_ps == 120
    assert state.gated_fraction == pytest.approx(0.683, abs=0.02)


def test_the_histogram_shows_the_pulse():
    truth = simulate(source(), SYNC, seconds=0.03, loss_db=20, jitter_ps=60, delays_ps=(0, 300, 600, 900))
    machine = Synchroniser(source(), SYNC, RECEIVER, np.random.default_rng(5))
    phase_ps, counts = machine.histogram()
    assert not counts.any() and len(phase_ps) == counts.shape[1]
    machine.push(truth.tags)
    machine.finish()
    phase_ps, counts = machine.histogram()
    assert counts.sum() == len(truth.tags)
    centres = counts @ phase_ps / counts.sum(axis=1)
    assert np.abs(centres).max() < 5, "all four detectors stand at the same phase"
    assert np.sqrt(counts.sum(axis=0) @ phase_ps**2 / counts.sum()) == pytest.approx(60, rel=0.15)


# ------------------------------------------------------------------------------------------------- what cannot be done


def test_no_tags_no_clicks():
    parts, state, lost = run(TimeTags(np.empty(0, np.int64), np.empty(0, np.uint8)))
    assert not sum(map(len, parts)) and not state.locked and not lost
    assert state.reason == "no clicks: is the shutter open?"


def test_a_handful_of_tags():
    tags = TimeTags(np.arange(20) * 10**9, np.zeros(20, np.uint8))
    parts, state, lost = run(tags)
    assert not sum(map(len, parts)) and state.reason == "no clicks: is the shutter open?"
    assert (lost[0].start_ps, lost[-1].stop_ps) == (0, 19 * 10**9 + 1)


def test_noise_is_refused():
    rng = np.random.default_rng(4)
    tags = TimeTags(np.sort(rng.integers(0, 10**12, 100_000)), rng.integers(0, 4, 100_000).astype(np.uint8))
    parts, state, lost = run(tags)
    assert not sum(map(len, parts)) and not state.locked
    assert state.reason == "no pulse rate found near 1000 MHz +-20 ppm"
    assert lost[0].start_ps == tags.time_ps[0] and lost[-1].stop_ps == tags.time_ps[-1] + 1


@pytest.mark.parametrize("ppm", [-60, 35, 1000])
def test_a_wrong_nominal_rate_is_refused_unless_the_search_is_wide(ppm):
    truth = simulate(source(), SYNC, seconds=0.03, loss_db=20, ppm=ppm)
    parts, state, _ = run(truth.tags)
    assert not sum(map(len, parts)) and "no pulse rate found" in state.reason
    parts, state, _ = run(truth.tags, search_ppm=1100.0)
    assert compare(parts, truth)[0] > 0.98


def test_another_string_is_refused():
    truth = simulate(source(), SYNC, seconds=0.05, loss_db=20)
    parts, state, lost = run(truth.tags, sync=SYNC.replace(string_seed=10))
    assert not sum(map(len, parts)) and not state.locked
    assert state.reason.startswith("public string not found") and state.rate_hz == pytest.approx(1e9, abs=1)
    assert lost[0].start_ps == truth.tags.time_ps[0]


def test_too_late_a_start_is_refused():
    truth = simulate(source(), SYNC, seconds=0.02, loss_db=18, start_s=2.0)
    assert "frame number" in run(truth.tags, late_frames=10_000)[1].reason
    assert compare(run(truth.tags, late_frames=16_000)[0], truth)[0] > 0.98


def test_a_source_of_one_intensity_cannot_carry_the_string():
    alone = SourceSettings(intensities=(0.5,), probabilities=(1.0,))
    with pytest.raises(BadInput, match="intensities"):
        Synchroniser(alone, SYNC, RECEIVER, np.random.default_rng(1))


# ------------------------------------------------------------------------------------------------------------- faults

START = 10**12


def gap(tags, begin_s, end_s):
    keep = (tags.time_ps < START + begin_s * 1e12) | (tags.time_ps > START + end_s * 1e12)
    return TimeTags(tags.time_ps[keep], tags.channel[keep])


def jump(tags, at_s, by_ps):
    return TimeTags(tags.time_ps + (tags.time_ps > START + at_s * 1e12) * by_ps, tags.channel)


FAULTS = {
    "gap that the clock bridges": (lambda t: gap(t, 0.2, 0.22), 0.9, ""),
    "a tenth of a slot": (lambda t: jump(t, 0.2, 100), 0.92, "jumped"),
    "whole slots": (lambda t: jump(t, 0.2, 5000), 0.85, "public string does not agree"),
    "whole slots back": (lambda t: jump(t, 0.2, -3000), 0.85, "public string does not agree"),
    "any time": (lambda t: jump(t, 0.2, 123_456_789_012), 0.97, "jumped"),
    "back in time": (lambda t: jump(t, 0.2, -123_456_789_012), 0.97, "stepped back by 0.123"),
}


@pytest.fixture(scope="module")
def recording():
    return simulate(source(), SYNC, seconds=0.4, loss_db=28, ppm=5, drift=1e-8, dark_hz=100, jitter_ps=40)


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_survived_and_told(name, recording):
    spoil, least, reason = FAULTS[name]
    truth = recording
    parts, state, lost = run(spoil(truth.tags), size=4096)
    found, wrong = compare(parts, truth)
    assert state.locked
    assert found > least, "what the fault leaves"
    assert wrong < 200
    assert any(reason in stretch.reason for stretch in lost) or not reason
    # Reported where it happened: by the clock before the jump, or by the one after it.
    assert all(min(abs(s.start_ps - START - 0.2e12), abs(s.start_ps - START - 0.323e12)) < 5e10 for s in lost)
    assert all(s.stop_ps - s.start_ps < 7e10 for s in lost)


def test_a_gap_that_the_clock_cannot_bridge():
    truth = simulate(source(), SYNC, seconds=3.0, loss_db=36, ppm=5, drift=1e-8, dark_hz=100, jitter_ps=40)
    tags = gap(truth.tags, 0.5, 2.5)
    parts, state, lost = run(tags)
    keep = np.isin(truth.tags.time_ps, tags.time_ps)
    assert compare(parts, dataclasses.replace(truth, tags=tags, slot=truth.slot[keep]))[0] > 0.96
    assert state.locked and any("without light" in stretch.reason for stretch in lost)


def test_doubled_and_disordered_tags_change_nothing(recording):
    truth = recording
    plain, _, _ = run(truth.tags)
    rng = np.random.default_rng(1)
    twice = np.repeat(np.arange(len(truth.tags)), 1 + (rng.random(len(truth.tags)) < 0.1))
    order = twice[np.argsort(truth.tags.time_ps[twice] + rng.integers(0, 3 * 10**6, len(twice)), kind="stable")]
    parts, _, lost = run(TimeTags(truth.tags.time_ps[order], truth.tags.channel[order]), size=4096)
    found, wrong = compare(parts, truth)
    assert found > 0.99 and not lost
    assert abs(wrong - compare(plain, truth)[1]) < 10


def test_darkness_in_between_is_bridged_or_told():
    truth = simulate(source(), SYNC, seconds=0.6, loss_db=30, ppm=5, dark_hz=2000)
    lit = (truth.slot < 0) | (truth.slot < 2 * 10**8) | (truth.slot > 4 * 10**8)
    tags = TimeTags(truth.tags.time_ps[lit], truth.tags.channel[lit])
    parts, state, lost = run(tags, size=4096)
    assert compare(parts, dataclasses.replace(truth, tags=tags, slot=truth.slot[lit]))[0] > 0.95
    assert state.locked and any("no pulses seen" in stretch.reason for stretch in lost)


def test_after_the_light_has_gone_the_state_says_so():
    truth = simulate(source(), SYNC, seconds=1.5, loss_db=30, alice_s=0.3, dark_hz=1000)
    parts, state, lost = run(truth.tags)
    assert compare(parts, truth)[0] > 0.93
    assert not state.locked and state.rate_hz == pytest.approx(1e9, abs=1)
    assert state.reason and lost[-1].stop_ps == truth.tags.time_ps[-1] + 1


# ------------------------------------------------------------------------------------------------- the simulated link


@pytest.mark.parametrize(("clock_hz", "km", "seconds", "offset_ps", "ppm"), [
    (1e9, 75, 0.1, -2 * 10**11, 15.0), (1e9, 100, 0.3, 5 * 10**10, -15.0), (1e8, 50, 0.2, 10**9, 15.0)])
def test_the_simulated_link(clock_hz, km, seconds, offset_ps, ppm):
    """Dead time, afterpulses, ticks of 4 ps and delays of up to a microsecond."""
    link = SimulatedLink(
        source(clock_hz), SYNC, ChannelSettings(distance_km=km),
        DetectorSettings(delay_ps=(0, 10**6, -(10**6), -3300), key_basis_probability=0.8),
        ClockSettings(offset_ps=offset_ps, offset_ppm=ppm, drift_per_s=1e-8, tick_ps=4), EveSettings(), RECEIVER,
        seed=3, keep_truth=True)
    machine = Synchroniser(link.source, SYNC, RECEIVER, np.random.default_rng(1))
    tags = 0
    slots = []
    for stretch in link.blocks(seconds, 0.02):
        tags += len(stretch)
        slots.append(machine.push(stretch).slot)
    got = np.concatenate([*slots, machine.finish().slot])
    true = np.concatenate([t.slot for t in link.truth])
    true = true[(true >= 0) & (true % SYNC.frame_slots >= SYNC.header_slots)]
    assert tags > 10_000 and machine.state.locked
    assert np.isin(true, got).mean() > 0.97
    assert (~np.isin(got, true)).mean() < 0.012, "dark counts and afterpulses in the gate"
    assert np.abs(np.diff(machine.state.delays_ps) - np.diff((0, 10**6, -(10**6), -3300))).max() < 60
