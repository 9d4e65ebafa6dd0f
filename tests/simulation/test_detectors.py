import numpy as np
import pytest
from scipy.stats import kstest

from qkdlab.simulation import DetectorSettings
from qkdlab.simulation.detectors import AFTERPULSE, DARK, SIGNAL, DetectorBank, dark_counts, edge_ps, jittered

SECOND = 10**12
QUIET = DetectorSettings(dark_rate_hz=0, afterpulse_probability=0, dead_time_ps=0)


def poisson_light(rate_hz, rng, seconds=1):
    time, detector = dark_counts(0, seconds * SECOND, rate_hz, rng)
    order = np.argsort(time)
    time, detector = time[order], detector[order]
    return time, detector, np.arange(len(time)), np.full(len(time), SIGNAL, np.uint8)


def test_dark_counts_have_their_rate_on_each_detector():
    time, detector = dark_counts(5, SECOND // 10, 1e5, np.random.default_rng(1))
    assert time.min() >= 5 and time.max() < SECOND // 10
    assert np.all(np.abs(np.bincount(detector, minlength=4) - 1e4) < 500)


def test_jitter_is_gaussian_and_bounded():
    times = jittered(np.full(20_000, 1e6), 50.0, np.random.default_rng(2))
    assert kstest((times - 1e6) / 50, "norm").pvalue > 1e-4
    assert np.abs(times - 10**6).max() < edge_ps(50.0, (0, 0, 0, 0))
    assert np.array_equal(jittered(np.array([1.4, 2.6]), 0.0, None), [1, 3])


@pytest.mark.parametrize("dead_time_ps", [0, 100_000, 1_000_000])
def test_dead_time_lowers_the_rate_without_being_prolonged(dead_time_ps):
    rate = 4e5
    light = poisson_light(rate, np.random.default_rng(3))
    settings = QUIET.replace(dead_time_ps=dead_time_ps)
    time, detector, _, _ = DetectorBank(0).clicks(settings, light, SECOND, np.random.default_rng(4))
    for d in range(4):
        gaps = np.diff(time[detector == d])
        assert gaps.min() >= dead_time_ps
        expected = rate / (1 + rate * dead_time_ps * 1e-12)
        assert abs(len(gaps) + 1 - expected) < 5 * np.sqrt(expected)


def test_afterpulses_have_their_probability_and_decay_after_the_dead_time():
    settings = QUIET.replace(dead_time_ps=50_000, afterpulse_probability=0.1, afterpulse_decay_ps=200_000)
    light = poisson_light(20_000, np.random.default_rng(5))
    time, detector, slot, origin = DetectorBank(0).clicks(settings, light, SECOND, np.random.default_rng(6))
    bred = origin == AFTERPULSE
    assert np.array_equal(slot == -1, bred) and np.array_equal(light[0][slot[~bred]], time[~bred])
    n = len(time)
    assert abs(bred.sum() - 0.1 * n) < 5 * np.sqrt(0.09 * n) + 0.01 * n      # a few are lost behind other clicks
    waits = np.concatenate([np.diff(time[detector == d])[bred[detector == d][1:]] for d in range(4)])
    assert waits.min() >= 50_000
    assert np.mean(waits - 50_000) == pytest.approx(200_000, rel=0.05)
    generations = np.sum(bred[1:] & bred[:-1])                             # afterpulses of afterpulses
    assert generations > 0.005 * n


def test_cutting_time_into_pieces_changes_nothing_without_draws():
    settings = QUIET.replace(dead_time_ps=700_000)
    light = poisson_light(1e5, np.random.default_rng(7))
    whole = DetectorBank(0).clicks(settings, light, SECOND, np.random.default_rng(8))
    bank, parts = DetectorBank(0), []
    for i in range(10):
        here = (light[0] >= i * SECOND // 10) & (light[0] < (i + 1) * SECOND // 10)
        until = (i + 1) * SECOND // 10 - (10**7 if i < 9 else 0)
        parts.append(bank.clicks(settings, tuple(c[here] for c in light), until, np.random.default_rng(9)))
    assert all(p[0].max() < (i + 1) * SECOND // 10 - 10**7 for i, p in enumerate(parts[:9]))
    for a, b in zip(whole, zip(*parts, strict=True), strict=True):
        assert np.array_equal(a, np.concatenate(b))


def test_pending_afterpulses_survive_the_end_of_a_stretch_and_a_full_heap():
    settings = QUIET.replace(afterpulse_probability=0.5, afterpulse_decay_ps=1e11)
    bank = DetectorBank(0)
    light = (np.arange(2000), np.zeros(2000, np.uint8), np.arange(2000), np.full(2000, DARK, np.uint8))
    first = bank.clicks(settings, light, 10**6, np.random.default_rng(10))
    nothing = tuple(c[:0] for c in light)
    later = bank.clicks(settings.replace(afterpulse_probability=0), nothing, 10 * SECOND, np.random.default_rng(11))
    assert len(first[0]) == pytest.approx(2000, abs=20)
    assert abs(len(later[0]) - 1000) < 5 * np.sqrt(500) and np.all(later[3] == AFTERPULSE)


def test_late_changes_never_unsort_the_tags():
    bank, rng = DetectorBank(0), np.random.default_rng(12)
    one = tuple(np.array([v], t) for v, t in ((500, np.int64), (0, np.uint8), (0, np.int64), (0, np.uint8)))
    bank.clicks(QUIET, tuple(c[:0] for c in one), 1000, rng)
    assert bank.clicks(QUIET, one, 2000, rng)[0].tolist() == [1000]
