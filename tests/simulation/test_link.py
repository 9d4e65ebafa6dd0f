import itertools
from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import chisquare

import qkdlab
from qkdlab.choices import StoredPattern
from qkdlab.datatypes import ReceiverSettings, SourceSettings, SynchronisationSettings
from qkdlab.errors import BadInput
from qkdlab.simulation import (
    ChannelSettings,
    ClockSettings,
    DetectorSettings,
    EveSettings,
    ModulatorSettings,
    SimulatedLink,
    detector_rates,
    expected_gains,
    expected_gains_at_rate,
    split_gains,
)
from qkdlab.simulation.detectors import AFTERPULSE, DARK, SIGNAL

SOURCE = SourceSettings(key_basis_probability=0.6, clock_hz=1e9)
PLAIN_CLOCK = ClockSettings(offset_ps=0, offset_ppm=0, drift_per_s=0)
IDEAL = DetectorSettings(dead_time_ps=0, afterpulse_probability=0, dark_rate_hz=20_000, key_basis_probability=0.7)


def make(source=SOURCE, sync=None, channel=None, detectors=None, clock=None, eve=None, receiver=None, **more):
    return SimulatedLink(source, sync, channel or ChannelSettings(), detectors or DetectorSettings(),
                         clock or PLAIN_CLOCK, eve or EveSettings(), receiver or ReceiverSettings(),
                         **{"seed": 1} | more)


def tags_of(link, seconds, block_seconds=0.1):
    blocks = list(link.blocks(seconds, block_seconds))
    return np.concatenate([b.time_ps for b in blocks]), np.concatenate([b.channel for b in blocks])


def received(link, seconds, gate_ps):
    """What a receiver with a plain clock counts: (intensity, basis, bit, error) of matching slots, int64.
    Both detectors of a basis: a random bit. Both bases: a random basis and bit."""
    time, detector = tags_of(link, seconds)
    period = link.source.period_ps
    slot = np.rint(time / period).astype(np.int64)
    inside = np.abs(time - slot * period) <= gate_ps / 2
    slot, which = np.unique(slot[inside], return_inverse=True)
    fired = np.zeros((len(slot), 4), bool)
    fired[which, detector[inside]] = True
    rng = np.random.default_rng(99)
    key, test = fired[:, :2].any(1), fired[:, 2:].any(1)
    basis = np.where(key & test, rng.integers(0, 2, len(slot)), test)
    pair = fired[np.arange(len(slot))[:, None], 2 * basis[:, None] + [0, 1]]
    outcome = np.where(pair.all(1) | (key & test), rng.integers(0, 2, len(slot)), pair[:, 1])
    symbols = link.choices.at(slot)
    alice_basis, bit, intensity = symbols >> 1 & 1, symbols & 1, symbols >> 2
    cell = np.stack([intensity, basis, bit, outcome != bit])[:, basis == alice_basis]
    counts = np.zeros((len(link.source.intensities), 2, 2, 2), np.int64)
    np.add.at(counts, tuple(cell), 1)
    return counts


def cell_probabilities(source, gains):
    prepared = np.outer(source.achieved_probabilities,
                        [source.achieved_key_basis_probability, 1 - source.achieved_key_basis_probability])
    outcome = np.stack([gains.clicks - gains.errors, gains.errors], axis=-1)
    return (prepared[..., None] * outcome)[:, :, None, :] * np.full((2, 1), 0.5)


@pytest.mark.parametrize("channel, eve, dark_rate_hz, seconds", [
    (ChannelSettings(distance_km=100, misalignment=0.03), 0.0, 20_000, 0.2),
    (ChannelSettings(distance_km=100, misalignment=0.03), 1.0, 20_000, 0.2),
    (ChannelSettings(distance_km=5, misalignment=0.1), 0.4, 2e7, 0.002),        # double clicks matter here
])
def test_counts_agree_with_the_closed_forms(channel, eve, dark_rate_hz, seconds):
    detectors, eve, gate = IDEAL.replace(dark_rate_hz=dark_rate_hz), EveSettings(intercept_fraction=eve), 150.0
    link = make(channel=channel, detectors=detectors, eve=eve)
    counts = received(link, seconds, gate).ravel()
    pulses = seconds * link.source.clock_hz
    law = cell_probabilities(SOURCE, expected_gains(SOURCE, channel, detectors, eve, gate + 1)).ravel() * pulses
    assert law.min() > 5
    observed, expected = [*counts, pulses - counts.sum()], [*law, pulses - law.sum()]
    assert chisquare(observed, expected).pvalue > 1e-4


