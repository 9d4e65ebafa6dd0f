"""The third lesson: pulses of several photons, and an Eve who splits them."""

import functools

import numpy as np
from bokeh.models import NumeralTickFormatter

from qkdlab.palette import PALETTE
from qkdlab.proofs import ma2005
from qkdlab.simulation import ChannelSettings, splitting

from ..live import figure_frame, legend_above, named_source
from ..live_figure import LiveFigure
from .parts import axis, check, pair, panel, slider

__all__ = ["best_mean", "key_without_decoys", "multi_photon_share", "over_fibre", "photon_splitting", "safe_distance"]

KILOMETRES = np.linspace(0, 250, 251)
_MEANS = np.geomspace(1e-4, 1.0, 400)


def over_fibre(link, km):
    """A link with a fibre of this length before it.

    Parameters
    ----------
    link : LinkModel
    km : float

    Returns
    -------
    LinkModel
    """
    return link.over(km * ChannelSettings().attenuation_db_per_km)


def background(link):
    """Background clicks per pulse of a :class:`LinkModel`: either detector of a basis."""
    return 2 * link.dark_probability


def photon_splitting(link, mean=0.5, km=20.0):
    """Where Bob's detections come from without Eve and with her, and what she learns; sliders for pulse and fibre.

    Parameters
    ----------
    link : LinkModel
        Without the fibre.
    mean : float
        Mean photon number where the slider begins.
    km : float
        Length of the fibre where the slider begins.
    """
    bars = named_source("splitting", "without", "with_eve", "honest", "attacked")
    left = figure_frame("Where Bob's detections come from", "detections / 10\u2076 pulses",
                        x_label="photons that Alice sent", x_range=axis(0.4, 4.6))
    left.y_range.start = 0
    left.yaxis.formatter = NumeralTickFormatter(format="0 a")
    width = 0.36
    honest = left.vbar("without", width, "honest", source=bars, color=PALETTE["blue"], fill_alpha=0.85)
    attacked = left.vbar("with_eve", width, "attacked", source=bars, color=PALETTE["vermillion"], fill_alpha=0.35,
                         hatch_pattern="right_diagonal_line", hatch_color=PALETTE["vermillion"])
    left.xaxis.ticker = [1, 2, 3, 4]
    legend_above(left, [("without Eve", [honest]), ("with Eve", [attacked])])
    curve, point = named_source("known", "km", "share"), named_source("known_here", "km", "share")
    right = figure_frame("What Eve knows without causing an error", "share of the bits (%)",
                         x_label="length of the fibre (km)", x_range=axis(0, 100), y_range=axis(0, 104))
    known = right.line("km", "share", source=curve, color=PALETTE["vermillion"], line_width=2.5)
    here = right.scatter("km", "share", source=point, color=PALETTE["vermillion"], marker="circle", size=11)
    legend_above(right, [("known to Eve", [known]), ("at this length", [here])])
    for plot in (left, right):
        plot.height = 250
    live = LiveFigure(pair(left, right), label="Bob's detections by photon number, and the share of bits Eve knows")
    numbers = np.arange(1, 5)

    def draw(mu, length):
        eta = over_fibre(link, length).transmittance
        p = splitting.photon_numbers(mu)
        live.data(bars, without=numbers - width / 2, with_eve=numbers + width / 2,
                  honest=1e6 * (p * splitting.honest(eta))[1:5], attacked=1e6 * (p * splitting.split(mu, eta))[1:5])
        shares = [100 * splitting.known_share(mu, over_fibre(link, float(x)).transmittance) for x in KILOMETRES[:101]]
        now = 100 * splitting.known_share(mu, eta)
        live.data(curve, km=KILOMETRES[:101], share=shares)
        live.data(point, km=[length], share=[now])
        all_of_it = " Not one single photon needs to reach Bob." if now > 99.9 else ""
        return (f"Bob counts {1e6 * float(p @ splitting.honest(eta)):,.0f} detections per million pulses either way. "
                f"Eve knows <b>{now:.0f} %</b> of the bits, and the error rate has not moved.{all_of_it}")

    return panel(draw, live, slider("mean photons \u03bc", mean, 0.02, 1.0, 0.02), slider("fibre (km)", km, 0, 100, 1))


