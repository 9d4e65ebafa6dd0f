import numpy as np
import pytest

from qkdlab.datatypes import SourceSettings
from qkdlab.simulation import (
    ChannelSettings,
    DetectorSettings,
    EveSettings,
    detector_rates,
    expected_gains,
    expected_gains_at_rate,
)

SOURCE = SourceSettings(clock_hz=1e8)
CHANNEL = ChannelSettings(distance_km=100)
DETECTORS = DetectorSettings(afterpulse_probability=0.0, dead_time_ps=0)
NO_EVE, EVE = EveSettings(), EveSettings(intercept_fraction=1.0)


def test_small_signals_give_the_formulas_of_ma_et_al():
    # Ma, Qi, Zhao, Lo, PRA 72, 012326 (2005), eqs. 10 and 11, for an active choice: all light in one basis.
    detectors = DETECTORS.replace(key_basis_probability=1.0)
    gains = expected_gains(SOURCE, CHANNEL, detectors, NO_EVE)
    y0 = 2 * 100 / 1e8
    signal = 1 - np.exp(-np.array(SOURCE.intensities) * CHANNEL.transmittance * 0.2)
    assert gains.clicks[:, 0] == pytest.approx(y0 + signal, rel=2e-3)
    assert gains.errors[:, 0] == pytest.approx(y0 / 2 + 0.01 * signal, rel=2e-3)
    assert gains.qber[2, 0] == pytest.approx(0.5)


def test_closed_form_equals_the_sum_over_all_patterns_of_clicks():
    channel = ChannelSettings(distance_km=0, misalignment=0.07)
    detectors = DetectorSettings(efficiency=0.9, dark_rate_hz=3e6, key_basis_probability=0.6)
    gains = expected_gains(SOURCE, channel, detectors, EveSettings(intercept_fraction=0.4))
    for k, mu in enumerate(SOURCE.intensities):
        clicks = errors = 0.0
        for weight, key, test in ((0.8, (0.93, 0.07), (0.5, 0.5)), (0.1, (0.5, 0.5), (0.93, 0.07)),
                                  (0.1, (0.5, 0.5), (0.07, 0.93))):
            light = mu * 0.9 * np.array([*(0.6 * np.array(key)), *(0.4 * np.array(test))])
            p = 1 - np.exp(-light - 0.03)
            for pattern in range(16):
                fired = np.array([pattern >> d & 1 for d in range(4)], bool)
                share = weight * np.prod(np.where(fired, p, 1 - p))
                in_key = 0 if not fired[:2].any() else 0.5 if fired[2:].any() else 1
                clicks += share * in_key
                errors += share * in_key * (0.5 if fired[:2].all() or fired[2:].any() else fired[1])
        assert gains.clicks[k, 0] == pytest.approx(clicks) and gains.errors[k, 0] == pytest.approx(errors)


def test_full_interception_gives_a_quarter_and_leaves_the_gains():
    detectors, channel = DETECTORS.replace(dark_rate_hz=0), CHANNEL.replace(misalignment=0)
    honest, attacked = (expected_gains(SOURCE, channel, detectors, e) for e in (NO_EVE, EVE))
    assert attacked.qber[:2] == pytest.approx(np.full((2, 2), 0.25), rel=1e-3)
    assert attacked.clicks == pytest.approx(honest.clicks, rel=1e-3)
    assert honest.qber.max() < 1e-3                       # a few slots in which both bases click


def test_a_gate_of_one_width_takes_its_share_of_light_and_dark_counts():
    channel, bright = CHANNEL.replace(pulse_fwhm_ps=60), DETECTORS.replace(jitter_fwhm_ps=80, dark_rate_hz=0)
    whole, part = (expected_gains(SOURCE, channel, bright, NO_EVE, gate).clicks[0] for gate in (None, 100.0))
    assert part / whole == pytest.approx(0.7610, abs=1e-3)             # erf(sqrt(ln 2)), FWHM of a Gaussian
    dark = expected_gains(SOURCE, channel, DETECTORS, NO_EVE, 100.0).clicks[2]
    assert dark == pytest.approx(2 * 100 * 1e-10, rel=1e-3)


def test_more_loss_never_gives_more_clicks():
    clicks = [expected_gains_at_rate(SOURCE, ChannelSettings(distance_km=d), DetectorSettings(), NO_EVE).clicks[0, 0]
              for d in range(0, 300, 10)]
    assert np.all(np.diff(clicks) < 0)


def test_rates_without_light_are_dark_counts_and_what_they_breed():
    detectors = DetectorSettings(dark_rate_hz=1e5, efficiency=0, dead_time_ps=10**6, afterpulse_probability=0.2)
    rates = detector_rates(SOURCE, CHANNEL, detectors, NO_EVE)
    incident = 1e5 + 0.2 * rates.click_hz
    assert rates.click_hz == pytest.approx(incident / (1 + incident * 1e-6))
    assert rates.live == pytest.approx(1 / (1 + incident * 1e-6))
    assert rates.afterpulse_hz == pytest.approx(0.2 * rates.click_hz * rates.live)


def test_without_dead_time_and_afterpulses_the_rate_changes_nothing():
    a, b = (f(SOURCE, CHANNEL, DETECTORS, NO_EVE, 500.0) for f in (expected_gains, expected_gains_at_rate))
    assert np.allclose(a.clicks, b.clicks, rtol=1e-12) and np.allclose(a.errors, b.errors, rtol=1e-12)
