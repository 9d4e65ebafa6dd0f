"""Tutorial on clocks, gates and jitter: the pulse rate in the tags, the pulses standing still, the best gate."""

import importlib.resources
import pathlib
import tempfile

import numpy as np
from bokeh.layouts import column
from bokeh.models import BoxAnnotation, Range1d, Span

import qkdlab
from qkdlab import proofs
from qkdlab.datasets.generate import generate, read_truth
from qkdlab.datatypes import DecoyCounts, TimeTags
from qkdlab.instruments.tag_streams import joined
from qkdlab.palette import EXPECTED, PALETTE
from qkdlab.postprocessing.pulse_rate import binned, pulse_rate
from qkdlab.simulation import EveSettings, expected_gains, simulate

from ..live import figure_frame, legend_above, named_source
from ..live_figure import LiveFigure
from .parts import exercise, panel, slider

__all__ = ["best_gate", "blur", "clock_offset", "demo", "fastest_clock", "folded", "gate", "key_of_gate", "labelled",
           "spectrum", "tags_of"]

_ORIGINS = (("signal", "blue"), ("dark count", "vermillion"), ("afterpulse", "purple"))
_WIDTHS = np.unique(np.geomspace(20, 9000, 80).round(-1))       # ps
_BLOCK_S = 60.0                                                 # of the link, for the key of a gate


def demo():
    """The recording that comes with qkdlab."""
    with importlib.resources.as_file(importlib.resources.files("qkdlab.datasets") / "demo") as folder:
        return qkdlab.open(folder)


def labelled(link, seconds=0.2, seed=1):
    """A recording with faithful labels: tags, and for each of them where it came from.

    Parameters
    ----------
    link : dict of str to settings object
        As :func:`qkdlab.simulate` takes it.
    seconds : float
    seed : int

    Returns
    -------
    (TimeTags, dict of str to ndarray)
        As the file beside the recording holds them; see :mod:`qkdlab.datasets.generate`.
    """
    with tempfile.TemporaryDirectory() as folder:
        made = generate(pathlib.Path(folder) / "lesson.h5", seconds=seconds, seed=seed, settings=link)
        return tags_of(qkdlab.open(made.path)), read_truth(made.truth)


def spectrum(recording, search_ppm=10.0):
    """How strongly the tags beat at each trial rate, with a slider for how much of the recording is listened to.

    Parameters
    ----------
    recording : Recording
    search_ppm : float
        To both sides of the nominal rate.
    """
    tags, nominal_hz = tags_of(recording), recording.source.clock_hz
    detector = _detectors(recording, tags)
    source = named_source("spectrum", "ppm", "power")
    plot = figure_frame("Does the light beat at this rate?", "power |R|\u00b2 / N",
                        frame=((-search_ppm, search_ppm), (0, 20)), x_label="trial rate, from the nominal one (ppm)")
    plot.line("ppm", "power", source=source, color=PALETTE["blue"], line_width=1.6)
    live = LiveFigure(plot, label="power of the tags against the trial pulse rate")

    def draw(milliseconds):
        span_s = milliseconds * 1e-3
        stop = np.searchsorted(tags.time_ps, tags.time_ps[0] + int(span_s * 1e12))
        ppm, power = _powers(tags.time_ps[:stop], detector[:stop], nominal_hz, search_ppm, span_s)
        live.data(source, ppm=ppm, power=power)
        found = pulse_rate(tags.time_ps[:stop], nominal_hz, search_ppm, detector[:stop])
        if found is None:
            return f"{stop:,} tags: no rate stands out of the noise yet. Listen for longer."
        offset = f"{1e6 * (found.rate_hz / nominal_hz - 1):+.3f}".replace("-", "\u2212")
        return (f"{stop:,} tags in {milliseconds:g} ms: the library finds <b>{offset} "
                f"\u00b1 {1e6 * found.rate_error_hz / nominal_hz:.3f} ppm</b> from {nominal_hz * 1e-6:g} MHz.")

    return panel(draw, live, slider("listening time (ms)", 1.0, 0.2, 20.0, 0.2))


