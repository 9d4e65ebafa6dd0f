"""The report of a run: as plain values, and in words."""

import math
import textwrap

from .datatypes import as_table
from .ledger import run_ledger

__all__ = ["as_latex", "as_text", "characterise_text", "inspect_text", "keylength_text", "ledger_text", "optimise_text",
           "percent", "summary"]


ONE_GATE = ("one window for all detectors, after their delays were taken off: had each its own, the time at which a photon "
            "came would tell which detector saw it, and so the bit")


def summary(session, receiver, alice, bob, provenance, *, title, warnings, stopped):
    """What ``qkdlab distill --json`` prints: plain values, made by a session at its end.

    ``bound`` and ``f_ec`` are those of the last block that gave a key (else of the last one); sums are over all blocks.
    """
    reports, total = receiver.reports, receiver.total
    good = [r for r in reports if r.key_id]
    done = [r for r in reports if r.reconciliation and r.reconciliation["verified"]]
    last = (good or reports)[-1]
    leak = sum(r.reconciliation["leak_bits"] for r in reports if r.reconciliation)
    n = sum(int(r.counts.clicks[:, 0].sum()) for r in done)
    errors = sum(int(r.counts.errors[:, 0].sum()) for r in done)
    # Why the clock was lost in the end explains nothing where there were clicks before.
    reason = None if good else last.bound.reason if receiver.clicks else receiver.clock.reason or last.bound.reason
    return as_table({
        "secret_bits": sum(r.secret_bits for r in good),
        "alice_key_sha256": alice.sha256(), "bob_key_sha256": bob.sha256(),
        "reason": reason,
        "simulated": bool(session.source.simulated),
        "qber_key": errors / n if n else None, "qber_test": total.qber(1),
        "counts": total, "bound": last.bound,
        "leak_bits": leak,
        "f_ec": last.reconciliation["f_ec"] if last.reconciliation else None,
        "rounds": sum(r.reconciliation["rounds"] for r in reports if r.reconciliation),
        "epsilons": _spent(reports),
        "ledger": run_ledger(reports, receiver.bob.channel, block_key_bits=session.distill.block_key_bits,
                             stopped=stopped, lost_tags=receiver.lost),
        "blocks": [{"block": r.block, "secret_bits": r.secret_bits, "key_id": r.key_id, "reason": r.bound.reason,
                    "sifted_key_bits": int(r.counts.clicks[:, 0].sum()), "reconciliation": r.reconciliation,
                    "bound": r.bound} for r in reports],
        "clock": receiver.clock, "tags": receiver.tags, "clicks": receiver.clicks, "lost_tags": receiver.lost,
        "detector_tags": receiver.detector_tags,
        "seconds": {step: round(s, 6) for step, s in receiver.seconds.items()},
        "warnings": warnings,
        "settings_sha256": session.agreement.digest(),
        "provenance": provenance, "recording": title,
    })


def _spent(reports):
    """Failure probabilities of the whole key: those of its blocks add up, also of blocks that were analysed in vain."""
    def total(tables):
        names = dict.fromkeys(name for table in tables for name in table)
        return {name: total([t[name] for t in tables if name in t]) if isinstance(tables[0].get(name), dict)
                else sum(t.get(name, 0.0) for t in tables) for name in names}

    return total([r.bound.epsilons for r in reports if r.bound.epsilons] or [{}])


