"""Live figures of a session. To add one, write a function here that returns a :class:`LivePlot`.

Each function makes a bokeh figure with its named data sources, and an ``update`` that turns the values of one
:class:`~qkdlab.datatypes.Event` into changes of them. Nothing here needs a browser: the figures are plain data.
"""

import numpy as np
from bokeh.layouts import column
from bokeh.models import BoxAnnotation, InlineStyleSheet, Label, Line, Node, Range1d, Scatter, Span, Step, VArea

from qkdlab.palette import ABORT, DETECTORS, EXPECTED, PALETTE, intensity_style

from .live_figure import LiveFigure
from .live_plot import (
    HEIGHT,
    MIN_WIDTH,
    ROWS,
    LivePlot,
    above_zero,
    emptied,
    figure_frame,
    legend_above,
    named_source,
    number,
    prefixed,
)
from .live_steps import cascade, clock, ledger

__all__ = ["FIGURES", "HEIGHT", "MEANINGS", "LivePlot", "arrivals", "bounds", "cascade", "clock", "described", "feed",
           "figure_frame", "gains", "grid", "key_length", "ledger", "legend_above", "named_source", "qber", "rates", "watch"]


# -------------------------------------------------------------------------------------------------- the figures


def rates(names=tuple(d["name"] for d in DETECTORS)):
    """Detections per second in each detector against time.

    Parameters
    ----------
    names : sequence of str
        One for each detector, in the order of the receiver's channels.
    """
    source = named_source("rates", "t", *(f"d{k}" for k in range(len(names))))
    plot = figure_frame("Detection rates", "detections / s", frame=((0, 1), (0, 100)))
    lines = []
    for k, name in enumerate(names):
        line = plot.add_glyph(source, Line(x="t", y=f"d{k}", **_detector_line(k)))
        lines.append((name, [line]))
    plot.yaxis.formatter = prefixed()
    plot.y_range.start = 0
    legend_above(plot, lines)

    def update(live, values):
        if not any(values["rates_hz"]) and values["time_s"] in source.data["t"][-1:]:
            return                             # what a session tells at its end covers no further time
        shown = {f"d{k}": number(rate) for k, rate in enumerate(values["rates_hz"])}
        live.stream(source, ROWS, t=values["time_s"], **shown)

    return LivePlot(plot, ("block",), update, emptied(source))


def _detector_line(k):
    """How the line of detector k looks. Two detectors of a basis count alike: the dashed one lies on a broad, pale one, so
    that both are seen where they coincide."""
    style = DETECTORS[k % len(DETECTORS)]
    broad = style["dash"] == "solid"
    return {"line_color": style["color"], "line_dash": style["dash"], "line_width": 4 if broad else 1.8,
            "line_alpha": 0.45 if broad else 1.0}


def qber(abort_qber=0.11):
    """Error rate of the test basis with its 95 % interval, against the rate above which a block is given up.

    Parameters
    ----------
    abort_qber : float
        As in :class:`~qkdlab.datatypes.DistillSettings`.
    """
    source = named_source("qber", "t", "qber", "low", "high")
    top = max(15.0, 130 * abort_qber)
    plot = figure_frame("Error rate, test basis", "QBER (%)", y_range=Range1d(0, top))
    band = plot.add_glyph(source, VArea(x="t", y1="low", y2="high", fill_color=PALETTE["blue"], fill_alpha=0.25))
    line = plot.add_glyph(source, Line(x="t", y="qber", line_color=PALETTE["blue"], line_width=2))
    plot.add_layout(Span(location=100 * abort_qber, dimension="width", line_color=ABORT, line_width=2,
                         line_dash="dashed"))
    plot.add_layout(Label(x=8, y=100 * abort_qber, x_units="screen", y_units="data", text_baseline="bottom",
                          text=f"no key above {100 * abort_qber:.3g} %", background_fill_alpha=0))
    legend_above(plot, [("measured", [line]), ("95 % interval", [band])])

    def update(live, values):
        measured = number(values["qber_test"], 100)
        live.stream(source, ROWS, t=values["time_s"], qber=measured, low=number(values["qber_low"], 100),
                    high=number(values["qber_high"], 100))
        if measured > plot.y_range.end:        # steps, not a range that breathes with every point
            live.set(plot.y_range, end=55.0 if measured > 30 else 32.0)

    def clear(live):
        emptied(source)(live)
        live.set(plot.y_range, end=top)

    return LivePlot(plot, ("block",), update, clear)