def _powers(time_ps, detector, nominal_hz, search_ppm, span_s):
    """Rayleigh power, sum over detectors of |sum exp(-2 pi i f t)|^2 / N, over trial rates in ppm."""
    band_hz = nominal_hz * search_ppm * 1e-6
    bin_ps = int(1e12 / (4 * band_hz))
    sums, count = binned(time_ps, detector, nominal_hz, bin_ps, span_s)
    size = 1 << (8 * len(sums[0]) - 1).bit_length()
    offset = np.fft.fftshift(np.fft.fftfreq(size, bin_ps * 1e-12))
    power = sum(np.abs(np.fft.fftshift(np.fft.fft(z, size))) ** 2 / n for z, n in zip(sums, count, strict=True) if n)
    inside = np.abs(offset) <= band_hz
    return 1e6 * offset[inside] / nominal_hz, power[inside]


def folded(recording, milliseconds=10.0, offset_ppm=0.0):
    """When the clicks fall within the clock period, with a slider for the rate of Bob's clock: turn it until they stand.

    Parameters
    ----------
    recording : Recording
    milliseconds : float
        How much of the recording is folded.
    offset_ppm : float
        Where the slider begins.
    """
    tags, nominal_hz = tags_of(recording), recording.source.clock_hz
    stop = np.searchsorted(tags.time_ps, tags.time_ps[0] + int(milliseconds * 1e9))
    since_ps = (tags.time_ps[:stop] - tags.time_ps[0]).astype(float)
    detector = _detectors(recording, tags)[:stop]
    bins, period_ps = 200, 1e12 / nominal_hz
    source = named_source("folded", "phase", "clicks")
    plot = figure_frame("All clicks, folded onto one clock period", "clicks / bin", frame=((0, period_ps * 1e-3), (0, 50)),
                        x_label="time within the period (ns)")
    plot.vbar("phase", 0.95 * period_ps * 1e-3 / bins, "clicks", source=source, color=PALETTE["blue"])
    plot.y_range.start = 0
    live = LiveFigure(plot, label="histogram of the clicks within the clock period")

    def draw(ppm):
        turns = since_ps * (1e-12 * nominal_hz * (1 + 1e-6 * ppm))
        counts, edges = np.histogram(turns % 1, bins, (0, 1))
        live.data(source, phase=(edges[:-1] + 0.5 / bins) * period_ps * 1e-3, clicks=counts)
        sums = [abs(np.exp(2j * np.pi * turns[detector == d]).sum()) for d in range(4)]
        sharp = sum(sums) / max(len(turns), 1)
        return (f"Visibility <b>{sharp:.2f}</b> (0: smeared over the whole period, 1: all clicks at one phase). Over these "
                f"{milliseconds:g} ms Bob's clock would slip by {abs(ppm) * 1e-6 * milliseconds * 1e-3 * nominal_hz:.1f} "
                f"slots against its nominal rate.")

    return panel(draw, live, slider("pulse rate by Bob's clock (ppm)", offset_ppm, -10.0, 10.0, 0.05))


@exercise("ppm")
def clock_offset(answer, recording):
    """Check how far (ppm) the pulse rate by Bob's clock is from the nominal one, by finding it in his tags."""
    tags, nominal_hz = tags_of(recording), recording.source.clock_hz
    found = pulse_rate(tags.time_ps, nominal_hz, detector=_detectors(recording, tags))
    true = 1e6 * (found.rate_hz / nominal_hz - 1)
    if abs(answer - true) <= 0.15:
        return f"Yes: from all of the tags the library finds {true:+.4f} ppm, {found.rate_hz:,.2f} pulses a second.", True
    return (f"With {answer:g} ppm the pulses still walk through the period {'forwards' if answer > true else 'backwards'}: "
            "find the value at which the visibility is highest.", False)


# ------------------------------------------------------------------------------------------------------ gates


