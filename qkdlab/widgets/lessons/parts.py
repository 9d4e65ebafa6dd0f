"""What the lessons share: panels with sliders over a live figure, and answers that are checked by calling the library."""

import html
import math
import numbers

import ipywidgets
from bokeh.layouts import row
from bokeh.models import Range1d

from qkdlab.errors import BadInput
from qkdlab.palette import PALETTE

__all__ = ["BASES", "STATES", "axis", "check", "explorable", "feedback", "not_a_number", "pair", "slider", "table"]

BASES = ("key", "test")
STATES = {(0, 0): "\u2192", (0, 1): "\u2191", (1, 0): "\u2197", (1, 1): "\u2196"}    # (basis, bit): polarisation
WIDTH = "860px"


# -------------------------------------------------------------------------------------------------------------- figures


def slider(label, value, low, high, step, readout=".2f", log=False):
    """A slider with its label beside it.

    Parameters
    ----------
    label : str
        What it sets, with the unit.
    value, low, high, step : float
    readout : str
        Format of the number shown.
    log : bool
        Equal steps of the exponent: `low`, `high` and `step` are powers of ten.

    Returns
    -------
    ipywidgets.FloatSlider or ipywidgets.FloatLogSlider
    """
    kind = ipywidgets.FloatLogSlider if log else ipywidgets.FloatSlider
    made = kind(value=value, min=low, max=high, step=step, description=label, readout_format=readout,
                style={"description_width": "200px"}, layout={"width": "auto"})
    made.add_class("qk-slider")
    return made


def explorable(sliders, draw, words, *views):
    """Sliders above words and figures that follow them.

    Parameters
    ----------
    sliders : sequence of ipywidgets sliders
    draw : callable
        ``draw(*values)`` brings words and views up to date; called now, and whenever a slider moves.
    words : ipywidgets.HTML
    *views : ipywidgets widgets
        What `draw` changes.

    Returns
    -------
    ipywidgets.VBox
        Children: the sliders, the words, the views.
    """
    def redraw(_change=None):
        draw(*(s.value for s in sliders))

    for made in sliders:
        made.observe(redraw, "value")
    redraw()
    return ipywidgets.VBox([*sliders, words, *views], layout=ipywidgets.Layout(max_width=WIDTH))


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
    complaint = not_a_number(answer, unit)
    if complaint is not None:
        return complaint
    try:
        value = float(truth())
    except BadInput as error:
        return feedback(f"The library refuses to compute this: {error}", False)
    unit = f" {unit}" if unit else ""
    if abs(float(answer) - value) <= max(within * abs(value), least):
        return feedback(f"Yes. The library finds {value:,.4g}{unit}. {right}", True)
    side = "too much" if answer > value else "too little"
    return feedback(f"Not {float(answer):,.4g}{unit}, that is {side}. {hint}", False)


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


def feedback(words, right=None):
    """A line with a sign and words, not colour alone.

    Parameters
    ----------
    words : str
    right : bool or None
        None: neither right nor wrong yet.
    """
    sign, colour = {True: ("&#10003;", PALETTE["green"]), False: ("&#10007;", PALETTE["vermillion"]),
                    None: ("&#9998;", PALETTE["grey"])}[right]
    return ipywidgets.HTML(f'<div role="status" style="border-left:4px solid {colour};padding:4px 10px;line-height:1.5">'
                           f"<b>{sign}</b> {html.escape(words.strip())}</div>")
