"""The numbers on top of a workbench: what the last events said, as cards, a status line and a fraction done."""

import html
from collections import deque

import numpy as np

from .logbook import amount, si

__all__ = ["STYLE", "Readout", "first_key_bits"]

_HELP = {                # what a card tells, shown where the mouse rests
    "key": "Bits that only Alice and Bob know", "first": "Link time until there are enough detections for a key",
    "made": "Secret bits of the blocks that have ended",
    "qber": "Quantum bit error rate: how often Bob's bit differs from Alice's", "rate": "Clicks of all detectors together",
    "sifted": "Bits of pulses for which both chose the key basis: the raw material of the key",
    "clock": "Whether Alice's pulses were found in Bob's clicks; how far his clock is off; spread of the clicks",
}
POINTS = 60            # stretches that the countdown looks back on

STYLE = """<style>
.qk-bench { font-family: var(--jp-ui-font-family, system-ui, sans-serif); color: var(--jp-ui-font-color1, #212121); }
.qk-cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(172px, 1fr)); gap: 6px; }
.qk-card { border: 1px solid var(--jp-border-color2, #ccc); border-left: 4px solid var(--qk-mark, #808080);
  border-radius: 4px; padding: 3px 8px 4px; background: var(--jp-layout-color1, #fff); min-height: 64px;
  line-height: 1.25; box-sizing: border-box; }
.qk-card.qk-good { --qk-mark: #009E73; } .qk-card.qk-alarm { --qk-mark: #D55E00; }
.qk-card .qk-name { font-size: 12px; color: var(--jp-ui-font-color2, #555); }
.qk-card .qk-number { font-size: 19px; font-weight: 600; font-variant-numeric: tabular-nums; white-space: nowrap; }
.qk-card .qk-small { font-size: 12px; color: var(--jp-ui-font-color2, #555); font-variant-numeric: tabular-nums; }
.qk-status { font-size: 13px; line-height: 1.3; min-height: 17px; }
.qk-log { height: 134px; overflow-y: auto; font-size: 12.5px; line-height: 1.45; box-sizing: border-box;
  border: 1px solid var(--jp-border-color2, #ccc); border-radius: 4px; padding: 4px 8px;
  background: var(--jp-layout-color1, #fff); }
.qk-log time { color: var(--jp-ui-font-color2, #555); font-variant-numeric: tabular-nums; }
.qk-message { font-size: 12.5px; line-height: 1.3; }
.qk-bench .widget-html-content, .qk-bench .jupyter-widgets { line-height: inherit; }
.qk-bench .widget-readout { min-width: 44px; max-width: 60px; }
.qk-bench .widget-html > .widget-html-content { width: 100%; }
.qk-bench.jupyter-widgets-disconnected::before { display: block; padding: 4px 8px; border-left: 4px solid #D55E00;
  font: inherit; content: "The kernel that made this was restarted or has ended: what is shown stays, but nothing here \
can be pressed any more. Run the cell again."; }
.qk-bench .jupyter-widgets-disconnected::before { content: none; }
.qk-bench.jupyter-widgets-disconnected :is(button, select, input, .widget-slider) { pointer-events: none; opacity: 0.5; }
</style>"""


