"""The security ledger: for every block what was said aloud and who paid for it, what may fail, and what it rests on.

An entry of the ledger is plain values, ready for JSON. Of each assumption it says how it stands:

``checked``  the run itself showed it
``assumed``  nothing in the data can tell; it is up to the devices and to who runs them
``open``     this run or this version does not meet it: the key holds as far as somebody answers for it
``broken``   the data contradict it: there is no key
"""

import math

from .proofs import assumptions as words

__all__ = ["ANNOUNCED_EARLY", "PUBLIC_SEED", "SIMULATED", "block_entry", "run_ledger"]

# What a run says of itself (see `qkdlab.session`), beside what its proof assumes.
ANNOUNCED_EARLY = ("announced stretch by stretch while the simulated link ran, for the live view: its Eve does not "
                   "adapt to announcements, a real one might")
PUBLIC_SEED = ("replay: the hash seeds and the bits of double clicks are expanded from a public 256-bit seed (SHAKE-256), "
               "which holds computationally, not information-theoretically")
SIMULATED = "simulated: both parties' records came from one program; the key is for study only"
NO_AUTHENTICATION = "no message is authenticated in this version: somebody in between could play both parties"
LOST_TAGS = "the time tagger lost clicks; whether that depends on the basis, nobody saw"
NOT_BLANKED = "blanking is off: set the receiver's blank_ps to the longest dead time of its detectors"
STOPPED = ("the run was stopped by hand before the block was full: a length that was watched before stopping is not "
           "covered")


def run_ledger(reports, channel, *, block_key_bits=0, stopped=False, lost_tags=0):
    """The ledger of a session.

    Parameters
    ----------
    reports : sequence of BlockReport
    channel : ClassicalChannel
        Bob's end.
    block_key_bits : int
        Sifted key bits at which a block closes, as agreed before the run.
    stopped : bool
        Whether somebody stopped the session.
    lost_tags : int
        Clicks that the time tagger says it lost.

    Returns
    -------
    dict
        Sums over the run; ``epsilons``, of all its keys together (failures of blocks add up); ``blocks``, one entry
        each (:func:`block_entry`).
    """
    blocks = []
    for report in reports:
        short = stopped and report is reports[-1] and int(report.counts.clicks[:, 0].sum()) < block_key_bits
        blocks.append(block_entry(report, stopped=short, lost_tags=lost_tags))
    keys = [b["epsilons"] for b in blocks if b["key_id"]]
    together = {name: sum(k[name] for k in keys) for name in ("eps_sec", "eps_cor", "total")}
    done = [r.reconciliation for r in reports if r.reconciliation]
    return {
        "test_bits": sum(int(r.counts.clicks[:, 1].sum()) for r in reports),
        "parities_bits": sum(r["leak_bits"] for r in done),
        "verification_bits": sum(r.verification_bits for r in reports),
        "authentication_bits": 0,
        "transcript_bits": sum(r["transcript_bits"] for r in done),
        "said_by_bob_bytes": dict(channel.sent), "said_by_alice_bytes": dict(channel.heard),
        "key_bits_said": {k: v for k, v in channel.leaked.items() if v},
        "epsilons": {"keys": len(keys), **together, "eps_auth": None},
        "blocks": blocks,
    }


def block_entry(report, *, stopped=False, lost_tags=0):
    """One block of the ledger.

    Parameters
    ----------
    report : BlockReport
    stopped : bool
        Whether the block was cut short by hand.
    lost_tags : int
        Clicks that the time tagger lost in the run.

    Returns
    -------
    dict
        ``said`` and ``costs`` in bits, ``epsilons``, ``assumptions`` with their standing, ``broken``: the
        assumptions that the data broke.
    """
    bound = report.bound
    standing = _standing(report, stopped, lost_tags)
    return {
        "block": report.block, "secret_bits": report.secret_bits, "key_id": report.key_id,
        "reason": None if bound.reason is None else str(bound.reason), "proof": bound.proof,
        "length_kind": bound.details.get("length_kind"), "composable": bool(bound.details.get("composable", False)),
        "said": _said(report),
        "costs": {name: bound.details.get(name) for name in ("pa_bits", "cor_bits")} | {"leak_bits": bound.leak_bits},
        "epsilons": _epsilons(bound),
        "assumptions": standing, "broken": [a["assumption"] for a in standing if a["standing"] == "broken"],
    }


def _said(report):
    """Everything that depends on sifted bits and was said aloud, and what became of it."""
    counts, stats = report.counts, report.reconciliation
    corrected = stats is not None
    errors = math.ceil(sum(math.log2(int(n) + 1) for n in counts.clicks[:, 0])) if corrected else 0
    return [
        _line("test-basis bits", int(counts.clicks[:, 1].sum()), True, "compared openly; they never become key"),
        _line("parities of the key", stats["leak_bits"] if corrected else 0, True, "taken off the length (leak_bits)"),
        _line("verification hash", report.verification_bits, True,
              "taken off the length as log2(2/eps_cor) bits, at least as many"),
        _line("numbers of errors, by intensity", errors, False,
              "tell where the keys differ, not what they are: not charged"),
        _line("authentication", 0, True, NO_AUTHENTICATION),
    ]


def _line(what, bits, charged, remark):
    return {"what": what, "bits": int(bits), "charged": charged, "remark": remark}


def _epsilons(bound):
    """Each failure probability by name, and their sum; there are none to speak of where there is no key to fail."""
    parts = dict(bound.epsilons.get("eps_sec_parts", {}))
    sums = {name: bound.epsilons.get(name) for name in ("eps_sec", "eps_cor")}
    total = sum(e for e in sums.values() if e)
    return {"parts": parts, **sums, "eps_auth": None, "total": total if bound.epsilons else None}


def _standing(report, stopped, lost_tags):
    """Each assumption and how it stands."""
    bound = report.bound
    run = (ANNOUNCED_EARLY, PUBLIC_SEED, SIMULATED)
    found = {words.AUTHENTICATED: ("open", NO_AUTHENTICATION), words.LIVE_DETECTORS: ("open", NOT_BLANKED)}
    if lost_tags:
        found[words.EQUAL_DETECTION] = "open", f"{LOST_TAGS} ({lost_tags:,} in the run)"
    if stopped:
        found[words.ONCE] = "open", STOPPED
    if ANNOUNCED_EARLY in bound.assumptions:
        found[words.LATE_ANNOUNCEMENT] = "open", ANNOUNCED_EARLY
    if report.reconciliation and bound.leak_bits >= report.reconciliation["leak_bits"]:
        found[words.LEAK] = "checked", f"the channel counted {report.reconciliation['leak_bits']:,} bits"
    broken = getattr(bound.reason, "assumption", None)
    if broken:
        found[broken] = "broken", str(bound.reason)
    stated = [a for a in bound.assumptions or words.ASSUMPTIONS if a not in run and a != words.COHERENT]
    stated += [a for a in (broken,) if a and a not in stated]
    rows = [_row(a, *found.get(a, ("assumed", None))) for a in stated]
    for told in (PUBLIC_SEED, SIMULATED):
        if told in bound.assumptions:
            rows.append(_row(told, "open", None))
    return rows


def _row(assumption, standing, why):
    return {"assumption": str(assumption), "standing": standing, "why": why}
