import numpy as np
import pytest

from qkdlab.errors import BadInput
from qkdlab.settings import from_table, read_toml, to_table
from qkdlab.simulation import SECTIONS, ChannelSettings, ClockSettings, DetectorSettings, EveSettings
from qkdlab.simulation.settings import arrival_sigma_ps


@pytest.mark.parametrize("kind, field, value", [
    (ChannelSettings, "distance_km", -1), (ChannelSettings, "extra_loss_db", -0.1),
    (ChannelSettings, "attenuation_db_per_km", -0.2), (ChannelSettings, "misalignment", 0.6),
    (ChannelSettings, "pulse_fwhm_ps", -1), (DetectorSettings, "efficiency", 1.1),
    (DetectorSettings, "dark_rate_hz", -5), (DetectorSettings, "dead_time_ps", -1),
    (DetectorSettings, "dead_time_ps", 1.5), (DetectorSettings, "afterpulse_probability", 0.9),
    (DetectorSettings, "delay_ps", [1, 2, 3]), (DetectorSettings, "jitter_fwhm_ps", float("nan")),
    (ClockSettings, "tick_ps", 0), (ClockSettings, "offset_ppm", 1e5), (ClockSettings, "drift_per_s", float("inf")),
    (EveSettings, "intercept_fraction", 1.01), (EveSettings, "intercept_fraction", -0.01)])
def test_impossible_physics_is_refused_with_field_and_value(kind, field, value):
    with pytest.raises(BadInput, match=f"link.toml: {field}: .*got") as caught:
        from_table(kind, {field: value}, "link.toml")
    assert caught.value.field == field


def test_sections_survive_a_table_and_name_the_nearest_key(tmp_path):
    for kind in SECTIONS.values():
        assert from_table(kind, to_table(kind())) == kind()
    path = tmp_path / "link.toml"
    path.write_text("[channel]\ndistance_km = 20\n[detectors]\ndelay_ps = [1, 2, 3, 4]\n")
    tables = read_toml(path, SECTIONS)
    assert set(tables) == set(SECTIONS)
    assert tables["channel"].distance_km == 20 and tables["detectors"].delay_ps == (1, 2, 3, 4)
    path.write_text("[channel]\ndistanse_km = 20\n")
    with pytest.raises(BadInput, match="distance_km"):
        read_toml(path, SECTIONS)


def test_loss():
    channel = ChannelSettings(distance_km=50, attenuation_db_per_km=0.2, extra_loss_db=10)
    assert channel.loss_db == pytest.approx(20) and channel.transmittance == pytest.approx(0.01)


def test_half_of_the_light_lies_within_the_joint_width():
    sigma = arrival_sigma_ps(ChannelSettings(pulse_fwhm_ps=30), DetectorSettings(jitter_fwhm_ps=40))
    height = np.exp(-0.5 * (25 / sigma) ** 2)
    assert height == pytest.approx(0.5)
