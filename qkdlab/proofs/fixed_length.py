"""A key length announced before the run: accept or abort.

The analyses of this room compute a length from the counts of the block: *variable length*. A protocol of *fixed length*
announces, before the first pulse, the length and what the block must show for it; after the run it either gives that
very length or none. The security statement then averages over acceptance and abortion, and no theorem about lengths
chosen afterwards is needed. What is announced (Wiesemann et al., arXiv:2405.16578, on why the test must be part of the
protocol):

``length``       the key, in bits
``s0, s1``       vacuum and single-photon detections in the key basis: at least
``phase_error``  of the single photons: at most
``leak_bits``    revealed by error correction: at most

    declared = fixed_length.declare(expected, margin=0.05)      # before the run, from expected counts; then publish it
    result = fixed_length.accept(bound, declared)               # after the run; never more, never less

A block that would have given more by its own counts still gives the announced length. Announcing anew after looking at
the counts is variable length again, whatever it is called.
"""

import math
from dataclasses import dataclass, replace

from ..errors import BadInput
from ..settings import Settings, digest, setting, to_table
from .assumptions import VARIABLE_LENGTH
from .photons import binary_entropy

__all__ = ["FixedLength", "accept", "declare"]


@dataclass(frozen=True, slots=True)
class FixedLength(Settings):
    """What is announced before the run. Its digest (:func:`qkdlab.settings.digest`) proves later that it was this."""

    proof: str = setting(help="security analysis")
    length: int = setting(help="the key", unit="bits", low=1)
    s0: float = setting(help="vacuum detections in the key basis, at least", low=0)
    s1: float = setting(help="single-photon detections in the key basis, at least", low=0)
    phase_error: float = setting(help="of the single photons, at most", low=0, high=0.5)
    leak_bits: float = setting(help="revealed by error correction, at most", unit="bits", low=0)
    eps_sec: float = setting(help="secrecy failure probability", low=0, high=1, open_low=True)
    eps_cor: float = setting(help="probability that the keys differ unnoticed", low=0, high=1, open_low=True)


def declare(expected, margin=0.05):
    """Thresholds and length from what an honest run is expected to give.

    Parameters
    ----------
    expected : Bound
        Of expected counts, with the leak expected (`f_ec`).
    margin : float
        Each threshold lies this share on the easy side of what is expected: a wider margin costs length, a narrower one
        aborts honest runs.

    Returns
    -------
    FixedLength

    Raises
    ------
    BadInput
        Where not even the expected counts, or not with this margin, give a key.
    """
    if not 0 <= margin < 1:
        raise BadInput("from 0 to below 1 is expected", field="margin", value=margin)
    if not expected.epsilons or expected.phase_error is None or not expected.length:
        raise BadInput(f"there is no finite-size key to announce: {expected.reason or 'the analysis is asymptotic'}",
                       field="expected", value=expected.proof)
    s0, s1 = ((1 - margin) * max(s, 0.0) for s in (expected.details["vacuum_bits"], expected.s1))
    phi, leak = min((1 + margin) * expected.phase_error, 0.5), math.ceil((1 + margin) * expected.leak_bits)
    cost = leak + expected.details["pa_bits"] + expected.details["cor_bits"]
    length = math.floor(s0 + s1 * (1 - float(binary_entropy(phi))) - cost)
    if length < 1:
        raise BadInput(f"with this margin nothing is left ({length:,} bits)", field="margin", value=margin)
    return FixedLength(expected.proof, length, s0, s1, phi, leak, expected.epsilons["eps_sec"],
                       expected.epsilons["eps_cor"])


def accept(bound, declared):
    """The announced length where the block shows what was announced; else no key, and what it failed to show.

    Parameters
    ----------
    bound : Bound
        Of the block's counts and its actual leak, by the announced analysis with the announced epsilons.
    declared : FixedLength

    Returns
    -------
    Bound
        Labelled as fixed length, with the digest of what was announced.

    Raises
    ------
    BadInput
        Where the block was analysed otherwise than announced.
    """
    for field, found in (("proof", bound.proof), ("eps_sec", bound.epsilons.get("eps_sec")),
                         ("eps_cor", bound.epsilons.get("eps_cor"))):
        if found != getattr(declared, field):
            raise BadInput(f"'{getattr(declared, field)}' was announced", field=field, value=found)
    reason = _shortfall(bound, declared)
    words = ("fixed length: thresholds and length were announced before the run, and the block was accepted or given "
             "up by them alone")
    kept = tuple(words if w == VARIABLE_LENGTH else w for w in bound.assumptions)
    details = {**bound.details, "length_kind": "fixed", "announced": to_table(declared),
               "announced_sha256": digest(declared), "variable_length": bound.length}
    return replace(bound, length=0 if reason else declared.length, reason=reason, assumptions=kept, details=details,
                   signed_length=float(declared.length) if reason is None else bound.signed_length)


def _shortfall(bound, declared):
    """Which announced threshold the block misses, in words; or None."""
    if bound.phase_error is None:
        return f"aborted: {bound.reason}"
    found = {"s0": bound.details["vacuum_bits"], "s1": bound.s1, "phase_error": bound.phase_error,
             "leak_bits": bound.leak_bits}
    for field, value in found.items():
        limit = getattr(declared, field)
        if (value < limit) if field in ("s0", "s1") else (value > limit):
            word = "at least" if field in ("s0", "s1") else "at most"
            return f"aborted: {field} is {value:,.6g}, and {word} {limit:,.6g} was announced before the run"
    return None
