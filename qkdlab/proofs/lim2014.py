"""Two decoys, finite size: Lim, Curty, Walenta, Xu and Zbinden, PRA 89, 022307 (2014).

Three intensities mu1 > mu2 + mu3, mu2 > mu3 >= 0; all of them make key. Equation numbers are the paper's. Read with two
corrections: the leak is ``n f h(e_obs)`` in bits, with the errors of all intensities, and cutting lower bounds of
expected counts at 0 (`clamp`) is sound, though not mentioned there. The vacuum detections s0 are cut at 0 in any case: the
rates of the paper's figure 1 are those of ``clamp = false`` with this. The default sampling bound is Serfling's; the
paper's gamma is not a bound (see :mod:`qkdlab.proofs.sampling`).
"""

import math

from .conclusion import Case, conclude
from .counts import require_intensities
from .photons import Estimate, tau, weighted

__all__ = ["SHARES", "bound", "check"]

# Equation (B4): eps_sec = 2 [2 alpha1 + alpha2 + alpha3] + nu + 10 eps1 + 2 eps2, all equal. The ten are n1+, n2-, n2+,
# n3-, n3+ in each basis, the two are m2+ and m3-. The failure of the sampling bound is the square of a smoothing share.
SHARES = {"smoothing": 8, "privacy_amplification": 1, "key_detections": 5, "test_detections": 5, "test_errors": 2}


def check(source):
    """Refuse a source that this analysis was not made for (:class:`~qkdlab.errors.BadInput`)."""
    require_intensities(source, 3, "lim2014")


def bound(counts, source, security):
    """Key length by equation (1).

    ``l = floor(s0 + s1 [1 - h(phi)] - leak - 6 log2(21/eps_sec) - log2(2/eps_cor))``

    Arguments and errors are those of every analysis (:mod:`qkdlab.proofs`): BadInput
    if the source has not three intensities with mu1 > mu2 + mu3.
    """
    check(source)
    shares = sum(SHARES.values())
    share = security.eps_sec / shares
    key, test = (_photons(counts.clicks[:, basis], source, share, security) for basis in (0, 1))
    m_minus, m_plus = weighted(counts.errors[:, 1], source, share, security.tails, security.clamp)
    return conclude(Case(
        "lim2014", source, security, key, test, errors=tuple(counts.errors.sum(axis=0).tolist()),
        v1=_errors(m_minus, m_plus, source), share=share, shares=SHARES, vacuum=True,
        pa_bits=6 * (math.log2(shares) - math.log2(security.eps_sec)),
        details={"tau0": tau(0, source.intensities, source.probabilities),
                 "tau1": tau(1, source.intensities, source.probabilities),
                 "key": {"n_minus": key.minus, "n_plus": key.plus},
                 "test": {"n_minus": test.minus, "n_plus": test.plus, "m_minus": m_minus, "m_plus": m_plus}},
    ))


def _photons(n, source, eps, security):
    """Vacuum and single-photon detections of one basis, equations (2) and (3)."""
    mu1, mu2, mu3 = source.intensities
    tau0, tau1 = (tau(k, source.intensities, source.probabilities) for k in (0, 1))
    minus, plus = weighted(n, source, eps, security.tails, security.clamp)
    # Upper bound of the decoy: what it adds to the weakest pulse's detections is taken away from the vacuum's.
    s0 = tau0 * (mu2 * minus[2] - mu3 * plus[1]) / (mu2 - mu3)
    s0 = max(s0, 0.0)
    multi = (mu2**2 - mu3**2) / mu1**2 * (plus[0] - s0 / tau0)
    s1 = tau1 * mu1 * (minus[1] - plus[2] - multi) / (mu1 * (mu2 - mu3) - mu2**2 + mu3**2)
    return Estimate(int(n.sum()), minus, plus, float(s0), float(max(s1, 0.0) if security.clamp else s1))


def _errors(m_minus, m_plus, source):
    """Upper bound of the single-photon errors, equation (4)."""
    _, mu2, mu3 = source.intensities
    return float(tau(1, source.intensities, source.probabilities) * (m_plus[1] - m_minus[2]) / (mu2 - mu3))
