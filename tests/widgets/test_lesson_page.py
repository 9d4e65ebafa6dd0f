import math

import ipywidgets
import numpy as np
import pytest

from qkdlab.errors import BadInput
from qkdlab.widgets.lesson_page import exercise, feedback, panel, slider


@exercise("apples")
def apples(answer, most=10):
    if answer > most:
        raise BadInput("too many", field="apples", value=answer)
    return ("Yes.", True) if answer == 3 else ("No.", False)


@pytest.mark.parametrize("answer, words", [
    (None, "Type your answer"), ("3", "in apples"), ([3], "in apples"), (math.nan, "in apples"), (math.inf, "in apples"),
    (True, "in apples"), (3j, "in apples"), (10**400, "in apples"), (..., "Type your answer"),
    (3, "Yes."), (np.float64(3), "Yes."), (np.int64(4), "No."), (11, "too many"),
])
def test_every_answer_gets_a_line(answer, words):
    assert words in apples(answer).value


def test_feedback_shows_a_sign_and_no_markup_of_others():
    assert "&#10003;" in feedback("well", True).value and "&lt;b&gt;" in feedback("<b>", False).value


def test_a_panel_says_what_is_refused():
    def draw(value):
        if value > 5:
            raise BadInput("at most 5", field="x", value=value)
        return f"{value:g}"

    one = slider("x", 2.0, 0.0, 10.0, 1.0)
    page = panel(draw, ipywidgets.HTML(), one)
    assert page.children[1].value == "2"
    one.value = 7.0
    assert "at most 5" in page.children[1].value
    one.value = 3.0
    assert page.children[1].value == "3"
