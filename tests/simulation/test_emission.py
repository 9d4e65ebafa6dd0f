"""A source that has left its settings."""

import numpy as np
import pytest

from qkdlab.errors import BadInput
from qkdlab.simulation import ClockSettings, Emission, ModulatorSettings, detector_rates, expected_gains_at_rate, simulate


def tags(emitted):
    link = simulate({"synchronisation": None, "clock": ClockSettings(offset_ps=0)}, seed=4)
    if emitted is not None:
        link.update(modulator=ModulatorSettings(intensities=emitted))
    (block,) = link.blocks(0.01, 0.01)
    return link, block


def test_what_was_agreed_gives_the_same_tags():
    (_, told), (link, untold) = tags((0.5, 0.1, 0.0)), tags(None)
    assert np.array_equal(told.time_ps, untold.time_ps) and np.array_equal(told.channel, untold.channel)
    assert link.emitted is link.source


def test_other_intensities_are_sent_in_any_order_and_nobody_is_told():
    link, block = tags((0.1, 0.4, 0.2))
    gains = expected_gains_at_rate(link.emitted, link.channel, link.detectors, link.eve).clicks
    assert gains[1, 0] > gains[2, 0] > gains[0, 0]
    assert link.source.intensities == (0.5, 0.1, 0.0) == link.choices.source.intensities
    expected = detector_rates(link.emitted, link.channel, link.detectors, link.eve).click_hz.sum() * 0.01
    assert abs(len(block) - expected) < 5 * expected**0.5


def test_a_dark_source():
    link, block = tags((0.0, 0.0, 0.0))
    gains = expected_gains_at_rate(link.emitted, link.channel, link.detectors, link.eve).clicks
    assert len(block) < 40 and gains.max() < 1e-5


def test_impossible_intensities_are_refused_and_change_nothing():
    link = simulate({}, seed=4)
    for wrong in ((0.5, 0.1), (0.5, 0.1, -0.1)):
        with pytest.raises(BadInput, match="intensities"):
            link.update(modulator=ModulatorSettings(intensities=wrong))
    assert link.emitted is link.source
    with pytest.raises(BadInput):
        Emission(link.source, (1.0,))
