"""Narrow pulses in wide slots: the harmonics of the pulse rate, windows, and pieces that bend with the drift."""

import numpy as np
import pytest

from qkdlab.postprocessing.clock import BINS, PIECE_S, Clock, phase_within, sharp_phase
from qkdlab.postprocessing.pulse_rate import ONE, pulse_rate, sharpen


def pulsed(rate_hz, seconds, n, noise, *, jitter_ps=30.0, drift=1e-8, seed=1, shift_ps=0):
    """Tags from time 0 on; the rate is that at the start."""
    rng = np.random.default_rng(seed)
    slot = rng.integers(0, int(seconds * rate_hz), n)
    t = slot / rate_hz
    t = t + 0.5 * drift * t * t + rng.normal(0, jitter_ps * 1e-12, n)
    t = np.concatenate([t, rng.uniform(0, seconds, noise)])
    return np.sort(np.rint(t * 1e12).astype(np.int64)) + shift_ps


def sharp(*arguments, **options):
    time_ps = pulsed(*arguments, **options)
    detector = np.zeros(len(time_ps), np.uint8)
    found = pulse_rate(time_ps, 5e7, detector=detector)
    return found, sharpen(found, time_ps, detector)


@pytest.mark.parametrize("seed", range(3))
def test_harmonics_sharpen_all_three(seed):
    rate_hz = 5e7 * (1 + 7e-6)
    found, finer = sharp(rate_hz, 4.0, 600, 800, seed=seed)
    middle_s = finer.time_ps * 1e-12
    true_hz = rate_hz * (1 - 1e-8 * middle_s)
    assert finer.harmonic >= 32 and finer.sharpness > 300 * found.power
    assert abs(finer.rate_hz - true_hz) < 6 * finer.rate_error_hz and finer.rate_error_hz < 0.05 * found.rate_error_hz
    assert abs(finer.drift_hz_per_s + 0.5) < 0.01
    # The clock shows a whole number when a pulse comes: slot k at k / rate + drift / 2 * t^2.
    k = round(rate_hz * middle_s)
    pulse_s = k / rate_hz + 0.5e-8 * (k / rate_hz) ** 2
    shown = finer.turns[0] + (pulse_s - middle_s) * finer.rate_hz
    assert abs(shown - round(shown)) < 6 * np.sqrt(finer.phase_variance) + 1e-4 < 0.01
    assert (finer.visibility, finer.power) == (found.visibility, found.power)


def test_broad_pulses_have_no_harmonics():
    """And nothing is made up: the errors stay those of the pulse rate itself."""
    found, finer = sharp(5e7, 2.0, 900, 300, jitter_ps=4000.0)
    assert finer.harmonic <= 2 and finer.sharpness < 3 * found.power
    assert abs(finer.rate_hz - 5e7 * (1 - 1e-8 * finer.time_ps * 1e-12)) < 6 * finer.rate_error_hz


def test_a_short_span_does_not_invent_a_drift():
    for seed in range(5):
        found, finer = sharp(5e7, 0.004, 900, 300, seed=seed, drift=0.0)
        assert abs(finer.drift_hz_per_s) < 5e7 * 4e-8
        assert abs(finer.rate_hz - 5e7) < 6 * finer.rate_error_hz


def test_detectors_keep_their_own_phases():
    time_ps = pulsed(5e7, 1.0, 2000, 100)
    detector = (np.arange(len(time_ps)) % 3).astype(np.uint8)
    time_ps = time_ps + np.array([0, 350, -7200])[detector]
    order = np.argsort(time_ps, kind="stable")
    time_ps, detector = time_ps[order], detector[order]
    finer = sharpen(pulse_rate(time_ps, 5e7, detector=detector), time_ps, detector)
    delays_ps = (np.array(finer.turns[0]) - finer.turns[1:3]) % 1 * 20_000
    assert np.abs((delays_ps - (350, -7200) + 10_000) % 20_000 - 10_000).max() < 5


def histogram(phase):
    return np.bincount((np.asarray(phase) % 1 * BINS).astype(int), minlength=BINS)


def test_a_window_finds_a_narrow_pulse_anywhere_near():
    rng = np.random.default_rng(1)
    for at in (-0.06, 0.0, 0.03, 0.2):
        counts = histogram(np.concatenate([0.5 + at + rng.normal(0, 0.003, 150), rng.random(200)]))
        error, variance, _ = phase_within(counts, 12)
        assert abs(error - at) < 5 * np.sqrt(variance) < 0.004
        broad = phase_within(counts, BINS // 2)
        assert broad[1] > 100 * variance


def test_a_narrow_pulse_in_noise_is_seen_or_not():
    rng = np.random.default_rng(3)
    for at in (-0.45, 0.02, 0.49):
        counts = histogram(np.concatenate([0.5 + at + rng.normal(0, 0.002, 25), rng.random(300)]))
        found = sharp_phase(counts, 8)
        assert abs((found - at + 0.5) % 1 - 0.5) < 0.003
    assert all(sharp_phase(histogram(rng.random(n)), 8) is None for n in (0, 1, 30, 300, 3000) for _ in range(50))
    assert sharp_phase(histogram(rng.normal(0.5, 0.1, 3000)), BINS // 4) is None


def test_long_blocks_bend_with_the_drift():
    """At 50 MHz and 50 dB a block lasts a second; a straight line would be off by nanoseconds at its ends."""
    time_ps = pulsed(5e7, 6.0, 3000, 3000)
    detector = np.zeros(len(time_ps), np.uint8)
    found = sharpen(pulse_rate(time_ps[time_ps < 4e12], 5e7), time_ps[time_ps < 4e12], detector[time_ps < 4e12])
    clock = Clock(found, int(time_ps[0]), np.zeros(4, np.int64), found.turns[0], 16)
    worst = 0.0
    for k in range(6):
        part = time_ps[(time_ps >= k * 10**12) & (time_ps < (k + 1) * 10**12)]
        block = clock.follow(part, detector[: len(part)], (k + 1) * 10**12)
        assert block.reason is None and len(block.pieces) > 20
        assert block.pieces[0].start_ps == block.start_ps and block.pieces[-1].stop_ps == block.stop_ps
        for a, b in zip(block.pieces, block.pieces[1:], strict=False):
            shown = a.slot * ONE + a.phase + (a.stop_ps - a.start_ps) * a.rate
            assert shown == b.slot * ONE + b.phase and a.stop_ps == b.start_ps
            assert a.stop_ps - a.start_ps <= PIECE_S * 1e12 + 1
            t = a.start_ps * 1e-12
            true = 5e7 * (t - 0.5e-8 * t * t)                        # slots at Bob's time t
            off = (a.slot + a.phase / ONE - 0.5 - true + 0.5) % 1 - 0.5
            worst = max(worst, abs(off)) if k else worst
    assert worst * 20_000 < 25, "ps"