def as_text(report):
    """A distillation report as a short story, step by step.

    Parameters
    ----------
    report : dict
        As made by :class:`qkdlab.Session`.

    Returns
    -------
    str
    """
    clock, counts, bound = report["clock"], report["counts"], report["bound"]
    warnings = report["warnings"]
    lines = [*(f"WARNING     {w}" for w in warnings[:5]),
             *([f"WARNING     and {len(warnings) - 5} more, see --json"] if len(warnings) > 5 else []),
             f"Detections  {report['tags']:,} time tags, {report['clicks']:,} of them inside the gate"]
    if clock["locked"]:
        lines.append(f"Clock       {clock['rate_hz']:,.1f} Hz found from the tags ({clock['offset_ppm']:+.3f} ppm), "
                     f"visibility {clock['visibility']:.2f}, gate {clock['gate_ps']:,} ps")
        lines += textwrap.wrap(ONE_GATE, 108, initial_indent="Gate        ", subsequent_indent=" " * 12)
    if clock.get("blanked") is not None:
        lines.append(f"Blanked     {clock['blanked']:,} slots with clicks left out: a detector may have been dead in them")
    key, test = _sifted_bits(counts)
    lines.append(f"Sifted      {key:,} bits in the key basis, {test:,} in the test basis")
    if report["qber_test"] is not None:
        lines.append(f"Error rate  {percent(report['qber_test'])} in the test basis"
                     + (f", {percent(report['qber_key'])} in the key basis" if report["qber_key"] is not None else ""))
    if report["rounds"]:
        efficiency = f" (f = {report['f_ec']:.3f})" if report["f_ec"] else ""
        lines.append(f"Corrected   {report['leak_bits']:,} parities leaked{efficiency} in {report['rounds']} rounds")
    if bound["s1"] is not None:
        lines.append(f"Eve         at least {bound['s1']:,.0f} bits came from single photons, "
                     f"phase error at most {percent(bound['phase_error'])}" if bound["phase_error"] is not None else
                     f"Eve         at least {bound['s1']:,.0f} bits came from single photons")
    lines.append("")
    if not report["secret_bits"]:
        return "\n".join([*lines, f"NO KEY      {report['reason']}"])
    same = "equal" if report["alice_key_sha256"] == report["bob_key_sha256"] else "DIFFERENT"
    kind = "from a simulated link: for study, not for secrets" if report["simulated"] else "from a real link"
    return "\n".join([
        *lines,
        f"SECRET KEY  {report['secret_bits']:,} bits ({kind})",
        f"  Alice     sha256 {report['alice_key_sha256']}",
        f"  Bob       sha256 {report['bob_key_sha256']}   ({same})",
        f"  Security  {bound['proof']}: " + ", ".join(f"{n} {e:.3g}" for n, e in report["epsilons"].items()
                                                      if n in ("eps_sec", "eps_cor")),
    ])


def as_latex(report):
    """The main numbers of a report as a LaTeX table (``tabular``; needs no package).

    Parameters
    ----------
    report : dict
        As made by :class:`qkdlab.Session`.

    Returns
    -------
    str
    """
    bound, clock = report["bound"], report["clock"]
    key, test = _sifted_bits(report["counts"])
    rows = [("Time tags", f"{report['tags']:,}", ""), ("Pulse rate", clock["rate_hz"] and f"{clock['rate_hz']:,.1f}", "Hz"),
            ("Sifted bits, key basis", f"{key:,}", ""), ("Sifted bits, test basis", f"{test:,}", ""),
            ("Error rate, key basis", percent(report["qber_key"], ""), r"\%"),
            ("Error rate, test basis", percent(report["qber_test"], ""), r"\%"),
            ("Single-photon detections, at least", bound["s1"] and f"{bound['s1']:,.0f}", ""),
            ("Phase error, at most", percent(bound["phase_error"], ""), r"\%"),
            ("Leaked in error correction", f"{report['leak_bits']:,}", "bit"),
            ("Secret key", f"{report['secret_bits']:,}", "bit")]
    lines = [f"  {name} & {value.replace(',', chr(92) + ',') if value else '--'} & {unit} {chr(92) * 2}"
             for name, value, unit in rows]
    return "\n".join([r"\begin{tabular}{lrl}", r"  \hline", *lines, r"  \hline", r"\end{tabular}"]) + "\n"


def _sifted_bits(counts):
    """Of the key basis and of the test basis, over all intensities."""
    return (sum(row[b] for row in counts["clicks"]) for b in (0, 1))


def percent(share, unit=" %"):
    """A share in hundredths, with two decimals; None where it is not known."""
    return None if share is None else f"{100 * share:.2f}{unit}"


