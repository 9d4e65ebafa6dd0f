"""Concentration: how far a count can lie from its expectation.

Given the photon numbers of all detected pulses, each pulse's intensity is an independent choice. So the detections of
one intensity are a sum of independent, not identical, yes-or-no variables around an unknown expectation; both bounds
below hold for such a sum. They would not hold for counts that were selected by looking at other counts.

Each function returns the lower and the upper bound of the *expectation*. Either one alone fails with probability at
most ``eps``. Arrays broadcast.
"""

import numpy as np

from ..errors import BadInput

__all__ = ["TAILS", "chernoff", "chernoff_count", "expectation", "hoeffding"]


def hoeffding(count, total, eps):
    """Expectation behind a count, by Hoeffding's inequality as the decoy papers use it.

    Parameters
    ----------
    count : float or array
        Detections (or errors) of one intensity.
    total : float or array
        Detections (or errors) of all intensities in this basis: the number of independent choices.
    eps : float
        Failure probability of either side.

    Returns
    -------
    lower, upper : float or ndarray
        May be negative and above `total`; see `clamp` in the analyses.

    References
    ----------
    Hoeffding, J. Am. Stat. Assoc. 58, 13 (1963); Lim et al., PRA 89, 022307 (2014), below eq. (2).
    """
    deviation = np.sqrt(np.asarray(total) / 2 * -np.log(eps))
    return count - deviation, count + deviation


def chernoff(count, total, eps):
    """Expectation behind a count, by the multiplicative Chernoff bound in closed form.

    Much tighter than Hoeffding's for the weak intensities, whose counts are a small part of the total. The upper bound
    solves ``exp(-d^2 / 2E) = eps`` for the expectation E = count + d. The lower one is as printed in the paper, which
    is ln(1/eps) below the solution of ``exp(-d^2 / (2E + d)) = eps``: safe, and a little loose.

    Parameters, Returns
    -------------------
    As `hoeffding`; `total` does not enter.

    References
    ----------
    Yin et al., Sci. Rep. 10, 14312 (2020), expected value from an observed one.
    """
    b = -np.log(eps)
    count = np.asarray(count, dtype=float)
    return count - b / 2 - np.sqrt(2 * b * count + b * b / 4), count + b + np.sqrt(2 * b * count + b * b)


def chernoff_count(expected, eps):
    """The other way round: bounds on a count whose expectation is known, for planning a run.

    Parameters
    ----------
    expected : float or array
    eps : float
        Failure probability of either side.

    Returns
    -------
    lower, upper : float or ndarray

    References
    ----------
    Yin et al., Sci. Rep. 10, 14312 (2020), observed value from an expected one.
    """
    b = -np.log(eps)
    expected = np.asarray(expected, dtype=float)
    return expected - np.sqrt(2 * b * expected), expected + b / 2 + np.sqrt(2 * b * expected + b * b / 4)


TAILS = {"hoeffding": hoeffding, "chernoff": chernoff}


def expectation(tails, count, total, eps):
    """Lower and upper bound of an expectation by the bound called `tails`.

    Raises
    ------
    BadInput
        For an unknown name.
    """
    if tails not in TAILS:
        raise BadInput(f"one of {', '.join(TAILS)} is expected", field="tails", value=tails)
    return TAILS[tails](count, total, eps)
