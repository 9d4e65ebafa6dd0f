"""Tutorial on link budgets: fibre, free space and a satellite, from losses in dB to secret bits a second."""

import html
import numbers

import ipywidgets
import numpy as np
from bokeh.models import Range1d, Span

from qkdlab.palette import EXPECTED, PALETTE
from qkdlab.proofs import plob
from qkdlab.proofs.optimise import optimise, rate_curve
from qkdlab.proofs.satellite import optimise_pass
from qkdlab.simulation import LinkModel
from qkdlab.simulation.free_space import beam_loss_db, satellite_pass

from ..live import figure_frame, legend_above, named_source
from ..live_figure import LiveFigure
from .parts import exercise, feedback, panel, slider

__all__ = ["budget", "fibre", "free_space", "key_rate_hz", "longest_fibre", "pass_key", "receiver", "satellite",
           "smallest_telescope", "station"]

CLOCK_HZ = 1e8
_DECADES = [10**power for power in (0, 2, 4, 6, 8)]
_MINUTES = 10.0
_SECONDS = 60 * _MINUTES         # of a block


def receiver(efficiency=0.2, dark_hz=300.0, gate_ps=1000.0, misalignment=0.01):
    """Bob's station as a :class:`~qkdlab.simulation.LinkModel` without any loss on the way.

    Parameters
    ----------
    efficiency : float
        Of his detectors.
    dark_hz : float
        Dark and background counts of each of them.
    gate_ps : float
        How long they count in each clock period.
    misalignment : float
    """
    return LinkModel(efficiency, dark_hz * gate_ps * 1e-12, misalignment)


def key_rate_hz(loss_db, station, clock_hz=CLOCK_HZ, seconds=_SECONDS):
    """Secret bits per second over a loss, with the best settings for a block of so many seconds.

    Parameters
    ----------
    loss_db : float
        Between Alice and Bob's station.
    station : LinkModel
    clock_hz, seconds : float
    """
    return optimise(station.over(loss_db), n_pulses=clock_hz * seconds).rate_per_pulse * clock_hz


def budget(parts, station=None, clock_hz=CLOCK_HZ):
    """Add up the losses of a link and say what is left of the light, and of the key.

    Parameters
    ----------
    parts : dict of str to float
        Name of each part to its loss in dB.
    station : LinkModel, optional
        Absent: that of :func:`receiver`.
    clock_hz : float

    Returns
    -------
    ipywidgets.HTML
    """
    station = receiver() if station is None else station
    if not isinstance(parts, dict):
        return feedback('A budget is written {"my fibre": 12.0, "a connector": 0.5}: names, and losses in dB.', False)
    wrong = [name for name, loss in parts.items()
             if isinstance(loss, bool) or not isinstance(loss, numbers.Real) or not 0 <= loss < 1000]
    if wrong:
        return feedback(f"The loss of '{wrong[0]}' should be a number of dB from 0 on.", False)
    total, rows = sum(parts.values()), []
    for name, loss in parts.items():
        rows.append(_row(html.escape(str(name)), f"{loss:.1f} dB", f"1 photon in {10 ** (loss / 10):,.3g}"))
    rows.append(_row("<b>in all</b>", f"<b>{total:.1f} dB</b>", f"<b>1 photon in {10 ** (total / 10):,.3g}</b>"))
    rate, ceiling = key_rate_hz(total, station, clock_hz), float(plob.capacity(10 ** (-total / 10))) * clock_hz
    rows.append(_row("Bob's detectors", f"{-10 * np.log10(station.transmittance):.1f} dB",
                     f"{100 * station.transmittance:.3g} % of what arrives; {station.dark_probability * 1e6:.2g} dark "
                     "counts in a million gates"))
    words = (f"<b>{_rate(rate)}</b> with blocks of {_MINUTES:g} minutes and the best settings. " + (
        f"No line with this loss can give more than {_rate(ceiling)}, whatever the protocol." if total else
        "Nothing is lost on the way: there is no ceiling."))
    return ipywidgets.HTML(f'<table style="line-height:1.6">{"".join(rows)}</table><p>{words}</p>')


def _row(*cells):
    left = '<td style="text-align:left;padding:1px 14px 1px 0">'
    return "<tr>" + "".join(f"{left}{cell}</td>" for cell in cells) + "</tr>"


def _rate(rate_hz):
    if not 0 < rate_hz < np.inf:
        return "without limit" if rate_hz else "no key"
    scale, prefix = next(((s, p) for s, p in ((1e9, "G"), (1e6, "M"), (1e3, "k")) if rate_hz >= s), (1, ""))
    return f"{rate_hz / scale:.3g} {prefix}bit/s"


# ------------------------------------------------------------------------------------------------------- fibre


