import re

import numpy as np
import pytest

from qkdlab.widgets.lessons import real_tags


@pytest.fixture(scope="module")
def nut():
    return real_tags.hazelnut()


def test_the_recording_is_real_and_says_where_it_comes_from(nut):
    assert nut.sync_rate_hz == 78_020_000 and not nut.simulated and nut.info["layout"] == "PicoHarp T3"
    assert "Zoccoler" in (nut.path.parent / "LICENSE").read_text()


def test_every_click_is_in_one_step_of_the_tagger(nut):
    ns, clicks = real_tags.fold(nut)
    assert clicks.sum() == 63_837 and len(ns) == len(clicks) == 133
    assert ns[-1] == pytest.approx(12.8, abs=0.02) and np.argmax(clicks) == 12


@pytest.mark.parametrize("begin, width, light, floor", [(0.0, 12.8, 100, 99), (0.6, 3.0, 87, 23), (0.0, 0.3, 0, 3)])
def test_a_gate_tells_what_it_keeps(nut, begin, width, light, floor):
    panel = real_tags.gate(nut, begin, width)
    words = panel.children[-2].value
    kept, noise = (float(x) for x in re.findall(r"<b>([-.0-9]+) %", words))
    assert kept == pytest.approx(light, abs=1) and f"and {floor} % of the floor" in words and 0 <= noise <= 100
    for one, slider in enumerate(panel.children[:2]):
        for value in (slider.max, slider.min):
            slider.value = value
            assert "-" not in re.sub("<[^>]*>", "", panel.children[-2].value), one
    panel.children[-1].close()


@pytest.mark.parametrize("answer, words", [(220, "Yes"), (290, "Yes"), (400, "Close in"), (-1, "Close in"), ("x", "in ps")])
def test_the_flank_is_measured_in_the_recording(nut, answer, words):
    assert words in real_tags.jitter(answer, nut).value


def test_a_flank_of_known_jitter_is_found():
    rng = np.random.default_rng(1)
    ns = 0.05 * np.arange(200)
    clicks = np.histogram(3 + rng.normal(0, 0.3, 10**6) + rng.uniform(0, 5, 10**6), np.append(ns, 10.0) - 0.025)[0] + 40
    floor, (low, middle, high) = real_tags._flank(ns, clicks)
    assert floor == pytest.approx(40, rel=0.2) and middle == pytest.approx(3, abs=0.05)
    assert high - low == pytest.approx(2.563 * 0.3, rel=0.1)
