import re

import numpy as np
import pytest

from qkdlab.datatypes import SourceSettings
from qkdlab.simulation import ChannelSettings, DetectorSettings
from qkdlab.widgets.lessons import clocks

LINK = {"source": SourceSettings((0.5, 0.15, 0.001), (0.7, 0.2, 0.1), 0.8, clock_hz=100e6),
        "channel": ChannelSettings(distance_km=100.0),
        "detectors": DetectorSettings(dark_rate_hz=2000.0, jitter_fwhm_ps=300.0, key_basis_probability=0.8)}


@pytest.fixture(scope="module")
def recording():
    return clocks.demo()


def said(panel):
    return panel.children[-2].value


def test_the_spectrum_finds_the_rate_and_sharpens(recording):
    panel = clocks.spectrum(recording)
    found = []
    for ms in (1.0, 20.0):
        panel.children[0].value = ms
        words = said(panel).replace("\u2212", "-")
        found.append([float(x) for x in re.search(r"([-+.0-9]+) \u00b1 ([.0-9]+) ppm", words).groups()])
    assert found[1][0] == pytest.approx(-4.7, abs=0.01) and found[1][1] < found[0][1] / 20
    panel.children[0].value = 0.2
    assert "no rate stands out" in said(panel) or "ppm" in said(panel)
    panel.children[-1].close()


def test_the_powers_peak_at_the_rate_of_made_up_tags():
    rng = np.random.default_rng(0)
    times = np.sort(np.rint(rng.integers(0, 100_000, 1000) * 1e4 / (1 + 3e-6) + rng.normal(0, 100, 1000))).astype(np.int64)
    ppm, power = clocks._powers(times, np.zeros(1000, np.uint8), 100e6, 10.0, 1e-3)
    assert ppm[np.argmax(power)] == pytest.approx(3.0, abs=0.5) and power.max() > 500


def test_the_pulses_stand_at_the_right_rate_only(recording):
    panel = clocks.folded(recording)
    sharp = {}
    for ppm in (-4.7, 0.0, 4.7):
        panel.children[0].value = ppm
        sharp[ppm] = float(re.search(r"<b>([.0-9]+)</b>", said(panel)).group(1))
    assert sharp[-4.7] > 0.95 and sharp[0.0] < 0.2 > sharp[4.7]
    panel.children[-1].close()


@pytest.mark.parametrize("answer, words", [(-4.7, "Yes"), (-4.6, "Yes"), (4.7, "forwards"), (-9, "backwards"), ("x", "ppm")])
def test_the_offset_is_found_in_the_tags(recording, answer, words):
    assert words in clocks.clock_offset(answer, recording).value


def test_the_gate_panel_follows_both_sliders():
    panel = clocks.gate(LINK, width_ps=2000)
    wide = said(panel)
    panel.children[0].value = 500
    narrow = said(panel)
    kept = [float(re.search(r"Kept: ([.0-9]+) %", words).group(1)) for words in (wide, narrow)]
    assert kept[0] > 99.9 and 85 < kept[1] < 97                # sigma 134 ps: 2000 ps hold all, 500 ps hold 94 %
    panel.children[1].value = 1000
    assert said(panel) != narrow
    panel.children[-1].close()


@pytest.mark.parametrize("answer, words", [(500, "Yes"), (100, "too narrow"), (5000, "too wide"), (0, "lies between"),
                                           (1e9, "lies between"), (None, "Type")])
def test_the_best_gate(answer, words):
    assert words in clocks.best_gate(answer, LINK, 300).value


def test_a_fast_clock_blurs():
    slow, fast = (clocks.blur(LINK, hz) for hz in (1e8, 2.5e9))
    # half a period of 200 ps, sigma 134 ps
    assert slow == 0 and fast == pytest.approx(0.136, abs=0.03)


@pytest.mark.parametrize("answer, words", [(1.25e9, "Yes"), (5e8, "go faster"), (4e9, "slower"), (0, "Try a rate"),
                                           (1e30, "Try")])
def test_the_fastest_clock(answer, words):
    assert words in clocks.fastest_clock(answer, LINK).value


def test_labels_belong_to_the_tags():
    tags, truth = clocks.labelled(LINK, seconds=0.02, seed=2)
    assert len(tags) == len(truth["origin"]) > 50 and set(np.unique(truth["origin"])) <= {0, 1, 2}
    assert ((truth["slot"] >= 0) >= (truth["origin"] == 0)).all()