def fibre(distance_km=80.0, attenuation_db_per_km=0.2, clock_hz=CLOCK_HZ):
    """Key against the length of a fibre, below the ceiling of all protocols, with sliders for Bob's detectors.

    Parameters
    ----------
    distance_km : float
        Where the slider begins.
    attenuation_db_per_km : float
    clock_hz : float
    """
    kilometres = np.linspace(0, 300, 61)
    source = named_source("budget_fibre", "km", "key", "ceiling")
    plot = figure_frame("Key through a fibre", "secret bits / s", x_label="length of the fibre (km)", y_axis_type="log",
                        y_range=Range1d(1, 1e9), x_range=Range1d(0, 300))
    plot.height = 250
    legend_above(plot, [
        ("decoy-state BB84", [plot.line("km", "key", source=source, color=PALETTE["blue"], line_width=2.5)]),
        ("ceiling of all protocols (PLOB)", [plot.line("km", "ceiling", source=source, color=PALETTE["grey"], line_width=2,
                                                       line_dash=EXPECTED)])])
    plot.yaxis.ticker = _DECADES
    here = Span(location=0, dimension="height", line_color=PALETTE["green"], line_width=2)
    plot.add_layout(here)
    live = LiveFigure(plot, label="secret bits per second against the length of the fibre")

    def draw(km, percent, dark_hz):
        station = receiver(percent / 100, dark_hz)
        curve = rate_curve(station, kilometres[::2] * attenuation_db_per_km, n_pulses=clock_hz * _SECONDS)
        key = _above_zero(curve.rate_per_pulse[0] * clock_hz)
        eta = 10 ** (-kilometres * attenuation_db_per_km / 10)
        ceiling = np.where(eta < 1, plob.capacity(eta) * clock_hz, np.nan)
        live.data(source, km=kilometres[::2], key=key, ceiling=ceiling[::2])
        live.set(here, location=km)
        rate = key_rate_hz(km * attenuation_db_per_km, station, clock_hz)
        return (f"{km:g} km, {km * attenuation_db_per_km:.1f} dB: <b>{_rate(rate)}</b>, where the ceiling is "
                f"{_rate(float(plob.capacity(10 ** (-km * attenuation_db_per_km / 10))) * clock_hz if km else np.inf)}.")

    return panel(draw, live, slider("fibre (km)", distance_km, 0, 300, 5),
                 slider("efficiency of the detectors (%)", 20, 2, 95, 1, wait=True),
                 slider("dark counts of each (Hz)", 300.0, 1.0, 20_000.0, 1.0, wait=True))


@exercise("km")
def longest_fibre(answer, station, rate_hz=1000.0, attenuation_db_per_km=0.2):
    """Check the longest fibre (within 3 km) that still gives so many secret bits a second."""
    if not 0 <= answer <= 1000:
        return "A length from 0 to 1000 km is expected.", False
    here, beyond = (key_rate_hz(km * attenuation_db_per_km, station) for km in (answer, answer + 3))
    if here >= rate_hz > beyond:
        return f"Yes: {_rate(here)} at {answer:g} km, {_rate(beyond)} at {answer + 3:g} km.", True
    return (f"{_rate(here)} at {answer:g} km: go nearer." if here < rate_hz else
            f"{_rate(here)} at {answer:g} km, and {_rate(beyond)} 3 km further: go further."), False


# -------------------------------------------------------------------------------------------------- free space


def free_space(receiver_cm=20.0, sender_cm=8.0, background_hz=2000.0):
    """Key from telescope to telescope against their distance, with sliders.

    Parameters
    ----------
    receiver_cm, sender_cm : float
        Diameters, where the sliders begin.
    background_hz : float
        Stray light and dark counts of each detector.
    """
    kilometres = np.geomspace(1, 400, 50)
    source = named_source("budget_space", "km", "key")
    plot = figure_frame("Key through the air", "secret bits / s", x_label="distance (km)", x_axis_type="log",
                        y_axis_type="log", y_range=Range1d(1, 1e8), x_range=Range1d(1, 400))
    plot.height = 250
    plot.line("km", "key", source=source, color=PALETTE["blue"], line_width=2.5)
    plot.yaxis.ticker = _DECADES
    live = LiveFigure(plot, label="secret bits per second against the distance of two telescopes")

    def draw(bob_cm, alice_cm, stray_hz, air_db_per_km):
        station = receiver(0.5, stray_hz)
        loss = beam_loss_db(kilometres, sender_cm=alice_cm, receiver_cm=bob_cm, pointing_urad=3.0,
                            air_db=air_db_per_km * kilometres)
        curve = rate_curve(station, loss, n_pulses=CLOCK_HZ * _SECONDS)
        live.data(source, km=kilometres, key=_above_zero(curve.rate_per_pulse[0] * CLOCK_HZ))
        reach = kilometres[curve.length[0] > 0]
        at_ten = np.interp(10, kilometres, loss)
        return (f"At 10 km {at_ten:.1f} dB are lost. A key is had up to <b>{reach.max():.0f} km</b>." if len(reach) else
                f"At 10 km {at_ten:.1f} dB are lost, and no distance gives a key.")

    return panel(draw, live, slider("Bob's telescope (cm)", receiver_cm, 2, 150, 1, wait=True),
                 slider("Alice's telescope (cm)", sender_cm, 1, 40, 1, wait=True),
                 slider("stray light in each detector (Hz)", background_hz, 100, 200_000, 100, wait=True),
                 slider("haze (dB/km)", 0.1, 0.0, 2.0, 0.05, wait=True))


