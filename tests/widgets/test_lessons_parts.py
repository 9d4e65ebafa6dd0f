"""Answers of students: right, wrong, none, and not numbers at all."""

import math
from fractions import Fraction

import ipywidgets
import numpy as np
import pytest
from lesson_answers import OPEN, RIGHT, WRONG

from qkdlab.errors import BadInput
from qkdlab.widgets import lessons
from qkdlab.widgets.lessons import parts


@pytest.mark.parametrize("answer, sign, words", [
    (20, RIGHT, "20 km"), (Fraction(41, 2), RIGHT, "20 km"),
    (20.9, RIGHT, "well done"), (np.float64(19.1), RIGHT, ""), (22, WRONG, "too much"),
    (-20, WRONG, "too little"), (None, OPEN, "Type"), (..., OPEN, "Type"), ("20", WRONG, "number"),
    (math.nan, WRONG, "number"), (math.inf, WRONG, "number"), (True, WRONG, "number"), ([20], WRONG, "in km"),
    (10**400, WRONG, "number"), (20j, WRONG, "number")])
def test_answers(answer, sign, words):
    page = lessons.check(answer, lambda: 20.0, unit="km", right="well done", hint="look again").value
    assert sign in page and words in page
    assert ("look again" in page) == (sign == WRONG and words.startswith("too"))


def test_a_check_is_given_a_number_it_can_print():
    @parts.exercise("km")
    def check(link, answer):
        return f"{link} at {answer:,.1f} km", True

    assert "fibre at 3.5 km" in check("fibre", Fraction(7, 2)).value and "at 3.0" in check(link="fibre", answer=3).value


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
def test_panels_follow_every_control(log, low, high, value):
    seen, view = [], ipywidgets.HTML()
    first, second = (parts.slider(name, value, low, high, 1, log=log) for name in "ab")
    page = parts.panel(lambda *values: seen.append(values) or f"{len(seen)} times", view, first, second)
    first.value = value / 2 if not log else 100.0
    second.value = value / 5 if not log else 1000.0
    assert len(seen) == 3 and seen[-1] == (first.value, second.value)
    assert page.children[:2] == (first, second) and "3 times" in page.children[2].value and page.children[3] is view


def test_a_panel_says_what_is_refused():
    def draw(value):
        if value > 5:
            raise BadInput("at most 5", field="x", value=value)
        return f"now {value:g}"

    one = parts.slider("x", 2.0, 0.0, 10.0, 1.0)
    page = parts.panel(draw, ipywidgets.HTML(), one)
    assert "now 2" in page.children[1].value
    one.value = 7.0
    assert "at most 5" in page.children[1].value
    one.value = 3.0
    assert "now 3" in page.children[1].value


@pytest.mark.parametrize("step, options, shown", [(1.0, {}, ".0f"), (0.5, {}, ".1f"), (0.02, {}, ".2f"), (50.0, {}, ".0f"),
                                                  (1, {"whole": True}, "d"), (0.1, {"log": True, "readout": ".2g"}, ".2g")])
def test_a_slider_shows_the_digits_that_its_steps_need(step, options, shown):
    made = parts.slider("x", 2, 1, 10, step, **options)
    assert made.readout_format == shown and "qk-slider" in made._dom_classes
    assert isinstance(made.value, int if options.get("whole") else float)


def test_labels_of_one_panel_take_the_same_room():
    short, long = parts.slider("x", 1, 0, 2, 1), parts.slider("a label of very many words indeed", 1, 0, 2, 1)
    assert short.style.description_width != long.style.description_width
    parts.aligned(short, long)
    assert short.style.description_width == long.style.description_width


# ------------------------------------------------------------------------------------------------ exercises of one's own


@parts.exercise("apples")
def apples(basket, answer, most=10):
    if answer > most:
        raise BadInput("too many", field="apples", value=answer)
    return ("Yes.", True) if answer == 3 else ("No.", False)


@pytest.mark.parametrize("answer, words", [
    (None, "Type your answer"), ("3", "in apples"), ([3], "in apples"), (math.nan, "in apples"), (math.inf, "in apples"),
    (True, "in apples"), (3j, "in apples"), (10**400, "in apples"), (..., "Type your answer"),
    (3, "Yes."), (np.float64(3), "Yes."), (np.int64(4), "No."), (11, "too many"),
])
def test_every_answer_gets_a_line(answer, words):
    assert words in apples("red", answer).value and words in apples(answer=answer, basket="red").value


def test_feedback_shows_a_sign_and_no_markup_of_others():
    assert "&#10003;" in parts.feedback("well", True).value and "&lt;b&gt;" in parts.feedback("<b>", False).value
