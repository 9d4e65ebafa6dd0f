import re

import numpy as np
import pytest

from qkdlab.widgets.lessons import clocks, real_tags


@pytest.fixture(scope="module")
def nut(shared):
    """A laser of 78.02 MHz on a hazelnut, taken with a PicoHarp in T3 mode."""
    return shared / "timetags/napari-flim/hazelnut_first500k.ptu"


def words_of(panel):
    return panel.children[-2].value


def test_a_real_recording_is_folded_by_the_pulses_its_tagger_counted(nut):
    ns, clicks = real_tags.fold(nut)
    assert clicks.sum() == 499_622 and len(ns) == len(clicks) == 132 and np.argmax(clicks) == 16
    assert ns[-1] == pytest.approx(1e3 / 78.02, abs=0.12)
    floor = clicks[:9]
    assert np.ptp(floor) < 6 * np.sqrt(floor.mean()), "no seam where one period ends and the next begins"


def test_the_shipped_recording_is_folded_by_the_rate_that_is_found():
    ns, clicks = real_tags.fold()
    assert len(ns) == 100 and ns[-1] == pytest.approx(9.9)
    assert clicks[11:15].sum() > 0.95 * clicks.sum(), "a wrong rate would smear the pulse"
    busiest = max(np.bincount(np.concatenate([block.channel for block in clocks.demo().tag_blocks()])))
    assert 0 < clicks.sum() < busiest


@pytest.mark.parametrize("begin, width, light, floor", [(0.0, 12.8, 100, 100), (1.2, 3.0, 86, 23), (0.0, 0.3, 0, 3)])
def test_a_gate_tells_what_it_keeps(nut, begin, width, light, floor):
    panel = real_tags.gate(nut, begin, width)
    kept, noise = (float(x) for x in re.findall(r"<b>([-.0-9]+) %", words_of(panel)))
    assert kept == pytest.approx(light, abs=1) and f"and {floor} % of the floor" in words_of(panel) and 0 <= noise <= 100
    for one, slider in enumerate(panel.children[:2]):
        for value in (slider.max, slider.min):
            slider.value = value
            assert "-" not in re.sub("<[^>]*>", "", words_of(panel)), one
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


def test_what_cannot_be_folded_is_told(tmp_path, shared):
    (tmp_path / "letter.ptu").write_text("dear colleague")
    untold = shared / "timetags/phconvert/test_noise.spc"
    for path, words in ((tmp_path / "letter.ptu", "letter.ptu"), (tmp_path / "none.ptu", "none.ptu"),
                        (untold, "did not count the laser")):
        assert words in real_tags.gate(path).value and words in real_tags.jitter(100, path).value