def ledger_text(ledger):
    """The security ledger as tables in words, block by block.

    Parameters
    ----------
    ledger : dict
        As made by :func:`qkdlab.ledger.run_ledger`: ``report["ledger"]``.

    Returns
    -------
    str
    """
    parts = [_block_text(block) for block in ledger["blocks"]]
    eps = ledger["epsilons"]
    if eps["keys"]:
        parts.append(f"ALL KEYS ({eps['keys']}) fail with probability at most {eps['total']:.4g} together: secrecy "
                     f"{eps['eps_sec']:.4g}, correctness {eps['eps_cor']:.4g}; authentication: none yet")
    return "\n\n".join(parts)


def _block_text(block):
    """One block of the ledger."""
    if block["secret_bits"]:
        kind = "composable" if block["composable"] else "NOT composable"
        head = f"BLOCK {block['block']}  {block['secret_bits']:,} secret bits, {block['length_kind']} length, {kind}, " \
               f"by {block['proof']}"
    else:
        head = f"BLOCK {block['block']}  no key: {block['reason']}"
    costs = [("privacy amplification and smoothing", block["costs"]["pa_bits"], "taken off the length"),
             ("correctness", block["costs"]["cor_bits"], "taken off the length: log2(2/eps_cor)")]
    lines = [head, "  said aloud                                    bits"]
    lines += [_ledger_row(s["what"], s["bits"], s["remark"]) for s in block["said"]]
    lines += ["  costs beside", *(_ledger_row(*c) for c in costs if c[1] is not None)]
    eps = block["epsilons"]
    if eps["total"] is not None:
        lines += ["  may fail", *(f"    {name:<34}{value:>14.4g}" for name, value in eps["parts"].items()),
                  f"    {'= secrecy, eps_sec':<34}{eps['eps_sec']:>14.4g}",
                  f"    {'correctness, eps_cor':<34}{eps['eps_cor']:>14.4g}",
                  f"    {'authentication':<34}{'none yet':>14}", f"    {'together':<34}{eps['total']:>14.7g}"]
    lines.append("  rests on")
    for a in block["assumptions"]:
        lines += textwrap.wrap(a["assumption"] + (f": {a['why']}" if a["why"] else ""), 100,
                               initial_indent=f"    {a['standing']:<9}", subsequent_indent=" " * 13)
    return "\n".join(lines)


def _ledger_row(what, bits, remark):
    number = f"{bits:,}" if isinstance(bits, int) else f"{bits:,.1f}"
    return textwrap.fill(remark, 108, initial_indent=f"    {what:<34}{number:>14}  ", subsequent_indent=" " * 54)


def inspect_text(path, info):
    """What a file holds, as a small table and the warnings."""
    if "photons" not in info:                             # no time tags: an OTDR trace, a table of counts
        rows = [(name, value) for name, value in info.items() if name not in ("warnings", "complete")]
        return "\n".join([str(path), *(f"  {name:<20}{_number(value)}" for name, value in rows if not _listed(value)),
                          *(f"  {name[:-1]} {i}: {_number(item)}" for name, value in rows if _listed(value)
                            for i, item in enumerate(value, 1)), *(f"  warning: {w}" for w in info["warnings"])])
    rows = [("format", info["format"]), ("records", f"{info['records']:,}"), ("photons", f"{info['photons']:,}"),
            *((f"  input {c}", f"{n:,}") for c, n in info["channels"].items()),
            ("overflows", f"{info['overflows']:,}"), ("markers", f"{info['markers']:,}"),
            ("syncs", f"{info['syncs']:,}")]
    if info["first_ps"] is not None:
        rows += [("first", f"{info['first_ps']:,} ps"), ("last", f"{info['last_ps']:,} ps"),
                 ("span", f"{(info['last_ps'] - info['first_ps']) * 1e-12:.6f} s")]
    if info["resolution_ps"] is not None:
        rows.append(("resolution", f"{info['resolution_ps']:g} ps"))
    if info["sync_rate_hz"] is not None:
        rows.append(("sync rate", f"{info['sync_rate_hz']:,.1f} Hz"))
    rows.append(("complete", "yes" if info["complete"] else "NO"))
    return "\n".join([str(path), *(f"  {name:<12}{value}" for name, value in rows),
                      *(f"  warning: {w}" for w in info["warnings"])])


