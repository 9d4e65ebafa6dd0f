"""A link in a few numbers, beside the closed forms of the simulated one."""

import numpy as np
import pytest

from qkdlab.datatypes import SourceSettings
from qkdlab.errors import BadInput
from qkdlab.simulation import (
    LIM2014,
    ChannelSettings,
    DetectorSettings,
    EveSettings,
    LinkModel,
    expected_counts,
    expected_gains,
    expected_gains_at_rate,
)

SOURCE = SourceSettings((0.5, 0.1, 2e-4), (0.7, 0.2, 0.1), 0.8, 1e8)
SETTINGS = SOURCE.intensities, SOURCE.achieved_probabilities, SOURCE.achieved_key_basis_probability
CHANNEL = ChannelSettings(distance_km=100, misalignment=0.02)
DETECTORS = DetectorSettings(afterpulse_probability=0, dead_time_ps=0, dark_rate_hz=1000, key_basis_probability=0.7)


def test_formulas_of_lim_et_al():
    # PRA 89, 022307 (2014), section IV, in plain figures: 50 km of 0.2 dB/km, signal 0.5.
    link = LIM2014.over(10)
    found, wrong = link.gains((0.5,), (1,), 0.9)
    d = 1 - (1 - 1.2e-6) * np.exp(-0.01 * 0.5)
    assert found[0] == pytest.approx(1.04 * d * np.array([0.9, 0.1]))
    e = 6e-7 + 5e-3 * (1 - np.exp(-0.01 * 0.5)) + 0.04 * d / 2
    assert wrong[0] == pytest.approx(e * np.array([0.9, 0.1]))


def test_passive_receiver_is_the_simulated_one_at_high_loss():
    ours = LinkModel.of(CHANNEL, DETECTORS, SOURCE.clock_hz, passive=True).gains(*SETTINGS)
    theirs = expected_gains(SOURCE, CHANNEL, DETECTORS, EveSettings())
    assert ours[0] == pytest.approx(theirs.clicks, rel=2e-3) and ours[1] == pytest.approx(theirs.errors, rel=3e-3)


def test_dead_time_is_that_of_the_simulated_link():
    channel, detectors = CHANNEL.replace(distance_km=20), DETECTORS.replace(dead_time_ps=10**6, dark_rate_hz=0)
    ours = LinkModel.of(channel, detectors, SOURCE.clock_hz, passive=True)
    theirs = expected_gains_at_rate(SOURCE, channel, detectors, EveSettings())
    free = ours.replace(dead_time_pulses=0).gains(*SETTINGS)[0]
    assert ours.gains(*SETTINGS)[0][0] == pytest.approx(theirs.clicks[0], rel=0.03)
    assert (ours.gains(*SETTINGS)[0] < 0.7 * free)[:, 0].all()


def test_active_receiver_switches_and_passive_shares():
    link = LinkModel(0.01, dark_probability=1e-6)
    dark = 2e-6
    active, passive = (link.replace(passive=p, receiver_key_basis=0.9).gains((0.5, 0.0), (0.5, 0.5), 0.5)[0]
                       for p in (False, True))
    assert active[1] == pytest.approx(dark * np.array([0.9, 0.1])) and passive[1] == pytest.approx([dark, dark])
    assert active[0] == pytest.approx((1 - np.exp(-0.005)) * np.array([0.9, 0.1]), rel=1e-3)
    assert passive[0] - dark == pytest.approx(1 - np.exp(-0.005 * np.array([0.9, 0.1])), rel=1e-3)
    assert link.gains((0.5,), (1,), 0.3)[0][0, 0] == pytest.approx(0.3 * (1 - (1 - dark) * np.exp(-0.005)))


def test_counts_are_summed_over_slots_before_they_are_rounded():
    links = [LinkModel(10.0 ** -k, dark_probability=1e-6, misalignment=0.01) for k in (1, 2, 3)] * 40
    shares = np.full(120, 1 / 120)
    together = expected_counts(links, shares, *SETTINGS, 1e6)
    exact = sum(links[i].gains(*SETTINGS)[0] for i in range(3)) / 3 * 1e6 * np.outer(SETTINGS[1], [0.8, 0.2])
    assert np.abs(together.clicks - exact).max() < 0.51
    assert together.sent.sum() == pytest.approx(1e6, abs=3) and (together.errors <= together.clicks).all()


@pytest.mark.parametrize("field, value", [("transmittance", 1.5), ("dark_probability", -1e-9), ("misalignment", 0.6),
                                          ("afterpulse_probability", float("nan")), ("receiver_key_basis", 2)])
def test_bad_links(field, value):
    with pytest.raises(BadInput) as caught:
        LIM2014.replace(**{field: value})
    assert caught.value.field == field
