import dataclasses

import ipywidgets
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from qkdlab.datatypes import DistillSettings, ReceiverSettings, SourceSettings, SynchronisationSettings
from qkdlab.errors import BadInput
from qkdlab.simulation import ChannelSettings, ClockSettings, DetectorSettings, EveSettings
from qkdlab.widgets import SettingsPanel

ALL = [SourceSettings, SynchronisationSettings, ReceiverSettings, DistillSettings, ChannelSettings, DetectorSettings,
       ClockSettings, EveSettings]


@pytest.mark.parametrize("settings", ALL)
def test_every_settings_class_has_a_panel(settings):
    panel = SettingsPanel(settings())
    assert panel.value == settings()
    meta = {f.name: f.metadata for f in dataclasses.fields(settings)}
    for path, control in panel.controls.items():
        told = meta[path.partition(".")[0]]
        assert told["help"] in control.tooltip and (not told["unit"] or f"({told['unit']})" in control.description)


def test_controls_follow_the_declaration():
    panel = SettingsPanel(DistillSettings())
    assert isinstance(panel.controls["proof"], ipywidgets.Dropdown)
    assert "wiesemann2024" in panel.controls["proof"].options
    assert isinstance(panel.controls["clamp"], ipywidgets.Checkbox)
    slider = panel.controls["abort_qber"]
    assert isinstance(slider, ipywidgets.FloatSlider) and (slider.min, slider.max) == (0, 0.5)
    assert isinstance(panel.controls["block_key_bits"], ipywidgets.IntText), "no upper end, no slider"


def test_ranges_and_logarithmic_sliders():
    panel = SettingsPanel(ChannelSettings(distance_km=60), fields=["distance_km"], ranges={"distance_km": (1, 150)},
                          log=["distance_km"])
    slider = panel.controls["distance_km"]
    assert isinstance(slider, ipywidgets.FloatLogSlider)
    assert slider.base**slider.max == pytest.approx(150) and slider.value == 60


def test_a_turned_control_changes_the_value_and_the_reverse():
    panel = SettingsPanel(ChannelSettings(distance_km=10), ranges={"distance_km": (0, 100)})
    seen = []
    panel.observe(lambda change: seen.append(change["new"].distance_km), "value")
    panel.controls["distance_km"].value = 33.0
    assert panel.value.distance_km == 33.0
    panel.value = ChannelSettings(distance_km=44)
    assert panel.controls["distance_km"].value == 44
    panel.set(distance_km=55)
    assert panel.controls["distance_km"].value == 55 and seen == [33.0, 44.0, 55.0]


def test_a_refused_combination_is_told_and_not_taken():
    panel = SettingsPanel(SourceSettings(), fields=["intensities.0", "intensities.1"],
                          ranges={"intensities.0": (0.05, 1), "intensities.1": (0.01, 0.5)})
    panel.controls["intensities.1"].value = 0.5
    assert panel.value == SourceSettings() and "strictly decreasing" in panel.message
    assert panel.message_line.layout.display is None
    panel.controls["intensities.0"].value = 0.8
    assert panel.value.intensities == (0.8, 0.5, 0.0) and panel.message == ""
    assert panel.message_line.layout.display == "none"
    with pytest.raises(BadInput):
        panel.set(intensities=(1, 2))


def test_a_value_beyond_a_narrow_slider_is_still_shown():
    panel = SettingsPanel(ChannelSettings(distance_km=300), fields=["distance_km"], ranges={"distance_km": (0, 150)})
    assert panel.value.distance_km == 300 and panel.controls["distance_km"].value == 300


@pytest.mark.parametrize("value, step", [(60.0, 0.5), (60.3, 0.1), (60.25, 0.05), (1 / 3, 0.5)])
def test_a_slider_has_a_step_that_meets_the_value_where_one_does(value, step):
    panel = SettingsPanel(ChannelSettings(distance_km=value), fields=["distance_km"], ranges={"distance_km": (0, 150)})
    assert panel.controls["distance_km"].step == pytest.approx(step)


def test_a_page_that_moves_a_slider_to_its_step_changes_nothing():
    panel = SettingsPanel(SourceSettings(intensities=(0.5, 0.15, 0.001)), fields=["intensities.0", "intensities.1"])
    seen = []
    panel.observe(seen.append, "value")
    panel.controls["intensities.0"].value = 0.49999999999999994        # as seen in JupyterLab when a slider is drawn
    assert not seen and panel.value.intensities == (0.5, 0.15, 0.001)
    panel.controls["intensities.0"].value += 5 * panel.controls["intensities.0"].step
    assert len(seen) == 1


def test_markup_in_a_message_is_text():
    panel = SettingsPanel(ChannelSettings())
    panel._say("<script>alert(1)</script>")
    assert "<script>" not in panel.message_line.value


def test_switched_off_as_a_whole():
    panel = SettingsPanel(EveSettings())
    panel.disabled = True
    assert all(c.disabled for c in panel.controls.values())


@given(st.data())
@hypothesis_settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_dragged_the_value_stays_valid(data):
    panel = SettingsPanel(SourceSettings(), fields=("intensities.0", "intensities.1", "clock_hz"))
    for _ in range(8):
        path = data.draw(st.sampled_from(sorted(panel.controls)))
        control = panel.controls[path]
        wild = st.floats(-1e12, 1e12) if path == "clock_hz" else st.floats(control.min, control.max)
        control.value = data.draw(wild)          # refused in words below the controls, never by an exception
        type(panel.value)(**{f.name: getattr(panel.value, f.name) for f in dataclasses.fields(panel.value)})
        assert panel.message or control.value == pytest.approx(_shown(panel, path), abs=getattr(control, "step", 0) or 0)


def _shown(panel, path):
    name, _, index = path.partition(".")
    return getattr(panel.value, name)[int(index)] if index else getattr(panel.value, name)
