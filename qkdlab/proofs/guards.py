"""Counts that no honest link and no bound should give. Each guard answers with a reason in plain words, or None.

The security statement allows a failure with probability eps_sec; that, a mix-up of columns or a broken counter is more
likely than a wonder. Where the bounds contradict each other there is no key.
"""

from itertools import combinations

import numpy as np

from .assumptions import EXACT_INTENSITIES, Contradiction

__all__ = ["inconsistency"]


def inconsistency(source, key, test, contradiction=None):
    """Why these two estimates cannot both be right, or why they say nothing.

    Parameters
    ----------
    source : Source
    key, test : Estimate
    contradiction : str, optional
        What the analysis itself found wrong.

    Returns
    -------
    str or None
        A :class:`~qkdlab.proofs.assumptions.Contradiction` where the counts cannot belong to the stated source.
    """
    for basis, estimate in (("key", key), ("test", test)):
        if not estimate.n:
            return f"no detections in the {basis} basis"
    for basis, estimate in (("key", key), ("test", test)):
        reason = _gains(source, basis, estimate) or _photon_numbers(basis, estimate)
        if reason:
            return Contradiction(reason, EXACT_INTENSITIES)
    if contradiction:
        return Contradiction(contradiction, EXACT_INTENSITIES)
    for basis, estimate in (("key", key), ("test", test)):
        if not estimate.s1 > 0:
            return (f"not one single-photon detection is certain in the {basis} basis (bound {estimate.s1:.6g}): "
                    "too few detections, or too much loss or noise")
    return None


def _gains(source, basis, estimate):
    """A weaker pulse cannot be detected more often than a stronger one, beyond what chance allows."""
    scale = np.exp(-np.array(source.intensities))
    lower, upper = estimate.minus * scale, estimate.plus * scale
    for strong, weak in combinations(range(len(lower)), 2):
        if lower[weak] > upper[strong]:
            return (f"inconsistent counts in the {basis} basis: intensity {source.intensities[weak]:g} was detected "
                    f"more often, for each pulse sent, than {source.intensities[strong]:g}; were columns mixed up?")
    return None


def _photon_numbers(basis, estimate):
    if max(estimate.s0, 0.0) + estimate.s1 > estimate.n:
        return (f"inconsistent counts in the {basis} basis: at least {max(estimate.s0, 0.0) + estimate.s1:,.1f} vacuum "
                f"and single-photon detections are inferred, but there were only {estimate.n:,} detections")
    if estimate.s0_upper is not None and estimate.s0 > estimate.s0_upper:
        return (f"inconsistent counts in the {basis} basis: at least {estimate.s0:,.1f} and at most "
                f"{estimate.s0_upper:,.1f} vacuum detections are inferred")
    return None
