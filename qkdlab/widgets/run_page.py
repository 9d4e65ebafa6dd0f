"""The part of an app's page that shows runs: progress, verdict, figures, report, comparison, the list of all runs.

What runs does not live in this page (see :mod:`qkdlab.detached`): closing the tab or loading the page anew loses nothing,
and two tabs on one run show the same.
"""

import base64
import contextlib
import html
import pathlib
import threading
import time

import ipywidgets

from qkdlab import bench_file, datasets, detached
from qkdlab.datatypes import DistillSettings
from qkdlab.errors import BadInput
from qkdlab.figures import History
from qkdlab.html_report import comparison_html, page, verdict_html
from qkdlab.verdict import compared, failed, judged

from .live import FIGURES, MEANINGS, described, feed, gains, grid, qber
from .live_figure import LiveFigure
from .readout import STYLE, Readout

__all__ = ["NOTHING", "PAGE_STYLE", "RunPage", "button", "heading", "offer", "paragraphs", "row"]

BUSY = ("waiting", "running", "paused")
NOTHING = ""                     # chosen in a list; None would mean to ipywidgets that the list has no choice at all
PAGE_STYLE = STYLE + """<style>
.qk-app { max-width: 1160px; margin: 0 auto; font-size: 14px; }
.qk-app h1 { font-size: 22px; margin: 10px 0 0; } .qk-app h2 { font-size: 16px; margin: 10px 0 4px; }
.qk-app p { margin: 3px 0; } .qk-app ul { margin: 4px 0; padding-left: 22px; }
.qk-drop { display: block; border: 2px dashed var(--jp-border-color1, #999); border-radius: 6px; padding: 14px;
  text-align: center; cursor: pointer; color: var(--jp-ui-font-color1, #333); }
.qk-drop.qk-over, .qk-drop:hover { border-color: #0072B2; } .qk-drop:focus-within { outline: 2px solid #0072B2; }
.qk-drop-input { position: absolute; opacity: 0; width: 1px; height: 1px; }
.qk-app table { border-collapse: collapse; font-variant-numeric: tabular-nums; line-height: 1.5; }
.qk-app td, .qk-app th { padding: 3px 16px 3px 0; text-align: left; font-weight: normal;
  border-bottom: 1px solid var(--jp-border-color2, #ddd); } .qk-app th { color: var(--jp-ui-font-color2, #555); }
body[data-jp-theme-light="false"] .qk-app { --jp-widgets-dropdown-arrow: url("data:image/svg+xml,\
%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 18 18'%3E%3Cpath d='M4 7l5 5 5-5' fill='none' stroke='%23ddd' \
stroke-width='2'/%3E%3C/svg%3E"); }
.qk-verdict.qk-awaited { min-height: 124px; } .qk-awaited { min-height: 22px; } .qk-awaited.widget-box { min-height: 590px; }
.qk-verdict.qk-awaited .widget-html-content:empty::before { content: "The verdict comes here when the run has ended.";
  display: block; padding: 8px 16px; border-left: 8px solid var(--jp-border-color2, #ddd);
  color: var(--jp-ui-font-color2, #555); }
.qk-app.jupyter-widgets-disconnected::before { content: "This page has lost its program: what is shown stays, but nothing \
here can be pressed any more. Load the page again; a run that is under way goes on."; }
.qk-app.jupyter-widgets-disconnected .qk-drop { pointer-events: none; opacity: 0.5; }
.qk-app a.qk-link { color: var(--jp-content-link-color, #0072B2); text-decoration: underline; }
</style>"""