def gate(link, width_ps=2000, jitter_ps=300, seconds=0.1):
    """Clicks around the pulse by their origin, error rate and key against the width of the gate, with sliders.

    Parameters
    ----------
    link : dict of str to settings object
        As :func:`qkdlab.simulate` takes it.
    width_ps, jitter_ps : float
        Where the sliders begin: full width of the gate, jitter of the detectors (full width at half maximum).
    seconds : float
        Of the link, for the histogram.
    """
    bars = named_source("gate_clicks", "ns", *(f"o{k}" for k in range(3)))
    period_ns = 1e9 / link["source"].clock_hz
    times = figure_frame("Where the clicks come from", "clicks / bin", x_label="time from the pulse (ns)",
                         frame=((-period_ns / 2, period_ns / 2), (1, 1000)), y_axis_type="log")
    lines = [(name, [times.step("ns", f"o{k}", source=bars, color=PALETTE[colour], line_width=1.8, mode="center")])
             for k, (name, colour) in enumerate(_ORIGINS)]
    legend_above(times, lines)
    window = BoxAnnotation(left=0, right=0, fill_color=PALETTE["green"], fill_alpha=0.18, line_color=PALETTE["green"])
    times.add_layout(window)
    curves = named_source("gate_key", "width", "key", "qber")
    worth = figure_frame("What a gate is worth", "share (%)", x_label="width of the gate (ns)",
                         y_range=Range1d(0, 105), x_axis_type="log")
    legend_above(worth, [("key, of the best one", [worth.line("width", "key", source=curves, color=PALETTE["green"],
                                                               line_width=2.5)]),
                         ("error rate (QBER)", [worth.line("width", "qber", source=curves, color=PALETTE["vermillion"],
                                              line_dash=EXPECTED, line_width=2.5)])])
    here = Span(location=1, dimension="height", line_color=PALETTE["grey"], line_width=2)
    worth.add_layout(here)
    live = LiveFigure(column(times, worth, sizing_mode="stretch_width"), label="clicks by origin, and key against the gate")
    state = {}

    def draw(width, jitter):
        if state.get("jitter") != jitter:
            state.update(jitter=jitter, **_jittery(link, jitter, seconds))
            live.data(bars, ns=state["ns"], **{f"o{k}": row for k, row in enumerate(state["counts"])})
            best = max(state["keys"].max(), 1.0)
            live.data(curves, width=_WIDTHS * 1e-3, key=100 * state["keys"] / best, qber=100 * state["qbers"])
        live.set(window, left=-width / 2e3, right=width / 2e3)
        live.set(here, location=width * 1e-3)
        key, qber = key_of_gate(state["link"], width)
        kept, noise = _inside(state, width)
        return (f"Kept: {100 * kept:.1f} % of the light, {100 * noise:.0f} % of the noise. QBER {100 * qber:.2f} %, "
                f"<b>{key / _BLOCK_S:,.0f} secret bits / s</b>, {min(100 * key / state['keys'].max(), 100):.0f} % of "
                "what the best gate gives." if state["keys"].max() > 0 else
                f"QBER {100 * qber:.2f} %. No width gives a key here.")

    return panel(draw, live, slider("gate (ps)", width_ps, 40, 9000, 20),
                 slider("jitter (ps)", jitter_ps, 40, 2000, 20, wait=True))


def _jittery(link, jitter_ps, seconds):
    """Histograms by origin, keys and error rates over the gate for detectors of this jitter."""
    link = {**link, "detectors": link["detectors"].replace(jitter_fwhm_ps=float(jitter_ps), delay_ps=(0, 0, 0, 0))}
    made = simulate(link, seed=6, keep_truth=True)
    for _ in made.blocks(seconds, seconds):
        pass
    truth, period = made.truth[0], made.source.period_ps
    phase = (truth.time_ps + period / 2) % period - period / 2
    edges = np.linspace(-period / 2, period / 2, 201)
    counts = np.array([np.histogram(phase[truth.origin == k], edges)[0] for k in range(3)], float)
    keys, qbers = np.array([key_of_gate(link, width) for width in _WIDTHS]).T
    return {"link": link, "phase": phase, "origin": truth.origin, "ns": (edges[:-1] + edges[1:]) / 2e3,
            "counts": np.where(counts > 0, counts, np.nan), "keys": keys, "qbers": qbers}


def _inside(state, width):
    """Shares of the light and of the noise that a gate keeps."""
    inside, light = np.abs(state["phase"]) < width / 2, state["origin"] == 0
    return inside[light].mean(), inside[~light].mean() if (~light).any() else 0.0


