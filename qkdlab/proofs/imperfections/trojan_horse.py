"""Light sent in by Eve that comes back out: Lucamarini et al., Phys. Rev. X 5, 031030 (2015).

What comes back carries Alice's basis and bit. Isolation and filters make sure that on average it is no more than
`photons` per pulse; the rest is paid for by a larger phase error. The published rate is asymptotic and lets the decoy
settings be untouched (its assumption 3), so a finite-size bound changed this way is a good estimate, not a proof.
"""

import numpy as np

from ..arguments import share, within
from ..assumptions import NO_SIDE_CHANNEL
from ..conclusion import with_phase_error

__all__ = ["coin_imbalance", "trojan_horse", "trojan_phase_error"]


def coin_imbalance(photons):
    """How well the escaping light tells the bases apart, equation (25): ``(1 - e^-m cos m)/2``. Arrays broadcast.

    Parameters
    ----------
    photons : array_like
        Mean number m of photons that leave per pulse, at most pi/2.

    Returns
    -------
    float or ndarray

    Raises
    ------
    BadInput
    """
    m = within("photons", photons, 0, np.pi / 2)
    return ((-np.expm1(-m) + 2 * np.exp(-m) * np.sin(m / 2) ** 2) / 2)[()]


def trojan_phase_error(phase_error, photons, single_photon_yield):
    """Phase error rate with escaping light, equations (26) and (27). Arrays broadcast.

    With ``D = coin_imbalance / yield``: ``e + 4 D (1 - D)(1 - 2e) + 4 (1 - 2D) sqrt(D (1 - D) e (1 - e))``.

    Parameters
    ----------
    phase_error : array_like
        Without that light.
    photons : array_like
    single_photon_yield : array_like
        Probability that a single photon of Alice's is detected: Eve may have stopped all pulses that told her little.
        The lower one of both bases, bounded from below.

    Returns
    -------
    float or ndarray
        At most 1/2; `phase_error` itself where `photons` is 0.

    Raises
    ------
    BadInput
    """
    e = within("phase_error", phase_error, 0, 1)
    y = within("single_photon_yield", single_photon_yield, 0, 1)
    delta = np.asarray(coin_imbalance(photons))
    d = np.where(delta > 0, np.minimum(share(delta, y), 0.5), 0.0)
    larger = e + 4 * d * (1 - d) * (1 - 2 * e) + 4 * (1 - 2 * d) * np.sqrt(d * (1 - d) * e * (1 - e))
    # The angles of both rates add up, e' = sin^2(a + b): past a right angle the formula comes down again.
    past = (np.arcsin(np.sqrt(e)) + 2 * np.arcsin(np.sqrt(d)) >= np.pi / 4) & (d > 0)
    return np.where(past, 0.5, larger)[()]


def trojan_horse(bound, photons, single_photon_yield):
    """A bound for a sender from whom light escapes.

    Parameters
    ----------
    bound : Bound
        Of any analysis.
    photons : float
        Mean number of photons that leave per pulse, from the isolation and the brightest light that can come in.
    single_photon_yield : float
        At least; from a bound, ``min over the bases of s1 / (tau1 pulses sent)``.

    Returns
    -------
    Bound
        The same length where `photons` is 0.

    Raises
    ------
    BadInput
    """
    found = 0.5 if bound.phase_error is None else float(
        trojan_phase_error(min(bound.phase_error, 0.5), photons, single_photon_yield))
    imbalance = float(coin_imbalance(photons))
    words = (f"of light that Eve sends in, at most {float(photons):.3g} photons a pulse come back out of Alice's basis "
             "and bit modulator and none from elsewhere; no other side channel, no correlation between pulses "
             "(Lucamarini et al. 2015, an asymptotic treatment)")
    return with_phase_error(bound, found, words, instead_of=NO_SIDE_CHANNEL,
                            details={"trojan_photons": float(photons), "coin_imbalance": imbalance})
