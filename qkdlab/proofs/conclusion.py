"""From estimates to a key length: the last step that all analyses share, and the words that go with it."""

import math
from dataclasses import dataclass, field, replace

from ..datatypes import Bound, as_table
from .assumptions import ASSUMPTIONS, FINITE
from .counts import Security, Source
from .guards import inconsistency
from .photons import Estimate, binary_entropy, error_entropy
from .sampling import PROVEN, phase_error

__all__ = ["Case", "conclude", "with_phase_error"]


@dataclass(frozen=True, slots=True)
class Case:
    """One block at the end of a finite-size analysis, ready for its key length."""

    proof: str
    source: Source
    security: Security
    key: Estimate
    test: Estimate
    errors: tuple[int, int]      # all errors counted in the key basis and in the test basis
    v1: float                    # single-photon errors in the test basis, upper bound
    share: float                 # eps_sec over the number of its equal shares
    shares: dict                 # what each share is spent on: name, number of shares
    pa_bits: float               # paid for privacy amplification and smoothing
    vacuum: bool                 # whether vacuum detections make key
    details: dict = field(default_factory=dict)
    assumptions: tuple = ()
    instead: dict = field(default_factory=dict)          # a standing assumption: what is assumed in its place
    contradiction: str | None = None         # why the counts cannot all be right, where the analysis found that out


def conclude(case):
    """The key length of a block, or the reason why there is none.

    ``l = floor(s0 + s1 (1 - h(phi)) - leak - pa_bits - log2(2/eps_cor))``, without s0 where the analysis gives no key
    for vacuum detections.

    Parameters
    ----------
    case : Case

    Returns
    -------
    Bound
    """
    key, test, security = case.key, case.test, case.security
    entropy = error_entropy(case.errors[0], key.n)
    leak = security.leak(key.n, case.errors[0], entropy)
    cor_bits = 1 - math.log2(security.eps_cor)
    reason, phi, signed = inconsistency(case.source, key, test, case.contradiction), None, None
    if reason is None:
        phi = phase_error(security.sampling, case.v1, test.s1, key.s1, case.share)
        private = key.s1 * (1 - float(binary_entropy(min(phi, 0.5)))) + (key.s0 if case.vacuum else 0.0)
        cost = leak + case.pa_bits + cor_bits
        signed = private - cost
        if phi >= 0.5:
            reason = _useless(phi)
        elif signed < 1:
            reason = (f"{private:,.0f} bits are private, but correction, verification and privacy amplification cost "
                      f"{cost:,.0f}")
    observed = max(case.v1, 0.0) / test.s1 if test.s1 > 0 else None
    details = {
        **case.details, "s0_upper": key.s0_upper, "s0_test_upper": test.s0_upper, "n_key": key.n, "n_test": test.n,
        "qber_key": case.errors[0] / key.n if key.n else None, "qber_test": case.errors[1] / test.n if test.n else None,
        "single_photon_error": observed, "sampling_deviation": None if phi is None else phi - observed,
        "f_ec": leak / (key.n * entropy) if entropy else security.f_ec, "pa_bits": case.pa_bits, "cor_bits": cor_bits,
        "tails": security.tails, "sampling": security.sampling, "clamp": security.clamp,
        "vacuum_bits": float(key.s0) if case.vacuum else 0.0, "composable": security.sampling in PROVEN,
        "length_kind": "variable",
    }
    return Bound(
        proof=case.proof, length=math.floor(signed) if reason is None else 0, signed_length=signed, reason=reason,
        s0=float(key.s0), s1=float(key.s1), s0_test=float(test.s0), s1_test=float(test.s1), v1_test=max(case.v1, 0.0),
        phase_error=phi, leak_bits=leak, details=as_table(details), assumptions=_assumptions(case),
        epsilons={"eps_sec": security.eps_sec, "eps_cor": security.eps_cor,
                  "eps_sec_parts": {name: number * case.share for name, number in case.shares.items()}},
    )


def _assumptions(case):
    words = [case.instead.get(words, words) for words in (*FINITE, *ASSUMPTIONS)] + list(case.assumptions)
    if case.security.sampling not in PROVEN:
        words.append(f"the {case.security.sampling} sampling formula is taken as published: it is not a proven bound, "
                     "so this length is for comparison, not composably secure")
    if case.security.leak_bits is None:
        words.append("the leak is a model, f_ec n h(error rate): for planning; a key needs the bits really leaked")
    return tuple(words)


def with_phase_error(bound, phase_error, words, *, instead_of="", details=()):
    """A bound whose single photons turn out to have a larger phase error, for an effect its analysis left out.

    ``l -> l - s1 [h(new) - h(old)]``: all else in the key length stays.

    Parameters
    ----------
    bound : Bound
    phase_error : float
        The new upper bound; the old one where that is larger.
    words : str
        What is assumed of the effect now.
    instead_of : str
        The standing assumption that it replaces; none: it is added.
    details : dict
        Further intermediates.

    Returns
    -------
    Bound
        Unchanged but for the words where the old one was undefined.
    """
    kept = tuple(w for w in bound.assumptions if w != instead_of)
    changes = {"assumptions": (*kept, words), "details": {**bound.details, **dict(details)}}
    if bound.phase_error is None:
        return replace(bound, **changes)
    phi = max(min(float(phase_error), 1.0), bound.phase_error)
    entropies = [float(binary_entropy(min(x, 0.5))) for x in (phi, bound.phase_error)]
    signed, reason = bound.signed_length - bound.s1 * (entropies[0] - entropies[1]), bound.reason
    if reason is None and phi >= 0.5:
        reason = _useless(phi)
    elif reason is None and signed < 1:
        reason = f"the larger phase error rate, {phi:.4g}, leaves {signed:,.0f} bits"
    return replace(bound, phase_error=phi, signed_length=signed, reason=reason,
                   length=0 if reason else math.floor(signed), **changes)


def _useless(phi):
    return f"the phase error rate is bounded by {phi:.4g} only: at 1/2 Eve may know every bit"
