from fractions import Fraction

import numpy as np
import pytest

from qkdlab.simulation import ClockSettings
from qkdlab.simulation.clock import read, true_time_ps

CLOCKS = [ClockSettings(), ClockSettings(offset_ps=0, offset_ppm=0, drift_per_s=0),
          ClockSettings(offset_ps=-(10**13), offset_ppm=-20, drift_per_s=1e-8, tick_ps=81),
          ClockSettings(offset_ps=10**14, offset_ppm=1000, drift_per_s=-1e-6)]


@pytest.mark.parametrize("clock", CLOCKS)
def test_reads_offset_frequency_and_drift(clock):
    times = np.array([0, 1, 10**6, 10**12, 36 * 10**14])
    u, d = Fraction(clock.offset_ppm) / 10**6, Fraction(clock.drift_per_s)
    exact = [t + u * t + d / 2 * t * t / 10**12 + clock.offset_ps for t in times.tolist()]
    ticks = [t // clock.tick_ps * clock.tick_ps for t in exact]
    assert np.abs(read(clock, times) - np.array([int(t) for t in ticks])).max() <= max(1, clock.tick_ps)
    assert not (read(clock, times) % clock.tick_ps).any()


@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("shown", [0, 10**12])
def test_true_time_is_the_first_that_shows_it(clock, shown):
    time = true_time_ps(clock, shown)
    before, at = read(clock, np.array([time - 1, time]))
    assert before < shown <= at < shown + 2 * clock.tick_ps
