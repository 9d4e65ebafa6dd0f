"""Tutorial on Cascade: a small key corrected question by question, and what long keys cost."""

import html
from dataclasses import dataclass

import ipywidgets
import numpy as np
from bokeh.models import Range1d

import qkdlab
from qkdlab import Bits
from qkdlab.palette import EXPECTED, PALETTE
from qkdlab.postprocessing.reconcile import Corrector, Reference, expected_efficiency
from qkdlab.proofs.photons import binary_entropy

from ..live import figure_frame, legend_above, named_source
from ..live_figure import LiveFigure
from .parts import WIDTH, exercise, panel, slider

__all__ = ["Round", "costs", "hidden_errors", "said_aloud", "small_key", "steps", "trace", "worth_it"]

_ROW = 16                        # bits in a row of the picture

_STYLE = f"""<style>
.qk-key {{ display: grid; grid-template-columns: repeat({_ROW}, 30px); gap: 3px; font: 15px/26px ui-monospace, monospace; }}
.qk-key span {{ text-align: center; border-radius: 4px; border: 2px solid transparent; box-sizing: border-box;
  color: var(--jp-ui-font-color2, #555); background: var(--jp-layout-color2, #eee); height: 30px; }}
.qk-key .qk-asked {{ color: var(--jp-ui-font-color0, #000); font-weight: 600; border-color: {PALETTE["green"]}; }}
.qk-key .qk-other {{ background: var(--jp-layout-color3, #ddd); }}
.qk-key .qk-odd {{ border-color: {PALETTE["vermillion"]}; border-style: dashed; }}
.qk-key .qk-mended {{ color: #fff; background: {PALETTE["blue"]}; }}
.qk-key .qk-wrong {{ text-decoration: underline wavy {PALETTE["vermillion"]}; }}
</style>"""


@dataclass(frozen=True, slots=True)
class Round:
    """One question of Bob and one answer of Alice."""

    members: np.ndarray          # bool (questions, n): the bits whose parity is asked
    odd: np.ndarray              # bool (questions,): where Bob's parity differs from Alice's
    bits: np.ndarray             # uint8 (n,): Bob's bits after the round
    leak_bits: int               # said by Alice so far


def small_key(n=128, errors=7, seed=4):
    """A key of Alice and what Bob has of it: drawn for the lesson, and good for nothing else.

    Returns
    -------
    (Bits, Bits)
    """
    rng = np.random.default_rng(seed)
    alice = rng.integers(0, 2, n, dtype=np.uint8)
    bob = alice.copy()
    bob[rng.choice(n, errors, replace=False)] ^= 1
    return Bits.from_numpy(alice), Bits.from_numpy(bob)


def trace(alice, bob, qber, seed=1):
    """The dialogue of the library's two parties over a short key, with the bits that each parity is about.

    Which bits those are is found by listening alone: parities are linear, so an Alice whose key is 1 in one place only
    answers 1 exactly where a question covers that place.

    Parameters
    ----------
    alice, bob : Bits
        Some hundred bits at most.
    qber : float
    seed : int

    Returns
    -------
    list of Round
    """
    n, rounds = len(alice), []
    corrector = Corrector(bob, qber, seed=seed)
    keys = [alice, *(Bits.from_numpy(row) for row in np.eye(n, dtype=np.uint8))]
    references = [Reference(key, qber, seed=seed) for key in keys]
    while (question := corrector.ask()) is not None:
        answers = [reference.answer(question) for reference in references]
        count = answers[0][1]
        if not count:
            break
        said = np.array([np.unpackbits(np.frombuffer(a, np.uint8), count=count, bitorder="little") for a, _ in answers])
        members, before = said[1:].T.astype(bool), corrector.bits.to_numpy()
        corrector.hear(answers[0][0])
        mine = (members & before.astype(bool)).sum(axis=1) & 1
        rounds.append(Round(members, mine != said[0], corrector.bits.to_numpy(), corrector.leak_bits))
    return rounds


def steps(alice, bob, qber, seed=1):
    """The dialogue as an animation: *next step* shows the next question, its answer and what Bob mends.

    Parameters are those of :func:`trace`.

    Returns
    -------
    ipywidgets.VBox
        Buttons, words, the key, the leak.
    """
    return _Steps(alice, bob, qber, seed).page