class Readout:
    """What the last events of a session said.

    Parameters
    ----------
    abort_qber : float
        Error rate above which a block is given up.
    block_key_bits : int
        Sifted key bits that make one block.
    seconds : float, optional
        Link time after which the run ends by itself.
    told_in : str
        What on the page says why there is no key.
    """

    def __init__(self, abort_qber=0.11, block_key_bits=10_000_000, seconds=None, told_in="log"):
        self.abort_qber, self.block_key_bits, self.seconds, self.told_in = abort_qber, block_key_bits, seconds, told_in
        self.more = ""                         # a sentence behind the status
        self.reset()

    def reset(self):
        """Forget the last run."""
        self.state = "ready"                   # ready, running, paused, stopping, ended
        self.words = "Ready."
        self.fraction, self._made = 0.0, 0     # of the run, else of the present block; secret bits of the blocks before it
        self._clock, self._block, self._report, self._records = None, None, None, None
        self._growth, self._first_s = deque(maxlen=POINTS), None

    def take(self, event):
        """Remember what this event says."""
        values = event.values
        if event.step == "start":
            self.reset()
            self._records = values.get("records")
            self.state, self.words = "running", "Looking for Alice's pulses in Bob's clicks \u2026"
        elif event.step == "clock":
            self._clock = values
        elif event.step == "block":
            if self._block and not any(values["rates_hz"]) and values["time_s"] <= self._block["time_s"]:
                values = values | {"rates_hz": self._block["rates_hz"]}    # told at the end; covers no further time
            self._block = values
            self._watch_growth(values)
            self.fraction = (values["time_s"] / self.seconds if self.seconds
                             else values["tags"] / self._records if self._records
                             else values["sifted_key_bits"] / self.block_key_bits)
            self.words = f"Collecting detections: {values['time_s']:.1f} s of link time."
        elif event.step == "reconcile":
            self.words = (f"Correcting errors: {amount(values['rounds'])} rounds, {amount(values['leak_bits'])} parities "
                          "said aloud.")
        elif event.step == "amplify":
            self._made += values["secret_bits"]
            self.words = "Compressed to a secret key."
        elif event.step == "end":
            self._report, self.state, self.fraction = values["report"], "ended", 1.0
            bits = self._report["secret_bits"]
            self.words = (f"Done: {amount(bits)} secret bits." if bits
                          else f"Ended without a key; the {self.told_in} says why.")
        elif event.step == "error":
            self.state, self.words = "ended", f"Ended: {values['message']}"

    @property
    def status(self):
        """The status line as HTML that screen readers announce."""
        words = {"paused": f"Paused. {self.words}", "stopping": f"Stopping. {self.words}"}.get(self.state, self.words)
        words = html.escape(f"{words} {self.more}".strip())
        return f'<div class="qk-status" role="status" aria-live="polite">{words}</div>'

    @property
    def cards(self):
        """The number cards as HTML."""
        cards = (self._key_card(), self._first_card(), self._qber_card(), self._rate_card(), self._sifted_card(),
                 self._clock_card())
        return f'<div class="qk-cards">{"".join(cards)}</div>'

    def _qber_card(self):
        block = self._block
        if block is None or block["qber_test"] is None:
            return _card("QBER, test basis", "\u2013", "nothing detected yet", "qber")
        interval = f"95 %: {100 * block['qber_low']:.2f}\u2013{100 * block['qber_high']:.2f} %"
        if block["qber_test"] > self.abort_qber:
            return _card("QBER, test basis", f"{100 * block['qber_test']:.2f} %",
                         f"&#9650; above {100 * self.abort_qber:.3g} %", "qber", "alarm")
        return _card("QBER, test basis", f"{100 * block['qber_test']:.2f} %", interval, "qber", "good")

    def _key_card(self):
        if self._report is not None:
            bits = self._report["secret_bits"]
            return _card("Secret key", f"{amount(bits)} bits", "equal on both sides" if bits else
                         f"&#9650; no key; the {self.told_in} says why", "key", "good" if bits else "alarm")
        block = self._block
        name = "Key if stopped now"             # short: a line more, and what is below would jump
        if block is None or block["key_length"] is None:
            return _card(name, "\u2013", "too few detections", "key")
        if block["key_length"]:
            rate = block["key_length"] / block["time_s"] if block["time_s"] and not self._made else None
            return _card(name, f"{amount(block['key_length'])} bits", f"{si(rate, 'bit/s')}" if rate else "of this block",
                         "key", "good")
        missing = block["signed_length"]
        return _card(name, "0 bits", "no key yet" if missing is None else f"{amount(-missing)} bits short", "key")

    def _watch_growth(self, values):
        if self._growth and values["sifted_key_bits"] < self._growth[-1][1]:
            self._growth.clear()               # another block
        if values["key_length"] and self._first_s is None:
            self._first_s = values["time_s"]
        self._growth.append((values["time_s"], values["sifted_key_bits"],
                             np.nan if values["signed_length"] is None else values["signed_length"]))

    @property
    def countdown_s(self):
        """Link time until the first key, as far as the run so far tells; None where it does not, inf for never."""
        if len(self._growth) < 3 or self._first_s is not None:
            return None
        t, n, signed = np.array(self._growth).T
        needed = first_key_bits(n, signed)
        if needed is None or n[-1] <= n[0] or t[-1] <= t[0]:
            return None
        return max(0.0, (needed - n[-1]) * (t[-1] - t[0]) / (n[-1] - n[0])) if needed < self.block_key_bits else np.inf

    def _first_card(self):
        name = "First key"
        if self._made and self._report is None:
            return _card("Key made", f"{amount(self._made)} bits", "by the blocks before this", "made", "good")
        if self._first_s is not None:
            return _card(name, "reached", f"after {_duration(self._first_s)}", "first", "good")
        if self._report is not None or self.state == "ended":
            return _card(name, "\u2013", "not in this run", "first")
        left = self.countdown_s
        if left is None:
            return _card(name, "\u2013", "too early to tell", "first")
        if left == np.inf:
            return _card(name, "\u2013", "not within this block", "first")
        return _card(name, f"in about {_duration(left)}", "if it goes on like this", "first")

    def _rate_card(self):
        if self._block is None:
            return _card("Detections", "\u2013", "all detectors", "rate")
        rate = sum(self._block["rates_hz"])
        return _card("Detections", si(rate, "/s"), f"{self._block['time_s']:.1f} s of link time", "rate",
                     "good" if rate else "alarm")

    def _sifted_card(self):
        if self._block is None:
            return _card("Sifted key", "\u2013", f"a block has {si(self.block_key_bits, 'bit')}", "sifted")
        bits = self._block["sifted_key_bits"]
        return _card("Sifted key", si(bits, "bit"), f"{100 * bits / self.block_key_bits:.0f} % of a block", "sifted",
                     "good" if bits else "")

    def _clock_card(self):
        clock = self._clock
        if clock is None:
            return _card("Bob's clock", "\u2013", "not looked for yet", "clock")
        if not clock["locked"]:
            return _card("Bob's clock", "not locked", f"&#9650; see the {self.told_in}", "clock", "alarm")
        small = [f"{clock['offset_ppm']:+.2f} ppm".replace("-", "\u2212")] if clock["offset_ppm"] is not None else []
        small += [f"σ {clock['jitter_ps']:.0f} ps"] if clock["jitter_ps"] else []
        return _card("Bob's clock", "locked", ", ".join(small), "clock", "good")


