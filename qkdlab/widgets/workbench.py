"""The workbench: a session with its knobs, its buttons, its numbers and its live figures, in one notebook cell.

The session works on a thread of its own. Its events change plain Python objects and the plots' data at once; the
widgets are told once a frame, so a fast session does not flood the page. Widgets are made in the cell, never on a
thread.
"""

import threading
from collections.abc import Mapping

import ipywidgets

from . import live
from .live_figure import LiveFigure
from .logbook import Logbook
from .readout import STYLE, Readout
from .settings_panel import SettingsPanel

__all__ = ["Workbench"]

# which settings of a simulated link have a slider here, and its ends
_KNOBS = {
    "channel": {"fields": ("distance_km",), "ranges": {"distance_km": (0.0, 150.0)}},
    "source": {"fields": ("intensities.0", "intensities.1"),
               "ranges": {"intensities.0": (0.05, 1.0), "intensities.1": (0.01, 0.5)},
               "labels": {"intensities.0": "signal (μ)", "intensities.1": "decoy (ν)"}},
    "eve": {"fields": ("intercept_fraction",), "labels": {"intercept_fraction": "Eve intercepts"}},
}


class Workbench:
    """Controls, numbers, log and live figures of a session. Show it as the last line of a cell.

    Parameters
    ----------
    session : Session, or callable that returns a Session, or dict of str to such a callable
        A callable is asked for a new session at each start. A dict makes a switch between several sources, the first
        of which is chosen.
    seconds : float, optional
        Link time after which a run ends by itself; absent: it runs until it is stopped.
    plots : sequence of str
        Names from :data:`qkdlab.widgets.live.FIGURES`, in the order they are shown.
    """

    def __init__(self, session, *, seconds=None, plots=("qber", "key_length", "rates", "gains", "arrivals")):
        self._makers = dict(session) if isinstance(session, Mapping) else {"": session}
        self._seconds, self._plot_names = seconds, tuple(plots)
        self._lock = threading.Lock()
        self._used = False
        self._build()
        self._choose(next(iter(self._makers)))

    # ------------------------------------------------------------------------------------------------- what one can do

    def start(self):
        """Start a run with the settings that the controls show. Returns at once."""
        if self._readout.state in ("running", "paused", "stopping"):
            return
        try:
            if self._used:
                self._connect(self._new_session())
            self._apply()
            self._used = True
            self._readout.state = "running"
            self.session.start(self._seconds)
        except (ValueError, RuntimeError, OSError) as error:
            self._readout.state = "ended"
            self._readout.words = f"Cannot start: {error}"
            self._logbook.write(self._readout.words, "warning")
        self._figure.touch()

    def stop(self):
        """End the run soon; what was collected is distilled if it is enough. Returns at once."""
        if self._readout.state in ("running", "paused"):
            self._readout.state = "stopping"
            self.session.stop()
            self._figure.touch()

    def pause(self):
        """Hold the run, or go on with it."""
        state = self._readout.state
        if state == "running":
            self.session.pause()
        elif state == "paused":
            self.session.resume()
        self._readout.state = {"running": "paused", "paused": "running"}.get(state, state)
        self._figure.touch()

    def wait(self, timeout=None):
        """Block until the run has ended. Returns whether it has. For scripts: in a notebook it holds up the buttons."""
        return self.session.wait(timeout)

    def close(self):
        """Stop the run and remove the workbench from the page."""
        self.session.stop()
        self._unsubscribe()
        self._figure.close()
        self.view.close()

    def _repr_mimebundle_(self, **options):
        return self.view._repr_mimebundle_(**options)

    # --------------------------------------------------------------------------------------------------- the session

    def _new_session(self):
        maker = self._makers[self._chosen]
        return maker() if callable(maker) else maker

    def _choose(self, name):
        """Make a session of this source and the controls and figures that fit it."""
        self._chosen = name
        session = self._new_session()
        source = session.source
        self.panels = {part: SettingsPanel(getattr(source, part), **knobs) for part, knobs in _KNOBS.items()
                       if hasattr(source, "update") and hasattr(source, part)}
        for part, panel in self.panels.items():
            panel.observe(lambda change, part=part: self._turned(part), "value")
        distill = session.distill
        self._logbook = Logbook(distill.abort_qber)
        self._readout = Readout(distill.abort_qber, distill.block_key_bits, self._seconds)
        makers = {"qber": lambda: live.qber(distill.abort_qber),
                  "gains": lambda: live.gains(source.source.intensities)}
        self._plots = [makers.get(plot, live.FIGURES[plot])() for plot in self._plot_names]
        if getattr(self, "_figure", None) is not None:
            self._figure.close()
        self._figure = LiveFigure(live.grid(self._plots), label="live plots of the session", before_frame=self._show)
        self._right.children = [self._figure]
        self._knobs.children = [p.view for p in self.panels.values()] or [self._fixed]
        self._connect(session)
        self._used = False
        self._figure.touch()

    def _connect(self, session):
        if getattr(self, "session", None) is not None:
            self._unsubscribe()
        self.session = session
        self._unsubscribe = session.subscribe(self._on_event)

    def _apply(self):
        """Give a simulated link the settings that the controls show."""
        if self.panels:
            self.session.source.update(**{part: panel.value for part, panel in self.panels.items()})

    def _turned(self, part):
        if part == "source" and self._readout.state in ("running", "paused"):
            self._logbook.write("New intensities take effect at the next start.")
            self._figure.touch()
            return
        try:
            self.session.source.update(**{part: self.panels[part].value})
        except ValueError as error:
            self._logbook.write(str(error), "warning")
            self._figure.touch()

    def _on_event(self, event):                # on the session's thread
        with self._lock:
            self._readout.take(event)
            self._logbook.take(event)
        live.feed(self._figure, self._plots, event)
        self._figure.touch()

    # -------------------------------------------------------------------------------------------------------- the page

    def _show(self):                           # on the figure's thread, once a frame
        with self._lock:
            readout = self._readout
            state, shown = readout.state, (readout.status, readout.cards, self._logbook.html(), readout.fraction)
        self._status.value, self._cards.value, self._log.value = shown[:3]
        self._progress.value = min(1.0, max(0.0, shown[3]))
        busy = state in ("running", "paused", "stopping")
        self._start.disabled = self._switch.disabled = busy
        self._stop.disabled = self._pause.disabled = state not in ("running", "paused")
        resume = state == "paused"
        self._pause.description, self._pause.icon = ("Resume", "play") if resume else ("Pause", "pause")

    def _build(self):
        self._start = _button("Start", "play", "success", "Start a run", "qk-start", self.start)
        self._pause = _button("Pause", "pause", "", "Hold the run, or go on with it", "qk-pause", self.pause)
        self._stop = _button("Stop", "stop", "", "End the run; what was collected becomes key if it is enough",
                             "qk-stop", self.stop)
        self._progress = ipywidgets.FloatProgress(0, min=0, max=1, layout=ipywidgets.Layout(flex="1 1 120px",
                                                                                           width="auto"))
        self._progress.add_class("qk-progress")
        self._switch = ipywidgets.ToggleButtons(
            options=list(self._makers), tooltips=[f"Take {name}" for name in self._makers])
        self._switch.style.button_width = "auto"
        self._switch.add_class("qk-source")
        self._switch.observe(lambda change: self._choose(change["new"]), "value")
        self._switch.layout.display = None if len(self._makers) > 1 else "none"
        self._status, self._cards, self._log = (ipywidgets.HTML() for _ in range(3))
        self._fixed = ipywidgets.HTML("A recording: what was sent is fixed, so there is nothing to turn here.")
        self._knobs = ipywidgets.VBox()
        buttons = ipywidgets.HBox([self._start, self._pause, self._stop, self._progress],
                                  layout=ipywidgets.Layout(flex="1 1 420px", align_items="center"))
        header = ipywidgets.Box([self._switch, buttons], layout=ipywidgets.Layout(
            display="flex", flex_flow="row wrap", align_items="center", grid_gap="4px 16px"))
        left = ipywidgets.VBox([self._knobs, self._cards, self._log], layout=ipywidgets.Layout(
            flex="1 1 290px", min_width="0", grid_gap="8px"))
        self._right = ipywidgets.VBox(layout=ipywidgets.Layout(flex="999 1 640px", min_width="0"))
        body = ipywidgets.Box([left, self._right], layout=ipywidgets.Layout(
            display="flex", flex_flow="row wrap", grid_gap="8px 16px"))
        self.view = ipywidgets.VBox([ipywidgets.HTML(STYLE), header, self._status, body],
                                    layout=ipywidgets.Layout(grid_gap="6px"))
        self.view.add_class("qk-bench")


def _button(words, icon, style, tooltip, css_class, action):
    button = ipywidgets.Button(description=words, icon=icon, button_style=style, tooltip=tooltip,
                               layout=ipywidgets.Layout(width="92px", flex="0 0 auto"))
    button.add_class(css_class)
    button.on_click(lambda _button: action())
    return button
