import numpy as np
import pytest

from qkdlab.postprocessing.clock import BINS
from qkdlab.postprocessing.gate import choose_gate
from qkdlab.postprocessing.gate_width import gate_curve


def histogram(n, sigma, noise, *, tail=0.0, seed=1):
    """Phases of one basis; a part `tail` of the pulse comes late by an exponential of three sigma."""
    rng = np.random.default_rng(seed)
    phase = 0.5 + rng.normal(0, sigma, n) + (rng.random(n) < tail) * rng.exponential(3 * sigma, n)
    phase = np.concatenate([phase, rng.random(noise)]) % 1
    return np.bincount((phase * BINS).astype(int), minlength=BINS).astype(np.int64)


def four(key, test):
    return np.stack([key - key // 2, key // 2, test - test // 2, test // 2])


def entropy(p):
    return -p * np.log2(p) - (1 - p) * np.log2(1 - p)


def rate(inside_key, noise_key, inside_test, noise_test, mu, mean):
    """Asymptotic decoy rate from yields, written from Ma et al. (2005), for widths that hold such counts."""
    eta, dark = inside_key / mean, noise_key                  # per photon and per pulse, up to one factor
    eta_t, dark_t = inside_test / mean, noise_test
    e1 = (0.01 * eta_t + dark_t / 2) / (eta_t + dark_t)
    q1 = (dark + eta) * mu * np.exp(-mu)
    q, e = dark + eta * mu, (0.01 * eta * mu + dark / 2) / (dark + eta * mu)
    return q1 * (1 - entropy(e1)) - 1.16 * q * entropy(e)


@pytest.mark.parametrize("mean", [0.5, 0.36])
@pytest.mark.parametrize("test_light", [40_000, 4000])
def test_the_best_width_has_the_best_key_rate(mean, test_light):
    """Against yields that are known, without the curve's own formulas."""
    n, noise, sigma, mu = 40_000, 3000, 0.04, 0.5
    counts = four(histogram(n, sigma, noise), histogram(test_light, sigma, noise, seed=2))
    curve = gate_curve(counts, 1000.0, mu, mean)
    from scipy.special import erf
    width = np.linspace(0.02, 1, 400)
    kept = erf(width / 2 / np.sqrt(2) / sigma)
    true = rate(n * kept, noise * width, test_light * kept, noise * width, mu, mean)
    at = np.interp(curve.width_ps[curve.best] / 1000, width, true)
    assert at > 0.995 * true.max()


def test_noise_of_the_test_basis_counts():
    """A test basis with a tenth of the light and as much noise bounds the phase error worse: a narrower gate."""
    key = histogram(200_000, 0.04, 3000)
    even = gate_curve(four(key, histogram(200_000, 0.04, 3000, seed=2)), 1000.0, 0.5)
    biased = gate_curve(four(key, histogram(10_000, 0.04, 3000, seed=2)), 1000.0, 0.5)
    assert biased.width_ps[biased.best] < 0.93 * even.width_ps[even.best]


def test_signal_to_noise_is_another_optimum():
    curve = gate_curve(four(histogram(50_000, 0.05, 5000), histogram(50_000, 0.05, 5000, seed=3)), 1000.0, 0.5)
    assert curve.width_ps[np.argmax(curve.signal_to_noise)] < 0.3 * curve.width_ps[curve.best]
    assert curve.key_fraction[curve.best] > 1.15 * curve.key_fraction[np.argmax(curve.signal_to_noise)]
    assert 0 < curve.key_fraction[curve.best] < 1
    assert np.all(np.diff(curve.width_ps) > 0) and len(curve.width_ps) == len(curve.key_fraction)
    middle = np.argmin(np.abs(curve.width_ps - 200))
    assert curve.signal_to_noise[middle] == pytest.approx(50_000 * 0.9545 / (5000 * 0.2), rel=0.06)


def test_the_gate_moves_towards_a_tail():
    early = choose_gate(four(*(histogram(100_000, 0.03, 20_000, tail=0.4, seed=s) for s in (1, 2))), 1000.0, 0.5)
    even = choose_gate(four(*(histogram(100_000, 0.03, 20_000, seed=s) for s in (1, 2))), 1000.0, 0.5)
    assert early.centre_ps > 10 and abs(even.centre_ps) <= 4
    low, width = early.window(1000.0)
    assert (low + width / 2) / 2**64 == pytest.approx(0.5 + early.centre_ps / 1000, abs=0.002)


def test_a_window_stays_within_the_slot():
    for counts in (four(*(histogram(90_000, 0.1, 0, tail=0.5, seed=s) for s in (1, 2))), np.ones((4, BINS), np.int64)):
        low, width = choose_gate(counts, 1000.0, 0.5).window(1000.0)
        assert 0 <= low and low + width < 2**64


@pytest.mark.parametrize("n", [0, 1, 40])
def test_few_tags(n):
    curve = gate_curve(four(histogram(n, 0.03, n), histogram(n, 0.03, n)), 1000.0, 0.5)
    assert np.isfinite(curve.key_fraction).all() and 0 <= curve.best < len(curve.width_ps)
