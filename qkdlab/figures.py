"""Figures of a run for paper and report, as SVG, PNG or PDF: the live plots' curves in the live plots' colours."""

import io
import pathlib

import numpy as np

from .errors import BadInput
from .palette import ABORT, DETECTORS, PALETTE, intensity_style

__all__ = ["FIGURES", "History", "as_svg", "draw", "save"]

ENDINGS = (".svg", ".png", ".pdf")
SIZE_INCHES = (5.2, 2.7)         # two beside each other on a page
STYLE = {
    "font.family": "sans-serif", "font.size": 9, "axes.titlesize": 10, "axes.titleweight": "bold",
    "axes.titlelocation": "left", "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "grid.color": "#dddddd", "grid.linewidth": 0.6, "legend.frameon": False, "legend.fontsize": 8, "lines.linewidth": 1.6,
    "svg.fonttype": "none",      # text stays text
}


class History:
    """What a session told, stretch by stretch: the data behind the figures.

    Feed it a session's events: ``session.subscribe(history.take)``. A run of any length fits: once there are `limit`
    rows every second one is left out, and from then on only every second event is kept, and so on. The first and the
    newest row are always there; running totals (key, gains, error rate) lose nothing by it but points of their curve.

    Parameters
    ----------
    events : iterable of Event
        To begin with.
    limit : int
        Rows that are kept at most; at least 2.

    Attributes
    ----------
    rows : list of dict
        Values of each ``block`` event.
    clock : dict or None
        Values of the last ``clock`` event.
    """

    def __init__(self, events=(), limit=4000):
        if limit < 2:
            raise BadInput("at least 2 rows are expected", field="limit", value=limit)
        self._limit = limit
        self._forget()
        for event in events:
            self.take(event)

    def _forget(self):
        self.rows, self.clock = [], None
        self._seen, self._stride = 0, 1        # block events so far; of how many one is kept

    def take(self, event):
        """Note one event."""
        if event.step == "start":
            self._forget()
        elif event.step == "block":
            self._keep(event.values)
        elif event.step == "clock":
            self.clock = event.values

    def copy(self):
        """What is known so far, as a history of its own that no further event changes."""
        other = History(limit=self._limit)
        other.rows, other.clock = list(self.rows), self.clock
        other._seen, other._stride = self._seen, self._stride
        return other

    def _keep(self, values):
        # all rows but the last are events 0, stride, 2 stride, ...; the last is the newest event, whatever its number
        if self.rows and (self._seen - 1) % self._stride:
            self.rows.pop()
        self.rows.append(values)
        self._seen += 1
        if len(self.rows) > self._limit:
            newest = self.rows.pop() if len(self.rows) % 2 == 0 else None
            self.rows = self.rows[::2] + ([newest] if newest is not None else [])
            self._stride *= 2

    def column(self, name):
        """One value of every row as float64, nan where it is not defined; a list of values gives columns.

        Parameters
        ----------
        name : str
            As in the table of :mod:`qkdlab.session`.

        Returns
        -------
        ndarray of float64, shape (rows,) or (rows, values)
        """
        width = max((len(r[name]) for r in self.rows if isinstance(r[name], list | tuple)), default=0)
        empty = [None] * width if width else None
        values = [r[name] if r[name] is not None else empty for r in self.rows]
        return np.array(values, dtype=float).reshape((len(values), width) if width else len(values))

    def write_csv(self, path):
        """One line for each stretch, one column for each number; nothing where one is not defined.

        Parameters
        ----------
        path : path-like
            Must not exist.
        """
        names, columns = [], []
        for name in (self.rows[0] if self.rows else {"time_s": None}):
            if name == "reason":
                continue
            values = self.column(name)
            if values.ndim == 1:
                values, labels = values[:, None], [name]
            else:
                labels = [f"{name}_{k}" for k in range(values.shape[1])]
            names += labels
            columns.append(values)
        try:
            with open(path, "x", encoding="utf-8") as file:
                file.write(",".join(names) + "\n")
                for row in np.hstack(columns):
                    file.write(",".join("" if np.isnan(number) else f"{number:.9g}" for number in row) + "\n")
        except OSError as error:
            raise BadInput(error.strerror or str(error), where=path) from None


def draw(name, history, *, abort_qber=0.11, intensities=()):
    """One figure of a run.

    Parameters
    ----------
    name : str
        From :data:`FIGURES`.
    history : History
    abort_qber : float
        Drawn into the error rate's figure.
    intensities : sequence of float
        Mean photon numbers, for the legend of the gains.

    Returns
    -------
    matplotlib.figure.Figure
    """
    if name not in FIGURES:
        raise BadInput(f"one of {', '.join(FIGURES)} is expected", field="figure", value=name)
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=SIZE_INCHES, layout="constrained")
        axes = figure.add_subplot()
        axes.set_axisbelow(True)
        FIGURES[name](axes, history, abort_qber=abort_qber, intensities=intensities)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="best", ncols=2)
    return figure