def key_of_gate(link, width_ps, seconds=_BLOCK_S):
    """Secret bits of a block and its error rate to expect with a gate of this full width (ps).

    Parameters
    ----------
    link : dict of str to settings object
    width_ps : float
    seconds : float
        Of the block.

    Returns
    -------
    (int, float)
        Length by Lim et al. (2014), error rate of the test basis.
    """
    made = simulate(link, seed=0)
    gains = expected_gains(made.source, made.channel, made.detectors, EveSettings(), width_ps)
    share = np.array([made.source.achieved_key_basis_probability, 1 - made.source.achieved_key_basis_probability])
    sent = seconds * made.source.clock_hz * np.outer(made.source.achieved_probabilities, share)
    counts = DecoyCounts(*(np.rint(sent * part).astype(np.int64) for part in (np.ones_like(sent), *gains)))
    bound = proofs.bound(counts, made.source, eps_sec=1e-9, eps_cor=1e-15, f_ec=1.1)
    return bound.length, counts.qber(1) or 0.0


@exercise("ps")
def best_gate(answer, link, jitter_ps):
    """Check a gate (full width, ps) that gives at least 98 % of the key that any gate gives with this jitter."""
    link = {**link, "detectors": link["detectors"].replace(jitter_fwhm_ps=float(jitter_ps))}
    if not 1 <= answer <= 1e12 / link["source"].clock_hz:
        return f"A gate lies between 1 ps and the clock period, {1e12 / link['source'].clock_hz:,.0f} ps.", False
    keys, mine = [key_of_gate(link, width)[0] for width in _WIDTHS], key_of_gate(link, answer)[0]
    best = max(keys)
    if mine >= 0.98 * best:
        return f"Yes: {mine / _BLOCK_S:,.0f} secret bits a second, {100 * mine / best:.1f} % of the best.", True
    narrow = answer < _WIDTHS[np.argmax(keys)]
    return (f"{mine / _BLOCK_S:,.0f} bits a second, where {best / _BLOCK_S:,.0f} are possible. This gate is too "
            f"{'narrow: it cuts away light' if narrow else 'wide: it lets in noise'}.", False)


# ------------------------------------------------------------------------------------------------- fast clocks


def blur(link, clock_hz, seconds=0.02):
    """Share of the detected photons that fall outside of the slot in which they were sent, by simulating them."""
    source = link["source"].replace(clock_hz=float(clock_hz))
    link = {**link, "source": source, "detectors": link["detectors"].replace(delay_ps=(0, 0, 0, 0))}
    made = simulate(link, seed=3, keep_truth=True)
    for _ in made.blocks(seconds, seconds):
        pass
    truth = made.truth[0]
    light = truth.slot >= 0
    seen = np.floor(truth.time_ps[light] / source.period_ps + 0.5).astype(np.int64)
    return float((seen != truth.slot[light]).mean()) if light.any() else 0.0


@exercise("Hz")
def fastest_clock(answer, link):
    """Check a pulse rate at which 0.1 to 1 % of the photons fall into a neighbour's slot."""
    if not 1e6 <= answer <= 2e10:
        return "Try a rate between 1 MHz (1e6) and 20 GHz (2e10).", False
    lost = blur(link, answer)
    if 0.001 <= lost <= 0.01:
        return f"Yes: at {answer * 1e-9:.3g} GHz {100 * lost:.2f} % of the photons are counted in a wrong slot.", True
    return (f"At {answer * 1e-9:.3g} GHz {100 * lost:.2f} % of the photons are counted in a wrong slot: "
            f"{'slower' if lost > 0.01 else 'you may go faster'}.", False)


def tags_of(recording):
    """All tags of a recording, as one TimeTags."""
    return joined([TimeTags(np.empty(0, np.int64), np.empty(0, np.uint8)), *recording.tag_blocks()])


def _detectors(recording, tags):
    """Number of the detector of each tag, uint8."""
    order = np.zeros(256, np.uint8)
    order[list(recording.receiver.channels)] = range(4)
    return order[tags.channel]
