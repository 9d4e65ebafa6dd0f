"""The workbench: a session with its knobs, its buttons, its numbers and its live figures, in one notebook cell.

The session works on a thread of its own. Its events change plain Python objects and the plots' data at once; the
widgets are told once a frame, so a fast session does not flood the page. Widgets are made in the cell, never on a
thread.
"""

import html
import json
import pathlib
import threading
import time

import ipywidgets

from qkdlab import html_report
from qkdlab.figures import History
from qkdlab.report import as_text

from .cells import replace_former
from .live import FIGURES, described, feed, gains, grid, qber
from .live_figure import LiveFigure
from .logbook import Logbook, short_title
from .readout import STYLE, Readout
from .settings_panel import SettingsPanel, arranged
from .sources import recipes

__all__ = ["Workbench"]

CLOSING_SECONDS = 5.0            # what a run that is replaced gets to let go of its devices
_BUSY = ("running", "paused", "stopping")

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
    session : Session or callable that returns one, optional
        A callable is asked for a new session at each start; a Session runs once.
    simulated, replayed, live
        Sources to switch between, as :func:`qkdlab.widgets.sources.recipes` takes them.
    seconds : float, optional
        Link time after which a run ends by itself; absent: it runs until it is stopped, a recording to its end.
    plots : sequence of str
        Names from :data:`qkdlab.widgets.live.FIGURES`, in the order they are shown.
    folder : path-like
        Where Save makes a folder for each run it saves.
    **options
        ``seed``, ``distill``, ``block_seconds``, ``pace`` (link seconds per second; None: as fast as it goes).
    """

    def __init__(self, session=None, *, simulated=None, replayed=None, live=None, seconds=None, plots=None,
                 folder="saved-runs", **options):
        self._recipes = recipes(session, simulated, replayed, live, **options)
        self._given = session
        self._seconds, self._plot_names = seconds, tuple(plots or FIGURES)
        self._folder, self.history = pathlib.Path(folder), History()
        self._lock = threading.Lock()
        self.session, self.panels, self._figure = None, {}, None
        self._readout, self._logbook, self._plots = Readout(), Logbook(), []
        replace_former(self)                   # before a session is made: the old one may hold the devices
        self._build()
        self._choose(next(iter(self._recipes)))

    # ------------------------------------------------------------------------------------------------- what one can do

    def start(self):
        """Start a run with the settings that the controls show. Returns at once."""
        if self._readout.state in _BUSY:
            return
        try:
            if not self._fresh:
                self._connect(self._make())
            self._fresh = False
            self._apply()
            self._readout.reset()
            self._readout.state, self._readout.words = "running", "Starting \u2026"
            self.session.start(self._seconds)
        except (ValueError, RuntimeError, OSError) as error:
            self._refuse(f"Cannot start: {error}")
        self._figure.touch(now=True)

    def stop(self):
        """End the run soon; what was collected is distilled if it is enough. Returns at once."""
        if self._readout.state in ("running", "paused"):
            self._readout.state = "stopping"
            self.session.stop()
            self._figure.touch(now=True)

    def pause(self):
        """Hold the run, or go on with it."""
        state = self._readout.state
        if state == "running":
            self.session.pause()
        elif state == "paused":
            self.session.resume()
        self._readout.state = {"running": "paused", "paused": "running"}.get(state, state)
        self._figure.touch(now=True)

    def wait(self, timeout=None):
        """Block until the run has ended. Returns whether it has. For scripts: in a notebook it holds up the buttons."""
        return self.session.wait(timeout)

    def report(self):
        """The last run's report in words."""
        if self.session is None or self.session.report is None:
            return "No run has ended yet: press Start, then Stop, and ask again."
        return as_text(self.session.report)

    def save(self):
        """Write the last run into a folder of its own: ``report.html`` and ``report.json`` once it has ended, and
        ``history.csv``, one line for each stretch.

        Returns
        -------
        pathlib.Path or None
            The folder; None where nothing could be written, which the log then tells.
        """
        with self._lock:
            history = self.history.copy()
        report = self.session.report if self.session is not None else None
        if not history.rows:
            self._note("There is nothing to save yet: press Start first.", "warning")
            return None
        try:
            folder = _new_folder(self._folder)
            history.write_csv(folder / "history.csv")
            if report is not None:
                (folder / "report.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
                html_report.write(folder / "report.html", report, history, made=time.strftime("%Y-%m-%d %H:%M"),
                                  abort_qber=self.session.distill.abort_qber,
                                  intensities=self.session.source.source.intensities)
        except (ValueError, OSError) as error:
            self._note(f"Cannot save: {error}", "warning")
            return None
        self._note(f"Saved in {folder}: {', '.join(sorted(p.name for p in folder.iterdir()))}.", "good")
        return folder

    def close(self):
        """Remove the workbench from the page, and end its run; a session that was given goes on."""
        session = self.session
        self._disconnect()
        if session is not None and session is not self._given and session.running:
            session.stop()
            session.wait(CLOSING_SECONDS)
        self._figure.close()
        self.view.close()

    def _repr_mimebundle_(self, **options):
        return self.view._repr_mimebundle_(**options)

    # --------------------------------------------------------------------------------------------------- the session

    def _make(self):
        """A session of the chosen source with the settings that the controls show."""
        return self._recipes[self._chosen]({part: panel.value for part, panel in self.panels.items()})

    def _choose(self, name):
        """Make a session of this source, and the controls that fit it."""
        if self.session is not None and self.session.running:      # a late click, from a page that lags behind
            self.session.stop()
        self._chosen, self.panels, self._fresh = name, {}, False
        self._disconnect()
        try:
            session = self._make()
        except (ValueError, OSError) as error:
            self._draw(None)
            self._refuse(f"This source cannot be used: {error}")
            return
        source = session.source
        if hasattr(source, "update"):
            self.panels = {part: SettingsPanel(getattr(source, part), **_fitting(knobs, getattr(source, part)))
                           for part, knobs in _KNOBS.items() if hasattr(source, part)}
        for part, panel in self.panels.items():
            panel.observe(lambda change, part=part: self._turned(part), "value")
        lines = ipywidgets.VBox([panel.message_line for panel in self.panels.values()],
                                layout=ipywidgets.Layout(min_height="20px"))     # their place is kept: nothing jumps
        path = getattr(source, "path", None)
        self._fixed.value = (f"Recording <b>{html.escape(short_title(str(path)))}</b>: what was sent is fixed, there is "
                             "nothing to turn." if path else "A live link: what can be turned, is turned at its devices.")
        self._knobs.children = [arranged([c for p in self.panels.values() for c in p.controls.values()]),
                                lines] if self.panels else [self._fixed]
        self._logbook = Logbook(session.distill.abort_qber)
        self._connect(session)
        self._fresh = True

    def _connect(self, session):
        """Listen to this session; draw anew where the old figures do not fit it."""
        before = self.session
        self._disconnect()
        self.session = session
        self._unsubscribe = session.subscribe(self._on_event)
        if before is None or (before.source.source, before.distill) != (session.source.source, session.distill):
            self._draw(session)
        if session.running:                    # it was given, and has begun already
            self._readout.state, self._readout.words = "running", "Waiting for what the session tells next \u2026"

    def _disconnect(self):
        if self.session is not None:
            self._unsubscribe()
        self.session = None

    def _draw(self, session):
        """New figures and cards."""
        if session is None:
            self._readout, self._plots = Readout(), []
        else:
            distill = session.distill
            self._readout = Readout(distill.abort_qber, distill.block_key_bits, self._seconds)
            fitted = {"qber": lambda: qber(distill.abort_qber),
                      "gains": lambda: gains(session.source.source.intensities)}
            self._plots = [fitted.get(name, FIGURES[name])() for name in self._plot_names]
        if self._figure is not None:
            self._figure.close()
        self._figure = LiveFigure(grid(self._plots), label=described(self._plots), before_frame=self._show)
        self._place.children = [self._figure]
        self._figure.touch()

    def _refuse(self, words):
        self._readout.state, self._readout.words = "ended", words
        self._note(words, "warning")

    def _note(self, words, level="plain"):
        with self._lock:
            self._logbook.write(words, level)
        self._figure.touch()

    def _apply(self):
        """A link that was made elsewhere learns what the controls show."""
        turned = {part: panel.value for part, panel in self.panels.items() if part != "source"}
        if turned:
            self.session.source.update(**turned)

    def _turned(self, part):
        """A control was moved: a link that is running follows at once, as far as it can."""
        if self._readout.state not in ("running", "paused"):
            self._fresh = False                # the next start makes a link with these settings
        elif part == "source":
            self._fresh = False
            self._note("New intensities take effect at the next start.")
        else:
            self.session.source.update(**{part: self.panels[part].value})

    def _on_event(self, event):                # on the session's thread
        with self._lock:
            self._readout.take(event)
            self._logbook.take(event)
            self.history.take(event)
        feed(self._figure, self._plots, event)
        self._figure.touch(now=event.step in ("start", "block") and len(self.history.rows) < 2)     # the first point

    # -------------------------------------------------------------------------------------------------------- the page

    def _show(self):                           # on the figure's thread, once a frame
        with self._lock:
            readout = self._readout
            state, shown = readout.state, (readout.status, readout.cards, self._logbook.html(), readout.fraction)
        self._status.value, self._cards.value, self._log.value = shown[:3]
        self._progress.value = min(1.0, max(0.0, shown[3]))
        busy = state in _BUSY
        self._start.disabled = self._switch.disabled = busy
        self._stop.disabled = self._pause.disabled = state not in ("running", "paused")
        self._save.disabled = not self.history.rows
        resume = state == "paused"
        self._pause.description, self._pause.icon = ("Resume", "play") if resume else ("Pause", "pause")

    def _build(self):
        self._start = _button("Start", "play", "success", "Start a run", "qk-start", self.start)
        self._pause = _button("Pause", "pause", "", "Hold the run, or go on with it", "qk-pause", self.pause)
        self._stop = _button("Stop", "stop", "", "End the run; what was collected becomes key if it is enough",
                             "qk-stop", self.stop)
        self._save = _button("Save", "save", "", "Write the report and the numbers of this run into a folder",
                             "qk-save", self.save)
        self._progress = ipywidgets.FloatProgress(0, min=0, max=1, layout=ipywidgets.Layout(flex="1 1 120px",
                                                                                           width="auto"))
        self._progress.add_class("qk-progress")
        self._switch = ipywidgets.ToggleButtons(
            options=list(self._recipes), tooltips=[f"Take the {name} source" for name in self._recipes])
        self._switch.style.button_width = "auto"
        self._switch.add_class("qk-source")
        self._switch.observe(lambda change: self._choose(change["new"]), "value")
        self._switch.layout.display = None if len(self._recipes) > 1 else "none"
        self._status, self._cards, self._log = (ipywidgets.HTML() for _ in range(3))
        self._fixed = ipywidgets.HTML()
        self._knobs = ipywidgets.VBox()
        buttons = ipywidgets.HBox([self._start, self._pause, self._stop, self._save, self._progress],
                                  layout=ipywidgets.Layout(flex="1 1 480px", align_items="center"))
        header = ipywidgets.Box([self._switch, buttons], layout=_side_by_side())
        for part, flex in ((self._cards, "1 1 530px"), (self._log, "1 1 290px")):
            part.layout = ipywidgets.Layout(flex=flex, min_width="0")
        numbers = ipywidgets.Box([self._cards, self._log], layout=_side_by_side("flex-start"))
        self._place = ipywidgets.VBox(layout=ipywidgets.Layout(min_width="0"))
        self.view = ipywidgets.VBox([ipywidgets.HTML(STYLE), header, self._status, self._knobs, numbers, self._place],
                                    layout=ipywidgets.Layout(grid_gap="6px"))
        self.view.add_class("qk-bench")


def _side_by_side(align="center"):
    return ipywidgets.Layout(display="flex", flex_flow="row wrap", align_items=align, grid_gap="4px 16px")


def _new_folder(parent):
    """A folder named by the present time that did not exist."""
    name, number = time.strftime("%Y-%m-%d-%H%M%S"), 0
    while True:
        folder = parent / (f"{name}-{number}" if number else name)
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            if not parent.is_dir():
                raise
            number += 1


def _fitting(knobs, settings):
    """The knobs of those intensities that there are."""
    fields = [f for f in knobs["fields"] if "." not in f or int(f.split(".")[1]) < len(settings.intensities)]
    return {**knobs, "fields": fields}


def _button(words, icon, style, tooltip, css_class, action):
    button = ipywidgets.Button(description=words, icon=icon, button_style=style, tooltip=tooltip,
                               layout=ipywidgets.Layout(width="92px", flex="0 0 auto"))
    button.add_class(css_class)
    button.on_click(lambda _button: action())
    return button