def save(figure, path):
    """Write a figure; the ending chooses SVG, PNG (300 dpi) or PDF.

    Raises
    ------
    BadInput
        Another ending, or a path that cannot be written.
    """
    path = pathlib.Path(path)
    if path.suffix not in ENDINGS:
        raise BadInput(f"the ending must be one of {', '.join(ENDINGS)}", where=path, value=path.suffix)
    import matplotlib

    try:
        with matplotlib.rc_context(STYLE):
            figure.savefig(path, dpi=300, metadata=_undated(path.suffix))
    except OSError as error:
        raise BadInput(error.strerror or str(error), where=path) from None


def as_svg(figure):
    """A figure as an SVG element for an HTML page."""
    import matplotlib

    text = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(text, format="svg", metadata=_undated(".svg"))
    return text.getvalue().partition("<svg")[1] + text.getvalue().partition("<svg")[2]


def _undated(suffix):
    return {"Date": None} if suffix == ".svg" else {"CreationDate": None} if suffix == ".pdf" else None


# --------------------------------------------------------------------------------------------------------- the figures


def _rates(axes, history, **_):
    t, rates = history.column("time_s"), history.column("rates_hz")
    for k in range(rates.shape[1] if rates.ndim == 2 else 0):
        style = DETECTORS[k % len(DETECTORS)]
        told = rates.sum(axis=1) > 0           # what a session tells at its end covers no further time
        axes.plot(t[told], rates[told, k] / 1e3, color=style["color"], linestyle=style["dash"], label=style["name"])
    axes.set(title="Detection rates", xlabel="link time (s)", ylabel="detections (1000/s)")
    axes.set_ylim(bottom=0)


def _qber(axes, history, *, abort_qber, **_):
    t = history.column("time_s")
    axes.fill_between(t, 100 * history.column("qber_low"), 100 * history.column("qber_high"), color=PALETTE["blue"],
                      alpha=0.25, linewidth=0, label="95 % interval")
    axes.plot(t, 100 * history.column("qber_test"), color=PALETTE["blue"], label="measured")
    axes.axhline(100 * abort_qber, color=ABORT, linestyle="dashed", label=f"no key above {100 * abort_qber:.3g} %")
    axes.set(title="Quantum bit error rate, test basis", xlabel="link time (s)", ylabel="QBER (%)")
    axes.set_ylim(bottom=0)


def _gains(axes, history, *, intensities, **_):
    t, gains, expected = (history.column(n) for n in ("time_s", "gains", "gains_expected"))
    for k in range(gains.shape[1] if gains.ndim == 2 else 0):
        style = intensity_style(k)
        name = f"μ = {intensities[k]:.3g}" if k < len(intensities) else f"intensity {k}"
        axes.plot(t, np.where(gains[:, k] > 0, gains[:, k], np.nan), color=style["color"], label=name,
                  linestyle={"dotdash": "dashdot"}.get(style["dash"], style["dash"]))
        if expected.ndim == 2:
            axes.plot(t, expected[:, k], color=PALETTE["grey"], linewidth=0.9, linestyle="dashed",
                      label="expected" if not k else None)
    axes.set(title="Gains, key basis", xlabel="link time (s)", ylabel="detections / pulse", yscale="log")


def _key_length(axes, history, **_):
    t, signed = history.column("time_s"), history.column("signed_length")
    axes.fill_between(t, 0, history.column("key_length"), color=PALETTE["green"], alpha=0.3, linewidth=0,
                      label="secret bits")
    axes.plot(t, signed, color=PALETTE["green"], label="before it is cut at zero")
    axes.axhline(0, color=PALETTE["grey"], linewidth=1)
    axes.set(title="Secret key if stopped at this time", xlabel="link time (s)", ylabel="bits")


def _bounds(axes, history, **_):
    t, sifted = history.column("time_s"), history.column("sifted_key_bits")
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(sifted > 0, 100 * history.column("s1") / sifted, np.nan)
    axes.plot(t, share, color=PALETTE["blue"], label="of the sifted key, at least")
    axes.plot(t, 100 * history.column("phase_error"), color=PALETTE["purple"], linestyle="dashed",
              label="phase error, at most")
    axes.set(title="Single photons: what is proven", xlabel="link time (s)", ylabel="share (%)")
    axes.set_ylim(0, 100)


def _arrivals(axes, history, **_):
    if history.clock is not None:
        phase, counts = (np.asarray(history.clock[n], float) for n in ("phase_ps", "histogram"))
        for k, row in enumerate(counts):
            style = DETECTORS[k % len(DETECTORS)]
            axes.step(phase, row, where="mid", color=style["color"], linestyle=style["dash"], label=style["name"])
        if history.clock.get("gate_ps"):
            half = history.clock["gate_ps"] / 2
            axes.axvspan(-half, half, color=PALETTE["green"], alpha=0.12, linewidth=0, label="gate")
            axes.set_xlim(-5 * half, 5 * half)             # around the pulse; the rest of a long period is background
    axes.set(title="Arrival times within a slot", xlabel="time from the pulse (ps)", ylabel="detections")
    axes.set_ylim(bottom=0)


FIGURES = {"rates": _rates, "qber": _qber, "gains": _gains, "key_length": _key_length, "bounds": _bounds,
           "arrivals": _arrivals}
