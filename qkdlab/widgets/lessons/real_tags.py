"""The reader's own recording, in the tutorial on clocks, gates and jitter: floor, flank, tail within the laser's period."""

import numpy as np
from bokeh.models import BoxAnnotation, Range1d

import qkdlab
from qkdlab.errors import BadInput
from qkdlab.palette import PALETTE
from qkdlab.postprocessing.pulse_rate import pulse_rate

from ..live import figure_frame, named_source
from ..live_figure import LiveFigure
from .clocks import demo, tags_of
from .parts import exercise, feedback, panel, slider

__all__ = ["fold", "gate", "jitter"]

COHERENT_PS = 20_000_000_000     # within so much of a recording a rate found in the tags holds still


def fold(path=None):
    """Clicks of the busiest detector within the laser's period, the fullest bin at an eighth of it.

    Parameters
    ----------
    path : path-like, optional
        A recording whose tagger counted the laser's pulses (T3), or one that says its pulse rate; absent: the one that
        comes with qkdlab.

    Returns
    -------
    (ndarray of float64, ndarray of int64)
        Middles of the bins in ns; clicks. The bins are whole steps of the tagger, of 0.1 ns or so.

    Raises
    ------
    BadInput
        Where the pulse rate is neither counted nor told.
    """
    recording = qkdlab.open(path) if path else demo()
    tags = tags_of(recording)
    if not len(tags):
        raise BadInput("there is no click in it", where=path or "", field="tags", value=0)
    time_ps = tags.time_ps[tags.channel == np.bincount(tags.channel).argmax()]
    rate_hz = recording.sync_rate_hz
    if not rate_hz:
        time_ps = time_ps[: np.searchsorted(time_ps, time_ps[0] + COHERENT_PS)]
        found = recording.source and pulse_rate(time_ps, recording.source.clock_hz)
        if not found:
            raise BadInput("the tagger did not count the laser's pulses, and no pulse rate is told or found",
                           where=path or "", field="sync rate", value=rate_hz)
        rate_hz = found.rate_hz
    period_ps, resolution_ps = 1e12 / rate_hz, float(recording.resolution_ps)
    step_ps = resolution_ps * max(1, round(min(100.0, period_ps / 50) / resolution_ps))
    bins = max(8, int(period_ps / step_ps))
    # The last part of a bin, and what was rounded to before its pulse, belong to the first one: the period is a circle.
    clicks = np.bincount(np.rint(time_ps % period_ps / step_ps).astype(int) % bins, minlength=bins)
    return step_ps * np.arange(bins) * 1e-3, np.roll(clicks, bins // 8 - int(np.argmax(clicks)))


def _flank(ns, clicks):
    """Clicks per bin of the floor before the flank, and where the flank has 10, 50 and 90 % of its height (ns)."""
    top = int(np.argmax(clicks))
    floor = float(clicks[: top // 2].mean())
    return floor, np.interp(floor + (clicks[top] - floor) * np.array([0.1, 0.5, 0.9]), clicks[top // 2 : top + 1],
                            ns[top // 2 : top + 1])


def gate(path=None, begin_ns=0.0, width_ns=None):
    """Clicks within the laser's period, and what a gate keeps of light and floor, with sliders for its edges.

    Parameters
    ----------
    path : path-like, optional
        As :func:`fold` takes it.
    begin_ns, width_ns : float, optional
        Where the sliders begin; absent: with the whole period.
    """
    try:
        ns, clicks = fold(path)
    except (BadInput, OSError) as error:
        return feedback(f"This recording cannot be folded: {error}", False)
    floor, period_ns = _flank(ns, clicks)[0], float(ns[-1] + ns[1])
    light = clicks - floor
    source = named_source("real_tags", "ns", "clicks")
    plot = figure_frame("Clicks of one detector, folded onto one period of the laser", "clicks / bin", y_axis_type="log",
                        x_label="time within the period (ns)", x_range=Range1d(0, period_ns),
                        y_range=Range1d(max(0.5, 0.3 * floor), 2.0 * clicks.max()))
    plot.height = 250
    plot.step("ns", "clicks", source=source, color=PALETTE["blue"], line_width=1.8, mode="center")
    window = BoxAnnotation(left=0, right=1, fill_color=PALETTE["green"], fill_alpha=0.18, line_color=PALETTE["green"])
    plot.add_layout(window)
    live = LiveFigure(plot, label="clicks of a detector against the time within the laser's period")
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

    longest = round(period_ns, 1)
    return panel(draw, live, slider("gate begins (ns)", begin_ns, 0.0, longest, 0.1),
                 slider("gate lasts (ns)", width_ns or longest, 0.1, longest, 0.1))


@exercise("ps")
def jitter(answer, path=None):
    """Check (within a bin) how long the flank takes from 10 to 90 % of its height, in ps."""
    ns, clicks = fold(path)
    low, _, high = _flank(ns, clicks)[1]
    rise_ps, step_ps = 1e3 * (high - low), 1e3 * ns[1]
    if abs(answer - rise_ps) <= step_ps:
        return (f"Yes: about {rise_ps:.0f} ps. A Gaussian of full width w at half its height makes a flank of 1.09 w: laser "
                f"pulse, detector and tagger, in bins of {step_ps:.0f} ps, together jitter by about "
                f"{rise_ps / 1.09:.0f} ps."), True
    return (f"Not {answer:g} ps. Close in on the flank with a gate of one bin: where does it hold a tenth of the fullest "
            "bin, and where nine tenths?"), False
