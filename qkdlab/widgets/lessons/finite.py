"""The fifth lesson: what it costs to be sure when a block is finite."""

import functools

import numpy as np

from qkdlab import proofs
from qkdlab.errors import BadInput
from qkdlab.palette import EXPECTED, PALETTE
from qkdlab.proofs import sampling
from qkdlab.proofs.photons import binary_entropy
from qkdlab.simulation import expected_counts

from ..live import figure_frame, legend_above, named_source
from ..live_figure import LiveFigure
from .parts import axis, check, exercise, pair, panel, slider
from .weak_pulses import over_fibre

__all__ = ["block_bound", "block_sizes", "guess_from_sample", "one_long_block", "price_of_safety", "smallest_block"]

ENDLESS = 1e15                       # pulses: what is left of the statistics is below the line's width
_BLOCKS = np.geomspace(1e6, 1e13, 43)
_EPS_COR = 1e-15


def block_bound(link, source, n_pulses, km=50.0, eps_sec=1e-9):
    """What the analysis says of the counts that a block of this size is expected to give.

    Parameters
    ----------
    link : LinkModel
        Without the fibre.
    source : SourceSettings
    n_pulses : float
        Pulses in the block.
    km : float
        Length of the fibre.
    eps_sec : float
        Secrecy failure probability.

    Returns
    -------
    qkdlab.datatypes.Bound
    """
    counts = expected_counts([over_fibre(link, km)], [1.0], source.intensities, source.probabilities,
                             source.key_basis_probability, n_pulses)
    return proofs.bound(counts, source, eps_sec=eps_sec, eps_cor=_EPS_COR, f_ec=1.16)


def spending(bound):
    """Where the sifted bits of a block go, each as a share of them.

    Parameters
    ----------
    bound : qkdlab.datatypes.Bound

    Returns
    -------
    dict of str to float
        The costs, and the key last; they add up to 1 where there is a key, and to more where there is none.
    """
    n = max(bound.details["n_key"], 1)
    several = n - bound.s1 - bound.details["vacuum_bits"]
    unknown = 0.5 if bound.phase_error is None else min(bound.phase_error, 0.5)
    phase = bound.s1 * float(binary_entropy(unknown))
    hashing = bound.details["pa_bits"] + bound.details["cor_bits"]
    return {"many photons?": several / n, "phase error": phase / n, "correction": bound.leak_bits / n,
            "hashing": hashing / n, "KEY": bound.length / n}


def block_sizes(link, source, km=50.0):
    """Key against the size of the block, and where the sifted bits go; sliders for block, safety and fibre.

    Parameters
    ----------
    link : LinkModel
        Without the fibre.
    source : SourceSettings
    km : float
        Length of the fibre where the slider begins.
    """
    curve, point = named_source("block_sizes", "pulses", "rate", "endless"), named_source("block_here", "pulses", "rate")
    left = figure_frame("Key against block size", "secret bits / 10\u2076 pulses", x_label="pulses in the block",
                        x_axis_type="log", x_range=axis(_BLOCKS[0], _BLOCKS[-1]))
    endless = left.line("pulses", "endless", source=curve, color=PALETTE["grey"], line_dash=EXPECTED, line_width=2)
    line = left.line("pulses", "rate", source=curve, color=PALETTE["green"], line_width=2.5)
    left.scatter("pulses", "rate", source=point, color=PALETTE["green"], marker="circle", size=11)
    legend_above(left, [("this block", [line]), ("an endless one", [endless])])
    names = list(spending(block_bound(link, source, ENDLESS, km)))
    bars = named_source("spending", "row", "here", "upper", "endless", "lower")
    right = figure_frame("Where the sifted bits go", "", x_label="share of the sifted bits (%)", x_range=axis(0, 100),
                         y_range=axis(-0.6, 4.6))
    here = right.hbar(y="upper", height=0.36, right="here", source=bars, color=PALETTE["green"], fill_alpha=0.85)
    there = right.hbar(y="lower", height=0.36, right="endless", source=bars, color=PALETTE["grey"], fill_alpha=0.35,
                       hatch_pattern="right_diagonal_line", hatch_color=PALETTE["grey"])
    rows = np.arange(4, -1, -1)
    right.yaxis.ticker = list(range(5))
    right.yaxis.major_label_overrides = {int(r): name for r, name in zip(rows, names, strict=True)}
    right.min_border_left = 100
    legend_above(right, [("this block", [here]), ("an endless one", [there])])
    for plot in (left, right):
        plot.height = 260
    live = LiveFigure(pair(left, right), label="key against block size, and where the sifted bits go")

    def draw(block, eps_sec, length):
        rates = [1e6 * block_bound(link, source, float(n), length, eps_sec).length / n for n in _BLOCKS]
        ideal, now = block_bound(link, source, ENDLESS, length, eps_sec), block_bound(link, source, block, length, eps_sec)
        live.data(curve, pulses=_BLOCKS, rate=rates, endless=np.full(len(_BLOCKS), 1e6 * ideal.length / ENDLESS))
        live.data(point, pulses=[block], rate=[1e6 * now.length / block])
        live.data(bars, row=rows, upper=rows + 0.19, lower=rows - 0.19,
                  here=[100 * min(v, 1.0) for v in spending(now).values()],
                  endless=[100 * min(v, 1.0) for v in spending(ideal).values()])
        phase = "unknown" if now.phase_error is None else f"{100 * now.phase_error:.2f} %"
        result = f"<b>{now.length:,} secret bits</b>" if now.length else "<b>no key</b>"
        return (f"{now.details['n_key']:,} sifted bits, at least {now.s1:,.0f} of them from single photons, phase "
                f"error at most {phase}: {result}.")

    return panel(draw, live, slider("pulses in the block", 1e9, 6, 13, 0.1, readout=".2g", log=True),
                 slider("may fail with \u03b5 =", 1e-9, -15, -3, 1, readout=".0e", log=True),
                 slider("fibre (km)", km, 0, 150, 1))


