"""The technician's page: choose a recording, press one button, read the verdict."""

import importlib.resources
import os
import pathlib
import shutil
import time

import ipywidgets

from qkdlab import detached

from .drop_zone import DropZone
from .recordings import described, found, opens
from .run_page import NOTHING, PAGE_STYLE, RunPage, button, heading, offer, paragraphs, row

__all__ = ["ReplayApp"]

DEMO = pathlib.Path(str(importlib.resources.files("qkdlab.datasets") / "demo")).resolve()


class ReplayApp:
    """Show it as the last line of a cell.

    Parameters
    ----------
    folder : path-like, optional
        Where recordings are looked for; absent: ``QKDLAB_DATA`` in the environment, else the current folder. Runs and
        dropped files are kept below it, in ``qkdlab-runs``.
    """

    def __init__(self, folder=None):
        self.folder = pathlib.Path(folder or os.environ.get("QKDLAB_DATA") or ".").resolve()
        self.runs_folder = self.folder / "qkdlab-runs"
        self._usable = False
        self.page = RunPage(self.runs_folder, self._chosen, self._buttons)
        self._build()
        self.refresh()

    def _repr_mimebundle_(self, **options):
        return self.view._repr_mimebundle_(**options)

    # ------------------------------------------------------------------------------------------------- what one can do

    def start(self):
        """Make a key of the chosen recording. Returns at once."""
        paths = [self._choice.value] if self._choice.value else []
        self.page.begin(lambda: [detached.prepare(path, self.runs_folder) for path in paths])

    def start_all(self):
        """Make a key of every recording in the list, one after another. Returns at once."""
        paths = [path for path in self._listed() if described(path)[1]]
        self.page.begin(lambda: [detached.prepare(path, self.runs_folder) for path in paths])

    def stop(self):
        """End the run that is shown; what was collected becomes key if it is enough."""
        self.page.stop()

    def refresh(self):
        """Look at the folder anew. A page that was loaded anew goes on with the run that is under way."""
        self._list_recordings()
        self.page.refresh()

    def close(self):
        """Forget the run that is shown (it goes on) and remove the page."""
        self.page.close()
        self.view.close()

    # --------------------------------------------------------------------------------------------------- the recordings

    def _list_recordings(self):
        drops = sorted((self.runs_folder / "dropped").glob("drop-*"))
        dropped = [p for p in drops if (p / "run.toml").is_file()]
        paths = [*found(self.folder), *dropped, *found(*(p for p in drops if p not in dropped))]
        names = [(_title(p), p) for p in paths]
        offer(self._choice, names or [("no recording in this folder: drop one below", NOTHING),
                                      ("to see how it goes: the recording that comes with qkdlab", DEMO)],
              self._choice.value)
        self._describe()

    def _received(self, paths):
        """Files were dropped: they are listed, and the one that holds a recording is chosen."""
        place = paths[0].parent
        offered = [place] if (place / "run.toml").is_file() else paths
        kept = [path for path in offered if opens(path)]
        words = described(offered[0])[0]
        if not kept:
            shutil.rmtree(place, ignore_errors=True)         # a copy, of no use here
        self._list_recordings()
        self._choice.value = kept[0] if kept else None       # or the button would start what was chosen before
        if not kept:
            self._what.value = paragraphs(words)

    def _listed(self):
        return [path for _, path in self._choice.options if path and path != DEMO]

    def _describe(self):
        path = self._choice.value
        words, self._usable = described(path) if path else (["Nothing is chosen."], False)
        self._what.value = paragraphs(words)
        self.page.show()

    def _chosen(self, run):
        if run.recording in (path for _, path in self._choice.options):
            self._choice.value = run.recording

    # --------------------------------------------------------------------------------------------------------- the page

    def _buttons(self, busy):
        self._start.disabled = busy or not self._usable
        self._start_all.disabled = busy or not self._listed()

    def _build(self):
        self._choice = ipywidgets.Dropdown(options=[("", NOTHING)], description="Recording:", style={
            "description_width": "initial"}, layout=ipywidgets.Layout(width="auto", min_width="340px", max_width="640px"))
        self._choice.add_class("qk-choice")
        self._choice.observe(lambda change: self._describe(), "value")
        again = button("Look again", "refresh", "List the folder anew", "qk-again", self.refresh)
        self._what = ipywidgets.HTML()
        self._start = button("Make a key", "play", "Analyse the chosen recording from its tags to a key", "qk-start",
                             self.start, "primary")
        self._start_all = button("Analyse the whole list", "list", "Every recording of the list, one after another",
                                 "qk-all", self.start_all)
        drop = DropZone(self.runs_folder / "dropped", self._received, self.refresh)
        self.view = ipywidgets.VBox([
            ipywidgets.HTML(PAGE_STYLE + "<h1>From a recording to a verdict</h1><p>Choose the recording of a quantum key "
                            "distribution link, press one button, and read whether it gives a secret key.</p>"),
            heading("1. The recording"), row(self._choice, again), drop, self._what,
            heading("2. The key"), row(self._start, self.page.stop_button, self.page.progress), self.page.run,
            heading("3. Compare with an earlier run"), self.page.beside,
            heading("4. All runs"), row(self._start_all, self.page.earlier), self.page.all,
        ], layout=ipywidgets.Layout(grid_gap="6px"))
        for name in ("qk-bench", "qk-app"):
            self.view.add_class(name)


def _title(path):
    """A recording in the list."""
    dropped = "dropped here: " if path.parent.name.startswith("drop-") or path.name.startswith("drop-") else ""
    try:
        date = time.strftime("%d %b %Y, %H:%M", time.localtime(path.stat().st_mtime))
    except OSError:
        date = ""
    return f"{dropped}{path.name}   ({date})"