def gains(intensities):
    """Detections per pulse sent, of each intensity, in the key basis; dashed: what the link's model expects.

    Parameters
    ----------
    intensities : sequence of float
        Mean photon numbers, strongest first.
    """
    count = range(len(intensities))
    source = named_source("gains", "t", *(f"gain{i}" for i in count), *(f"expected{i}" for i in count))
    newest = named_source("gains_newest", "t", *(f"gain{i}" for i in count))
    plot = figure_frame("Gains, key basis", "detections / pulse", y_axis_type="log", frame=((0, 1), (1e-4, 1e-2)))
    shown, models = [], []
    for i, mu in enumerate(intensities):
        style = intensity_style(i)
        line = plot.add_glyph(source, Line(x="t", y=f"gain{i}", line_color=style["color"], line_width=2.5))
        mark = plot.add_glyph(newest, Scatter(x="t", y=f"gain{i}", marker=style["marker"], size=9,
                                              fill_color=style["color"], line_color=style["color"]))
        models.append(plot.add_glyph(source, Line(x="t", y=f"expected{i}", line_color=PALETTE["grey"],
                                                  line_dash=EXPECTED, line_width=1.5)))
        shown.append((f"μ = {mu:.3g}" if not i else f"{mu:.3g}", [line, mark]))
    legend_above(plot, [*shown, ("expected", models)])

    def update(live, values):
        t, expected = values["time_s"], values["gains_expected"] or [None] * len(intensities)
        if t in source.data["t"][-1:]:
            expected = [None] * len(intensities)                 # told at the end, when the light may be off already
        measured = {f"gain{i}": above_zero(g) for i, g in enumerate(values["gains"])}
        live.stream(source, ROWS, t=t, **measured, **{f"expected{i}": above_zero(g) for i, g in enumerate(expected)})
        live.data(newest, t=[t], **{name: [g] for name, g in measured.items()})

    return LivePlot(plot, ("block",), update, emptied(source, newest))


def key_length():
    """The secret key that would be had if the run were stopped now; below zero: how far away the first key is."""
    source = named_source("key_length", "t", "signed", "length", "zero")
    plot = figure_frame("Secret key if stopped now", "bits", frame=((0, 1), (0, 1000)))
    area = plot.add_glyph(source, VArea(x="t", y1="zero", y2="length", fill_color=PALETTE["green"], fill_alpha=0.3))
    line = plot.add_glyph(source, Line(x="t", y="signed", line_color=PALETTE["green"], line_width=2))
    plot.add_glyph(source, Line(x="t", y="zero", line_color=PALETTE["grey"], line_width=1.5))
    note = Label(x=Node(target="frame", symbol="left", offset=8), y=Node(target="frame", symbol="top", offset=4),
                 anchor="top_left", text="", name="key_length_note")
    plot.add_layout(note)
    plot.yaxis.formatter = prefixed()
    legend_above(plot, [("secret bits", [area]), ("before it is cut at zero", [line])])

    def update(live, values):
        live.stream(source, ROWS, t=values["time_s"], signed=number(values["signed_length"]),
                    length=number(values["key_length"]), zero=0.0)
        before = np.any(np.asarray(source.data["length"]) > 0)         # in an earlier block
        text = "" if values["key_length"] else "no key of this block yet" if before else "no key yet"
        if note.text != text:
            live.set(note, text=text)

    def clear(live):
        emptied(source)(live)
        live.set(note, text="")

    return LivePlot(plot, ("block",), update, clear)


def bounds():
    """What the proof says of the single photons: how much of the sifted key came from them at least, and how large
    their phase error, which is what Eve may know, is at most."""
    source = named_source("bounds", "t", "single", "phase")
    plot = figure_frame("Single photons: what is proven", "share (%)", y_range=Range1d(0, 100))
    single = plot.add_glyph(source, Line(x="t", y="single", line_color=PALETTE["blue"], line_width=2))
    phase = plot.add_glyph(source, Line(x="t", y="phase", line_color=PALETTE["purple"], line_width=2,
                                        line_dash="dashed"))
    legend_above(plot, [("share, at least", [single]), ("phase error, at most", [phase])])

    def update(live, values):
        sifted, s1 = values["sifted_key_bits"], values["s1"]
        live.stream(source, ROWS, t=values["time_s"], single=100 * s1 / sifted if sifted and s1 is not None else np.nan,
                    phase=number(values["phase_error"], 100))

    return LivePlot(plot, ("block",), update, emptied(source))


