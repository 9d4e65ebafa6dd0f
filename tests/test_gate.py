import numpy as np
import pytest
from scipy.special import erf

from qkdlab.postprocessing.clock import BINS, phase_of
from qkdlab.postprocessing.gate import ClickMaker, align, choose_gate


def histogram(n, sigma, noise, *, centre=0.5, seed=1):
    rng = np.random.default_rng(seed)
    phase = np.concatenate([rng.normal(centre, sigma, n), rng.random(noise)]) % 1
    return np.bincount((phase * BINS).astype(int), minlength=BINS).astype(np.int32)


def test_detectors_come_to_one_phase():
    counts = np.array([histogram(n, 0.06, 300, centre=c, seed=k)
                       for k, (n, c) in enumerate([(9000, 0.5), (9000, 0.53), (500, 0.46), (500, 0.97)])])
    before = np.array([0, 10, 20, 30])
    after = align(counts, before, 1000.0)
    assert np.abs((after - before) - (after - before)[0] - [0, 30, -40, 470]).max() < 12
    common = phase_of(counts.sum(axis=0))[0]
    assert abs((after - before)[0] + common * 1000) < 5, "the mean phase of all is the clock's business, not theirs"


def test_a_detector_without_pulses_keeps_its_delay():
    counts = np.array([histogram(9000, 0.06, 0, centre=0.52), histogram(0, 0.1, 0), histogram(0, 0.1, 40),
                       histogram(9000, 0.06, 0)])
    after = align(counts, np.array([5, 6, 7, 8]), 1000.0)
    assert after[1] == 6 and after[2] == 7
    assert after[0] - 5 == pytest.approx(10, abs=3) and after[3] - 8 == pytest.approx(-10, abs=3)


@pytest.mark.parametrize("sigma", [0.005, 0.03, 0.1])
@pytest.mark.parametrize("noise", [0, 1000, 20_000])
def test_pulse_width_and_background(sigma, noise):
    gate = choose_gate(histogram(20_000, sigma, noise), 1000.0, 0.5)
    assert gate.jitter_ps == pytest.approx(1000 * sigma, rel=0.1)
    assert gate.background == pytest.approx(noise / (20_000 + noise), abs=0.02)


def test_the_gate_narrows_as_noise_grows():
    widths = [choose_gate(histogram(50_000, 0.05, noise), 1000.0, 0.5).width_ps for noise in (0, 500, 5000, 50_000)]
    assert all(a > b for a, b in zip(widths, widths[1:], strict=False))
    assert widths[1] > 4 * 50, "nearly all of the signal is kept where noise is low"
    assert widths[-1] > 30


def test_the_gate_is_where_the_key_rate_is_highest():
    """Against a separate computation of the asymptotic rate, without the gate's own functions."""
    n, noise, sigma, mu = 50_000, 5000, 0.05, 0.5
    entropy = lambda p: -p * np.log2(p) - (1 - p) * np.log2(1 - p)                    # noqa: E731

    def rate(width):
        s, b = n * erf(width / 2 / np.sqrt(2) / sigma), noise * width
        e1 = (0.01 * s + mu * b / 2) / (s + mu * b)
        qber = (0.01 * s + b / 2) / (s + b)
        return np.exp(-mu) * (s + mu * b) * (1 - entropy(e1)) - 1.16 * (s + b) * entropy(qber)

    best = max(np.linspace(0.01, 1, 991), key=rate)
    gate = choose_gate(histogram(n, sigma, noise), 1000.0, mu)
    assert rate(gate.width_ps / 1000) > 0.999 * rate(best)


def test_a_given_gate_is_taken_up_to_one_slot():
    counts = histogram(5000, 0.05, 100)
    assert choose_gate(counts, 1000.0, 0.5, 123).width_ps == 123
    assert choose_gate(counts, 1000.0, 0.5, 5000).width_ps == 1000
    low, width = choose_gate(counts, 1000.0, 0.5, 5000).window(1000.0)
    assert width == 2**64 - 1 and low in (0, 1)
    low, width = choose_gate(counts, 1000.0, 0.5, 250).window(1000.0)
    assert width == 2**62 and low == 2**63 - 2**61


def test_hopeless_noise_still_gives_a_gate():
    gate = choose_gate(histogram(300, 0.05, 100_000), 1000.0, 0.5)
    assert 50 < gate.width_ps <= 1000
    assert 1 <= choose_gate(np.zeros(BINS, np.int32), 1000.0, 0.5).width_ps <= 1000


# ---------------------------------------------------------------------------------------------------- double clicks


def clicks(slot, detector, seed=1, horizon=None):
    return ClickMaker(np.random.default_rng(seed)).push(
        np.array(slot, np.int64), np.array(detector, np.uint8), horizon)


def test_single_clicks_are_what_they_are():
    c = clicks([5, 6, 7, 8], [0, 1, 2, 3])
    assert (c.slot.tolist(), c.basis.tolist(), c.outcome.tolist()) == ([5, 6, 7, 8], [0, 0, 1, 1], [0, 1, 0, 1])


def test_the_same_detector_twice_is_one_click():
    c = clicks([5, 5, 5, 6], [3, 3, 3, 0])
    assert (c.slot.tolist(), c.basis.tolist(), c.outcome.tolist()) == ([5, 6], [1, 0], [1, 0])


@pytest.mark.parametrize("fired", [(0, 1), (2, 3), (0, 2), (1, 2), (0, 3), (0, 1, 2), (1, 2, 3), (0, 1, 2, 3)])
def test_double_clicks_are_random_and_never_dropped(fired):
    n = 4000
    c = clicks(np.repeat(np.arange(n), len(fired)), np.tile(fired, n))
    assert np.array_equal(c.slot, np.arange(n))
    bases = {d >> 1 for d in fired}
    half = 5 * np.sqrt(n) / 2
    assert abs(c.outcome.sum() - n / 2) < half
    if len(bases) == 1:
        assert set(c.basis.tolist()) == bases
    else:
        assert abs(c.basis.sum() - n / 2) < half
        assert abs((c.basis ^ c.outcome).sum() - n / 2) < half, "bit and basis are independent"


def test_clicks_do_not_depend_on_how_they_come():
    rng = np.random.default_rng(9)
    slot, detector = np.sort(rng.integers(0, 3000, 5000)), rng.integers(0, 4, 5000).astype(np.uint8)
    slot = slot + 3 * (detector == 2)                              # a detector that is a little late
    whole = clicks(slot, detector)
    maker, parts = ClickMaker(np.random.default_rng(1)), []
    for cut in np.split(np.arange(5000), np.sort(rng.integers(0, 5000, 40))):
        horizon = int(slot[cut].max()) - 4 if len(cut) else 0
        parts.append(maker.push(slot[cut], detector[cut], horizon))
    parts.append(maker.push(np.empty(0, np.int64), np.empty(0, np.uint8), None))
    for name in ("slot", "basis", "outcome"):
        assert np.array_equal(np.concatenate([getattr(p, name) for p in parts]), getattr(whole, name))
    assert maker.late == 0


def test_what_comes_after_its_slot_was_given_away_is_counted():
    maker = ClickMaker(np.random.default_rng(1))
    assert maker.push(np.array([5, 9]), np.zeros(2, np.uint8), 8).slot.tolist() == [5]
    assert maker.push(np.array([4, 5, 8]), np.zeros(3, np.uint8), None).slot.tolist() == [8, 9]
    assert maker.late == 2