def _listed(value):
    """Whether it is a list of tables, shown one a line."""
    return isinstance(value, list) and value and isinstance(value[0], dict)


def keylength_text(result):
    """A bound with every intermediate, one a line."""
    head = f"{result['length']:,} secret bits" if result["length"] else f"no key: {result['reason']}"
    rows = [f"  {name:<24}{_number(value)}" for name, value in result.items() if name not in ("length", "reason")]
    return "\n".join([head, *rows])


def optimise_text(result):
    """Best settings for a link, as a table and a verdict."""
    rows = [f"  {name:<24}{_number(result[name])}" for name in ("intensities", "probabilities", "key_basis_probability",
                                                              "n_pulses", "seconds")]
    bound = result["bound"]
    rows += [f"  {name:<24}{_number(bound[name])}" for name in ("s0", "s1", "phase_error", "leak_bits")]
    if not result["length"]:
        return "\n".join([f"no key: {result['reason']}", "the least bad settings:", *rows])
    return "\n".join([f"{result['length']:,} secret bits a block, {result['rate']:.4g} bits per pulse, "
                      f"{result['rate_hz']:,.0f} bit/s", *rows])


def _number(value):
    if isinstance(value, dict):
        return ", ".join(f"{k} {_number(v)}" for k, v in value.items())
    if isinstance(value, list):
        return "  ".join(map(_number, value))
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def characterise_text(path, table):
    """What :func:`qkdlab.postprocessing.characterise.characterise` found, in words."""
    lines = [f"{path}: {table['tags']:,} tags in {table['seconds']:,.4g} s"]
    if table["pulse_rate_hz"] is None:
        lines.append(f"Pulses      {table['reasons']['pulse_rate_hz']}")
    else:
        lines.append(f"Pulses      {_measured(table['pulse_rate_hz'], table['errors']['pulse_rate_hz'])} Hz, "
                     f"visibility {table['visibility']:.3f}")
    for pair in table["balance"] or ():
        if pair["ratio"] is not None:
            a, b = pair["channels"]
            lines.append(f"Balance     inputs {a} and {b}: the weaker has {100 * pair['ratio']:.1f} % of the stronger's")
    for name, own in table["detectors"].items():
        lines += ["", f"Input {name}", *(f"  {words:<17} {value}" for words, value in _detector_rows(own))]
    return "\n".join(lines)


_DETECTOR_ROWS = (
    ("rate", "rate_hz", 1, "Hz"), ("dead time", "dead_time_ps", 1e-3, "ns"), ("ready again after", "ready_ps", 1e-3, "ns"),
    ("share of time dead", "dead_share", 100, "%"), ("without dead time", "light_rate_hz", 1, "Hz"),
    ("afterpulses", "afterpulse_probability", 100, "% of the clicks"), ("jitter (FWHM)", "jitter_fwhm_ps", 1, "ps"),
    ("delay", "delay_ps", 1, "ps"), ("between pulses", "background_hz", 1, "Hz"),
    ("dark and stray", "dark_rate_hz", 1, "Hz"),
)


def _measured(value, error):
    """A number with its uncertainty, both to the second digit of the latter: ``1,764 ± 110``."""
    if not error:
        return f"{value:,.0f}" if abs(value) >= 1e5 else f"{value:,.5g}"
    digits = 1 - math.floor(math.log10(error))
    return " ± ".join(f"{round(number, digits):,.{max(0, digits)}f}" for number in (value, error))


def _detector_rows(own):
    """(what, value with its error and unit, or why it is not known) for one detector; a reason is given once."""
    told = set()
    for words, name, factor, unit in _DETECTOR_ROWS:
        value, error, why = own[name], own["errors"].get(name), own["reasons"].get(name)
        if value is not None:
            yield words, f"{_measured(value * factor, error and error * factor)} {unit}"
            if name == "afterpulse_probability" and own["afterpulse_decay_ps"]:
                times = " and ".join(f"{decay * 1e-3:,.0f} ns" for decay in own["afterpulse_decay_ps"])
                yield "", f"which decay with {times}"
        elif why not in told:
            told.add(why)
            yield words, f"not known: {why}"