class RunPage:
    """Widgets of the runs of one folder, to be put on a page: :attr:`run`, :attr:`beside`, :attr:`all`.

    Parameters
    ----------
    folder : path-like
        Where the runs are kept.
    chosen : callable, optional
        ``chosen(run)`` when a run begins to be shown.
    busy_changed : callable, optional
        ``busy_changed(busy)`` once a frame: what may be pressed now.
    """

    def __init__(self, folder, chosen=lambda run: None, busy_changed=lambda busy: None):
        self.folder = pathlib.Path(folder)
        self._chosen, self._busy_changed = chosen, busy_changed
        self._lock = threading.RLock()
        self._run, self._unsubscribe, self._figure, self._plots = None, lambda: None, None, []
        self._readout, self._history = Readout(told_in="verdict"), History()
        self._build()

    def refresh(self):
        """Look at the folder anew. A page that was loaded anew goes on with the run that is under way."""
        self._list_runs()
        running = [r for r in detached.runs(self.folder) if r.begun and r.state in BUSY]
        if running and (self._run is None or self._run.folder not in [r.folder for r in running]):
            self.watch(running[-1], then=running[-2::-1])
        else:
            self.show()

    def close(self):
        """Forget the run that is shown; it goes on."""
        self._unsubscribe()
        if self._figure is not None:
            self._figure.close()

    def stop(self):
        """End the run that is shown, and those that wait behind it; what was collected becomes key if it is enough."""
        for run in [*self._queue, self._run] if self.busy else []:
            run.stop()
        if self.busy:                          # a long block takes its time to become key
            self._readout.state = "stopping"
            self.show()

    # ---------------------------------------------------------------------------------------------------------- runs

    @property
    def busy(self):
        """Whether the run that is shown is under way."""
        return self._run is not None and self._run.state in BUSY

    def begin(self, prepare):
        """Start what ``prepare()`` returns, a list of runs, one after another; or say why not."""
        if self.busy:
            return
        try:
            prepared = prepare()
            if not prepared:
                return
            detached.begin(*prepared)
        except (BadInput, OSError) as error:
            self._verdict.value = verdict_html(failed(str(error)))
            return
        self.watch(prepared[0], then=prepared[1:])

    def watch(self, run, then=()):
        """Follow a run from its first event; then the next ones."""
        self._unsubscribe()
        source, distill = _settings(run)
        with self._lock:
            self._run, self._queue, self._history = run, list(then), History()
            self._intensities = source.intensities if source else ()
            self._abort_qber = distill.abort_qber
            self._readout = Readout(distill.abort_qber, distill.block_key_bits, told_in="verdict")
            if run.state in BUSY:
                self._readout.state, self._readout.words = "running", "Starting \u2026"
        fitted = {"qber": lambda: qber(distill.abort_qber), "gains": lambda: gains(self._intensities or (0.5, 0.1, 0.0))}
        self._plots = [fitted.get(name, FIGURES[name])() for name in FIGURES]
        old = self._figure
        self._figure = LiveFigure(grid(self._plots), label=described(self._plots), before_frame=self._frame)
        meanings = "".join(f"<li><b>{html.escape(plot.figure.title.text)}</b>: {MEANINGS[name]}</li>"
                           for name, plot in zip(FIGURES, self._plots, strict=True))
        self._figures.children = [self._figure, ipywidgets.HTML(
            f"<details><summary>What the figures show</summary><ul>{meanings}</ul></details>")]
        if old is not None:
            old.close()
        self._verdict.value, self._download.value, self._table.value = "", "", ""
        for part in (self._verdict, self._download, self._figures):                            # nothing jumps
            part.add_class("qk-awaited")
        self._chosen(run)
        self._unsubscribe = run.subscribe(lambda event: self._on_event(run, event))
        self._compare()
        self._list_runs()
        self.show()

    def _on_event(self, run, event):                         # on the run's thread
        with self._lock:
            if run is not self._run:                         # another one is looked at by now
                return
            self._readout.take(event)
            self._history.take(event)
            figure, plots = self._figure, self._plots
        feed(figure, plots, event)
        figure.touch()
        if event.step in ("end", "error"):
            self._ended(run, event)

    def _ended(self, run, event):
        if event.step == "error":
            self._tell(run, failed(event.values["message"], event.values.get("stopped", False)), "")
        else:
            report = event.values["report"]
            self._tell(run, judged(report, self._abort_qber), "Drawing the report \u2026")    # takes seconds
            self._list_runs()
            link = self._saved(run, report)
            with self._lock:
                if run is self._run:
                    self._download.value = link
        self._list_runs()
        with self._lock:
            next_ones = self._queue if run is self._run else []
        if next_ones:
            self.watch(next_ones[0], next_ones[1:])

    def _tell(self, run, verdict, download):
        with self._lock:
            if run is self._run:
                self._verdict.value, self._download.value = verdict_html(verdict), download
                self._compare()

    def _saved(self, run, report):
        """The report is written beside the run, and offered to the browser."""
        with self._lock:                                     # as they are now: another run may be chosen while it is drawn
            history, abort_qber, intensities = self._history, self._abort_qber, self._intensities
            if run is not self._run:
                return ""
        text = page(report, history, made=_when(run), abort_qber=abort_qber, intensities=intensities, before=self._other())
        path = run.folder / "report.html"
        with contextlib.suppress(OSError):                   # a folder that became read-only: the download is enough
            path.write_text(text, encoding="utf-8")
        data = base64.b64encode(text.encode()).decode()
        name = html.escape(f"report-{run.folder.name}.html")
        link = (f'<a class="qk-link qk-report" tabindex="0" download="{name}" href="data:text/html;base64,{data}">'
                "Download the report</a>")
        return (f"{link} (one file; your browser prints it to PDF). Also at {html.escape(str(path))}.")

    # ------------------------------------------------------------------------------------------------------ comparison

    def _other(self):
        """Report of the run that this one is set beside, or None."""
        folder = self._beside.value
        return detached.DetachedRun(folder).report if folder else None

    def _compare(self):
        report, other = self._run.report if self._run else None, self._other()
        if report and other:
            self._table.value = comparison_html(compared(report, other))
        else:
            self._table.value = "<p>The comparison comes here once a run with a verdict is shown above.</p>" if other else ""

    # ------------------------------------------------------------------------------------------------------- the page

    def _list_runs(self):
        ended = [r for r in detached.runs(self.folder) if r.state not in BUSY]
        here = self._run.folder if self._run else None
        for select, none in ((self._earlier, "choose a run"), (self._beside, "nothing")):
            runs = [r for r in ended if r.report is not None and r.folder != here] if select is self._beside else ended
            with self._quiet():
                offer(select, [(none, NOTHING), *((f"{_when(r)}  {_name(r)}", r.folder) for r in runs)],
                       select.value)
        rows = [f"<tr><td>{html.escape(_when(r))}</td><td>{html.escape(_name(r))}</td><td>{_outcome(r)}</td></tr>"
                for r in detached.runs(self.folder)[:30]]
        heads = "<tr><th>when</th><th>recording or bench</th><th>verdict</th></tr>"
        self._all.value = (f"<table>{heads}{''.join(rows)}</table>"
                           if rows else "<p>No run yet.</p>")

    def _last(self):
        """What the newest run came to, for a page that shows none: it may have ended while nobody looked."""
        for run in detached.runs(self.folder)[:1]:
            return f"The last run, {_name(run)} of {_when(run)}: {_outcome(run)}. Choose it below to see all of it."
        return ""

    @contextlib.contextmanager
    def _quiet(self):
        """New options are no choice by hand."""
        self._listing = True
        try:
            yield
        finally:
            self._listing = False

    def _frame(self):                                        # on the figure's thread, once a frame
        with self._lock:
            readout = self._readout
            readout.more = f"{len(self._queue)} more to come." if self._queue else ""
            words = (readout.status, readout.cards, readout.fraction)
        self._status.value, self._cards.value = words[:2]
        self._progress.value = min(1.0, max(0.0, words[2]))
        self._buttons()

    def show(self):
        """Show the present state, soon."""
        if self._figure is None:
            self._readout.more = self._last()
            self._status.value = self._readout.status
            self._buttons()
        else:
            self._figure.touch()

    def _buttons(self):
        busy = self._run is not None and self._readout.state not in ("ended", "ready")
        self.stop_button.disabled = not busy or self._readout.state == "stopping"
        self._busy_changed(busy)

    def _build(self):
        self._listing, self._queue = False, []               # the runs that wait behind the one that is shown
        wide = ipywidgets.Layout(width="auto", min_width="340px", max_width="640px")
        self._status, self._cards, self._verdict, self._download, self._table, self._all = (
            ipywidgets.HTML() for _ in range(6))
        self._verdict.add_class("qk-verdict")
        self.stop_button = button("Stop", "stop", "End this run; what was collected becomes key if it is enough",
                                  "qk-stop", self.stop)
        self._progress = ipywidgets.FloatProgress(0, min=0, max=1, layout=ipywidgets.Layout(width="auto", flex="1 1 auto"))
        self._earlier = ipywidgets.Dropdown(options=[("choose a run", NOTHING)], layout=wide, description="Look at:",
                                            style={"description_width": "initial"})
        self._earlier.add_class("qk-earlier")
        self._earlier.observe(lambda change: self._open_earlier(change["new"]), "value")
        self._beside = ipywidgets.Dropdown(options=[("nothing", NOTHING)], layout=wide, description="Compare with:",
                                           style={"description_width": "initial"})
        self._beside.add_class("qk-beside")
        self._beside.observe(lambda change: None if self._listing else self._compare(), "value")
        self._figures = ipywidgets.VBox()
        self.run = ipywidgets.VBox([self._status, self._verdict, self._download, self._cards, self._figures],
                                   layout=ipywidgets.Layout(grid_gap="6px"))
        self.progress, self.earlier = self._progress, self._earlier
        self.beside, self.all = ipywidgets.VBox([self._beside, self._table]), self._all

    def _open_earlier(self, folder):
        if folder and not self._listing and not self.busy:
            self.watch(detached.DetachedRun(folder))