def arrivals(names=tuple(d["name"] for d in DETECTORS)):
    """When the clicks of each detector fall within a clock period, and the gate that selects them."""
    source = named_source("arrivals", "phase", *(f"d{k}" for k in range(len(names))))
    plot = figure_frame("Arrivals within the clock period", "clicks / bin", x_label="time from the pulse (ps)",
                   frame=((-500, 500), (1, 100)), y_axis_type="log", x_range=Range1d(-500, 500))
    gate = BoxAnnotation(left=0, right=0, fill_color=PALETTE["green"], fill_alpha=0.18, line_color=PALETTE["green"],
                         line_dash="dotted", visible=False, name="gate")
    plot.add_layout(gate)
    lines = []
    for k, name in enumerate(names):
        line = plot.add_glyph(source, Step(x="phase", y=f"d{k}", mode="center", **_detector_line(k)))
        lines.append((name, [line]))
    plot.yaxis.formatter = prefixed()
    legend_above(plot, lines)

    def update(live, values):
        phase, counts = np.asarray(values["phase_ps"], float), np.asarray(values["histogram"], float)
        if not phase.size:
            return
        live.data(source, phase=phase, **{f"d{k}": np.where(row > 0, row, np.nan) for k, row in enumerate(counts)})
        width, half = values["gate_ps"], abs(phase).max()
        if values["locked"] and width:
            if (gate.left, gate.right) != (-width / 2, width / 2) or not gate.visible:
                live.set(gate, left=-width / 2, right=width / 2, visible=True)
            half = min(half, 2.5 * width)      # around the pulse; the rest of a long period is background
        elif gate.visible:
            live.set(gate, visible=False)
        if abs(half / plot.x_range.end - 1) > 0.2:
            live.set(plot.x_range, start=-half, end=half)

    def clear(live):
        emptied(source)(live)
        live.set(gate, visible=False)

    return LivePlot(plot, ("clock",), update, clear)


FIGURES = {"qber": qber, "key_length": key_length, "rates": rates, "gains": gains, "bounds": bounds,
           "arrivals": arrivals, "clock": clock, "cascade": cascade, "ledger": ledger}


MEANINGS = {
    "qber": "How often Bob's bit differs from Alice's. Eve cannot look without raising it.",
    "key_length": "Grows once there are enough detections to be sure; each complete block begins anew.",
    "rates": "Clicks of the four detectors, two for each basis.",
    "gains": "Detections per pulse for each brightness \u03bc (mean photon number) that Alice sends.",
    "bounds": "Which share of the bits came from single photons at least, and how much Eve may know of these at most.",
    "arrivals": "When the clicks come relative to Alice's pulse; those in the green gate are kept.",
    "clock": "How far the two rates differ, in parts per million (ppm), and how blurred the clicks are.",
    "cascade": "What Alice says aloud to correct Bob's errors, beside the least that any method needs.",
    "ledger": "What is taken off the sifted key for what Eve may know, and the secret key that is left.",
}


# --------------------------------------------------------------------------------------------- putting them on a page


def described(plots):
    """The figures in words, for those who do not see them."""
    return "live plots: " + "; ".join(plot.figure.title.text for plot in plots)


def grid(plots):
    """A bokeh layout of the figures: as many columns as the page is wide enough for, at most two for two or four figures."""
    least = f"max({MIN_WIDTH}px, 40%)" if len(plots) in (2, 4) else f"{MIN_WIDTH}px"
    css = f""":host {{ display: grid !important; grid-template-columns: repeat(auto-fit, minmax({least}, 1fr));
        gap: 6px 14px; }}"""
    return column(*(plot.figure for plot in plots), sizing_mode="stretch_width",
                  stylesheets=[InlineStyleSheet(css=css)])


def feed(live, plots, event):
    """Tell the plots of one event of a session."""
    for plot in plots:
        if event.step == "start":
            plot.clear(live)
        elif event.step in plot.steps:
            plot.update(live, event.values)


def watch(session, *plots, label=None):
    """Show live plots of a session below a notebook cell.

    Parameters
    ----------
    session : qkdlab.session.Session
    *plots : LivePlot
        Made by the functions of this module, for example ``watch(session, qber(), key_length())``.
    label : str, optional
        What screen readers say of them; absent: their titles.

    Returns
    -------
    LiveFigure
    """
    live = LiveFigure(grid(plots), label=label or described(plots))
    session.subscribe(lambda event: feed(live, plots, event))
    return live
