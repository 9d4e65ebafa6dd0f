"""One decoy, finite size: Rusca, Boaron, Grunenfelder, Martin and Zbinden, APL 112, 171104 (2018).

Two intensities mu1 > mu2 > 0; both make key. With no vacuum pulse, the vacuum detections are bounded from above by the
errors, half of them being wrong. Equation numbers are those of appendix A. Read with two corrections: (A18) needs the
weights e^k/p_k that (A10) has, and gamma (A21) the budget's 19^2.
"""

import math

from .conclusion import Case, conclude
from .counts import require_intensities
from .photons import Estimate, tau, weighted
from .tails import expectation

__all__ = ["KEY_ERRORS", "SHARES", "bound", "check", "one_decoy"]

# The 8 + 1 shares of the entropies are those of Lim et al. Ten are left for counts: in each basis n1+, n2-, m2+ and the
# split of vacuum detections into right and wrong; m1+ and m2- of the test basis.
SHARES = {"smoothing": 8, "privacy_amplification": 1, "key_detections": 2, "key_errors": 1, "key_vacuum": 1,
          "test_detections": 2, "test_errors": 3, "test_vacuum": 1}
KEY_ERRORS = ("errors on key bits are known only after error correction, so the key length is computed after it",)


def check(source):
    """Refuse a source that this analysis was not made for (:class:`~qkdlab.errors.BadInput`)."""
    require_intensities(source, 2, "rusca2018")


def bound(counts, source, security):
    """Key length by equation (A25).

    ``l = floor(s0 + s1 [1 - h(phi)] - leak - 6 log2(19/eps_sec) - log2(2/eps_cor))``

    Arguments and errors are those of every analysis (:mod:`qkdlab.proofs`): BadInput
    if the source has not two intensities above 0.
    """
    check(source)
    shares = sum(SHARES.values())
    pa_bits = 6 * (math.log2(shares) - math.log2(security.eps_sec))
    return one_decoy("rusca2018", counts, source, security, SHARES, pa_bits, vacuum=True)


def one_decoy(proof, counts, source, security, shares, pa_bits, *, vacuum, clip_total=False):
    """The bounds of one decoy and their key length; shared with :mod:`qkdlab.proofs.wiesemann2024`.

    Parameters
    ----------
    proof : str
    counts, source, security
        As `bound`.
    shares : dict
        How the equal shares of eps_sec are spent.
    pa_bits : float
        Bits paid for privacy amplification and smoothing.
    vacuum : bool
        Whether vacuum detections make key.
    clip_total : bool
        With `clamp`, cut expected counts at the total as well as at 0.

    Returns
    -------
    Bound
    """
    share = security.eps_sec / sum(shares.values())
    limits = share, security.tails, security.clamp, clip_total
    errors = [weighted(counts.errors[:, basis], source, *limits) for basis in (0, 1)]
    key, test = (_photons(counts.clicks[:, basis], errors[basis][1], source, limits) for basis in (0, 1))
    mu1, mu2 = source.intensities
    tau0, tau1 = (tau(k, source.intensities, source.probabilities) for k in (0, 1))
    m_minus, m_plus = errors[1]
    return conclude(Case(
        proof, source, security, key, test, errors=tuple(counts.errors.sum(axis=0).tolist()),
        v1=float(tau1 / (mu1 - mu2) * (m_plus[0] - m_minus[1])),                                            # (A22)
        share=share, shares=shares, pa_bits=pa_bits, vacuum=vacuum, assumptions=KEY_ERRORS,
        details={"tau0": tau0, "tau1": tau1,
                 "key": {"n_minus": key.minus, "n_plus": key.plus, "m_minus": errors[0][0], "m_plus": errors[0][1]},
                 "test": {"n_minus": test.minus, "n_plus": test.plus, "m_minus": m_minus, "m_plus": m_plus}},
    ))


def _photons(n, m_plus, source, limits):
    """Vacuum and single-photon detections of one basis, equations (A16), (A17) and (A19)."""
    eps, tails, clamp, _ = limits
    mu1, mu2 = source.intensities
    tau0, tau1 = (tau(k, source.intensities, source.probabilities) for k in (0, 1))
    minus, plus = weighted(n, source, *limits)
    s0_upper = vacuum_upper(n.sum(), m_plus, tau0, eps, tails)
    if clamp and limits[3]:
        s0_upper = min(s0_upper, float(n.sum()))
    s0 = tau0 / (mu1 - mu2) * (mu1 * minus[1] - mu2 * plus[0])
    s1 = tau1 * mu1 / (mu2 * (mu1 - mu2)) * (
        minus[1] - (mu2 / mu1) ** 2 * plus[0] - (mu1**2 - mu2**2) / mu1**2 * s0_upper / tau0)
    if clamp:
        s0, s1 = max(s0, 0.0), max(s1, 0.0)
    return Estimate(int(n.sum()), minus, plus, float(s0), float(s1), s0_upper)


def vacuum_upper(total, m_plus, tau0, eps, tails):
    """Vacuum detections at most: twice the errors of vacuum pulses, and the chance that fewer than half are wrong.

    Either intensity bounds those errors. With Hoeffding's bound both may be asked and the better taken at no cost: the
    expected counts of two intensities add up to the total, so n1+ fails exactly when n2- does (and m1+ when m2- does),
    which leaves shares enough. With Chernoff's they are different events, and the decoy is chosen in advance.
    """
    wrong = tau0 * (min(m_plus) if tails == "hoeffding" else m_plus[1])
    half = expectation("hoeffding", 0.0, total, eps)[1]
    return float(2 * (wrong + half))
