"""The second lesson: bases, sifting, and an Eve who intercepts and resends."""

import functools
import math
from typing import NamedTuple

import ipywidgets
import numpy as np
from bokeh.models import Span

from qkdlab.datatypes import DistillSettings, SourceSettings
from qkdlab.palette import ABORT, EXPECTED, PALETTE
from qkdlab.postprocessing.estimate import qber_interval
from qkdlab.postprocessing.sift import same_basis
from qkdlab.simulation import ChannelSettings, DetectorSettings, EveSettings, SimulatedLink, expected_gains, simulate

from ..live import figure_frame, legend_above, named_source
from ..live_figure import LiveFigure
from .parts import BASES, STATES, axis, check, panel, slider, table

__all__ = ["bits_to_be_sure", "exchange", "intercepted", "kept_share", "share_to_abort", "single_photon_link",
           "watch_errors"]

_CHUNK_S, _MOST_CHUNKS = 0.002, 500


class Exchange(NamedTuple):
    """Detections of one run, arrays (n,): what Alice prepared and what Bob found."""

    alice_basis: np.ndarray
    alice_bit: np.ndarray
    bob_basis: np.ndarray
    bob_bit: np.ndarray

    @property
    def kept(self):
        """Where both chose the same basis, bool (n,)."""
        return same_basis(self.alice_basis, self.bob_basis)

    @property
    def wrong(self):
        """Whether the bits differ, of the detections that are kept, bool (k,)."""
        return (self.alice_bit != self.bob_bit)[self.kept]


def single_photon_link(key_basis_probability=0.5, misalignment=0.01, dark_rate_hz=100.0):
    """A short link on which practically every detection comes from a single photon: settings for ``simulate``.

    Parameters
    ----------
    key_basis_probability : float
        Of Alice and of Bob.
    misalignment : float
        Probability that a photon goes to the wrong detector.
    dark_rate_hz : float
        Dark counts of each detector.

    Returns
    -------
    dict of str to settings object
    """
    return {
        "source": SourceSettings(intensities=(0.05,), probabilities=(1.0,), clock_hz=100e6,
                                 key_basis_probability=key_basis_probability),
        "synchronisation": None,                 # no public slots: the simulator tells which slot a click belongs to
        "channel": ChannelSettings(distance_km=10.0, misalignment=misalignment),
        "detectors": DetectorSettings(key_basis_probability=key_basis_probability, dark_rate_hz=dark_rate_hz,
                                      dead_time_ps=0, afterpulse_probability=0.0),
    }


def exchange(link, count, share=0.0, seed=1):
    """Detections of a simulated link, with what Alice had prepared in their slots; only a simulator knows both.

    Parameters
    ----------
    link : dict of str to settings object
        As :func:`qkdlab.simulate` takes it.
    count : int
        How many detections.
    share : float
        Share of the pulses that Eve intercepts.
    seed : int
        The same seed gives the same choices of Alice and of Eve.

    Returns
    -------
    Exchange
        Fewer detections where the link is very dark.
    """
    made = simulate(link, seed)
    made = SimulatedLink(made.source, None, made.channel, made.detectors, made.clock, EveSettings(share), made.receiver,
                         seed=seed, keep_truth=True)
    number = np.zeros(1 + max(made.receiver.channels), np.uint8)
    number[list(made.receiver.channels)] = np.arange(4)
    slots, detectors, have = [], [], 0
    for tags, _ in zip(made.blocks(math.inf, _CHUNK_S), range(_MOST_CHUNKS), strict=False):
        light = made.truth[-1].slot >= 0                  # dark counts have no slot
        slots.append(made.truth[-1].slot[light])
        detectors.append(number[tags.channel[light]])
        have += len(slots[-1])
        if have >= count:
            break
    slot, detector = (np.concatenate(part)[:count] for part in (slots, detectors))
    symbol = made.choices.at(slot)
    return Exchange(symbol >> 1 & 1, symbol & 1, detector >> 1, detector & 1)


def intercepted(link, share=0.0, count=14, seed=3):
    """Detection by detection: what Alice sent, what Bob found, what they keep, with a slider for Eve.

    Parameters
    ----------
    link : dict of str to settings object
    share : float
        Where the slider begins: share of the pulses that Eve intercepts.
    count : int
        Detections shown.
    seed : int
    """
    view = ipywidgets.HTML()

    def draw(eve_percent, first):
        run = exchange(link, count, eve_percent / 100, int(first))
        kept, differ = run.kept, run.alice_bit != run.bob_bit
        view.value = table("What happened to the first detections (nobody but this computer sees all of it)", {
            "Alice sends": [_state(b, x) for b, x in zip(run.alice_basis, run.alice_bit, strict=True)],
            "her basis": [BASES[b] for b in run.alice_basis],
            "Bob's basis": [BASES[b] for b in run.bob_basis],
            "Bob finds": [_state(b, x) for b, x in zip(run.bob_basis, run.bob_bit, strict=True)],
            "kept?": ["yes" if k else '<span style="opacity:.55">no</span>' for k in kept],
            "bits": [_verdict(k, d, x, y) for k, d, x, y in zip(kept, differ, run.alice_bit, run.bob_bit, strict=True)],
        })
        return (f"Of {len(kept)} detections <b>{int(kept.sum())}</b> are kept, and of these "
                f"<b>{int(run.wrong.sum())}</b> {'has' if run.wrong.sum() == 1 else 'have'} different bits.")

    return panel(draw, view, slider("Eve intercepts (%)", 100 * share, 0, 100, 5),
                 slider("another try", seed, 1, 20, 1))