def offer(select, options, chosen):
    """New options; what was chosen stays so, else the first one is."""
    select.options = options
    values = [value for _, value in options]
    select.index = values.index(chosen) if chosen in values else 0


def _settings(run):
    """Source and distillation settings of a run's bench or recording; the defaults where it cannot be opened."""
    try:
        if run.live:
            tables = bench_file.read(run.bench).tables
            return tables["source"], run.distill or tables["distill"]
        recording = datasets.open(run.recording)
    except (BadInput, OSError):
        return None, run.distill or DistillSettings()
    return recording.source, run.distill or recording.distill or DistillSettings()


def _outcome(run):
    """A run's state or verdict in a few words."""
    state = run.state
    if state != "ended":
        return {"waiting": "waiting", "running": "running \u2026", "paused": "paused"}.get(state, "broken off")
    report = run.report
    if report is None:
        return "stopped" if (run.folder / "stop").exists() else "could not be analysed"
    if not report["secret_bits"]:
        return "no key"
    return f"key of {report['secret_bits']:,} bits, error rate {100 * report['qber_test']:.2f} %"


def _name(run):
    """What a run was made of, in the lists."""
    if run.live:
        return "the shipped bench" if run.bench is None else pathlib.Path(run.bench).name
    return run.recording.name


def _when(run):
    """Start of a run's folder name as a date for people."""
    with contextlib.suppress(ValueError):
        return time.strftime("%d %b %Y, %H:%M", time.strptime(run.folder.name[:17], "%Y-%m-%d_%H%M%S"))
    return run.made


def paragraphs(sentences):
    return '<div class="qk-what">' + "".join(f"<p>{html.escape(s)}</p>" for s in sentences) + "</div>"


def heading(words):
    return ipywidgets.HTML(f"<h2>{words}</h2>")


def button(words, icon, tooltip, css_class, action, style=""):
    button = ipywidgets.Button(description=words, icon=icon, button_style=style, tooltip=tooltip,
                               layout=ipywidgets.Layout(width="auto", flex="0 0 auto"))
    button.add_class(css_class)
    button.on_click(lambda _button: action())
    return button


def row(*widgets):
    """Widgets beside each other, as many as fit."""
    return ipywidgets.Box(widgets, layout=ipywidgets.Layout(display="flex", flex_flow="row wrap", align_items="center",
                                                            grid_gap="4px 10px"))
