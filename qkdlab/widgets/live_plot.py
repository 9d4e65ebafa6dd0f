"""What every live figure is made of: an empty frame with axes, a legend that does not flicker, sources with names."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from bokeh.models import (
    ColumnDataSource,
    CustomJS,
    CustomJSTickFormatter,
    GlyphRenderer,
    Legend,
    LegendItem,
    Scatter,
)
from bokeh.plotting import figure

__all__ = ["HEIGHT", "MIN_WIDTH", "ROWS", "LivePlot", "above_zero", "emptied", "figure_frame", "legend_above",
           "named_source", "number", "prefixed"]

ROWS = 2000            # points kept in the page of each line; the run itself is kept by the session
HEIGHT = 190           # px; fixed, so that a page does not jump while it fills
MIN_WIDTH = 345        # px; three columns in a notebook at 1280 px, one on a narrow window


@dataclass(frozen=True, slots=True)
class LivePlot:
    """A figure that follows a session.

    ``update(live, values)`` is called with the :class:`LiveFigure` that carries the figure and the values of each
    event whose step is in ``steps``; ``clear(live)`` when a new run starts.
    """

    figure: figure
    steps: tuple[str, ...]
    update: Callable
    clear: Callable


def figure_frame(title, y_label, *, x_label="time (s)", frame=((0, 1), (0, 1)), **options):
    """An empty figure; its axes show at least `frame`, ((x from, x to), (y from, y to))."""
    plot = figure(
        title=title, height=HEIGHT, sizing_mode="stretch_width", min_width=MIN_WIDTH - 20, x_axis_label=x_label,
        y_axis_label=y_label, toolbar_location="above", tools="pan,box_zoom,wheel_zoom,reset,save",
        active_scroll=None, min_border_left=62, min_border_right=10, **options)
    plot.frame_align = False                   # each figure uses its own room; its neighbours' margins are not its own
    plot.toolbar.autohide = True
    plot.toolbar.logo = None
    plot.yaxis.ticker.desired_num_ticks = 5
    corners = ColumnDataSource({"x": list(frame[0]), "y": list(frame[1])})
    plot.add_glyph(corners, Scatter(x="x", y="y", size=0))     # without any point there would be no axes
    return plot


def prefixed(*, alike=False):
    """Ticks such as 250 k and 1.5 M; `alike`: the whole axis with the prefix of its largest tick, down to pico."""
    return CustomJSTickFormatter(args={"alike": alike}, code="""
        const size = alike ? Math.max(...ticks.map(Math.abs)) : Math.abs(tick);
        const small = alike ? [[1e-3, " m"], [1e-6, " µ"], [1e-9, " n"], [1e-12, " p"]] : [];
        const [scale, prefix] = [[1e9, " G"], [1e6, " M"], [1e3, " k"], [alike ? 0.1 : 1, ""], ...small]
            .find(([s]) => size >= s) ?? [1, ""];
        const digits = String(Number((tick / (prefix ? scale : 1)).toPrecision(4)));
        return digits.replace("-", "\u2212") + (tick ? prefix : "");""")


def legend_above(plot, items):
    """A legend in a line above the plot; a click hides a curve.

    Its samples have data of their own, which never change: bokeh makes the whole legend anew with every change of a
    data source that it refers to, which flickers while rows stream in.

    Parameters
    ----------
    plot : figure
    items : sequence of (str, list of GlyphRenderer)
    """
    entries, curves, samples = [], dict(items), {}
    for name, lines in items:
        entry = []
        for line in lines:
            source = samples.setdefault(line.data_source.id, _sample(line.data_source))
            entry.append(GlyphRenderer(data_source=source, glyph=line.glyph.clone()))
        plot.renderers.extend(entry)
        entries.append(LegendItem(label=name, renderers=entry))
    legend = Legend(items=entries, orientation="horizontal", click_policy="hide", location="left")
    legend.js_on_event("legend_item_click", CustomJS(args={"curves": curves}, code="""
        const lines = curves instanceof Map ? curves.get(cb_obj.item.label.value) : curves[cb_obj.item.label.value];
        for (const line of lines) line.visible = !line.visible;"""))
    plot.add_layout(legend, "above")


def _sample(source):
    """One row of gaps in the same columns."""
    return ColumnDataSource({name: np.array([np.nan]) for name in source.data})


def named_source(name, *columns):
    """Empty columns of float, under a name by which the page's tests find them."""
    return ColumnDataSource({c: np.zeros(0) for c in columns}, name=name)


def emptied(*sources):
    """A `clear` that empties these sources."""
    def clear(live):
        for source in sources:
            live.data(source, **{name: np.zeros(0) for name in source.data})
    return clear


def number(value, scale=1.0):
    """A value for a plot: what is not defined (None) is a gap in the line, never a zero."""
    return np.nan if value is None else scale * value


def above_zero(value):
    """A value for a logarithmic axis."""
    return value if value is not None and value > 0 else np.nan
