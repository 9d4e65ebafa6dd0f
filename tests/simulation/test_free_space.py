import math

import numpy as np
import pytest

from qkdlab.errors import BadInput
from qkdlab.simulation.free_space import EARTH_KM, beam_loss_db, satellite_pass

TELESCOPES = {"sender_cm": 10.0, "receiver_cm": 80.0}


def test_far_away_twice_the_distance_is_6_db():
    near, far = beam_loss_db(np.array([1e5, 2e5]), sender_cm=5, receiver_cm=10)
    assert far - near == pytest.approx(20 * math.log10(2), abs=0.01)


def test_far_away_the_loss_is_that_of_antennas():
    """caught = 2 a^2 / w^2 with w = lambda z / pi w0."""
    expected = 2 * (0.5 / (850e-9 * 5e8 / (math.pi * 0.05))) ** 2
    assert beam_loss_db(5e5, sender_cm=10, receiver_cm=100) == pytest.approx(-10 * math.log10(expected), abs=0.01)


def test_close_by_a_large_telescope_catches_all():
    assert 0 < beam_loss_db(0.001, sender_cm=5, receiver_cm=10) < 0.002
    assert beam_loss_db(0.001, sender_cm=5, receiver_cm=10, air_db=3.0) == pytest.approx(3, abs=0.01)


def test_pointing_only_costs():
    still, shaking = (beam_loss_db(500, pointing_urad=u, **TELESCOPES) for u in (0.0, 20.0))
    # w = 5.4 urad * z is blurred to sqrt(5.4^2 + 4 * 20^2) urad * z
    ratio = (5.411**2 + 1600) / 5.411**2
    assert shaking - still == pytest.approx(10 * math.log10(ratio), abs=0.1)


def test_a_pass_over_the_zenith():
    over = satellite_pass(500, lowest_deg=10, **TELESCOPES)
    middle = len(over.time_s) // 2
    assert over.time_s[middle] == 0 and over.distance_km[middle] == pytest.approx(500)
    assert over.elevation_deg[middle] == pytest.approx(90, abs=1e-4) and over.loss_db.argmin() == middle
    assert over.elevation_deg.min() >= 10 and over.elevation_deg[0] == pytest.approx(10, abs=0.1)
    # 10 degrees, law of sines: slant of 1695 km; an orbit of 94.6 minutes
    assert over.distance_km[0] == pytest.approx(1695, abs=10) and over.time_s[-1] == pytest.approx(217, abs=8)
    assert np.allclose(over.loss_db, over.loss_db[::-1])


def test_a_low_pass_is_further_and_shorter():
    high, low = (satellite_pass(500, highest_deg=e, **TELESCOPES) for e in (90, 30))
    assert low.elevation_deg.max() == pytest.approx(30, abs=1e-6)
    assert len(low.time_s) < len(high.time_s) and low.loss_db.min() > high.loss_db.min()
    slant = math.sqrt((EARTH_KM * 0.5) ** 2 + 2 * EARTH_KM * 500 + 500**2) - EARTH_KM * 0.5
    assert low.distance_km.min() == pytest.approx(slant)


@pytest.mark.parametrize("wrong", [{"altitude_km": 0}, {"highest_deg": 10}, {"highest_deg": 91}, {"lowest_deg": 0},
                                   {"step_s": 0}, {"zenith_air_db": -1}, {"receiver_cm": 0}, {"sender_cm": float("nan")},
                                   {"pointing_urad": -1}, {"wavelength_nm": "red"}])
def test_bad_passes(wrong):
    with pytest.raises(BadInput):
        satellite_pass(**{**TELESCOPES, **wrong})
    with pytest.raises(BadInput):
        beam_loss_db(-1.0, **TELESCOPES)
