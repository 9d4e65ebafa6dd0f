"""Answers of students: right, wrong, none, and not numbers at all."""

import math

import ipywidgets
import numpy as np
import pytest
from lesson_answers import OPEN, RIGHT, WRONG

from qkdlab.errors import BadInput
from qkdlab.widgets import lessons
from qkdlab.widgets.lessons import parts


@pytest.mark.parametrize("answer, sign, words", [
    (20, RIGHT, "20 km"), (20.9, RIGHT, "well done"), (np.float64(19.1), RIGHT, ""), (22, WRONG, "too much"),
    (-20, WRONG, "too little"), (None, OPEN, "Type"), (..., OPEN, "Type"), ("20", WRONG, "number"),
    (math.nan, WRONG, "number"), (math.inf, WRONG, "number"), (True, WRONG, "number"), ([20], WRONG, "in km"),
    (10**400, WRONG, "number"), (20j, WRONG, "number")])
def test_answers(answer, sign, words):
    page = lessons.check(answer, lambda: 20.0, unit="km", right="well done", hint="look again").value
    assert sign in page and words in page
    assert ("look again" in page) == (sign == WRONG and words.startswith("too"))


def test_tolerances():
    assert RIGHT in lessons.check(0.9, lambda: 0.0, least=1.0).value
    assert WRONG in lessons.check(1.1, lambda: 0.0, least=1.0).value
    assert RIGHT in lessons.check(130, lambda: 100.0, within=0.3).value


def test_the_truth_is_not_computed_without_an_answer():
    for answer in (None, "x"):
        lessons.check(answer, lambda: pytest.fail("computed"))


def test_what_the_library_refuses_is_told():
    def refuse():
        raise BadInput("must be at least 0 km", field="distance_km", value=-1)

    assert "at least 0 km" in lessons.check(1, refuse).value


def test_words_are_escaped():
    assert "<script>" not in parts.feedback("<script>").value


@pytest.mark.parametrize("log, low, high, value", [(False, 0, 10, 5), (True, -3, 3, 10.0)])
def test_panels_follow_every_slider(log, low, high, value):
    seen, words = [], ipywidgets.HTML()
    first, second = (parts.slider(name, value, low, high, 1, log=log) for name in "ab")
    panel = parts.explorable([first, second], lambda *values: seen.append(values), words)
    first.value = value / 2 if not log else 100.0
    second.value = value / 5 if not log else 1000.0
    assert len(seen) == 3 and seen[-1] == (first.value, second.value)
    assert panel.children == (first, second, words)
