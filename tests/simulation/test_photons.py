import numpy as np
import pytest
from scipy.stats import chisquare, poisson

from qkdlab.choices import DrawnChoices, RecordedChoices
from qkdlab.datatypes import SourceSettings
from qkdlab.simulation import ChannelSettings, DetectorSettings, EveSettings
from qkdlab.simulation.eve import Interceptor
from qkdlab.simulation.photons import arrivals, poisson_slots

SOURCE = SourceSettings()


@pytest.mark.parametrize("mean", [0.02, 0.7, 3.0])
def test_slots_hold_poisson_numbers_and_all_are_alike(mean):
    n = 100_000
    slots = poisson_slots(n, mean, np.random.default_rng(1))
    assert slots.dtype == np.int64 and np.all(np.diff(slots) >= 0) and slots[0] >= 0 and slots[-1] < n
    number = np.bincount(np.bincount(slots, minlength=n))
    law = poisson(mean).pmf(np.arange(len(number))) * n
    many = law >= 5
    observed, expected = [*number[many], n - number[many].sum()], [*law[many], n - law[many].sum()]
    assert chisquare(observed, expected).pvalue > 1e-4
    assert chisquare(np.bincount(slots * 20 // n)).pvalue > 1e-4


@pytest.mark.parametrize("n, mean", [(0, 1.0), (100, 0.0), (10**12, 1e-15)])
def test_no_light_no_photons(n, mean):
    assert len(poisson_slots(n, mean, np.random.default_rng(1))) == 0


def test_gap_sampling_of_very_many_slots():
    slots = poisson_slots(10**12, 1e-9, np.random.default_rng(4))
    assert abs(len(slots) - 1000) < 5 * np.sqrt(1000)


def test_photons_go_where_basis_and_bit_say():
    channel = ChannelSettings(distance_km=0, misalignment=0.0)
    detectors = DetectorSettings(efficiency=0.5, key_basis_probability=0.7)
    choices = DrawnChoices(SOURCE, None, bytes(32))
    slot, detector = arrivals(choices, channel, detectors, EveSettings(), Interceptor(bytes(32)), 1000, 400_000,
                              np.random.default_rng(5))
    assert slot.min() >= 1000 and slot.max() < 401_000 and np.all(np.diff(slot) >= 0)
    symbols = choices.at(slot)
    assert not np.any(symbols >> 2 == 2)                               # vacuum is dark
    same = detector >> 1 == symbols >> 1 & 1
    assert np.array_equal(detector[same] & 1, symbols[same] & 1)
    n = len(slot)
    assert abs(np.mean(detector >> 1) - 0.3) < 5 * np.sqrt(0.21 / n)
    other = ~same
    assert abs(np.mean((detector ^ symbols)[other] & 1) - 0.5) < 5 * 0.5 / np.sqrt(other.sum())
    ratio = np.sum(symbols >> 2 == 1) / np.sum(symbols >> 2 == 0)
    assert ratio == pytest.approx(0.2 * 0.1 / (0.7 * 0.5), rel=0.05)


def test_a_recorded_list_ends_the_light():
    choices = RecordedChoices(SOURCE, None, np.zeros(100, np.uint8), first_slot=50)
    slot, _ = arrivals(choices, ChannelSettings(distance_km=0), DetectorSettings(efficiency=1.0), EveSettings(),
                       Interceptor(bytes(32)), 0, 1000, np.random.default_rng(6))
    assert len(slot) and slot.min() >= 50 and slot.max() < 150
