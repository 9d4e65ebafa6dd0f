"""What the lessons share: panels with sliders over a live figure, and answers that are checked by calling the library."""

import functools
import html
import inspect
import math
import numbers

import ipywidgets
from bokeh.layouts import row
from bokeh.models import Range1d

from qkdlab.errors import BadInput
from qkdlab.palette import PALETTE

__all__ = ["BASES", "STATES", "WIDTH", "aligned", "axis", "check", "exercise", "feedback", "marked", "not_a_number",
           "pair", "panel", "slider", "table"]

BASES = ("key", "test")
STATES = {(0, 0): "\u2192", (0, 1): "\u2191", (1, 0): "\u2197", (1, 1): "\u2196"}    # (basis, bit): polarisation
WIDTH = "860px"


# -------------------------------------------------------------------------------------------------------------- figures


def slider(label, value, low, high, step, *, readout=None, log=False, whole=False, wait=False):
    """A slider with its label beside it, reached by keyboard.

    Parameters
    ----------
    label : str
        What it sets, with the unit.
    value, low, high, step : float
    readout : str, optional
        Format of the number shown; absent: with the digits that a step needs.
    log : bool
        Equal steps of the exponent: `low`, `high` and `step` are powers of ten.
    whole : bool
        Its values are whole numbers, of type int.
    wait : bool
        Tell of a new value when the slider is let go only: for figures that take longer than a blink.

    Returns
    -------
    ipywidgets.FloatSlider, ipywidgets.FloatLogSlider or ipywidgets.IntSlider
    """
    kind = ipywidgets.FloatLogSlider if log else ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
    digits = 0 if step == int(step) else math.ceil(-math.log10(step))
    made = kind(value=value, min=low, max=high, step=step, description=label, continuous_update=not wait,
                readout_format=readout or ("d" if whole else f".{digits}f"), layout={"width": "auto"})
    made.add_class("qk-slider")
    return aligned(made)[0]


def aligned(*controls):
    """Controls whose labels take the same room: below each other, they begin in one line. Gives them back."""
    width = f"{max(14, 0.95 * max(len(control.description) for control in controls)):.0f}ch"
    for control in controls:
        control.style.description_width = width
    return controls


def panel(draw, view, *controls):
    """Controls, a line of words and what they change, below each other.

    Parameters
    ----------
    draw : callable
        ``draw(*values) -> str``: changes the view, returns the words (HTML). Called at once, and whenever a control is
        moved; what it refuses is said in its words.
    view : ipywidgets widget
    *controls : ipywidgets widgets
        With a trait ``value``.

    Returns
    -------
    ipywidgets.VBox
        Children: the controls, the words, the view.
    """
    words = ipywidgets.HTML()

    def show(_change=None):
        try:
            said = draw(*(control.value for control in controls))
        except BadInput as error:
            said = f"<i>{html.escape(str(error))}</i>"
        # two lines have their place: the figure below does not jump
        words.value = f'<div role="status" style="font-size:14px;line-height:1.45;min-height:41px">{said}</div>'

    for control in controls:
        control.observe(show, "value")
    show()
    return ipywidgets.VBox([*aligned(*controls), words, view], layout=ipywidgets.Layout(max_width=WIDTH))


def pair(*plots):
    """Figures beside each other."""
    return row(*plots, sizing_mode="stretch_width")


def table(caption, rows):
    """A table whose first column names the rows.

    Parameters
    ----------
    caption : str
    rows : dict of str to sequence
        Cells are shown as they are.

    Returns
    -------
    str
        HTML.
    """
    body = "".join(f'<tr><th scope="row" style="text-align:left;padding-right:14px">{name}</th>'
                   + "".join(f'<td style="text-align:center;padding:1px 9px">{cell}</td>' for cell in cells) + "</tr>"
                   for name, cells in rows.items())
    return (f'<table style="line-height:1.6;font-size:14px"><caption style="caption-side:top;text-align:left">{caption}'
            f"</caption>{body}</table>")


def axis(low, high):
    """A fixed range, so that the axis stays while the curve moves."""
    return Range1d(low, high)


# ------------------------------------------------------------------------------------------------------------ exercises


def check(answer, truth, *, unit="", within=0.05, least=0.0, right="", hint=""):
    """Compare a student's number with what the library computes.

    Parameters
    ----------
    answer : float or None
        The student's; None before there is one.
    truth : callable
        Without arguments; the number, computed when there is an answer to compare.
    unit : str
        Of both, for the words.
    within : float
        Relative difference that is let pass.
    least : float
        Absolute difference that is let pass in any case.
    right : str
        What to say beside the number if the answer is right.
    hint : str
        What to say if it is wrong.

    Returns
    -------
    ipywidgets.HTML
        Never an exception for an answer, whatever it is.
    """
    @exercise(unit)
    def compared(answer):
        value, shown = float(truth()), f" {unit}" if unit else ""
        if abs(float(answer) - value) <= max(within * abs(value), least):
            return f"Yes. The library finds {value:,.4g}{shown}. {right}", True
        side = "too much" if answer > value else "too little"
        return f"Not {float(answer):,.4g}{shown}, that is {side}. {hint}", False

    return compared(answer)


def not_a_number(answer, unit=""):
    """What to say of an answer that is no finite number, as a widget; None where it is one."""
    if answer is None or answer is ...:
        return feedback("Type your answer in the cell in place of None, then run the cell again.")
    if isinstance(answer, bool) or not isinstance(answer, numbers.Real) or not _finite(answer):
        return feedback(f"A number is expected{f', in {unit}' if unit else ''}, for example 12.5", False)
    return None


def _finite(number):
    try:
        return math.isfinite(number)
    except OverflowError:                      # a whole number beyond all floats
        return False


def exercise(unit):
    """Make a check ``check(..., answer, ...) -> (words, right)`` into what a cell shows.

    No answer yet, words instead of a number, not-a-number, a value that the library refuses: each is told in a line.

    Parameters
    ----------
    unit : str
        Of the answer, as in "km".
    """
    def made(check):
        signature = inspect.signature(check)

        @functools.wraps(check)
        def page(*given, **named):
            bound = signature.bind(*given, **named)
            answer = bound.arguments["answer"]
            complaint = not_a_number(answer, unit)
            if complaint is not None:
                return complaint
            bound.arguments["answer"] = answer if isinstance(answer, numbers.Integral) else float(answer)
            try:
                return feedback(*check(*bound.args, **bound.kwargs))
            except BadInput as error:
                return feedback(f"The library refuses this: {error}", False)
        return page
    return made


def feedback(words, right=None):
    """A line with a sign and words, not colour alone.

    Parameters
    ----------
    words : str
    right : bool or None
        None: neither right nor wrong yet.
    """
    sign = {True: "&#10003;", False: "&#10007;", None: "&#9998;"}[right]
    return ipywidgets.HTML(marked(f"<b>{sign}</b> {html.escape(words.strip())}", right))


def marked(words, right=None):
    """A line (HTML) that screen readers announce, with a coloured edge: good, bad, or neither (None)."""
    colour = PALETTE[{True: "green", False: "vermillion", None: "grey"}[right]]
    return (f'<div role="status" style="border-left:4px solid {colour};padding:4px 10px;font-size:14px;line-height:1.45">'
            f"{words}</div>")
