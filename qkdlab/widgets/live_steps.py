"""Live figures of the steps between clicks and key: the clock, Cascade, and what the sifted bits are spent on."""

import math

import numpy as np
from bokeh.models import DataRange1d, FixedTicker, HBar, Label, Line, LinearAxis, Node, Range1d

from qkdlab.palette import EXPECTED, PALETTE
from qkdlab.proofs.photons import binary_entropy

from .live_plot import ROWS, LivePlot, emptied, figure_frame, legend_above, named_source, number, prefixed

__all__ = ["ACCOUNTS", "cascade", "clock", "ledger", "spent"]

# the rows of the ledger, from the sifted key down to the secret one
ACCOUNTS = ("several photons", "phase errors", "parities said", "amplification", "correctness", "secret key")


def clock():
    """How far Bob's clock is off Alice's pulse rate (left), and the jitter of the clicks around the pulses (right)."""
    source = named_source("clock", "t", "offset", "jitter")
    plot = figure_frame("Bob's clock beside Alice's", "offset (ppm)")
    line = plot.add_glyph(source, Line(x="t", y="offset", line_color=PALETTE["blue"], line_width=2))
    jitter = plot.add_glyph(source, Line(x="t", y="jitter", line_color=PALETTE["vermillion"], line_width=2,
                                         line_dash="dashed"))
    jitter.y_range_name = "jitter"
    plot.y_range = DataRange1d(renderers=[line], default_span=0.01)
    plot.extra_y_ranges = {"jitter": Range1d(0, 100)}
    right = LinearAxis(y_range_name="jitter", axis_label="jitter (ps)")
    right.ticker.desired_num_ticks = 5
    plot.add_layout(right, "right")
    legend_above(plot, [("offset", [line]), ("jitter, right axis", [jitter])])
    last, scale = {}, plot.extra_y_ranges["jitter"]

    def update(live, values):
        if "locked" in values:                 # a clock event tells no time: the block event that follows it does
            known = values["locked"]
            last.update(offset=values.get("offset_ppm") if known else None,
                        jitter=values.get("jitter_ps") if known else None)
            if (last["jitter"] or 0) > scale.end:
                live.set(scale, end=_round_up(1.3 * last["jitter"]))
        elif last:
            live.stream(source, ROWS, t=values["time_s"], offset=number(last["offset"]), jitter=number(last["jitter"]))

    def clear(live):
        last.clear()
        emptied(source)(live)
        live.set(scale, end=100)

    return LivePlot(plot, ("clock", "block"), update, clear)


def cascade():
    """Parities that were said aloud while errors are corrected, against the rounds of messages that it took; dashed:
    the fewest that any method needs (Shannon), at the error rate of the test basis and, once the block is corrected, at
    the one that was found."""
    source, limit = named_source("cascade", "rounds", "parities"), named_source("cascade_limit", "rounds", "least")
    plot = figure_frame("Cascade: parities said aloud", "parities (bits)", x_label="rounds of messages",
                        frame=((0, 10), (0, 100)))
    line = plot.add_glyph(source, Line(x="rounds", y="parities", line_color=PALETTE["vermillion"], line_width=2))
    least = plot.add_glyph(limit, Line(x="rounds", y="least", line_color=PALETTE["grey"], line_width=1.5,
                                       line_dash=EXPECTED))
    plot.yaxis.formatter = prefixed()
    plot.y_range.start = 0
    legend_above(plot, [("said so far", [line]), ("least possible", [least])])
    seen = {"rounds": 0, "bits": 0, "least": None}

    def update(live, values):
        if "qber_test" in values:              # a block event, before the correction
            n, q = values["sifted_key_bits"], values["qber_test"]
            seen.update(bits=n, least=n * binary_entropy(q) if q is not None else None)
        elif "rounds" in values:
            if values["rounds"] <= seen["rounds"]:               # another block
                live.data(source, rounds=[], parities=[])
            seen["rounds"] = values["rounds"]
            live.stream(source, ROWS, rounds=values["rounds"], parities=values["leak_bits"])
            if seen["least"] is not None:
                live.data(limit, rounds=[0, values["rounds"]], least=[seen["least"]] * 2)
        elif values.get("qber_key") is not None and seen["rounds"]:
            live.data(limit, rounds=[0, seen["rounds"]], least=[seen["bits"] * binary_entropy(values["qber_key"])] * 2)

    def clear(live):
        seen.update(rounds=0, bits=0, least=None)
        emptied(source, limit)(live)

    return LivePlot(plot, ("block", "reconcile", "amplify"), update, clear)


