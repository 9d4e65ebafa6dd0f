"""A source that has left its settings: in the tags and in the closed forms."""

import numpy as np
import pytest

from qkdlab.errors import BadInput
from qkdlab.simulation import (
    ClockSettings,
    Emission,
    ModulatorSettings,
    detector_rates,
    expected_gains_at_rate,
    simulate,
)


def tags(*sent):
    link = simulate({"synchronisation": None, "clock": ClockSettings(offset_ps=0)}, seed=4)
    link.update(modulator=ModulatorSettings(sent=sent))
    (block,) = link.blocks(0.01, 0.01)
    return link, block


def test_what_was_agreed_gives_the_same_tags():
    (_, told), (_, untold) = tags(0.5, 0.1, 0.0), tags()
    assert np.array_equal(told.time_ps, untold.time_ps) and np.array_equal(told.channel, untold.channel)


def test_other_intensities_are_sent_in_any_order():
    link, block = tags(0.1, 0.4, 0.2)
    emission = Emission(link.source, (0.1, 0.4, 0.2))
    gains = expected_gains_at_rate(emission, link.channel, link.detectors, link.eve).clicks
    assert gains[1, 0] > gains[2, 0] > gains[0, 0] and link.source.intensities == (0.5, 0.1, 0.0)
    expected = detector_rates(emission, link.channel, link.detectors, link.eve).click_hz.sum() * 0.01
    assert abs(len(block) - expected) < 5 * expected**0.5


def test_a_dark_source():
    assert len(tags(0.0, 0.0, 0.0)[1]) < 40


def test_impossible_intensities_are_refused():
    link = simulate({}, seed=4)
    for wrong in ((0.5, 0.1), (0.5, 0.1, -0.1), (0.5, 0.1, 0.0, 0.0)):
        with pytest.raises(BadInput, match="sent"):
            link.update(modulator=ModulatorSettings(sent=wrong))
    assert link.modulator == ModulatorSettings()
    with pytest.raises(BadInput, match="intensities"):
        Emission(link.source, (1.0,))
