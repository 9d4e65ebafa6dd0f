"""The fourth lesson: pulses of several intensities, and what they tell of the single photons."""

import functools
import math
from typing import NamedTuple

import numpy as np

from qkdlab import proofs
from qkdlab.datatypes import DecoyCounts
from qkdlab.palette import EXPECTED, PALETTE
from qkdlab.proofs import ma2005, plob
from qkdlab.simulation import splitting

from ..live import figure_frame, legend_above, named_source
from ..live_figure import LiveFigure
from .parts import axis, check, exercise, pair, panel, slider
from .weak_pulses import KILOMETRES, background, over_fibre

__all__ = ["decoys_against_eve", "rates_against_distance", "reach_with_decoys", "share_to_silence", "single_photon_yield"]

PULSES = 10**15                      # as good as endless
_PROBABILITIES = (0.6, 0.25, 0.15)   # of signal, decoy and vacuum; they do not matter to an endless block
_SHARES = np.linspace(0, 1, 41)


class World(NamedTuple):
    """What Eve does to a link, and what the decoys prove of it."""

    gains: np.ndarray            # clicks per pulse by intensity
    y1: float                    # yield of single photons: the truth
    y1_proven: float             # ... as bounded from the gains
    bound: object                # qkdlab.datatypes.Bound


def world(link, intensities, share):
    """Counts of a link where Eve splits photons, through the analysis of an endless block.

    Parameters
    ----------
    link : LinkModel
        With the fibre.
    intensities : (float, float, float)
        Signal, decoy, vacuum.
    share : float
        Share of the pulses that Eve attacks.

    Returns
    -------
    World
    """
    passed = splitting.split(intensities[0], link.transmittance, share)
    gain, wrong = splitting.detections(intensities, passed, background(link), link.misalignment)
    sent = np.rint(PULSES * np.outer(_PROBABILITIES, [0.25, 0.25]))
    counts = DecoyCounts(*(np.rint(a).astype(np.int64) for a in (sent, sent * gain[:, None], sent * wrong[:, None])))
    bound = proofs.bound(counts, proof="ma2005", intensities=intensities, probabilities=_PROBABILITIES, f_ec=1.1,
                         eps_sec=1e-9, eps_cor=1e-15)
    singles = sent[0, 0] * intensities[0] * math.exp(-intensities[0])
    return World(gain, passed[1] + background(link) * (1 - passed[1]), bound.s1 / singles, bound)


def decoys_against_eve(link, km=50.0, signal=0.5, decoy=0.1, share=0.0):
    """What an Eve who splits photons does to signal and decoy, and what the decoys prove; sliders for her and for them.

    Parameters
    ----------
    link : LinkModel
        Without the fibre.
    km : float
        Length of the fibre.
    signal : float
        Mean photon number of the signal.
    decoy : float
        Mean photon number of the decoy, where its slider begins.
    share : float
        Share of the pulses that Eve attacks, where her slider begins.
    """
    here = over_fibre(link, km)
    bars = named_source("seen", "place", "ratio")
    left = figure_frame("What Alice and Bob see", "of a link without Eve (%)", x_label="pulses of each kind",
                        x_range=axis(-0.6, 2.6), y_range=axis(0, 115))
    counted = left.vbar("place", 0.6, "ratio", source=bars, color=PALETTE["blue"], fill_alpha=0.85)
    legend_above(left, [("detections", [counted])])
    left.xaxis.ticker = [0, 1, 2]
    left.xaxis.major_label_overrides = {0: "signal", 1: "decoy", 2: "vacuum"}
    curves, point = named_source("yields", "share", "truth", "proven"), named_source("yields_here", "share", "proven")
    right = figure_frame("Yield of single photons", "detected (% of those sent)", x_label="pulses that Eve attacks (%)",
                         x_range=axis(0, 100), y_range=axis(0, 115 * here.transmittance))
    truth = right.line("share", "truth", source=curves, color=PALETTE["grey"], line_dash=EXPECTED, line_width=2)
    proven = right.line("share", "proven", source=curves, color=PALETTE["green"], line_width=2.5)
    right.scatter("share", "proven", source=point, color=PALETTE["green"], marker="circle", size=11)
    legend_above(right, [("truth", [truth]), ("proven from the gains, at least", [proven])])
    for plot in (left, right):
        plot.height = 250
    live = LiveFigure(pair(left, right), label="detections by intensity, and single-photon yield: truth and lower bound")

    def draw(eve_percent, nu):
        intensities = (signal, nu, 0.0)
        honest, now = world(here, intensities, 0.0), world(here, intensities, eve_percent / 100)
        worlds = [world(here, intensities, float(x)) for x in _SHARES]
        live.data(bars, place=[0, 1, 2], ratio=100 * now.gains / honest.gains)
        live.data(curves, share=100 * _SHARES, truth=[100 * w.y1 for w in worlds],
                  proven=[100 * w.y1_proven for w in worlds])
        live.data(point, share=[eve_percent], proven=[100 * now.y1_proven])
        key = (f"key: <b>{now.bound.length / PULSES * 1e6:,.0f} bits per million pulses</b>" if now.bound.length
               else "<b>no key</b>")
        return (f"Of 100 single photons {100 * now.y1:.2f} arrive; the decoys prove at least "
                f"<b>{100 * now.y1_proven:.2f}</b>. Result: {key}.")

    return panel(draw, live, slider("Eve attacks (%)", 100 * share, 0, 100, 1),
                 slider("decoy: mean photons \u03bd", decoy, 0.01, 0.4, 0.01))


