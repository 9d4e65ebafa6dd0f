"""What the public counts of a block are worth: bounds, expectations, efficiency."""

import dataclasses

import numpy as np

from . import proofs
from .datatypes import Bound, DecoyCounts, DistillSettings, ReceiverSettings, SourceSettings, SynchronisationSettings
from .postprocessing import reconcile
from .proofs.assumptions import BLANKED, LIVE_DETECTORS
from .protocols import bb84
from .settings import digest

__all__ = ["Agreement", "block_bound", "bound_now", "efficiency", "expected_qber", "no_key", "only_sent"]


@dataclasses.dataclass(frozen=True, slots=True)
class Agreement:
    """The public settings that both parties must hold."""

    source: SourceSettings
    sync: SynchronisationSettings
    receiver: ReceiverSettings
    distill: DistillSettings

    def digest(self):
        """Hexadecimal digest; the parties compare it before anything else."""
        return digest(self.source, self.sync, self.receiver, self.distill)


def bound_now(agreement, counts):
    """The bound if the block were closed now: key-basis errors and the leak are not known yet, so they are expected
    from the test basis and from Cascade's typical efficiency. For display only; no key comes from it.

    Returns
    -------
    Bound
    """
    clicks, errors = counts.clicks, counts.errors.copy()
    rate = np.divide(errors[:, 1], clicks[:, 1], out=np.full(len(clicks), 0.5), where=clicks[:, 1] > 0)
    errors[:, 0] = np.rint(rate * clicks[:, 0])
    counts = dataclasses.replace(counts, errors=errors)
    n, qber = int(clicks[:, 0].sum()), counts.qber(1)
    if not n or qber is None:
        return no_key(agreement, counts, "nothing has been detected yet")
    if qber > agreement.distill.abort_qber:
        return no_key(agreement, counts, f"the error rate, {100 * qber:.1f} %, is above the abort line")
    f_ec = reconcile.expected_efficiency(expected_qber(counts), min(n, agreement.distill.frame_bits))
    return block_bound(agreement, counts, f_ec=f_ec)


def block_bound(agreement, counts, **leak):
    d = agreement.distill
    bound = proofs.bound(counts, agreement.source, proof=d.proof, eps_sec=d.eps_sec, eps_cor=d.eps_cor, tails=d.tails,
                         sampling=d.sampling, clamp=d.clamp, **leak)
    if not bound.assumptions:
        return bound
    readiness = BLANKED if agreement.receiver.blank_ps else LIVE_DETECTORS
    return dataclasses.replace(bound, assumptions=(*bound.assumptions, readiness))


def no_key(agreement, counts, reason):
    return Bound(agreement.distill.proof, 0, None, reason, *[None] * 6, leak_bits=0)


def expected_qber(counts):
    """Error rate to start Cascade with: the test basis', with a small prior so that no error seen is not 'none'."""
    n, m = int(counts.clicks[:, 1].sum()), int(counts.errors[:, 1].sum())
    return min(max((m + 0.5) / (n + 1), 0.002), 0.25)


def efficiency(leak_bits, n, errors):
    """f = leak / (n h(actual error rate)); None where there was nothing to learn: no error, or nothing but errors."""
    if not 0 < errors < n:
        return None
    q = errors / n
    return leak_bits / (n * -(q * np.log2(q) + (1 - q) * np.log2(1 - q)))


def only_sent(source, n_slots):
    zero = np.zeros((len(source.intensities), 2), np.int64)
    return DecoyCounts(bb84.pulses_sent(source, n_slots), zero, zero)
