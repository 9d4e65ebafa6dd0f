"""Calibrations in a notebook: what is fresh and what is not, a button for each, and the scan as it runs."""

import html
import threading
import time

import ipywidgets
from bokeh.models import DataRange1d, Line, Scatter

from qkdlab.calibration import Stopped
from qkdlab.calibration.store import blocker
from qkdlab.palette import PALETTE

from .live_figure import LiveFigure
from .live_plot import figure_frame, named_source, prefixed
from .readout import STYLE

__all__ = ["CalibrationPanel"]

_STYLE = STYLE + """<style>
.qk-calibrations { border-collapse: collapse; width: 100%; font-size: 13px; line-height: 1.45; }
.qk-calibrations td, .qk-calibrations th { padding: 5px 16px 5px 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--jp-border-color2, #ddd); }
.qk-calibrations thead th { color: var(--jp-ui-font-color2, #555); font-weight: normal; }
.qk-calibrations tbody th { white-space: nowrap; } .qk-calibrations .qk-value { white-space: nowrap; }
.qk-calibrations .qk-state { border-left: 4px solid #808080; padding-left: 8px; }
.qk-calibrations .qk-fresh { border-left-color: #009E73; } .qk-calibrations .qk-stale { border-left-color: #D55E00; }
</style>"""
_UNITS = {"v": "V", "w": "W", "db": "dB", "hz": "Hz", "ps": "ps", "ppm": "ppm"}    # ends of names, and how they are written
_WORDS = {"v pi": "half-wave voltage Vπ", "qber": "QBER"}


