import numpy as np
import pytest

from qkdlab.postprocessing.clock import BINS, Clock, phase_of
from qkdlab.postprocessing.pulse_rate import ONE, PulseRate

NO_DELAY = np.zeros(4, np.int64)


def pulses(rate_hz, first_s, last_s, n, rng, jitter_ps=60.0, drift=0.0):
    """Tags whose slot k comes where ``rate t + drift/2 t^2 = k`` (Hz, Hz/s), and those slots."""
    phase = lambda t: rate_hz * t + 0.5 * drift * t * t                              # noqa: E731
    slot = np.sort(rng.integers(int(phase(first_s)) + 1, int(phase(last_s)), n))
    t = slot / rate_hz
    for _ in range(4):
        t -= (phase(t) - slot) / (rate_hz + drift * t)
    time_ps = np.rint((t + rng.normal(0, jitter_ps * 1e-12, n)) * 1e12).astype(np.int64)
    order = np.argsort(time_ps)
    return time_ps[order], slot[order]


def start(rate_hz, time_ps=0, turn=0.0, power=400.0, spread_s=3e-4, drift=0.0):
    return PulseRate(rate_hz, drift, 0.9, power, time_ps, spread_s, (turn,) * 4, (power / 4,) * 4)


def slots_of(block, time_ps):
    return [(block.slot * ONE + block.phase + (int(t) - block.start_ps) * block.rate) >> 64 for t in time_ps]


@pytest.mark.parametrize("shift", [-0.45, -0.1, 0.0, 0.2, 0.49])
@pytest.mark.parametrize("noise", [0, 20_000])
def test_phase_of_a_histogram(shift, noise):
    rng = np.random.default_rng(7)
    phases = np.concatenate([0.5 + shift + rng.normal(0, 0.06, 20_000), rng.random(noise)]) % 1
    error, variance, visibility = phase_of(np.bincount((phases * BINS).astype(int), minlength=BINS))
    assert abs((error - shift + 0.5) % 1 - 0.5) < 5 * np.sqrt(variance)
    assert variance < (0.001 if noise == 0 else 0.003) ** 2
    assert abs(visibility - np.exp(-2 * (np.pi * 0.06) ** 2) * 20_000 / (20_000 + noise)) < 0.02


def test_phase_of_nothing():
    assert phase_of(np.zeros(BINS, np.int32)) == (0.0, np.inf, 0.0)
    assert phase_of(np.full(BINS, 5, np.int32))[2] < 1e-6


@pytest.mark.parametrize("rate_hz", [5e7, 1e9 * (1 + 15e-6), 2.5e9])
@pytest.mark.parametrize("relative_drift", [-1e-8, 0, 1e-8])
def test_slots_stay_exact_under_drift(rate_hz, relative_drift):
    """Ten seconds; the start is off by what a short span leaves uncertain."""
    rng = np.random.default_rng(3)
    drift = relative_drift * rate_hz
    found = start(rate_hz + 30.0, spread_s=1e-3)
    clock = Clock(found, 0, NO_DELAY, 0.0)
    for k in range(1000):
        time_ps, slot = pulses(rate_hz, 0.01 * k, 0.01 * (k + 1), 200, rng, drift=drift, jitter_ps=20)
        block = clock.follow(time_ps, np.zeros(200, np.uint8), (k + 1) * 10**10)
        assert block.reason is None
        if k % 50 in (1, 2):
            assert slots_of(block, time_ps) == slot.tolist()
    assert abs(clock.rate_hz - rate_hz - 10 * drift) < 2e-10 * rate_hz
    assert abs(clock.drift_hz_per_s - drift) < 1e-9 * rate_hz


def test_the_clock_is_continuous():
    rng = np.random.default_rng(4)
    clock = Clock(start(1e9 + 20, turn=0.3), -5000, NO_DELAY, 0.3)
    shown = None
    for k in range(60):
        time_ps, _ = pulses(1e9, 0.001 * k, 0.001 * (k + 1), 300, rng)
        block = clock.follow(time_ps, rng.integers(0, 4, 300).astype(np.uint8), (k + 1) * 10**9)
        if shown is not None:
            assert (block.start_ps, block.slot * ONE + block.phase) == shown
        shown = block.stop_ps, block.slot * ONE + block.phase + (block.stop_ps - block.start_ps) * block.rate
    assert clock.slot == shown[1] >> 64


def test_the_clock_runs_through_darkness_and_doubts_itself():
    rng = np.random.default_rng(5)
    clock = Clock(start(1e9), 0, NO_DELAY, 0.0)
    for k in range(100):
        time_ps, _ = pulses(1e9, 0.01 * k, 0.01 * (k + 1), 500, rng)
        clock.follow(time_ps, np.zeros(500, np.uint8), (k + 1) * 10**10)
    assert clock.phase_error < 0.01
    clock.coast(105 * 10**10)
    assert clock.phase_error < 0.05
    time_ps, slot = pulses(1e9, 1.05, 1.06, 500, rng)
    assert slots_of(clock.follow(time_ps, np.zeros(500, np.uint8), 106 * 10**10), time_ps) == slot.tolist()
    clock.coast(10**13)
    assert clock.phase_error > 1


def test_missing_pulses_and_jumps_are_told():
    rng = np.random.default_rng(6)
    clock = Clock(start(1e9), 0, NO_DELAY, 0.0)
    for k in range(30):
        time_ps, _ = pulses(1e9, 0.01 * k, 0.01 * (k + 1), 1000, rng)
        clock.follow(time_ps, np.zeros(1000, np.uint8), (k + 1) * 10**10)
    dark = np.sort(rng.integers(30 * 10**10, 31 * 10**10, 1000))
    assert clock.follow(dark, np.zeros(1000, np.uint8), 31 * 10**10).reason == "no pulses seen"
    few = np.sort(rng.integers(31 * 10**10, 32 * 10**10, 20))
    assert clock.follow(few, np.zeros(20, np.uint8), 32 * 10**10).reason is None
    time_ps, _ = pulses(1e9, 0.32, 0.33, 1000, rng)
    block = clock.follow(time_ps + 250, np.zeros(1000, np.uint8), 33 * 10**10)
    assert block.jumped and "+0.25" in block.reason
