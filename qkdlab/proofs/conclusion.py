"""From estimates to a key length: the last step that all analyses share, and the words that go with it."""

import math
from dataclasses import dataclass, field

from ..datatypes import Bound, as_table
from .counts import Security, Source
from .guards import inconsistency
from .photons import Estimate, binary_entropy, error_entropy
from .sampling import PROVEN, phase_error

__all__ = ["ASSUMPTIONS", "Case", "conclude"]

ASSUMPTIONS = (
    "Alice's pulses are phase-randomised: to Eve each one is a Poisson mixture of photon numbers",
    "the intensities and their probabilities are exactly those stated; each choice of bit, basis and intensity is "
    "random and independent of all others",
    "nothing but the prepared state tells of these choices: no side channel, no correlation between pulses, no light "
    "sent in by Eve",
    "a pulse is detected with the same probability in both bases, whatever Eve sends; double clicks got a random bit",
    "bases and intensities were announced only after the last detection of the block",
    "the classical channel is authenticated; its own failure probability comes on top",
    "the error correction revealed no more than leak_bits, beside the verification hash that eps_cor pays for",
)
FINITE = (
    "finite size, coherent attacks",
    "variable length: the length is computed from the counts of this very block, which rests on the theorem of "
    "Tupkary, Tan and Lutkenhaus (2024); a fixed-length claim would need thresholds agreed before the run",
    "the block ended by a rule fixed beforehand, and it is analysed once, not again until it passes",
)


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
    reason, phi, signed = inconsistency(case.source, key, test), None, None
    if reason is None:
        phi = phase_error(security.sampling, case.v1, test.s1, key.s1, case.share)
        private = key.s1 * (1 - float(binary_entropy(min(phi, 0.5)))) + (key.s0 if case.vacuum else 0.0)
        cost = leak + case.pa_bits + cor_bits
        signed = private - cost
        if phi >= 0.5:
            reason = f"the phase error rate is bounded by {phi:.4g} only: at 1/2 Eve may know every bit"
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
        "composable": security.sampling in PROVEN,
    }
    return Bound(
        proof=case.proof, length=math.floor(signed) if reason is None else 0, signed_length=signed, reason=reason,
        s0=float(key.s0), s1=float(key.s1), s0_test=float(test.s0), s1_test=float(test.s1), v1_test=max(case.v1, 0.0),
        phase_error=phi, leak_bits=leak, details=as_table(details), assumptions=_assumptions(case),
        epsilons={"eps_sec": security.eps_sec, "eps_cor": security.eps_cor,
                  "eps_sec_parts": {name: number * case.share for name, number in case.shares.items()}},
    )


def _assumptions(case):
    words = [*FINITE, *ASSUMPTIONS, *case.assumptions]
    if case.security.sampling not in PROVEN:
        words.append(f"the {case.security.sampling} sampling formula is taken as published: it is not a proven bound, "
                     "so this length is for comparison, not composably secure")
    if case.security.leak_bits is None:
        words.append("the leak is a model, f_ec n h(error rate): for planning; a key needs the bits really leaked")
    return tuple(words)
