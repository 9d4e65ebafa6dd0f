"""The bench without code: choose a bench, see that every device answers, press Start, read the verdict."""

import html
import os
import pathlib
import threading

import ipywidgets

from qkdlab import bench_check, bench_file, detached
from qkdlab.errors import BadInput

from .run_page import NOTHING, PAGE_STYLE, RunPage, button, heading, offer, row

__all__ = ["BenchApp"]

SHIPPED = "the shipped bench, all simulated"
LENGTHS = (("2 seconds of link time", 2.0), ("10 seconds", 10.0), ("1 minute", 60.0), ("10 minutes", 600.0),
           ("1 hour", 3600.0))


class BenchApp:
    """Show it as the last line of a cell.

    Parameters
    ----------
    folder : path-like, optional
        Where bench files (``*.toml`` with devices) are looked for; absent: ``QKDLAB_DATA`` in the environment, else the
        current folder. Runs and their recordings are kept below it, in ``qkdlab-runs``.
    """

    def __init__(self, folder=None):
        self.folder = pathlib.Path(folder or os.environ.get("QKDLAB_DATA") or ".").resolve()
        self.runs_folder = self.folder / "qkdlab-runs"
        self._checking = None
        self.page = RunPage(self.runs_folder, busy_changed=self._buttons)
        self._build()
        self.refresh()

    def _repr_mimebundle_(self, **options):
        return self.view._repr_mimebundle_(**options)

    # ------------------------------------------------------------------------------------------------- what one can do

    def check(self):
        """Ask every device of the chosen bench who it is. Returns at once."""
        if self.page.busy or (self._checking is not None and self._checking.is_alive()):
            return
        self._devices.value = "<p>Asking every device who it is \u2026</p>"
        self._checking = threading.Thread(target=self._ask, args=(self._choice.value or None,), name="qkdlab-bench-check",
                                          daemon=True)
        self._checking.start()

    def start(self):
        """Run the chosen bench from light to key. Returns at once."""
        path, seconds = self._choice.value or None, self._length.value
        self.page.begin(lambda: [detached.prepare_bench(path, self.runs_folder, seconds=seconds)])

    def stop(self):
        """End the run; what was collected becomes key if it is enough."""
        self.page.stop()

    def refresh(self):
        """Look at the folder anew. A page that was loaded anew goes on with the run that is under way."""
        offer(self._choice, [(SHIPPED, NOTHING), *((p.name, p) for p in sorted(self.folder.glob("*.toml")) if _is_bench(p))],
              self._choice.value)
        self.page.refresh()

    def close(self):
        """Forget the run that is shown (it goes on) and remove the page."""
        self.page.close()
        self.view.close()

    # --------------------------------------------------------------------------------------------------------- the page

    def _ask(self, path):
        try:
            found = bench_check.check(path)
        except Exception as error:                       # on a thread of its own: nobody else would tell
            self._devices.value = f"<p>&#10007; {html.escape(str(error) or type(error).__name__)}</p>"
            return
        rows = "".join(
            f"<tr><td>{'&#10007; does not answer' if d['error'] else '&#10003; answers'}</td>"
            f"<th scope=row>{html.escape(d['name'])}</th><td>{html.escape(d['error'] or d['identity'])}</td></tr>"
            for d in found["devices"])
        self._devices.value = f"<table>{rows}</table>"

    def _buttons(self, busy):
        self._start.disabled = self._check.disabled = busy

    def _build(self):
        wide = ipywidgets.Layout(width="auto", min_width="340px", max_width="640px")
        style = {"description_width": "initial"}
        self._choice = ipywidgets.Dropdown(options=[(SHIPPED, NOTHING)], layout=wide, style=style, description="Bench:")
        self._choice.add_class("qk-choice")
        self._length = ipywidgets.Dropdown(options=LENGTHS, layout=wide, style=style, description="Run for:")
        self._length.add_class("qk-length")
        self._devices = ipywidgets.HTML()
        self._devices.add_class("qk-devices")
        self._check = button("Ask the devices", "plug", "Connect to each device, ask who it is, let it go again",
                             "qk-check", self.check)
        self._start = button("Start", "play", "Connect, send light, make key; afterwards all light is off", "qk-start",
                             self.start, "primary")
        self.view = ipywidgets.VBox([
            ipywidgets.HTML(PAGE_STYLE + "<h1>Run the bench</h1><p>Choose a bench, see that every device answers, start it, "
                            "and read whether the link gives a secret key. When a run ends, and also when it breaks, all "
                            "light is switched off.</p>"),
            heading("1. The bench"), row(self._choice, self._check), self._devices,
            heading("2. The key"), row(self._length, self._start, self.page.stop_button, self.page.progress), self.page.run,
            heading("3. Compare with an earlier run"), self.page.beside,
            heading("4. All runs"), row(self.page.earlier), self.page.all,
        ], layout=ipywidgets.Layout(grid_gap="6px"))
        for name in ("qk-bench", "qk-app"):
            self.view.add_class(name)


def _is_bench(path):
    """Whether a TOML file names devices."""
    try:
        return bool(bench_file.read(path).devices)
    except (BadInput, OSError):
        try:
            return "[devices" in path.read_text(encoding="utf-8", errors="replace")      # with a mistake: shown, and told
        except OSError:                                  # a folder, or not ours to read
            return False
