"""The first lesson: pulses, photons, fibre, and a key."""

import ipywidgets
import numpy as np
from bokeh.models import Range1d

from qkdlab.choices import encode
from qkdlab.palette import PALETTE, intensity_style
from qkdlab.session import Session
from qkdlab.simulation import EveSettings, expected_gains, simulate, splitting

from ..live import figure_frame, legend_above, named_source
from ..live_figure import LiveFigure
from .parts import BASES, STATES, exercise, panel, slider, table

__all__ = ["gains_against_distance", "key_at_distance", "photon_numbers", "pulses", "qber_with_eve"]

_GATE_PS = 500         # of the curves against distance; about what the session chooses for pulses of 100 ps


def pulses(source, count=12, seed=1):
    """A table of the first pulses that Alice prepares.

    Parameters
    ----------
    source : SourceSettings
    count : int
    seed : int
        Of the choices.

    Returns
    -------
    ipywidgets.HTML
    """
    train = encode(source, count, np.random.default_rng(seed))
    rows = {"slot": range(count), "bit": train.bit, "basis": [BASES[b] for b in train.basis],
            "polarisation": [STATES[b, x] for b, x in zip(train.basis.tolist(), train.bit.tolist(), strict=True)],
            "mean photons": [f"{source.intensities[i]:g}" for i in train.intensity]}
    return ipywidgets.HTML(table("What Alice prepares (only she knows)", rows))


def photon_numbers(mean=0.5):
    """How many photons a weak laser pulse holds, with a slider for the mean photon number.

    Parameters
    ----------
    mean : float
        Where the slider begins.
    """
    source = named_source("photons", "n", "share")
    plot = figure_frame("How many photons are in a pulse?", "share of the pulses (%)", x_label="photons in the pulse",
                        y_range=Range1d(0, 100), x_range=Range1d(-0.6, 4.6))
    plot.vbar("n", 0.7, "share", source=source, color=PALETTE["blue"], alpha=0.75)
    plot.xaxis.ticker = [0, 1, 2, 3, 4]
    plot.height = 230
    live = LiveFigure(plot, label="shares of pulses by their number of photons")

    def draw(mu):
        share = splitting.photon_numbers(mu)[:5]
        live.data(source, n=np.arange(5.0), share=100 * share)
        several = 1 - share[0] - share[1]
        return (f"{100 * share[0]:.1f} % of the pulses are empty. Of the others, "
                f"<b>{100 * several / (1 - share[0]):.1f} %</b> hold more than one photon: "
                "Eve could keep one of them and go unnoticed.")

    return panel(draw, live, slider("mean photons", mean, 0.02, 1.5, 0.02))


def gains_against_distance(link, distance_km=50.0):
    """How often Bob detects something, against the length of the fibre, with a slider for the dark counts.

    Parameters
    ----------
    link : dict of str to settings object
        As :func:`qkdlab.simulate` takes it.
    distance_km : float
        Distance marked in the words below the figure.
    """
    made = simulate(link, seed=0)
    kilometres = np.linspace(0, 250, 126)
    intensities = made.source.intensities
    source = named_source("gains_against_distance", "km", *(f"gain{i}" for i in range(len(intensities))))
    plot = figure_frame("Detections and distance", "detections / pulse", x_label="length of the fibre (km)",
                        y_axis_type="log", frame=((0, 250), (1e-6, 1e-1)))
    plot.height = 250
    lines = []
    for i, mu in enumerate(intensities):
        style = intensity_style(i)
        lines.append((f"\u03bc = {mu:.3g}", [plot.line("km", f"gain{i}", source=source, color=style["color"],
                                                      line_dash=style["dash"], line_width=2.5)]))
    legend_above(plot, lines)
    live = LiveFigure(plot, label="gain of each intensity against the fibre's length")

    def draw(dark_hz):
        detectors = made.detectors.replace(dark_rate_hz=dark_hz)
        gains = np.array([expected_gains(made.source, made.channel.replace(distance_km=float(km)), detectors,
                                         made.eve, _GATE_PS).clicks[:, 0] for km in kilometres])
        live.data(source, km=kilometres, **{f"gain{i}": gains[:, i] for i in range(len(intensities))})
        ratio = np.interp(distance_km, kilometres, gains[:, 0] / gains[:, -1])
        return (f"At {distance_km:g} km a signal pulse is detected {ratio:,.0f} times as often as a pulse with "
                "(almost) nothing in it. Where the curves meet, Bob hears only his detectors' noise.")

    return panel(draw, live, slider("dark counts (Hz)", made.detectors.dark_rate_hz, 0.0, 5000.0, 50.0))


# ------------------------------------------------------------------------------------------------------ exercises


@exercise("per cent")
def qber_with_eve(link, answer):
    """Check the error rate (in %) that Eve causes when she intercepts every pulse, by simulating her.

    Parameters
    ----------
    link : dict of str to settings object
    answer : float or None
        The student's; None before there is one.
    """
    report = Session(simulate({**link, "eve": EveSettings(intercept_fraction=1.0)}, seed=1)).run(seconds=0.3)
    measured = 100 * report["qber_test"]
    if abs(answer - measured) < 2.0:
        return f"Yes. The simulated link shows {measured:.1f} %, and the verdict is: {report['reason']}", True
    return (f"Not {answer:g} %. A hint: half of the time Eve measures in the wrong basis, and then both the pulse that she "
            "sends on and Bob's bit are a coin toss."), False


@exercise("km")
def key_at_distance(link, answer, seconds=1.0):
    """Check a distance (km) at which `seconds` of the link still give a key, and 30 km more do not.

    Parameters
    ----------
    link : dict of str to settings object
    answer : float or None
    seconds : float
    """
    bits, here = [], simulate(link, seed=1).channel
    for km in (answer, answer + 30):
        made = simulate({**link, "channel": here.replace(distance_km=km)}, seed=1)
        bits.append(Session(made).run(seconds=seconds)["secret_bits"])
    if bits[0] and not bits[1]:
        return f"Yes: {bits[0]:,} secret bits at {answer:g} km, none at {answer + 30:g} km.", True
    return (f"There is no key at {answer:g} km yet: go nearer." if not bits[0] else
            f"{answer:g} km gives {bits[0]:,} secret bits, but so does {answer + 30:g} km ({bits[1]:,}): go further."), False
