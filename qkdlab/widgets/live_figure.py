"""A bokeh layout that stays alive in a notebook: any thread may stream into it, at any rate, with no net.

One widget carries one bokeh document. What happens between two frames goes out as a single message, so ten thousand
updates a second cost little more than twenty; what the page does not see yet is in the snapshot that it asks for, so a
reloaded page and a second view are complete.
"""

import pathlib
import threading
import time

import anywidget
import bokeh
import numpy as np
import traitlets
from bokeh.embed import json_item
from bokeh.model import Model

from .theme import DARK, LIGHT, dressed

__all__ = ["LiveFigure", "page_module"]

SLOWEST_S = 2.0                  # between two frames, for a page that cannot follow

_STATIC = pathlib.Path(bokeh.__file__).parent / "server" / "static" / "js"


def page_module(*names):
    """The page's half of a widget: JavaScript of this folder, with what every such half needs before it."""
    folder = pathlib.Path(__file__).parent
    return "".join((folder / part).read_text(encoding="utf-8") for part in ("hearing.js", "names.js", *names))


class LiveFigure(anywidget.AnyWidget):
    """Shows a bokeh layout and keeps it up to date.

    Parameters
    ----------
    layout : bokeh.model.Model
        A figure or a layout of figures. From now on change it through this object only.
    label : str
        What the figure shows, for screen readers.
    fps : float
        Frames a second at most; fewer where a page cannot follow.
    before_frame : callable, optional
        Called with no argument on the frame's thread before each frame: the place to assign the traits of other
        widgets once a frame rather than once an update.
    bundles : tuple of str
        The parts of BokehJS that the layout needs (``"bokeh-widgets"``, ``"bokeh-tables"``, ``"bokeh-mathjax"`` for
        TeX in labels, ...), loaded in this order.
    """

    _esm = page_module("quick_bokeh.js", "live_figure.js")
    label = traitlets.Unicode("live plot").tag(sync=True)

    def __init__(self, layout, *, label="live plot", fps=20, before_frame=None, bundles=("bokeh",)):
        self._layout, self._bundles = layout, tuple(bundles)
        self._period = self._shortest = 1 / fps
        self._before_frame = before_frame
        self._lock, self._wake, self._closing = threading.RLock(), threading.Event(), threading.Event()
        self._hurry, self._closed = threading.Event(), False
        self._pending = {}                     # (kind, model id) -> what the page has not been told yet, in order
        super().__init__(label=label)
        self.on_msg(self._answer)
        threading.Thread(target=self._pump, name="qkdlab-live-figure", daemon=True).start()

    # ------------------------------------------------------------------------------------------------- from any thread

    def stream(self, source, rollover=None, **columns):
        """Append rows to a ColumnDataSource.

        Parameters
        ----------
        source : bokeh.models.ColumnDataSource
        rollover : int, optional
            Rows to keep; older ones are dropped. Keep it at a few thousand: the run itself belongs in a store.
        **columns : float or array_like of float
            The new rows; every column of the source. ``nan`` makes a gap in a line.
        """
        columns = {name: _floats(values) for name, values in columns.items()}
        with self._lock:
            source.stream(columns, rollover)   # this copy is the truth that snapshots are taken from
            _, parts = self._pending.get(("stream", source.id), (None, []))
            self._pending["stream", source.id] = (rollover, [*parts, columns])
        self._wake.set()

    def data(self, source, **columns):
        """Replace columns of a ColumnDataSource (array_like of float, all of one length)."""
        columns = {name: _floats(values) for name, values in columns.items()}
        with self._lock:
            source.data = dict(source.data) | columns
            self._pending.pop(("stream", source.id), None)
            self._pending.pop(("data", source.id), None)
            self._pending["data", source.id] = {name: _floats(values) for name, values in source.data.items()}
        self._wake.set()

    def set(self, model: Model, **properties):
        """Change plain properties of a model in the layout: a title's ``text``, a range's ``start`` and ``end``."""
        with self._lock:
            model.update(**properties)
            self._pending.setdefault(("set", model.id), {}).update(properties)
        self._wake.set()

    def touch(self, now=False):
        """Ask for a frame, so that ``before_frame`` runs soon; `now`: at once, as the answer to a button."""
        self._wake.set()
        if now:
            self._hurry.set()

    def flush(self):
        """Show now what would have come with the next frame."""
        if self._before_frame is not None:
            self._before_frame()
        with self._lock:
            self._send_pending()

    def close(self):
        """End the frames and the widget. What is streamed later is not shown."""
        self._closing.set()
        self._wake.set()
        self._hurry.set()
        with self._lock:                       # nothing more is said to a page that was told of the end
            self._closed = True
            super().close()

    # ----------------------------------------------------------------------------------------------------- to the page

    def _answer(self, _widget, message, _buffers):
        kind, ticket = message.get("kind"), message.get("id")
        if kind == "need-js" and message.get("bundle") in self._bundles:
            source = (_STATIC / f"{message['bundle']}.min.js").read_text(encoding="utf-8")
            self.send({"kind": "js", "id": ticket, "source": source})
        elif kind == "need-item":
            dark = bool(message.get("dark"))
            with self._lock:                   # flush first: a row is in a message or in the snapshot, never in both
                self._send_pending()
                item = dressed(json_item(self._layout, theme=DARK if dark else LIGHT), dark)
                self.send({"kind": "item", "id": ticket, "item": item, "bundles": self._bundles})
        elif kind == "behind":                 # or the page would fall back ever further, and Stop would seem to do nothing
            self._period = min(2 * self._period, SLOWEST_S)

    def _pump(self):
        while not self._closing.is_set():
            self._wake.wait()
            self._wake.clear()
            if self._closing.is_set():
                return
            self.flush()
            self._hurry.wait(self._period)
            self._hurry.clear()
            self._period = max(0.95 * self._period, self._shortest)     # slower than complaints double it

    def _send_pending(self):
        ops, buffers = [], []
        for (kind, model), change in self._pending.items():
            if kind == "set":
                ops.append({"op": "set", "id": model, "values": change})
                continue
            rollover, parts = change if kind == "stream" else (None, [change])
            names = list(parts[0])
            ops.append({"op": kind, "id": model, "columns": names, "first": len(buffers), "rollover": rollover})
            for name in names:
                rows = np.concatenate([part[name] for part in parts])
                buffers.append(np.ascontiguousarray(rows[-rollover:] if rollover else rows).data)
        self._pending.clear()
        if ops and not self._closed:
            self.send({"kind": "ops", "ops": ops, "sent": time.time()}, buffers)


def _floats(values):
    """One column as the page takes it: little-endian float64 (n,)."""
    return np.atleast_1d(np.asarray(values, "<f8"))
