"""What the pages of a tutorial are put together from: a figure with sliders, and exercises that never stumble."""

import functools
import html

import ipywidgets

from qkdlab.errors import BadInput

from .lessons.parts import feedback, not_a_number

__all__ = ["exercise", "feedback", "panel", "slider"]


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


def exercise(unit):
    """Make a check ``check(answer, ...) -> (words, right)`` into what a cell shows.

    No answer yet, words instead of a number, not-a-number, a value that the library refuses: each is told in a line.

    Parameters
    ----------
    unit : str
        Of the answer, as in "km".
    """
    def made(check):
        @functools.wraps(check)
        def page(answer, *given, **named):
            complaint = not_a_number(answer, unit)
            if complaint is not None:
                return complaint
            try:
                return feedback(*check(answer, *given, **named))
            except BadInput as error:
                return feedback(f"The library refuses this: {error}", False)
        return page
    return made
