"""Calibrations in a notebook: what is fresh and what is not, a button for each, and the scan as it runs."""

import html
import threading
import time

import ipywidgets
from bokeh.models import Scatter

from qkdlab.calibration import Stopped
from qkdlab.calibration.store import blocker
from qkdlab.palette import PALETTE

from .live import figure_frame, named_source
from .live_figure import LiveFigure

__all__ = ["CalibrationPanel"]

_STYLE = "padding:2px 12px 2px 0;text-align:left;vertical-align:top"


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
        self._figure = figure_frame("Scan", "reading", x_label="point")
        self._figure.add_glyph(self._source, Scatter(x="x", y="y", size=6, marker="circle", fill_color=PALETTE["blue"],
                                                     line_color=PALETTE["blue"]))
        self.live = LiveFigure(self._figure, label="the readings of the running calibration")
        self.table, self.line = ipywidgets.HTML(), ipywidgets.HTML()
        self.bar = ipywidgets.FloatProgress(min=0, max=1, description="")
        self.buttons = {name: self._button(name) for name in self._runs}
        self.stop_button = ipywidgets.Button(description="Stop", icon="stop", disabled=True,
                                             tooltip="end the scan; the device goes back to where it was")
        self.stop_button.on_click(lambda _button: self.stop())
        row = ipywidgets.Layout(flex_flow="row wrap")
        self.view = ipywidgets.VBox([self.table, ipywidgets.Box([*self.buttons.values(), self.stop_button], layout=row),
                                     ipywidgets.HBox([self.bar, self.line]), self.live])
        self.refresh()

    def _repr_mimebundle_(self, **options):
        return self.view._repr_mimebundle_(**options)

    def _button(self, name):
        button = ipywidgets.Button(description=name.capitalize(), icon="play", tooltip=f"calibrate: {name}",
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
        self._say(f"{name} is running")
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
        heads = "".join(f'<th scope="col" style="{_STYLE}">{head}</th>' for head in ("", "calibration", "state", "values"))
        self.table.value = f'<table><thead><tr>{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table>'

    # ------------------------------------------------------------------------------------------------------ inside

    def _row(self, status):
        made = status.calibration
        values = "; ".join(f"{name} {value}" for name, value in made.values.items()) if made else ""
        warnings = [drift.warning for drift in self.store.drift(status.name) if drift.warning]
        words = html.escape(status.words) + "".join(f"<br>&#9888; {html.escape(warning)}" for warning in warnings)
        simulated = " (simulated)" if made and made.simulated else ""
        cells = (status.symbol, html.escape(status.name + simulated), f"<b>{status.state}</b><br>{words}",
                 html.escape(values))
        return "<tr>" + "".join(f'<td style="{_STYLE}">{cell}</td>' for cell in cells) + "</tr>"

    def _work(self, name):
        try:
            made = self._runs[name](self._progress)
            self.store.add(made)
            said = made.note or f"{name} is done"
        except Stopped:
            said = f"{name} was stopped; nothing was kept"
        except Exception as error:               # of a device, of a range: told in the panel, the notebook goes on
            self.error, said = error, f"{name} failed: {error}"
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
            self.live.set(self._figure.xaxis[0], axis_label=x_name)
            self.live.set(self._figure.yaxis[0], axis_label=y_name)
        self.live.stream(self._source, rollover=10_000, x=[float(x)], y=[float(y)])

    def _switch(self, running):
        for button in self.buttons.values():
            button.disabled = running
        self.stop_button.disabled = not running

    def _say(self, text):
        self.line.value = f'<span role="status">{html.escape(text)}</span>'
