import re

import pytest

from qkdlab.datatypes import SourceSettings
from qkdlab.simulation import ChannelSettings, DetectorSettings
from qkdlab.widgets import lessons

LINK = {
    "source": SourceSettings(intensities=(0.5, 0.15, 0.001), probabilities=(0.5, 0.25, 0.25),
                             key_basis_probability=0.7, clock_hz=50e6),
    "channel": ChannelSettings(distance_km=30.0),
    "detectors": DetectorSettings(key_basis_probability=0.7, dark_rate_hz=300.0),
}


def close(panel):
    panel.children[-1].close()


def test_pulses_are_those_of_the_library():
    page = lessons.pulses(LINK["source"], count=8, seed=3).value
    cells = dict(re.findall(r'<th[^>]*>([^<]*)</th>(.*?)</tr>', page))
    column = {name: re.findall(r"<td[^>]*>([^<]*)</td>", row) for name, row in cells.items()}
    assert all(len(c) == 8 for c in column.values()) and column["slot"] == [str(k) for k in range(8)]
    arrows = {("key", "0"): "\u2192", ("key", "1"): "\u2191", ("test", "0"): "\u2197", ("test", "1"): "\u2196"}
    assert [arrows[x] for x in zip(column["basis"], column["bit"], strict=True)] == column["polarisation"]


def test_photon_numbers_follow_the_slider():
    panel = lessons.photon_numbers(0.5)
    slider, words, live = panel.children
    assert "60.7 %" in words.value and "22.9 %" in words.value        # e^-0.5; (1 - 1.5 e^-0.5) / (1 - e^-0.5)
    slider.value = 0.1
    assert "90.5 %" in words.value
    close(panel)


def test_gains_against_distance_follow_the_slider():
    panel = lessons.gains_against_distance(LINK, 60.0)
    slider, words, live = panel.children
    before = words.value
    slider.value = 5000.0
    assert words.value != before and "60 km" in words.value
    close(panel)


@pytest.mark.parametrize("answer, sign", [(None, "&#9998;"), (25, "&#10003;"), (50, "&#10007;"), (11.0, "&#10007;")])
def test_the_exercise_about_eve_simulates_her(answer, sign):
    assert sign in lessons.qber_with_eve(LINK, answer).value


@pytest.mark.parametrize("answer, words", [(None, "Type"), (10.0, "Yes"), (0, "go further"), (150, "go nearer"),
                                           (-5, "at least 0")])
def test_the_exercise_about_distance_runs_the_link(answer, words):
    assert words in lessons.key_at_distance(LINK, answer, seconds=0.3).value


@pytest.mark.parametrize("answer", ["far", [1]])
def test_an_answer_that_is_no_number_is_told(answer):
    assert "number" in lessons.qber_with_eve(LINK, answer).value
    assert "number" in lessons.key_at_distance(LINK, answer).value