@pytest.mark.parametrize("fraction, qber", [(0.0, 0.01), (0.5, 0.13), (1.0, 0.25)])
def test_interception_raises_the_error_rate_and_leaves_the_gains(fraction, qber):
    channel = ChannelSettings(distance_km=100, misalignment=0.01)
    dark_free = IDEAL.replace(dark_rate_hz=0)
    counts, honest = (received(make(channel=channel, detectors=dark_free, eve=EveSettings(intercept_fraction=f)),
                               0.1, 1000.0) for f in (fraction, 0.0))
    n = counts.sum()
    expected = fraction / 4 + 0.01 * (1 - fraction / 2)
    assert expected == pytest.approx(qber, abs=0.01)
    for basis in (0, 1):
        here = counts[:, basis]
        assert abs(here[..., 1].sum() / here.sum() - expected) < 5 * np.sqrt(expected / here.sum()) + 1e-3
    assert abs(n - honest.sum()) < 5 * np.sqrt(2 * n)


def test_no_light_leaves_dark_counts_only():
    link = make(channel=ChannelSettings(extra_loss_db=200), keep_truth=True)
    time, _ = tags_of(link, 2.0)
    origin = np.concatenate([t.origin for t in link.truth])
    assert np.all(np.isin(origin, [DARK, AFTERPULSE]))
    assert abs(np.sum(origin == DARK) - 800) < 5 * np.sqrt(800)


def test_truth_names_the_slot_and_the_origin_of_each_tag():
    channel = ChannelSettings(distance_km=50)
    link = make(channel=channel, detectors=DetectorSettings(jitter_fwhm_ps=0, delay_ps=(0, 100, 200, -300)),
                keep_truth=True, receiver=ReceiverSettings(channels=(7, 3, 5, 1)))
    blocks = list(link.blocks(0.02, 0.01))
    assert len(blocks) == 2 and [len(b) for b in blocks] == [len(t.slot) for t in link.truth]
    time, channel = (np.concatenate([getattr(b, name) for b in blocks]) for name in ("time_ps", "channel"))
    slot, origin = (np.concatenate([getattr(t, name) for t in link.truth]) for name in ("slot", "origin"))
    assert set(origin) == {SIGNAL, DARK, AFTERPULSE} and np.array_equal(slot >= 0, origin == SIGNAL)
    for number, delay in ((7, 0), (3, 100), (5, 200), (1, -300)):
        here = (origin == SIGNAL) & (channel == number)
        assert np.abs(np.mean(time[here] - slot[here] * 1000) - delay) < 10
    assert not np.any(link.choices.at(slot[origin == SIGNAL]) >> 2 == 2)


def test_same_seed_same_tags_another_seed_others():
    (a, b), (c, _) = ([tags_of(make(seed=s), 0.02, 0.01) for _ in range(2)] for s in (5, 6))
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    assert not np.array_equal(a[0][:100], c[0][:100])
    first, second = (make(seed=None) for _ in range(2))
    assert not np.array_equal(first.choices.train(0, 200).symbols, second.choices.train(0, 200).symbols)
    assert first.simulated and not np.array_equal(tags_of(first, 0.01)[0], tags_of(second, 0.01)[0])


def test_the_seed_fixes_alices_choices_whatever_the_physics():
    a, b = make(seed=3), make(seed=3, channel=ChannelSettings(distance_km=1), eve=EveSettings(intercept_fraction=0.5))
    assert np.array_equal(a.choices.train(7, 500).symbols, b.choices.train(7, 500).symbols)


@pytest.mark.parametrize("block_seconds", [0.05, 0.003, 1e-4])
def test_blocks_of_any_size_join_without_seam(block_seconds):
    detectors = DetectorSettings(afterpulse_probability=0.1, dead_time_ps=200_000)
    link = make(detectors=detectors, clock=ClockSettings(offset_ps=10**10))
    time, channel = tags_of(link, 0.05, block_seconds)
    assert np.all(np.diff(time) >= 0) and time[0] >= 0 and time[-1] < 0.0501e12
    for d in range(4):
        assert np.diff(time[channel == d]).min() >= 200_000
    rates = detector_rates(SOURCE, link.channel, detectors, link.eve)
    expected = rates.click_hz.sum() * 0.04 + 4 * 100 * 0.01
    assert len(time) == pytest.approx(expected, rel=0.01)