def first_key_bits(sifted, signed):
    """Sifted bits at which the key length will pass zero.

    The share of each sifted bit that becomes key grows the key in proportion to the n sifted bits, the statistical
    corrections take off in proportion to their root; both are fitted: a n - b sqrt(n), which is zero at (b / a)^2.

    Parameters
    ----------
    sifted, signed : array_like of float, shape (stretches,)
        Sifted bits, and the key length before it is cut at zero (nan: undefined).

    Returns
    -------
    float or None
        inf where the key would never grow, None where there is too little to tell.
    """
    known = np.isfinite(signed)
    n, signed = np.asarray(sifted, float)[known], np.asarray(signed, float)[known]
    if len(n) < 3 or n[-1] < 1.02 * n[0] or not n[0]:
        return None
    a, b = np.linalg.lstsq(np.column_stack([n, -np.sqrt(n)]), signed, rcond=None)[0]
    return float((max(b, 0.0) / a) ** 2) if a > 0 else np.inf


def _duration(seconds):
    """Seconds, minutes or hours, as coarse as a guess may be."""
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 9.5 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _card(name, number, small, key, state=""):
    mark = f" qk-{state}" if state else ""
    return (f'<div class="qk-card qk-card-{key}{mark}" title="{_HELP[key]}"><div class="qk-name">{name}</div>'
            f'<div class="qk-number">{number}</div><div class="qk-small">{small}</div></div>')