def watch_errors(link, share=0.0, bits=3000, seed=1):
    """The error rate as bit after bit is compared, with a slider for Eve.

    Parameters
    ----------
    link : dict of str to settings object
    share : float
        Where the slider begins: share of the pulses that Eve intercepts.
    bits : int
        Sifted bits to compare.
    seed : int
    """
    abort = 100 * DistillSettings().abort_qber
    source = named_source("compared", "bits", "qber", "low", "high", "expected")
    plot = figure_frame("Error rate (QBER) among the bits compared so far", "QBER (%)", x_axis_type="log",
                        x_label="compared bits", x_range=axis(10, bits), y_range=axis(0, 50))
    plot.height = 260
    band = plot.varea("bits", "low", "high", source=source, fill_color=PALETTE["blue"], fill_alpha=0.2)
    line = plot.line("bits", "qber", source=source, color=PALETTE["blue"], line_width=2.5)
    model = plot.line("bits", "expected", source=source, color=PALETTE["grey"], line_dash=EXPECTED, line_width=2)
    plot.add_layout(Span(location=abort, dimension="width", line_color=ABORT, line_dash="dotted", line_width=2))
    limit = plot.line([0], [0], color=ABORT, line_dash="dotted", line_width=2)
    legend_above(plot, [("measured", [line]), ("95 % interval", [band]), ("expected", [model]),
                        (f"no key above {abort:.0f} %", [limit])])
    live = LiveFigure(plot, label="error rate against the number of compared bits")
    numbers = np.unique(np.geomspace(10, bits, 60).astype(int))

    def draw(eve_percent):
        wrong = np.cumsum(exchange(link, int(2.6 * bits), eve_percent / 100, seed).wrong)
        upto = numbers[numbers <= len(wrong)]
        rate = 100 * np.array([qber_interval(int(wrong[n - 1]), int(n)) for n in upto])
        expected = 100 * expected_qber(link, eve_percent / 100)
        live.data(source, bits=upto, qber=rate[:, 0], low=rate[:, 1], high=rate[:, 2],
                  expected=np.full(len(upto), expected))
        last = rate[-1]
        verdict = "Alice and Bob give up." if last[0] > abort else "They carry on." if last[2] < abort else (
            "Too close to call: they had better compare more bits.")
        return (f"After {upto[-1]:,} bits: <b>{last[0]:.1f} %</b> (95 % sure: {last[1]:.1f} to {last[2]:.1f} %), "
                f"expected {expected:.1f} %. {verdict}")

    return panel(draw, live, slider("Eve intercepts (%)", 100 * share, 0, 100, 1))


def expected_qber(link, share):
    """Error rate of sifted bits by the closed form of the simulation, both bases together."""
    made = simulate(link, seed=0)
    gains = expected_gains(made.source, made.channel, made.detectors, EveSettings(share))
    bases = np.array([made.source.achieved_key_basis_probability, 1 - made.source.achieved_key_basis_probability])
    weight = np.outer(made.source.achieved_probabilities, bases)
    return float((weight * gains.errors).sum() / (weight * gains.clicks).sum())


def _state(basis, bit):
    return f'<span style="font-size:18px">{STATES[int(basis), int(bit)]}</span>'


def _verdict(kept, differ, alice, bob):
    if not kept:
        return '<span style="opacity:.55">&ndash;</span>'
    if differ:
        return f'<b style="color:{PALETTE["vermillion"]}" title="different">{alice}&#8800;{bob}</b>'
    return f"{alice}={bob}"


# ------------------------------------------------------------------------------------------------------------ exercises


def kept_share(answer, key_basis_probability=0.8):
    """Check how many detections (in %) sifting keeps where both prefer the key basis, by simulating it.

    Parameters
    ----------
    answer : float or None
    key_basis_probability : float
        Of Alice and of Bob.

    Returns
    -------
    ipywidgets.HTML
    """
    return check(
        answer, lambda: 100 * exchange(single_photon_link(key_basis_probability), 20_000).kept.mean(), unit="%", least=1.0,
        right="Choosing the bases unevenly saves photons; the rarer basis is then only there to catch Eve.",
        hint="Both choose the key basis with probability p \u00d7 p. In which other case do they agree?")


def share_to_abort(answer, link=None):
    """Check from which share (in %) of intercepted pulses on Alice and Bob give up.

    Parameters
    ----------
    answer : float or None
    link : dict of str to settings object, optional

    Returns
    -------
    ipywidgets.HTML
    """
    link = link or single_photon_link()
    return check(answer, functools.partial(_abort_percent, link), unit="%", least=2.0,
                 right="Below that she is not caught by the abort line alone: the proof shortens the key for what she "
                       "may have learnt.",
                 hint="Drag Eve's slider until the dashed line meets the dotted one.")


def _abort_percent(link):
    """By bisection: the error rate rises with Eve's share."""
    low, high, abort = 0.0, 1.0, DistillSettings().abort_qber
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if expected_qber(link, middle) < abort else (low, middle)
    return 100 * high


def bits_to_be_sure(answer, chance=1e-9):
    """Check how many bits must be compared until an Eve who intercepts all escapes with at most this chance.

    Parameters
    ----------
    answer : float or None
    chance : float
        That not one compared bit is wrong.

    Returns
    -------
    ipywidgets.HTML
    """
    def truth():
        perfect = single_photon_link(misalignment=0.0, dark_rate_hz=0.0)
        perfect["source"] = perfect["source"].replace(intensities=(1e-6,))        # as good as never two photons
        return math.ceil(math.log(chance) / math.log1p(-expected_qber(perfect, 1.0)))

    return check(answer, truth, unit="bits", within=0.0, least=1.5,
                 right="A few dozen bits expose an Eve who takes everything. One who takes little needs far more: that is "
                       "what lesson 5 is about.",
                 hint="One compared bit is right with probability 3/4 although she was there. And n of them?")