def test_number_of_blocks_and_going_on():
    link = make(channel=ChannelSettings(distance_km=120))
    assert len(list(link.blocks(0.25, 0.1))) == 3 and len(list(link.blocks(0.3, 0.1))) == 3
    assert list(link.blocks(0, 0.1)) == []
    last = list(link.blocks(0.1, 0.1))[-1]
    assert 0.55e12 <= last.time_ps[0] < 0.57e12
    assert len(list(itertools.islice(link.blocks(float("inf"), 0.01), 4))) == 4
    for bad in (-1, float("nan")):
        with pytest.raises(BadInput, match="seconds"):
            link.blocks(bad)
    for bad in (0, -1, float("inf"), float("nan")):
        with pytest.raises(BadInput, match="block_seconds"):
            link.blocks(1, bad)


@pytest.mark.parametrize("offset_ps", [10**11, -(10**11)])
def test_bob_begins_at_his_own_time_before_or_after_alice(offset_ps):
    clock = ClockSettings(offset_ps=offset_ps, offset_ppm=50, drift_per_s=1e-8, tick_ps=4)
    link = make(clock=clock, channel=ChannelSettings(distance_km=80), keep_truth=True)
    blocks = list(link.blocks(0.2, 0.1))
    time, slot = (np.concatenate(x) for x in ([b.time_ps for b in blocks], [t.slot for t in link.truth]))
    assert not np.any(time % 4) and time.min() >= 0
    signal = slot >= 0
    read = slot[signal] * 1000.0
    read = read * (1 + 50e-6) + 0.5e-20 * read**2 + offset_ps
    assert np.abs(time[signal] - read).max() < 8 * 61 + 5
    assert slot[signal].min() == pytest.approx(max(0, -offset_ps / 1000), abs=1e6)
    if offset_ps > 0:
        assert np.sum(time < offset_ps - 1000) > 10 and np.all(slot[time < offset_ps - 1000] == -1)


def test_a_clock_rate_that_is_no_whole_number_of_ps_stays_exact():
    source = SourceSettings(clock_hz=76e6)
    link = make(source=source, keep_truth=True, clock=ClockSettings(offset_ps=-(10**15), offset_ppm=0, drift_per_s=0))
    block = next(link.blocks(0.01, 0.01))
    slot = link.truth[0].slot
    alice = np.array([round(Fraction(int(s) * 10**12, 76 * 10**6)) for s in slot[slot >= 0]])
    residual = block.time_ps[slot >= 0] + 10**15 - alice
    assert np.abs(residual).max() < 8 * 61 and abs(np.mean(residual)) < 2


def test_public_slots_carry_the_string():
    sync = SynchronisationSettings(frame_slots=1024, header_slots=512)
    link = make(sync=sync, channel=ChannelSettings(distance_km=5), detectors=IDEAL.replace(dark_rate_hz=0))
    time, _ = tags_of(link, 1e-4)
    slot = np.rint(time / 1000).astype(np.int64)
    pattern = qkdlab.preamble.fixed_pattern(sync)
    place = slot[slot % 1024 < 256] % 1024
    assert len(place) > 500 and np.all(pattern[place])


def test_sliders_act_from_the_next_block():
    link = make(channel=ChannelSettings(distance_km=100))
    blocks = link.blocks(float("inf"), 0.01)
    before = len(next(blocks))
    link.update(channel=ChannelSettings(distance_km=50))
    near = len(next(blocks))
    link.update(detectors=link.detectors.replace(efficiency=0.0), eve=EveSettings(intercept_fraction=1.0))
    dark = len(next(blocks))
    assert link.channel.distance_km == 50 and link.eve.intercept_fraction == 1 and link.detectors.efficiency == 0
    assert near > 5 * before and dark < before / 10
    with pytest.raises(BadInput, match="channel"):
        link.update(channel=EveSettings())
    assert link.channel.distance_km == 50


def test_expected_gains_are_met_at_high_rate():
    source = SourceSettings(clock_hz=1e9)
    detectors = DetectorSettings(efficiency=0.5, dead_time_ps=30_000, afterpulse_probability=0.05)
    link = make(source=source, channel=ChannelSettings(distance_km=60), detectors=detectors)
    counts = received(link, 0.1, 400.0).sum(axis=2)
    gains = link.expected_gains(401.0)
    assert np.array_equal(gains, expected_gains_at_rate(source, link.channel, detectors, link.eve, 401.0).clicks)
    ideal = expected_gains(source, link.channel, detectors, link.eve, 401.0).clicks
    sent = np.outer(source.achieved_probabilities, [0.9, 0.1]) * 1e8
    seen = counts.sum(axis=-1) / sent
    assert seen[0] == pytest.approx(gains[0], rel=0.02) and abs(ideal[0, 0] / seen[0, 0] - 1) > 0.05
    assert seen[2, 0] == pytest.approx(gains[2, 0], rel=0.1) and ideal[2, 0] < 0.1 * seen[2, 0]


