"""Tags of a real detector, for the tutorial on clocks, gates and jitter: floor, flank and tail within the laser's period.

The recording is the beginning (64 000 of 6 070 158 records, header otherwise unchanged) of
``hazelnut_FLIM_single_image.ptu`` from napari-flim-phasor-plotter 0.2.3 (M. L. Zoccoler, C. Wetzker; BSD-3-Clause, see
the LICENSE beside it): fluorescence of a hazelnut under a scanned laser, taken with a PicoHarp 300 in T3 mode.
"""

import importlib.resources

import numpy as np
from bokeh.models import BoxAnnotation, Range1d

import qkdlab
from qkdlab.palette import PALETTE

from ..live import figure_frame, named_source
from ..live_figure import LiveFigure
from .parts import exercise, panel, slider

__all__ = ["fold", "gate", "hazelnut", "jitter"]


def hazelnut():
    """The recording; see the module's text."""
    with importlib.resources.as_file(importlib.resources.files("qkdlab.datasets") / "hazelnut" / "hazelnut.ptu") as path:
        return qkdlab.open(path)


def fold(recording):
    """Clicks within the laser's period, one bin for each step of the tagger.

    Parameters
    ----------
    recording : Recording
        Of a tagger that counts the laser's pulses (T3).

    Returns
    -------
    (ndarray of float64, ndarray of int64)
        Middles of the bins in ns; clicks.
    """
    period_ps, step_ps = 1e12 / recording.sync_rate_hz, float(recording.resolution_ps)
    phase_ps = np.concatenate([block.time_ps for block in recording.tag_blocks()]).astype(float) % period_ps
    clicks = np.bincount(np.rint(phase_ps / step_ps).astype(int), minlength=int(period_ps / step_ps))
    return step_ps * np.arange(len(clicks)) * 1e-3, clicks


def _flank(ns, clicks):
    """Clicks per bin of the floor before the flank, and where the flank has 10, 50 and 90 % of its height (ns)."""
    top = int(np.argmax(clicks))
    floor = float(clicks[: top // 2].mean())
    return floor, np.interp(floor + (clicks[top] - floor) * np.array([0.1, 0.5, 0.9]), clicks[top // 2 : top + 1],
                            ns[top // 2 : top + 1])


def gate(recording, begin_ns=0.0, width_ns=12.8):
    """Clicks within the laser's period, and what a gate keeps of light and floor, with sliders for its edges.

    Parameters
    ----------
    recording : Recording
        As :func:`fold` takes it.
    begin_ns, width_ns : float
        Where the sliders begin.
    """
    ns, clicks = fold(recording)
    floor = _flank(ns, clicks)[0]
    light = clicks - floor
    source = named_source("real_tags", "ns", "clicks")
    plot = figure_frame("Real clicks, folded onto one period of the laser", "clicks / bin", y_axis_type="log",
                        x_label="time within the period (ns)", x_range=Range1d(0, 12.9), y_range=Range1d(5, 2e4))
    plot.height = 250
    plot.step("ns", "clicks", source=source, color=PALETTE["blue"], line_width=1.8, mode="center")
    window = BoxAnnotation(left=0, right=1, fill_color=PALETTE["green"], fill_alpha=0.18, line_color=PALETTE["green"])
    plot.add_layout(window)
    live = LiveFigure(plot, label="clicks of a real detector against the time within the laser's period")
    live.data(source, ns=ns, clicks=np.where(clicks > 0, clicks, np.nan))

    def draw(begin, width):
        live.set(window, left=begin, right=begin + width)
        inside = (ns >= begin) & (ns < begin + width)
        kept = int(clicks[inside].sum())
        if not kept:
            return "Not one click is inside."
        noise = min(floor * inside.sum() / kept, 1.0)             # a few clicks may be fewer than the floor's mean
        return (f"Kept: {kept:,} of {clicks.sum():,} clicks, <b>{100 * max(light[inside].sum() / light.sum(), 0):.0f} %</b> "
                f"of the light and {100 * inside.mean():.0f} % of the floor. Of the clicks inside, "
                f"<b>{100 * noise:.1f} %</b> are floor.")

    return panel(draw, live, slider("gate begins (ns)", begin_ns, 0.0, 12.7, 0.1),
                 slider("gate lasts (ns)", width_ns, 0.1, 12.8, 0.1))


@exercise("ps")
def jitter(answer, recording):
    """Check (within 80) how long the flank takes from 10 to 90 % of its height, in ps."""
    ns, clicks = fold(recording)
    low, _, high = _flank(ns, clicks)[1]
    rise_ps = 1e3 * (high - low)
    if abs(answer - rise_ps) <= 80:
        return (f"Yes: about {rise_ps:.0f} ps. A Gaussian of full width w at half its height makes a flank of 1.09 w: laser "
                f"pulse, detector and tagger (steps of {float(recording.resolution_ps):.0f} ps) together jitter by about "
                f"{rise_ps / 1.09:.0f} ps."), True
    return (f"Not {answer:g} ps. Close in on the flank with a gate of 0.1 ns: where does it hold a tenth of the fullest "
            "bin, and where nine tenths?"), False