class _Steps:
    """Where the animation stands, and its page."""

    def __init__(self, alice, bob, qber, seed):
        self._alice, self._bob, self._rounds = alice.to_numpy(), bob.to_numpy(), trace(alice, bob, qber, seed)
        self._at = 0
        self._words, self._key = ipywidgets.HTML(), ipywidgets.HTML()
        self._next, self._back, self._end, again = (_button(*about) for about in (
            ("Next step", "primary", "step-forward"), ("Back", "", "step-backward"), ("To the end", "", "fast-forward"),
            ("Start again", "", "refresh")))
        self._truth = ipywidgets.Checkbox(value=False, indent=False, description="show the errors (nobody knows them)")
        self._source = named_source("cascade_leak", "round", "leak")
        self._live = self._figure(len(alice), qber)
        for button, where in ((self._next, lambda: self._at + 1), (self._back, lambda: self._at - 1),
                              (self._end, lambda: len(self._rounds)), (again, lambda: 0)):
            button.on_click(lambda _, where=where: self._go(where()))
        self._truth.observe(lambda _: self._go(self._at), "value")
        buttons = ipywidgets.HBox([self._next, self._back, self._end, again, self._truth])
        buttons.layout.flex_flow = "row wrap"
        self.page = ipywidgets.VBox([buttons, self._words, self._key, self._live],
                                    layout=ipywidgets.Layout(max_width=WIDTH))
        self._go(0)

    def _figure(self, n, qber):
        plot = figure_frame("What was said aloud", "parities (bits)", x_label="round",
                            frame=((0, len(self._rounds)), (0, n)))
        whole = plot.line([0, len(self._rounds)], [n, n], color=PALETTE["vermillion"], line_dash="dashed", line_width=2)
        lines = plot.step("round", "leak", source=self._source, color=PALETTE["blue"], line_width=2.5, mode="after")
        legend_above(plot, [("said so far", [lines]), (f"all {n} bits of the key", [whole])])
        return LiveFigure(plot, label="parities said aloud against the round")

    def _go(self, at):
        self._at = min(max(at, 0), len(self._rounds))
        self._next.disabled = self._end.disabled = self._at == len(self._rounds)
        self._back.disabled = not self._at
        told = [0, *(r.leak_bits for r in self._rounds[: self._at])]
        self._live.data(self._source, round=np.arange(len(told)), leak=told)
        self._words.value = (f'<div role="status" style="font-size:14px;line-height:1.45;min-height:41px">'
                             f"{self._said()}</div>")
        self._key.value = _STYLE + self._picture()

    def _said(self):
        if not self._at:
            return (f"Bob holds {len(self._bob)} bits; some are wrong, and he does not know which. Press <b>Next step</b>: "
                    "he asks for parities.")
        now = self._rounds[self._at - 1]
        before = self._before()
        mended, size = np.count_nonzero(now.bits != before), now.members.sum(axis=1)
        asked, odd = int((size > 0).sum()), int((now.odd & (size > 0)).sum())
        words = f"Round {self._at} of {len(self._rounds)}. {self._stage(now)}: "
        words += (f"{_several(asked, 'parity', 'parities')} of {_span(size[size > 0])} bits, <b>{odd} odd</b>. "
                  if asked else "only among the zeros that fill the key up to 4,096 places. ")
        words += f"Bob flips {_several(mended, 'bit')}. " if mended else ""
        if self._at == len(self._rounds):
            left = int((now.bits != self._alice).sum())
            words += (f"Nothing is odd any more: {_several(left, 'error')} left. {now.leak_bits} bits were said aloud, of a "
                      f"key of {len(self._bob)}.")
        return words

    def _before(self):
        """Bob's bits before the round that is shown."""
        return self._rounds[self._at - 2].bits if self._at > 1 else self._bob

    def _stage(self, now):
        """What the round is for, as one sees from the bits it asks about."""
        if self._at == 1:
            return "First pass, blocks of neighbours"
        if (now.members.sum(axis=0) == 1).all():
            return "Next pass, all bits shuffled into large blocks"
        if len(now.members) > 10 and now.members.any(axis=0).all():
            return "Last checks, random halves of the key"
        earlier = self._rounds[self._at - 3].bits if self._at > 2 else self._bob
        if (self._before() != earlier).any():
            return "A mended bit has turned other blocks odd: back to those"
        return "Odd blocks are halved, to close in on the error"

    def _picture(self):
        bits = self._rounds[self._at - 1].bits if self._at else self._bob
        asked, odd, other = (np.zeros(len(bits), bool) for _ in range(3))
        if self._at:
            now = self._rounds[self._at - 1]
            asked, odd = now.members.any(axis=0), now.members[now.odd].any(axis=0)
            if now.members.sum(axis=0).max() == 1:             # neighbouring blocks in two shades
                other = now.members[1::2].any(axis=0)
        cells = []
        for i, bit in enumerate(bits):
            classes = [name for name, on in (
                ("qk-asked", asked[i]), ("qk-other", other[i]), ("qk-odd", odd[i]), ("qk-mended", bit != self._bob[i]),
                ("qk-wrong", self._truth.value and bit != self._alice[i])) if on]
            cells.append(f'<span class="{" ".join(classes)}">{bit}</span>')
        legend = "Framed: asked about in this round. Dashed orange: in a block whose parity differs. Blue: mended."
        return (f'<div class="qk-key" role="group" aria-label="the bits that Bob holds">{"".join(cells)}</div>'
                f'<p style="font-size:13px;line-height:1.4;margin:6px 0 0">{html.escape(legend)}</p>')


def _button(text, style, icon):
    button = ipywidgets.Button(description=text, button_style=style, icon=icon, tooltip=text)
    button.add_class("qk-" + text.lower().replace(" ", "-"))
    return button


def _several(number, one, many=None):
    return f"{number} {one if number == 1 else many or one + 's'}"