def test_choices_of_ones_own():
    pattern = StoredPattern(SOURCE, None, np.array([0, 1, 2, 3], np.uint8))
    link = make(choices=pattern, keep_truth=True)
    assert link.choices is pattern
    next(link.blocks(0.001, 0.001))
    assert len(link.truth[0].slot)
    with pytest.raises(BadInput, match="choices"):
        make(choices=pattern, source=SourceSettings())


def test_simulate_builds_a_link_from_tables():
    link = qkdlab.simulate({"channel": ChannelSettings(distance_km=20)}, seed=4)
    assert link.channel.distance_km == 20 and link.source == SourceSettings() and link.sync is not None
    assert np.array_equal(link.choices.train(0, 50).symbols, qkdlab.simulate(seed=4).choices.train(0, 50).symbols)
    with pytest.raises(BadInput, match="chanel: unknown section; did you mean 'channel'"):
        qkdlab.simulate({"chanel": ChannelSettings()})


@pytest.mark.parametrize("seed", [-1, 1.5, "x"])
def test_bad_arguments_are_refused(seed):
    with pytest.raises(BadInput, match="seed"):
        make(seed=seed)
    with pytest.raises(BadInput, match="detectors"):
        make(detectors=EveSettings())


def test_jitter_reaches_back_over_the_seams_of_blocks():
    link = make(channel=ChannelSettings(distance_km=0), detectors=IDEAL.replace(efficiency=1, dark_rate_hz=0),
                keep_truth=True)
    time, _ = tags_of(link, 1e-5, 1e-8)                                    # a seam at every tenth pulse
    slot = np.concatenate([t.slot for t in link.truth])
    residual = (time - slot * 1000)[(slot % 10 == 0) & (slot > 0)]
    assert np.all(np.diff(time) >= 0) and len(residual) > 200
    assert abs(residual.mean()) < 5 * 60 / np.sqrt(len(residual)) and np.std(residual) == pytest.approx(60, rel=0.2)


def test_a_new_source_is_taken_before_the_first_block_only():
    brighter = SOURCE.replace(intensities=(0.8, 0.1, 0.0))
    link, made = make(), make(source=brighter)
    link.update(source=brighter)
    assert link.source == link.choices.source == brighter
    for a, b in zip(link.blocks(0.002, 0.001), made.blocks(0.002, 0.001), strict=True):
        assert np.array_equal(a.time_ps, b.time_ps) and np.array_equal(a.channel, b.channel)
    link.update(source=brighter)                # no change: fine at any time
    with pytest.raises(BadInput, match="runs already"):
        link.update(source=SOURCE)
    pattern = StoredPattern(SOURCE, None, np.zeros(64, np.uint8))
    with pytest.raises(BadInput, match="stored choices"):
        make(choices=pattern).update(source=brighter)


# ------------------------------------------------------------------------------------- attacks and a modulator at fault


def signal_counts(link, seconds):
    """Slots with a click of light, by intensity."""
    list(link.blocks(seconds))
    slot = np.unique(np.concatenate([t.slot for t in link.truth]))
    slot = slot[slot >= 0]
    return np.bincount(link.choices.at(slot) >> 2, minlength=len(link.source.intensities)), slot


@pytest.mark.parametrize("distance_km, fraction", [(75, 1.0), (75, 0.4), (5, 1.0)])
def test_photon_number_splitting_agrees_with_the_closed_form(distance_km, fraction):
    source = SOURCE.replace(clock_hz=1e8)
    detectors, channel = IDEAL.replace(efficiency=0.3, dark_rate_hz=0), ChannelSettings(distance_km=distance_km)
    seconds = 0.5 if distance_km > 50 else 0.05
    link = make(source, channel=channel, detectors=detectors, eve=EveSettings(split_fraction=fraction), keep_truth=True)
    counts, _ = signal_counts(link, seconds)
    passed, split = split_gains(source, channel, detectors)
    honest = -np.expm1(-np.array(source.intensities) * channel.transmittance * detectors.efficiency)
    law = seconds * 1e8 * np.array(source.achieved_probabilities) * (fraction * split + (1 - fraction) * honest)
    assert np.all(np.abs(counts - law) <= 5 * np.sqrt(law) + 1e-9)
    assert (passed < 1) == (distance_km > 50)
    if passed < 1:
        assert split[0] == pytest.approx(honest[0], rel=1e-9)
    if fraction == 1:
        assert min(t.photons[t.slot >= 0].min() for t in link.truth if (t.slot >= 0).any()) >= 2