class CalibrationPanel:
    """A table of calibrations with a symbol and a word each, buttons that make them anew, and a plot of the scan.

    Parameters
    ----------
    store : qkdlab.calibration.Store
        Where they are kept.
    runs : dict of str to callable
        Calibration's name to ``run(progress) -> Calibration``::

            {"modulator bias": lambda progress: bias_scan(box, box, from_v=-6, to_v=8, progress=progress)}

    clock : callable
        Seconds since 1970.

    Attributes
    ----------
    error : Exception or None
        What ended the last run, where something did; a stop is none.
    """

    def __init__(self, store, runs, *, clock=time.time):
        self.store, self.error = store, None
        self._runs, self._clock = dict(runs), clock
        self._stop, self._thread, self._point = threading.Event(), None, 0
        self._source = named_source("scan", "x", "y")
        self._figure = figure_frame("Readings of the calibration", "reading", x_label="point")
        points = self._figure.add_glyph(self._source, Scatter(
            x="x", y="y", size=6, marker="circle", fill_color=PALETTE["blue"], line_color=PALETTE["blue"]))
        self._figure.add_glyph(self._source, Line(x="x", y="y", line_color=PALETTE["blue"], line_alpha=0.5))
        self._figure.x_range, self._figure.y_range = (DataRange1d(renderers=[points]) for _ in "xy")
        self._figure.yaxis.formatter = prefixed(alike=True)
        self.live = LiveFigure(self._figure, label="the readings of the running calibration")
        self.table, self.line = ipywidgets.HTML(), ipywidgets.HTML()
        self.bar = ipywidgets.FloatProgress(min=0, max=1, layout=ipywidgets.Layout(flex="0 1 300px", width="auto"))
        self.buttons = {name: self._button(name) for name in self._runs}
        self.stop_button = ipywidgets.Button(description="Stop", icon="stop", disabled=True,
                                             layout=ipywidgets.Layout(width="auto"),
                                             tooltip="End the scan; the device goes back to where it was")
        self.stop_button.on_click(lambda _button: self.stop())
        row = ipywidgets.Layout(display="flex", flex_flow="row wrap", align_items="center", grid_gap="4px 6px")
        again = ipywidgets.HTML("Calibrate now:")
        self.view = ipywidgets.VBox([
            ipywidgets.HTML(_STYLE), self.table,
            ipywidgets.Box([again, *self.buttons.values(), self.stop_button, self.bar], layout=row), self.line, self.live],
            layout=ipywidgets.Layout(grid_gap="6px", max_width="1100px"))
        self.view.add_class("qk-bench")
        self.refresh()

    def _repr_mimebundle_(self, **options):
        return self.view._repr_mimebundle_(**options)

    def _button(self, name):
        button = ipywidgets.Button(description=name.capitalize(), icon="play", tooltip=f"Calibrate: {name}",
                                   layout=ipywidgets.Layout(width="auto"))
        button.on_click(lambda _button: self.run(name))
        return button

    # ------------------------------------------------------------------------------------------------------- verbs

    @property
    def running(self):
        """Whether a calibration is at work."""
        return self._thread is not None and self._thread.is_alive()

    def run(self, name):
        """Start one on a thread of its own and return at once. Nothing happens while another one runs."""
        if self.running:
            self._say("another calibration is running: stop it first")
            return
        self.error, self._point = None, 0
        self._stop.clear()
        self._switch(running=True)
        self.live.data(self._source, x=[], y=[])
        self.live.set(self._figure.title, text=name.capitalize())
        self._say(f"{name}: running \u2026")
        self._thread = threading.Thread(target=self._work, args=(name,), name="qkdlab-calibration", daemon=True)
        self._thread.start()

    def stop(self):
        """End the running one. It is not kept, and its device goes back to where it was."""
        self._stop.set()

    def wait(self, timeout=None):
        """Wait for the end of the running one; whether it has come."""
        if self._thread is not None:
            self._thread.join(timeout)
        return not self.running

    def blocked(self):
        """Why no key may be made now, in words; or None: hand it to ``Session(..., blockers=[panel.blocked])``."""
        return blocker(self.store, list(self._runs), self._clock())

    def refresh(self):
        """Tell the states anew."""
        now = self._clock()
        rows = [self._row(status) for status in self.store.status(now, list(self._runs))]
        heads = "".join(f'<th scope="col">{head}</th>' for head in ("calibration", "state", "values"))
        self.table.value = (f'<table class="qk-calibrations"><thead><tr>{heads}</tr></thead><tbody>{"".join(rows)}</tbody>'
                            "</table>")

    # ------------------------------------------------------------------------------------------------------ inside

    def _row(self, status):
        made = status.calibration
        values = made.values.items() if made else ()
        lines = [f'<span class="qk-value">{html.escape(_parts(name)[0])} = {html.escape(str(value))}</span>'
                 for name, value in values]
        warnings = [drift.warning for drift in self.store.drift(status.name) if drift.warning]
        words = html.escape(status.words) + "".join(f"<br>&#9888; {html.escape(warning)}" for warning in warnings)
        simulated = '<br><span style="font-weight:normal">(simulated devices)</span>' if made and made.simulated else ""
        look = {"fresh": "qk-fresh", "due": "qk-fresh", "missing": ""}.get(status.state, "qk-stale")
        return (f'<tr><th scope="row">{html.escape(status.name)}{simulated}</th><td class="qk-state {look}">'
                f"{status.symbol} <b>{status.state}</b><br>{words}</td><td>{'<br>'.join(lines)}</td></tr>")

    def _work(self, name):
        try:
            made = self._runs[name](self._progress)
            self.store.add(made)
            said = f"{name}: done. {made.note}".strip()
        except Stopped:
            said = f"{name}: stopped; nothing was kept"
        except Exception as error:               # of a device, of a range: told in the panel, the notebook goes on
            self.error, said = error, f"{name}: failed. {error}"
        self._say(said)
        self.refresh()
        self._switch(running=False)

    def _progress(self, share, **reading):
        if self._stop.is_set():
            raise Stopped
        self.bar.value = share
        if not reading:
            return
        self._point += 1
        names = list(reading)
        if len(names) == 2:                      # a scan: what was set, and what was read
            x_name, y_name = names
            x, y = reading[x_name], reading[y_name]
        else:
            x_name, y_name, x, y = "point", names[0], self._point, reading[names[0]]
        if self._point == 1:
            self.live.set(self._figure.xaxis[0], axis_label=_axis(x_name))
            self.live.set(self._figure.xaxis[0].ticker, min_interval=1.0 if x_name == "point" else 0.0)
            self.live.set(self._figure.yaxis[0], axis_label=_axis(y_name))
        self.live.stream(self._source, rollover=10_000, x=[float(x)], y=[float(y)])

    def _switch(self, running):
        for button in self.buttons.values():
            button.disabled = running
        self.stop_button.disabled = not running

    def _say(self, text):
        self.line.value = f'<span role="status">{html.escape(text[:1].upper() + text[1:])}</span>'


def _parts(name):
    """The words of a value's name, and the unit that it ends with: ("best bias", "V") for best_bias_v."""
    *words, last = name.split("_")
    said = " ".join(words) if words and last in _UNITS else " ".join([*words, last])
    return _WORDS.get(said, said), _UNITS.get(last, "") if words else ""


def _axis(name):
    words, unit = _parts(name)
    return f"{words} ({unit})" if unit else words
