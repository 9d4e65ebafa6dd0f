"""What a run came to, in plain words: key or no key, why, and what to look at next. For people who read no code."""

import math
from dataclasses import dataclass

from .report import percent

__all__ = ["Verdict", "compared", "failed", "judged"]

# An intercept-resend Eve on all pulses makes 25 % errors in either basis; detectors exchanged in the analysis 50 % or
# more. The bands around them are wide because the link's own errors add.
EVE_QBER = (0.19, 0.32)
EXCHANGED_QBER = 0.42
CLOSE_TO_ABORT = 0.7             # of the abort line: such a run is told to be near it
SILENT_SHARE = 0.02              # a detector below this share of its basis' detections is called silent
DETECTORS = ("key bit 0", "key bit 1", "test bit 0", "test bit 1")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a run.

    Attributes
    ----------
    outcome : {"key", "no key", "failed"}
        "failed": no statement about the link is possible from this.
    headline : str
        One sentence.
    why : tuple of str
        What was found, most important first.
    checks : tuple of str
        What to look at next; empty where nothing is called for.
    """

    outcome: str
    headline: str
    why: tuple = ()
    checks: tuple = ()


def judged(report, abort_qber=0.11):
    """The verdict on a report.

    Parameters
    ----------
    report : dict
        As made by :class:`qkdlab.Session`.
    abort_qber : float
        Error rate above which the run's settings allow no key.

    Returns
    -------
    Verdict
    """
    if report["alice_key_sha256"] != report["bob_key_sha256"]:
        return Verdict("no key", "The two keys differ: neither may be used.",
                       ("Error correction ended with different keys although its check had agreed.",),
                       ("Keep the recording and report this: it must never happen.",))
    if report["secret_bits"]:
        return _key(report, abort_qber)
    for find in (_no_tags, _no_clock, _silent, _errors, _short):
        found = find(report, abort_qber)
        if found is not None:
            break
    else:
        found = (("The analysis allows no key.",), ())
    why, checks = found
    said = f"In the words of the analysis: {report['reason']}." if report["reason"] else None
    return Verdict("no key", "This recording gives no secret key.", (*why, *filter(None, [said])),
                   (*checks, *_losses(report)))


def failed(message, stopped=False):
    """The verdict on a run that could not go on.

    Parameters
    ----------
    message : str
    stopped : bool
        Whether somebody ended it before it had read anything.
    """
    if stopped:
        return Verdict("failed", "This run was stopped before it began.", (), ())
    return Verdict("failed", "This recording could not be analysed.", (_sentence(message),),
                   ("Is it the right file, and was the recording closed in order?",
                    "Copy it again from the measuring computer: a copy may have been cut off."))


# --------------------------------------------------------------------------------------------------------- with a key


def _key(report, abort_qber):
    bits, qber = report["secret_bits"], report["qber_test"]
    seconds = _seconds(report)
    rate = f", {bits / seconds:,.0f} bit/s over {seconds:,.3g} s" if seconds else ""
    why = [f"Alice and Bob hold the same key of {bits:,} bits{rate}."]
    if qber is not None:
        why.append(f"The error rate of the test basis is {percent(qber)}; no key is allowed above {percent(abort_qber)}.")
    if report["simulated"]:
        why.append("The recording is simulated: this key is for study, not for secrets.")
    checks = []
    if qber is not None and qber > CLOSE_TO_ABORT * abort_qber:
        checks.append("The error rate is close to the limit: look at the alignment before the next run.")
    lost = [b for b in report["blocks"] if not b["secret_bits"]]
    if lost:
        why.append(f"{len(lost)} of {len(report['blocks'])} blocks gave no key"
                   + (f" (the first: {lost[0]['reason']})." if lost[0]["reason"] else "."))
    return Verdict("key", f"Yes: this recording gives a secret key of {bits:,} bits.", tuple(why),
                   (*checks, *_losses(report)))


# ------------------------------------------------------------------------------------------------------ without a key


def _no_tags(report, abort_qber):
    if report["tags"]:
        return None
    return (("There is not one detection in the recording.",),
            ("Is the shutter open, and is the fibre plugged in?", "Were the detectors biased and cold?",
             "Was the time tagger's threshold below the height of the detector pulses?"))


def _no_clock(report, abort_qber):
    if report["clicks"]:
        return None
    return ((f"{report['tags']:,} detections were read, but Alice's pulses were not found in them.",),
            ("Is the pulse rate in the settings the one that Alice used?",
             "Were the detectors on the inputs that the settings name?",
             "Does Alice's record belong to this recording?",
             "Was there enough light? Background alone has no rhythm to lock to."))


def _silent(report, abort_qber):
    tags = dict(zip(DETECTORS, report["detector_tags"], strict=True))
    pairs = zip(DETECTORS[::2], DETECTORS[1::2], strict=True)
    quiet = [name for pair in pairs for name in pair if tags[name] < SILENT_SHARE * sum(tags[p] for p in pair)]
    if not quiet:
        return None
    return ((f"The detector for {' and '.join(quiet)} saw almost nothing while its partner did.",),
            ("Check the bias, the fibre and the cable of that detector.",
             "A detector that is blinded with bright light looks like this too: tell whoever is responsible for security."))


def _errors(report, abort_qber):
    counts = report["counts"]
    rates = [_ratio(sum(row[b] for row in counts["errors"]), sum(row[b] for row in counts["clicks"])) for b in (0, 1)]
    rates = [max(filter(None, (r, q)), default=None) for r, q in zip(rates, (report["qber_key"], report["qber_test"]),
                                                                      strict=True)]
    worst = max((r for r in rates if r is not None), default=None)
    if worst is None or worst <= abort_qber:
        return None
    told = f"The error rate is {percent(worst)}; no key is allowed above {percent(abort_qber)}."
    if worst >= EXCHANGED_QBER:
        return ((told, "Nearly every second bit, or more, is wrong: the bits are exchanged or belong to other pulses."),
                ("Are two detector cables, or the two outputs of one basis, exchanged?",
                 "Does Alice's record belong to this recording?"))
    if EVE_QBER[0] <= worst <= EVE_QBER[1]:
        return ((told, "An eavesdropper who measures every pulse and sends it on causes 25 %."),
                ("First look for the harmless cause: misaligned polarisation or interferometer, wrong basis angle.",
                 "If the alignment is right, treat the line as attacked: use no key of today."))
    return ((told,),
            ("Align polarisation (or the interferometer) and record again.",
             "Is there background light? Compare the count rates with the laser off.",
             "Is the gate at the pulse? See the arrival times in the plots."))


def _short(report, abort_qber):
    bound = report["bound"]
    signed = bound.get("signed_length")
    why = ["The recording is too short, or the line too weak, for the certainty that is asked for."]
    checks = ["Record longer: the more detections, the less must be given away for chance.",
              "Were loss and count rate as on other days? A dirty connector costs key first."]
    if signed is not None and -math.inf < signed < 0:
        why.append(f"Some {-signed:,.0f} bits are missing before the first bit of key.")
    return tuple(why), tuple(checks)


def _losses(report):
    """What weakens a recording whether or not there is a key."""
    checks = []
    if report["lost_tags"]:
        checks.append(f"The time tagger lost {report['lost_tags']:,} detections: lower the light, or record fewer inputs.")
    checks += [_sentence(w) for w in report["warnings"][:3]]
    if len(report["warnings"]) > 3:
        checks.append(f"There are {len(report['warnings']) - 3} further warnings in the full report.")
    return tuple(checks)


# ---------------------------------------------------------------------------------------------------- beside another run


def compared(report, before):
    """This run beside an earlier one, a row for each figure.

    Parameters
    ----------
    report, before : dict
        Reports of :class:`qkdlab.Session`.

    Returns
    -------
    list of dict
        ``name, now, before, words``: the two values as text and what changed.
    """
    rows = []
    for name, value, text, better in _FIGURES:
        now, then = value(report), value(before)
        rows.append({"name": name, "now": "\u2013" if now is None else text(now),
                     "before": "\u2013" if then is None else text(then), "words": _change(now, then, better)})
    return rows


def _change(now, then, better):
    if now is None or then is None:
        return "" if now is then else "only in one of the two"
    if now == then or (then and abs(now / then - 1) < 0.02):
        return "as before"
    more = now > then
    grade = "" if better is None else ", better" if more == (better == "more") else ", worse"
    if not then:
        return ("more" if more else "less") + grade
    if not now:
        return "none left" + grade
    factor = now / then
    if 0.5 < factor < 2:
        return f"{abs(100 * (factor - 1)):.0f} % {'more' if more else 'less'}{grade}"
    return f"{factor:.3g} times{grade}"


def _seconds(report):
    """Link time of a run, from the pulses that were sent."""
    rate = report["clock"].get("rate_hz")
    sent = sum(n for row in report["counts"]["sent"] for n in row)
    return sent / rate if rate and sent else None


def _per_second(report, number):
    seconds = _seconds(report)
    return number / seconds if seconds else None


_FIGURES = (
    ("secret key", lambda r: r["secret_bits"], lambda v: f"{v:,} bits", "more"),
    ("key rate", lambda r: _per_second(r, r["secret_bits"]), lambda v: f"{v:,.0f} bit/s", "more"),
    ("error rate, test basis", lambda r: r["qber_test"], percent, "less"),
    ("error rate, key basis", lambda r: r["qber_key"], percent, "less"),
    ("detections in the gate", lambda r: _per_second(r, r["clicks"]), lambda v: f"{v:,.0f} /s", None),
    ("phase error, at most", lambda r: r["bound"]["phase_error"], percent, "less"),
    ("jitter", lambda r: r["clock"].get("jitter_ps"), lambda v: f"{v:,.0f} ps", "less"),
    ("clock offset", lambda r: r["clock"].get("offset_ppm"), lambda v: f"{v:+.3f} ppm".replace("-", "\u2212"), None),
    ("lost detections", lambda r: r["lost_tags"], lambda v: f"{v:,}", "less"),
)


def _ratio(part, whole):
    return part / whole if whole else None


def _sentence(text):
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else text + "."