def test_faked_states_make_one_click_a_pulse_and_no_error():
    link = make(channel=ChannelSettings(distance_km=5), detectors=IDEAL.replace(dark_rate_hz=0, jitter_fwhm_ps=0),
                eve=EveSettings(faked_fraction=1.0), keep_truth=True)
    blocks = list(link.blocks(0.005))
    slot = np.concatenate([t.slot for t in link.truth])
    detector = np.concatenate([b.channel for b in blocks])
    assert len(np.unique(slot)) == len(slot) > 50_000
    symbols = link.choices.at(slot)
    same = detector >> 1 == symbols >> 1 & 1
    assert np.array_equal(detector[same] & 1, symbols[same] & 1)
    other = (detector ^ symbols)[~same] & 1
    assert abs(other.mean() - 0.5) < 5 * 0.5 / np.sqrt(len(other))
    assert abs(np.mean(detector >> 1) - 0.3) < 5 * np.sqrt(0.21 / len(slot))
    honest = make(channel=ChannelSettings(distance_km=5), detectors=IDEAL.replace(dark_rate_hz=0), keep_truth=True)
    counts, clean = (np.bincount(link.choices.at(s) >> 2, minlength=3)[:2] for s in (slot, signal_counts(honest, 0.005)[1]))
    assert np.all(np.abs(counts - clean) < 6 * np.sqrt(2 * clean))


def test_blinded_detectors_never_click():
    link = make(eve=EveSettings(blinded=(0, 3)), detectors=DetectorSettings(dark_rate_hz=1e5))
    assert set(tags_of(link, 0.05)[1]) == {1, 2}


@pytest.mark.parametrize("modulator", [
    ModulatorSettings(relative=(1.3, 0.7, 1.0)), ModulatorSettings(pattern_effect=0.2),
    ModulatorSettings(relative=(0.5, 2.0, 1.0), pattern_effect=0.05),
])
def test_a_modulator_at_fault_agrees_with_the_closed_form(modulator):
    channel, gate = ChannelSettings(distance_km=60, misalignment=0.02), 150.0
    link = make(channel=channel, detectors=IDEAL, modulator=modulator)
    counts = received(link, 0.1, gate).ravel()
    pulses = 0.1 * link.source.clock_hz
    gains = expected_gains(SOURCE, channel, IDEAL, EveSettings(), gate + 1, modulator)
    law = cell_probabilities(SOURCE, gains).ravel() * pulses
    observed, expected = [*counts, pulses - counts.sum()], [*law, pulses - law.sum()]
    assert law.min() > 5 and chisquare(observed, expected).pvalue > 1e-4
    agreed = cell_probabilities(SOURCE, expected_gains(SOURCE, channel, IDEAL, EveSettings(), gate + 1)).ravel() * pulses
    assert chisquare(observed, [*agreed, pulses - agreed.sum()]).pvalue < 1e-9


def test_the_modulator_can_change_while_the_link_runs():
    link = make(keep_truth=True)
    before = signal_counts(link, 0.05)[0]
    link.update(modulator=ModulatorSettings(relative=(0.5, 1, 1)))
    link.truth.clear()
    after = signal_counts(link, 0.05)[0]
    assert after[0] / before[0] == pytest.approx(0.5, rel=0.1) and link.modulator.relative == (0.5, 1, 1)
    for wrong in (ModulatorSettings(relative=(1, 1)), "fast"):
        with pytest.raises(BadInput):
            link.update(modulator=wrong)
    with pytest.raises(BadInput, match="3 intensities"):
        make(modulator=ModulatorSettings(relative=(1,)))


def test_the_truth_changes_no_tag():
    for eve in (EveSettings(), EveSettings(split_fraction=0.5), EveSettings(faked_fraction=0.5, intercept_fraction=0.5)):
        (a, _), (b, _) = (tags_of(make(eve=eve, keep_truth=kept), 0.02) for kept in (False, True))
        assert np.array_equal(a, b)