def _span(sizes):
    return f"{sizes.min()}" if sizes.min() == sizes.max() else f"{sizes.min()} to {sizes.max()}"


# --------------------------------------------------------------------------------------------------- long keys


def costs(n=100_000):
    """Which part of the sifted key error correction and the phase error eat, against the error rate, with a slider.

    Parameters
    ----------
    n : int
        Length of the key where the slider begins.
    """
    rates = np.linspace(0.003, 0.12, 118)
    source = named_source("cascade_costs", "qber", "leak", "limit", "left")
    plot = figure_frame("What errors cost", "bits for each sifted bit", x_label="QBER (%)", y_range=Range1d(0, 1.05),
                        x_range=Range1d(0, 12))
    plot.height = 250
    legend_above(plot, [(name, [plot.line("qber", column, source=source, color=PALETTE[colour], line_dash=dash,
                                          line_width=2.5)])
                        for name, column, colour, dash in (
                            ("said by Cascade", "leak", "vermillion", "solid"),
                            ("Shannon's limit", "limit", "grey", EXPECTED),
                            ("left after both bases' errors", "left", "green", "solid"))])
    live = LiveFigure(plot, label="leak and what is left of a sifted bit against the error rate")

    def draw(bits):
        length = round(bits)
        limit = np.array([float(binary_entropy(q)) for q in rates])
        f = np.array([expected_efficiency(float(q), length) for q in rates])
        left = np.maximum(1 - limit - f * limit, 0)
        live.data(source, qber=100 * rates, leak=f * limit, limit=limit, left=left)
        ends = 100 * rates[np.argmin(left > 0)] if (left == 0).any() else 100 * rates[-1]
        return (f"A key of {length:,} bits: at 3 % Cascade says {np.interp(0.03, rates, f):.3f} times Shannon's limit. "
                f"Nothing is left from {ends:.1f} % on.")

    return panel(draw, live, slider("length of the key (bits)", n, 2.5, 6.0, 0.1, readout=",.0f", log=True))


@exercise("errors")
def hidden_errors(answer, alice, bob, qber, seed=1):
    """Check how many errors the first round of parities cannot see: pairs that share a block."""
    first = trace(alice, bob, qber, seed)[0]
    wrong = (alice ^ bob).to_numpy().astype(bool)
    hidden = int(wrong.sum()) - int(first.odd.sum())
    if answer == hidden:
        return (f"Yes. {int(wrong.sum())} errors make {int(first.odd.sum())} odd blocks: two errors in one block give an "
                f"even parity, and {hidden} stay hidden until another pass shuffles the bits."), True
    return ("Tick 'show the errors', press 'Start again', then 'Next step' once. An odd block shows one error of an odd "
            "number: how many errors do the odd blocks not account for?"), False


@exercise("bits")
def said_aloud(answer, n=100_000, qber=0.03):
    """Check how many bits Alice must say (within 8 %) for a key of `n` bits, by correcting one."""
    alice, bob = _pair(n, qber, 5)
    done = qkdlab.reconcile(alice, bob, qber, seed=7)
    if abs(answer - done.leak_bits) <= 0.08 * done.leak_bits:
        limit = n * float(binary_entropy(qber))
        return (f"Yes: the library corrected {done.corrected:,} errors and said {done.leak_bits:,} parities, "
                f"{done.leak_bits / limit:.3f} times Shannon's limit of {limit:,.0f}."), True
    return f"Not {answer:,.0f}. A hint: a bit that is wrong with probability q is worth h(q) bits of explanation.", False


@exercise("bits")
def worth_it(answer, qber=0.03, factor=1.1):
    """Check a key length from which on the leak is within 10 % of the limit, and a quarter of it is not."""
    if not 64 <= answer <= 1_000_000 or answer != int(answer):
        return "A whole number from 64 to 1,000,000 is expected.", False
    here, shorter = (_mean_efficiency(n, qber) for n in (int(answer), max(int(answer) // 4, 16)))
    if here <= factor < shorter:
        return f"Yes: f = {here:.3f} at {answer:,} bits, but {shorter:.3f} at a quarter of that.", True
    return (f"f = {here:.3f} at {answer:,} bits: longer." if here > factor else
            f"f = {here:.3f} at {answer:,} bits, but a quarter of that is good enough as well ({shorter:.3f}): shorter."
            ), False


def _mean_efficiency(n, qber):
    """Leak over Shannon's limit, mean over as many keys as make 200 000 bits (at most 40)."""
    keys = min(max(200_000 // n, 1), 40)
    leak = [qkdlab.reconcile(*_pair(n, qber, seed), qber, seed=seed).leak_bits for seed in range(keys)]
    return sum(leak) / (keys * n * float(binary_entropy(qber)))


def _pair(n, qber, seed):
    rng = np.random.default_rng(seed)
    alice = rng.integers(0, 2, n, dtype=np.uint8)
    wrong = np.zeros(n, np.uint8)
    wrong[rng.choice(n, max(1, round(qber * n)), replace=False)] = 1
    return Bits.from_numpy(alice), Bits.from_numpy(alice ^ wrong)