def rates_against_distance(link, mean=0.5):
    """Key per pulse with decoys and without, and what no link can exceed; with a slider for the signal.

    Parameters
    ----------
    link : LinkModel
        Without the fibre.
    mean : float
        Mean photon number of the signal where the slider begins.
    """
    source = named_source("rates_against_distance", "km", "decoys", "without", "ceiling")
    plot = figure_frame("What the decoys are worth", "secret bits / pulse", x_label="length of the fibre (km)",
                        y_axis_type="log", x_range=axis(0, 250), y_range=axis(1e-8, 3))
    plot.height = 280
    ceiling = plot.line("km", "ceiling", source=source, color=PALETTE["grey"], line_dash="dotted", line_width=2)
    decoys = plot.line("km", "decoys", source=source, color=PALETTE["green"], line_width=2.5)
    without = plot.line("km", "without", source=source, color=PALETTE["blue"], line_dash="dashed", line_width=2)
    legend_above(plot, [("with decoys", [decoys]), ("without, \u03bc best at each distance", [without]),
                        ("no repeaterless link can do more", [ceiling])])
    live = LiveFigure(plot, label="key per pulse against distance, with decoys and without")
    eta = np.array([over_fibre(link, float(x)).transmittance for x in KILOMETRES])
    best = ma2005.without_decoys(np.geomspace(1e-4, 1.0, 200)[:, None], eta, background(link), link.misalignment).max(axis=0)
    ceiling_rate = plob.capacity(eta)

    def draw(mu):
        rate = ma2005.infinite_decoys(mu, eta, background(link), link.misalignment)
        live.data(source, km=KILOMETRES, **{name: np.where(values > 0, values, np.nan) for name, values in (
            ("decoys", rate), ("without", best), ("ceiling", ceiling_rate))})
        gain, reach = rate[75] / best[75] if best[75] else math.inf, KILOMETRES[rate > 0]
        far = f"a key up to <b>{reach[-1]:.0f} km</b>" if len(reach) else "<b>no key</b>: nothing is left for single photons"
        return f"With decoys: {far}; at 75 km {gain:,.1f} times the key of the best link without them."

    return panel(draw, live, slider("signal: mean photons \u03bc", mean, 0.02, 1.5, 0.02))


# ------------------------------------------------------------------------------------------------------------ exercises


def single_photon_yield(link, answer, km=50.0):
    """Check the yield of single photons (in %) of a link without Eve.

    Parameters
    ----------
    link : LinkModel
        Without the fibre.
    answer : float or None
    km : float

    Returns
    -------
    ipywidgets.HTML
    """
    return check(answer, lambda: 100 * ma2005.single_photons(over_fibre(link, km).transmittance, background(link),
                                                             link.misalignment)[0], unit="%",
                 right="Background clicks add next to nothing here; they matter where hardly any light arrives.",
                 hint="Loss of the fibre: 0.2 dB per km. What share is left after 10 dB? And the detector's efficiency?")


def share_to_silence(link, answer, km=50.0, signal=0.5, decoy=0.1):
    """Check from which share (in %) of attacked pulses on there is no key.

    Parameters
    ----------
    link : LinkModel
        Without the fibre.
    answer : float or None
    km, signal, decoy : float

    Returns
    -------
    ipywidgets.HTML
    """
    return check(answer, functools.partial(_silent_percent, over_fibre(link, km), (signal, decoy, 0.0)), unit="%",
                 within=0.0, least=3.0,
                 right="She can spoil the key, as anyone with scissors can. She cannot know it.",
                 hint=f"Set the decoy to {decoy:g} and drag Eve's slider to where the words say no key.")


def _silent_percent(here, intensities):
    low, high = 0.0, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if world(here, intensities, middle).bound.length else (low, middle)
    return 100 * high


@exercise("km")
def reach_with_decoys(link, answer, mean=0.5, beyond=10.0):
    """Check a distance (in km) at which decoys still give a key, and a little more fibre does not.

    Parameters
    ----------
    link : LinkModel
        Without the fibre.
    answer : float or None
    mean : float
        Mean photon number of the signal.
    beyond : float
        Kilometres further on, where there must be none.

    Returns
    -------
    ipywidgets.HTML
    """
    if answer < 0:
        return "A fibre has a length from 0 km on.", False
    there, further = (float(ma2005.infinite_decoys(mean, over_fibre(link, km).transmittance, background(link),
                                                   link.misalignment)) for km in (answer, answer + beyond))
    if there > 0 == further:
        return (f"Yes: {there:.1e} bits per pulse at {answer:g} km, none at {answer + beyond:g} km. There the detectors' "
                "noise is what Bob hears."), True
    return (f"No key at {answer:g} km: go nearer." if not there else
            f"{answer:g} km gives {there:.1e} bits per pulse, but so does {answer + beyond:g} km ({further:.1e}): go "
            "further."), False
