"""One decoy, finite size, consolidated: Wiesemann, Krause, Tupkary, Lutkenhaus, Rusca and Walenta, arXiv:2405.16578
(Quantum 10, 2037 (2026)).

The safest of the one-decoy analyses here: the bounds are those of Rusca et al. (:mod:`qkdlab.proofs.rusca2018`), all
expected counts are cut to [0, total], the sampling bound is Serfling's, vacuum detections give no key, and the budget
has 15 shares.
"""

import math

from .counts import require_intensities
from .rusca2018 import one_decoy

__all__ = ["SHARES", "bound", "check"]

# Ten for counts as in Rusca et al. The other five are our reading of the key length: one chain rule, one smoothing of
# the phase error (each counted twice, from purified distance to both states) and the hashing.
SHARES = {"smoothing": 4, "privacy_amplification": 1, "key_detections": 2, "key_errors": 1, "key_vacuum": 1,
          "test_detections": 2, "test_errors": 3, "test_vacuum": 1}


def check(source):
    """Refuse a source that this analysis was not made for (:class:`~qkdlab.errors.BadInput`)."""
    require_intensities(source, 2, "wiesemann2024")


def bound(counts, source, security):
    """Key length of the one-decoy protocol (section 6.2).

    ``l = floor(s1 [1 - h(phi)] - leak - 4 log2(15 / (2^(1/4) eps_sec)) - log2(2/eps_cor))``

    Arguments and errors are those of every analysis (:mod:`qkdlab.proofs`): BadInput
    if the source has not two intensities above 0.
    """
    check(source)
    pa_bits = 4 * (math.log2(sum(SHARES.values())) - math.log2(security.eps_sec)) - 1
    return one_decoy("wiesemann2024", counts, source, security, SHARES, pa_bits, vacuum=False, clip_total=True)