def spent(values):
    """Where the sifted bits go, as the bound accounts for them.

    Parameters
    ----------
    values : dict
        ``sifted_key_bits``, ``s1``, ``phase_error``, ``leak_bits``, ``pa_bits``, ``cor_bits``, ``signed_length``.

    Returns
    -------
    list of float, or None where the proof has no number to account with
        Bits of each of :data:`ACCOUNTS`; the key's may be negative. They add up to the sifted bits.
    """
    n, s1, phase, key = (values.get(k) for k in ("sifted_key_bits", "s1", "phase_error", "signed_length"))
    if not n or s1 is None or phase is None or key is None:
        return None
    leak, correctness = values.get("leak_bits") or 0.0, values.get("cor_bits") or 0.0
    phase_cost = s1 * binary_entropy(min(phase, 0.5))
    # What is left over is what the finite-size terms of privacy amplification cost; counts of vacuum may add to it.
    return [n - s1, phase_cost, leak, s1 - phase_cost - leak - correctness - key, correctness, key]


def ledger():
    """What the sifted bits are spent on, one row each, from the full bar down to the key that is left."""
    paid, left = (named_source(name, "row", "from", "to") for name in ("ledger", "ledger_key"))
    count = len(ACCOUNTS)
    plot = figure_frame("What the sifted bits become", None, x_label="share of the sifted key (%)",
                        x_range=Range1d(0, 140), y_range=Range1d(count - 0.5, -0.5))
    plot.min_border_left = 100
    plot.yaxis.ticker = FixedTicker(ticks=list(range(count)))
    plot.yaxis.major_label_overrides = dict(enumerate(ACCOUNTS))
    plot.ygrid.visible = False
    plot.xaxis.ticker = FixedTicker(ticks=[0, 25, 50, 75, 100])
    for source, colour in ((paid, PALETTE["orange"]), (left, PALETTE["green"])):
        plot.add_glyph(source, HBar(y="row", left="from", right="to", height=0.72, fill_color=colour, line_color=colour))
    edge = Node(target="frame", symbol="right", offset=-4)
    numbers = [Label(x=edge, y=row, y_units="data", anchor="center_right", text="", name=f"ledger_{row}",
                     text_font_size="12px", background_fill_alpha=0) for row in range(count)]
    for label in numbers:
        plot.add_layout(label)

    def update(live, values):
        if "report" in values:
            values = _of_report(values["report"])
        bits = spent(values) if values else None
        if bits is None:
            return
        ends = np.clip(100 * (1 - np.cumsum([0, *bits[:-1]]) / sum(bits)), 0, 100)   # where each row's bar ends, right
        live.data(paid, **{"row": np.arange(count - 1), "from": ends[1:], "to": ends[:-1]})
        live.data(left, **{"row": [count - 1], "from": [0], "to": [max(0.0, 100 * bits[-1] / sum(bits))]})
        for label, amount in zip(numbers, bits, strict=True):
            text = _bits(amount)
            if label.text != text:
                live.set(label, text=text)

    def clear(live):
        emptied(paid, left)(live)
        for label in numbers:
            live.set(label, text="")

    return LivePlot(plot, ("block", "end"), update, clear)


def _of_report(report):
    """The values of `spent` of the last block that a report tells of; None where it was not corrected."""
    blocks, entries = report.get("blocks"), report.get("ledger", {}).get("blocks")
    if not blocks or not entries or not blocks[-1].get("reconciliation"):
        return None
    bound, costs = blocks[-1]["bound"], entries[-1]["costs"]
    return {"sifted_key_bits": blocks[-1].get("sifted_key_bits"), **costs,
            **{name: bound[name] for name in ("s1", "phase_error", "signed_length")}}


def _bits(amount):
    """A number of bits in few characters: 27.2 k."""
    for scale, prefix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(amount) >= scale:
            return f"{amount / scale:.3g}{prefix}".replace("-", "\u2212")
    return f"{amount:.0f}".replace("-", "\u2212")


def _round_up(value):
    """1, 2 or 5 times a power of ten, not below this."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= value)