def guess_from_sample(rate=0.02, eps=1e-10):
    """How far the error rate of bits that nobody looked at may lie above that of a sample, against the sample's size.

    Parameters
    ----------
    rate : float
        Error rate of the sample where the slider begins.
    eps : float
        The bound fails with the square of it at most.
    """
    source = named_source("sample", "tested", "serfling", "exact", "seen")
    plot = figure_frame("What a sample says of the rest", "error rate (%)", x_label="tested bits (of twice as many)",
                        x_axis_type="log", x_range=axis(100, 1e7), y_range=axis(0, 30))
    plot.height = 260
    quick = plot.line("tested", "serfling", source=source, color=PALETTE["vermillion"], line_dash="dashed", line_width=2.5)
    exact = plot.line("tested", "exact", source=source, color=PALETTE["blue"], line_width=2.5)
    seen = plot.line("tested", "seen", source=source, color=PALETTE["grey"], line_dash="dotted", line_width=2)
    legend_above(plot, [("at most (Serfling's formula)", [quick]), ("at most (exact)", [exact]), ("in the sample", [seen])])
    live = LiveFigure(plot, label="bounds of an error rate against the size of the sample")
    tested = np.geomspace(100, 1e7, 41).round()

    def draw(percent):
        errors = np.round(percent / 100 * tested)
        serfling = 100 * np.minimum(sampling.serfling(errors, tested, tested, eps), 1.0)
        exact_rate = [100 * sampling.hypergeometric(e, n, n, eps) for e, n in zip(errors, tested, strict=True)]
        live.data(source, tested=tested, serfling=serfling, exact=exact_rate, seen=100 * errors / tested)
        return (f"{percent:.1f} % of 1,000 tested bits are wrong: of the next 1,000 it may be <b>"
                f"{exact_rate[8]:.1f} %</b>. With a million: {exact_rate[32]:.2f} %.")

    return panel(draw, live, slider("errors in the sample (%)", 100 * rate, 0, 10, 0.1))


# ------------------------------------------------------------------------------------------------------------ exercises


@exercise("pulses")
def smallest_block(link, source, answer, km=50.0):
    """Check a number of pulses that gives a key, and of which a tenth does not.

    Parameters
    ----------
    link : LinkModel
        Without the fibre.
    source : SourceSettings
    answer : float or None
    km : float

    Returns
    -------
    ipywidgets.HTML
    """
    if not 10 <= answer <= ENDLESS:
        return "Between 10 and 1e15 pulses, please.", False
    whole, tenth = (block_bound(link, source, float(n), km).length for n in (answer, answer / 10))
    if whole and not tenth:
        return f"Yes: {answer:.3g} pulses give {whole:,} secret bits, {answer / 10:.3g} pulses give none.", True
    return (f"{answer:.3g} pulses give no key yet: a larger block is needed." if not whole else
            f"{answer:.3g} pulses give {whole:,} secret bits, but a tenth of them still gives {tenth:,}: go smaller."), False


def price_of_safety(link, source, answer, n_pulses=1e9, km=50.0):
    """Check how much of the key (in %) it costs to fail a million times less often.

    Parameters
    ----------
    link : LinkModel
        Without the fibre.
    source : SourceSettings
    answer : float or None
    n_pulses, km : float

    Returns
    -------
    ipywidgets.HTML
    """
    def truth():
        usual, safer = (block_bound(link, source, n_pulses, km, eps).length for eps in (1e-9, 1e-15))
        return 100 * (1 - safer / usual)

    return check(answer, truth, unit="%", within=0.15, least=0.5,
                 right="Certainty is cheap: the cost goes with the square root of the logarithm of \u03b5.",
                 hint=f"Set the block to {n_pulses:.0e} pulses and read the secret bits at \u03b5 = 1e-9 and at 1e-15.")


def one_long_block(link, source, answer, n_pulses=1e8, blocks=10, km=50.0):
    """Check how many times the key of one long block is that of many short ones.

    Parameters
    ----------
    link : LinkModel
        Without the fibre.
    source : SourceSettings
    answer : float or None
    n_pulses : float
        Pulses of a short block.
    blocks : int
        As many short ones as the long one holds.
    km : float

    Returns
    -------
    ipywidgets.HTML
    """
    return check(answer, functools.partial(_gain_of_waiting, link, source, n_pulses, blocks, km), unit="times", within=0.1,
                 right="Waiting pays, until the blocks are so long that the curve is flat.",
                 hint=f"Read the secret bits of {n_pulses:.0e} pulses and of {blocks * n_pulses:.0e}. Ten short blocks give "
                      "ten times the former.")


def _gain_of_waiting(link, source, n_pulses, blocks, km):
    short, long = (block_bound(link, source, n, km).length for n in (n_pulses, blocks * n_pulses))
    if not short:
        raise BadInput("gives no key: there is nothing to compare", field="n_pulses", value=n_pulses)
    return long / (blocks * short)
