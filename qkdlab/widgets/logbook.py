"""What a session does, told in plain words: one sentence for each thing worth knowing, and why a block gave no key."""

import html
import pathlib
import re
import time
from collections import deque

__all__ = ["Logbook", "amount", "short_title", "si"]

_SIGNS = {"good": ("&#10003;", "done"), "warning": ("&#9888;", "note"), "plain": ("&#183;", "")}   # tick, warning, dot


def amount(number):
    """A whole number in groups of three, as the reports and verdicts write it: 1,234,567."""
    return f"{int(number):,}"


def si(number, unit):
    """A number to three digits with a prefix: 12.3 kHz."""
    for scale, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= scale:
            return f"{number / scale:.3g} {prefix}{unit}"
    return f"{number:.3g} {unit}"


def short_title(title):
    """A path by its last two parts, anything else as it is."""
    return "/".join(pathlib.PurePath(title).parts[-2:])


class Logbook:
    """Turns events into sentences and keeps the last of them.

    Parameters
    ----------
    abort_qber : float
        Error rate above which a block is given up.
    """

    def __init__(self, abort_qber=0.11, entries=200):
        self.abort_qber = abort_qber
        self._entries = deque(maxlen=entries)
        self._locked = self._reason = self._correction = self._advised = None

    def take(self, event):
        """Write down what this event says, if it says something new. Returns the sentence or None."""
        tell = getattr(self, f"_tell_{event.step}", None)
        said = tell(event.values) if tell else None
        if said is None:
            return None
        level, text = said
        self.write(text, level)
        return text

    def write(self, text, level="plain"):
        """Add one line; level is "plain", "good" or "warning". What the last line says already is no news."""
        if not self._entries or self._entries[-1][1:] != (level, text):
            self._entries.append((time.strftime("%H:%M:%S"), level, text))

    @property
    def lines(self):
        """The sentences, oldest first."""
        return [text for _, _, text in self._entries]

    def html(self):
        """The log as HTML, newest line first."""
        rows = []
        for clock, level, text in reversed(self._entries):
            sign, word = _SIGNS[level]
            rows.append(f'<div class="qk-line qk-{level}"><time>{clock}</time> <span title="{word}">{sign}</span> '
                        f"{html.escape(text)}</div>")
        return f'<div class="qk-log" role="log" aria-label="log of the session" tabindex="0">{"".join(rows)}</div>'

    # --------------------------------------------------------------------------------------------- one for each step

    def _tell_device(self, values):
        if values["state"] == "back":
            return "good", f"{values['name']} is back: the session goes on."
        if values["state"] == "changed":
            return "warning", f"The open block gives no key: {values['message']}."
        return "warning", f"{values['name']} is away, the session waits for it: {values['message']}"

    def _tell_start(self, values):
        self._locked = self._reason = self._correction = self._advised = None
        note = " Simulated: its key is for study, not for secrets." if values["simulated"] else ""
        return "plain", f"Started: {short_title(values['title'])}.{note}"

    def _tell_clock(self, values):
        if bool(values["locked"]) == self._locked:
            return None
        self._locked = bool(values["locked"])
        if not self._locked:
            return "warning", f"Bob's clock is not locked to Alice's pulses: {values['reason'] or 'no reason given'}"
        parts = [f"pulse rate {si(values['rate_hz'], 'Hz')}"] if values["rate_hz"] else []
        parts += [f"{values['offset_ppm']:+.2f} ppm from nominal"] if values["offset_ppm"] is not None else []
        parts += [f"jitter {values['jitter_ps']:.0f} ps"] if values["jitter_ps"] else []
        parts += [f"gate {values['gate_ps']:.0f} ps"] if values["gate_ps"] else []
        return "good", f"Bob's clock is locked to Alice's pulses: {', '.join(parts)}."

    def _tell_block(self, values):
        reason = values["reason"]
        kind = None if reason is None else re.sub(r"[-+]?[\d.,]+(e[-+]?\d+)?", "#", reason)
        if kind == self._reason:               # the same reason with other numbers is no news
            return None
        before, self._reason = self._reason, kind
        if reason is None:
            return ("good", "There is enough for a secret key: it grows from now on.") if before else None
        advice, told = self._advice(values), self._advised
        self._advised = advice
        return "warning", f"No key yet: {_stop(reason)}" + (f" {advice}" if advice != told else "")

    def _tell_reconcile(self, values):
        self._correction = values              # told once, when the block is complete

    def _tell_amplify(self, values):
        self._reason, correction, self._correction = None, self._correction, None
        said = (f"Errors corrected in {amount(correction['rounds'])} rounds; {amount(correction['leak_bits'])} parities "
                "were said aloud and are taken off the key. " if correction else "")
        if values["secret_bits"]:
            return "good", f"{said}Privacy amplification leaves {amount(values['secret_bits'])} secret bits."
        return "warning", f"{said}This block gives no key: {_stop(values['reason'] or 'no reason given')}"

    def _tell_end(self, values):
        report = values["report"]
        for warning in report.get("warnings", ()):
            self.write(_stop(warning[:1].upper() + warning[1:]), "warning")
        if not report["secret_bits"]:
            return "warning", f"No key: {_stop(report['reason'] or 'the run ended before a block was complete')}"
        if report["alice_key_sha256"] != report["bob_key_sha256"]:
            return "warning", "The two keys differ: neither may be used."
        return "good", (f"Secret key: {amount(report['secret_bits'])} bits, equal on both sides "
                        f"(sha256 {report['alice_key_sha256'][:12]}\u2026).")

    def _tell_error(self, values):
        return "warning", f"The run could not go on: {_stop(values['message'])}"

    def _advice(self, values):
        """What to look at next, from the numbers themselves."""
        if not any(values["rates_hz"]):
            return "No detector clicks: is the shutter open?"
        if values["qber_low"] is not None and values["qber_low"] > self.abort_qber:
            return (f"The whole 95 % interval lies above {100 * self.abort_qber:.3g} %: look for a misaligned basis, "
                    "too much background light, or Eve.")
        return "More detections narrow the finite-size terms; a shorter link or a lower error rate helps at once."


def _stop(text):
    return text if text.endswith((".", "!", "?")) else text + "."