def key_without_decoys(link, mean=0.1):
    """Secret bits per pulse against distance where a single intensity is all there is, with a slider for it.

    Parameters
    ----------
    link : LinkModel
        Without the fibre.
    mean : float
        Where the slider begins.
    """
    source = named_source("key_without_decoys", "km", "rate", "single")
    plot = figure_frame("Key from weak pulses of one intensity", "secret bits / pulse", x_label="length of the fibre (km)",
                        y_axis_type="log", x_range=axis(0, 250), y_range=axis(1e-8, 1))
    plot.height = 260
    single = plot.line("km", "single", source=source, color=PALETTE["grey"], line_dash="dashed", line_width=2)
    line = plot.line("km", "rate", source=source, color=PALETTE["blue"], line_width=2.5)
    legend_above(plot, [("weak pulses", [line]), ("a source of true single photons", [single])])
    live = LiveFigure(plot, label="key per pulse against distance")
    links = [over_fibre(link, float(x)) for x in KILOMETRES]
    eta = np.array([one.transmittance for one in links])
    y1, e1 = ma2005.single_photons(eta, background(link), link.misalignment)
    ideal = y1 * np.maximum(1 - 2 * ma2005.binary_entropy(e1), 0) / 2

    def draw(mu):
        rate = ma2005.without_decoys(mu, eta, background(link), link.misalignment)
        live.data(source, km=KILOMETRES, rate=_above_zero(rate), single=_above_zero(ideal))
        reach = KILOMETRES[rate > 0]
        return (f"\u03bc = {mu:.3g}: " + (
            f"{rate[0]:.2g} bits per pulse without any fibre, and a key up to <b>{reach[-1]:.0f} km</b>." if len(reach) else
            "<b>no key at all</b>: pulses of several photons could explain everything that Bob detects."))

    return panel(draw, live, slider("mean photons \u03bc", mean, -4, 0, 0.05, readout=".2g", log=True))


def _above_zero(values):
    return np.where(values > 0, values, np.nan)


# ------------------------------------------------------------------------------------------------------------ exercises


def multi_photon_share(answer, mean=0.1):
    """Check how many (in %) of the pulses that are not empty hold more than one photon.

    Parameters
    ----------
    answer : float or None
    mean : float

    Returns
    -------
    ipywidgets.HTML
    """
    def truth():
        p = splitting.photon_numbers(mean)
        return 100 * p[2:].sum() / p[1:].sum()

    return check(answer, truth, unit="%", right="Close to half of the mean photon number: fainter is safer, and slower.",
                 hint="Not empty: 1 \u2212 P(0). More than one: 1 \u2212 P(0) \u2212 P(1). Divide.")


def safe_distance(link, answer, mean=0.2):
    """Check from which length of fibre (in km) on the splitting Eve knows every bit.

    Parameters
    ----------
    link : LinkModel
    answer : float or None
    mean : float

    Returns
    -------
    ipywidgets.HTML
    """
    return check(answer, functools.partial(_all_known_km, link, mean), unit="km", within=0.0, least=1.5,
                 right="From there on she blocks all single photons and still delivers as many detections as Bob expects.",
                 hint="Set the slider to this mean photon number and look where the curve reaches 100 %.")


def _all_known_km(link, mean):
    low, high = 0.0, 500.0
    for _ in range(40):
        middle = (low + high) / 2
        known = splitting.known_share(mean, over_fibre(link, middle).transmittance) > 1 - 1e-9
        low, high = (low, middle) if known else (middle, high)
    return high


def best_mean(link, answer, km=40.0):
    """Check a mean photon number: whether it gives nearly the best key without decoys at this distance.

    Parameters
    ----------
    link : LinkModel
    answer : float or None
    km : float

    Returns
    -------
    ipywidgets.HTML
    """
    def truth():
        there = over_fibre(link, km)
        rate = ma2005.without_decoys(_MEANS, there.transmittance, background(link), link.misalignment)
        return _MEANS[np.argmax(rate)]

    return check(answer, truth, unit="photons", within=0.3,
                 right="It is about the share of photons that arrive. The key then falls with the square of that share: "
                       "the price of not knowing what Eve did.",
                 hint=f"Drag the slider and watch the curve at {km:g} km: where does it stand highest?")
