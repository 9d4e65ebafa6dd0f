"""What the pages of a tutorial are put together from: a figure with sliders, and exercises that never stumble."""

import functools
import html
import math
import numbers

import ipywidgets

from qkdlab.errors import BadInput
from qkdlab.palette import PALETTE

__all__ = ["exercise", "feedback", "panel", "slider"]

_SIGNS = {True: ("&#10003;", PALETTE["green"]), False: ("&#10007;", PALETTE["vermillion"]),
          None: ("&#9998;", PALETTE["grey"])}


def slider(label, value, low, high, step, *, kind=ipywidgets.FloatSlider, wait=False, **options):
    """A slider as wide as the page, reached by keyboard.

    Parameters
    ----------
    label : str
        With the unit.
    value, low, high, step : float
    kind : type
        Of ipywidgets.
    wait : bool
        Tell of a new value when the slider is let go only: for figures that take longer than a blink.
    """
    if kind is ipywidgets.FloatSlider and step == int(step):
        options = {"readout_format": ".0f", **options}
    made = kind(value=value, min=low, max=high, step=step, description=label, continuous_update=not wait,
                style={"description_width": "initial"}, layout={"width": "auto"}, **options)
    made.add_class("qk-slider")
    return made


def panel(draw, live, *controls):
    """Sliders, a line of words and a figure below each other.

    Parameters
    ----------
    draw : callable
        ``draw(*values) -> str``: changes the figure, returns the words (HTML). Called at once and after each change;
        what it refuses is said in its words.
    live : LiveFigure
    *controls : ipywidgets
        With a trait ``value``.

    Returns
    -------
    ipywidgets.VBox
        Controls, words, figure, in this order.
    """
    words = ipywidgets.HTML(layout={"min_height": "46px"})       # two lines: the page does not jump

    def show(_change=None):
        try:
            words.value = draw(*(control.value for control in controls))
        except BadInput as error:
            words.value = f"<i>{html.escape(str(error))}</i>"

    for control in controls:
        control.observe(show, "value")
    show()
    return ipywidgets.VBox([*controls, words, live], layout=ipywidgets.Layout(max_width="760px"))


def feedback(words, right=None):
    """A line with a sign and words, not colour alone; `right` None: neither right nor wrong."""
    sign, colour = _SIGNS[right]
    return ipywidgets.HTML(f'<div role="status" style="border-left:4px solid {colour};padding:4px 10px">'
                           f"<b>{sign}</b> {html.escape(words)}</div>")


def exercise(unit):
    """Make a check ``check(answer, ...) -> (words, right)`` into what a cell shows.

    No answer yet, words instead of a number, not-a-number, a value that the library refuses: each is told in a line.

    Parameters
    ----------
    unit : str
        Of the answer, as in "a number is expected, in km".
    """
    def made(check):
        @functools.wraps(check)
        def page(answer, *given, **named):
            if answer is None:
                return feedback("Type your answer in the cell, then run it again.")
            if isinstance(answer, bool) or not isinstance(answer, numbers.Real) or not math.isfinite(answer):
                return feedback(f"A number is expected, {unit}.", False)
            try:
                return feedback(*check(answer, *given, **named))
            except BadInput as error:
                return feedback(f"The library refuses this: {error}", False)
        return page
    return made