@exercise("cm")
def smallest_telescope(answer, distance_km=30.0, sender_cm=4.0, rate_hz=1000.0, background_hz=2000.0, haze_db_per_km=0.7):
    """Check the smallest receiving telescope (within 15 %) that gives so many secret bits a second over this distance."""
    if not 0.1 <= answer <= 1000:
        return "A diameter from 0.1 to 1000 cm is expected.", False
    rates = [key_rate_hz(beam_loss_db(distance_km, sender_cm=sender_cm, receiver_cm=cm, pointing_urad=3.0,
                                      air_db=haze_db_per_km * distance_km), receiver(0.5, background_hz))
             for cm in (answer, 0.85 * answer)]
    if rates[0] >= rate_hz > rates[1]:
        return f"Yes: {_rate(rates[0])} with {answer:g} cm, {_rate(rates[1])} with 15 % less.", True
    return (f"{_rate(rates[0])} with {answer:g} cm: take a larger one." if rates[0] < rate_hz else
            f"{_rate(rates[0])} with {answer:g} cm, but a smaller one of {0.85 * answer:.3g} cm would do."), False


# ---------------------------------------------------------------------------------------------------- satellite


def station(background_hz=1000.0):
    """A ground station: detectors of 50 %, optics of 3 dB, a gate of 1 ns."""
    return receiver(0.25, background_hz)


def satellite(altitude_km=500.0, receiver_cm=60.0, background_hz=8000.0):
    """One pass of a satellite: the loss from second to second, the seconds worth using, the key; with sliders.

    Parameters
    ----------
    altitude_km, receiver_cm, background_hz : float
        Where the sliders begin.
    """
    source = named_source("budget_pass", "t", "loss", "used")
    plot = figure_frame("A pass over the ground station", "loss (dB)", x_label="time from the highest point (s)",
                        frame=((-200, 200), (10, 40)))
    legend_above(plot, [
        ("loss", [plot.line("t", "loss", source=source, color=PALETTE["grey"], line_width=2, line_dash=EXPECTED)]),
        ("seconds that make key", [plot.line("t", "used", source=source, color=PALETTE["green"], line_width=5)])])
    live = LiveFigure(plot, label="loss against time during a satellite's pass")

    def draw(altitude, highest, cm, stray_hz):
        best, over = _pass(altitude, highest, cm, stray_hz)
        live.data(source, t=over.time_s, loss=over.loss_db, used=np.where(best.used, over.loss_db, np.nan))
        seconds = float(over.time_s[-1] - over.time_s[0])
        if not best.optimum.length:
            return f"{seconds:.0f} s above 15\u00b0, at best {over.loss_db.min():.1f} dB: <b>no key</b> from one pass."
        return (f"{seconds:.0f} s above 15\u00b0, at best {over.loss_db.min():.1f} dB. <b>{best.optimum.length:,} secret "
                f"bits</b> from the {100 * best.used.mean():.0f} % of the pass that are worth using; signal \u03bc = "
                f"{best.optimum.intensities[0]:.2f}.")

    return panel(draw, live, slider("altitude (km)", altitude_km, 300, 2000, 20, wait=True),
                 slider("highest elevation (degrees)", 70, 20, 90, 1, wait=True),
                 slider("telescope on the ground (cm)", receiver_cm, 20, 200, 5, wait=True),
                 slider("stray light in each detector (Hz)", background_hz, 100, 50_000, 100, wait=True))


def _pass(altitude_km, highest_deg, receiver_cm, background_hz, step_s=4.0):
    over = satellite_pass(altitude_km, highest_deg=highest_deg, step_s=step_s, sender_cm=10.0, receiver_cm=receiver_cm,
                          pointing_urad=3.0)
    return optimise_pass(station(background_hz), 10 ** (-over.loss_db / 10), CLOCK_HZ * step_s), over


@exercise("cm")
def pass_key(answer, bits=1_000_000, altitude_km=500.0, highest_deg=40.0, background_hz=1000.0):
    """Check the smallest telescope on the ground (within 10 %) that gets so many secret bits from one low pass."""
    if not 1 <= answer <= 1000:
        return "A diameter from 1 to 1000 cm is expected.", False
    got, less = (_pass(altitude_km, highest_deg, cm, background_hz)[0].optimum.length for cm in (answer, 0.9 * answer))
    if got >= bits > less:
        return f"Yes: {got:,} bits with {answer:g} cm, {less:,} with 10 % less.", True
    return (f"{got:,} bits with {answer:g} cm: take a larger one." if got < bits else
            f"{got:,} bits with {answer:g} cm, but {0.9 * answer:.3g} cm would do."), False


def _above_zero(values):
    return np.where(values > 0, values, np.nan)
