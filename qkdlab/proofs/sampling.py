"""From the errors seen in the test basis to those that the key basis would have shown: sampling without replacement.

``n_test`` single-photon detections happened to be measured in the test basis, ``n_key`` in the key basis, and which is
which is a random choice. Each function below bounds the error *rate* that the key ones would have had in the test basis
(the phase error rate), given at most `errors` among the tested ones.

The analyses use this bound to smooth an entropy by ``eps``, and smoothing is measured by the purified distance: the
bound may fail with probability at most ``eps**2`` (Tomamichel et al., Nat. Commun. 3, 634 (2012), supplement).
`serfling` and `hypergeometric` keep to that. `gamma` and `yin` are offered as they were published.

The counts that come in are bounds themselves, and not whole: at least `n_test`, at least `n_key`, at most `errors`.
"""

import math

import numpy as np

from ..errors import BadInput

__all__ = ["PROVEN", "SAMPLING", "gamma", "hypergeometric", "hypergeometric_tail", "phase_error", "serfling", "yin"]

_SUMMED = 256                    # terms of a hypergeometric tail that are summed one by one


def serfling(errors, n_test, n_key, eps):
    """Serfling's inequality: always valid, loose where the error rate is small.

    ``errors / n_test + sqrt((n_key + n_test) (n_test + 1) / (n_key n_test^2) ln(1/eps))``. From
    ``Pr[key rate - test rate >= d] <= exp(-2 d^2 n_key n_test^2 / ((n_key + n_test) (n_test + 1))) = eps^2``, the key
    bits being Serfling's sample. It falls with `n_test` and with `n_key`, so lower bounds of both may be put in.

    Parameters
    ----------
    errors, n_test, n_key : float or array
        Errors and detections in the test basis, detections in the key basis.
    eps : float
        The bound fails with probability at most ``eps**2``.

    Returns
    -------
    float or ndarray
        Upper bound of the phase error rate (above 1/2 where it says nothing).

    References
    ----------
    Serfling, Ann. Stat. 2, 39 (1974), corollary 1.1; Tomamichel et al., Nat. Commun. 3, 634 (2012), which has
    ln(2/eps_sec) for ln(1/eps). Wiesemann's script adds the 1 to n_key instead: as valid, another choice of sample.
    """
    errors, n_test, n_key = (np.asarray(a, dtype=float) for a in (errors, n_test, n_key))
    spread = (n_key + n_test) * (n_test + 1) / (n_key * n_test * n_test)
    return errors / n_test + np.sqrt(spread * -np.log(eps))


def hypergeometric_tail(errors, n_test, key_errors, n_key):
    """Logarithm of the probability to see so few errors in the test when so many are in the key.

    ``ln Pr[test errors <= errors]`` where ``errors + key_errors`` errors lie anywhere among ``n_test + n_key``
    detections. The first terms are summed, the rest is bounded by a geometric series (the ratio of two neighbouring
    terms falls), and the rounding of the log-gamma function is added: an upper bound, exact to 1e-6 up to 256 errors
    in blocks up to 1e7.

    Parameters
    ----------
    errors, n_test, key_errors, n_key : int

    Returns
    -------
    float
        At most 0.
    """
    v, k, j, n = errors, n_test, key_errors, n_key
    x = np.arange(v, v - min(v, _SUMMED) - 1, -1, dtype=float)
    ratio = x * (n - j - (v - x)) / ((j + 1 + v - x) * (k - x + 1))     # probability of x - 1 over that of x
    ratio = np.maximum(ratio, 0)
    if ratio[0] >= 1:
        return 0.0
    terms = np.cumprod(ratio[:-1])
    last = terms[-1] if len(terms) else 1.0
    total = 1 + terms.sum() + last * ratio[-1] / (1 - ratio[-1])
    parts = [math.lgamma(a + 1) for a in (v + j, n + k - v - j, k, n)]
    parts += [-math.lgamma(a + 1) for a in (v, j, k - v, n - j, n + k)]
    rounding = 1e-15 * math.fsum(map(abs, parts))
    return min(0.0, math.fsum(parts) + math.log(total) + rounding)


def hypergeometric(errors, n_test, n_key, eps):
    """Exact inversion of the hypergeometric tail: tight, the best choice where few errors are seen.

    The smallest number of key errors that would have hidden behind so few test errors with probability at most
    ``eps**2`` (one more than the largest number not excluded), as a rate. More errors, fewer tested and more key
    positions can only raise that number, so `errors` is rounded up, `n_test` down, `n_key` up for the count, which is
    then divided by `n_key` unrounded: each on the safe side.

    Parameters
    ----------
    errors, n_test, n_key : float
        Errors and detections in the test basis, detections in the key basis.
    eps : float
        The bound fails with probability at most ``eps**2``.

    Returns
    -------
    float
        Upper bound of the phase error rate, at most 1.

    References
    ----------
    Clopper and Pearson, Biometrika 26, 404 (1934), for the inversion.
    """
    v, k, n = math.ceil(errors), math.floor(n_test), math.ceil(n_key)
    if k < 1 or n < 1 or v >= k:
        return 1.0
    goal = 2 * math.log(eps)
    low, high = 0, n                             # `low` is never excluded; `high` is, or is all there are
    while high - low > 1:
        middle = (low + high) // 2
        if hypergeometric_tail(v, k, middle, n) <= goal:
            high = middle
        else:
            low = middle
    return min(1.0, high / n_key)


def gamma(errors, n_test, n_key, eps):
    """The deviation gamma as published. An approximation and **not a bound**.

    It comes from Stirling's and Taylor's formulas. Against the exact tail it fails where some 20 errors or fewer are
    seen in the test, by up to five orders of magnitude in probability; above 30 errors it is conservative. Kept for
    comparison with papers.

    Parameters
    ----------
    errors, n_test, n_key, eps : float
        As `serfling`; printed for a failure probability of `eps`.

    Returns
    -------
    float

    References
    ----------
    Lim et al., PRA 89, 022307 (2014), eq. (5); after Fung, Ma and Chau, PRA 81, 012318 (2010). That it is approximate:
    Tupkary et al., arXiv:2502.10340.
    """
    b, c, d = errors / n_test, n_test, n_key
    if not 0 < b < 1:
        return b
    spread = (c + d) * (1 - b) * b / (c * d)
    log2_odds = math.log2((c + d) / (c * d * (1 - b) * b)) - 2 * math.log2(eps)
    return b + math.sqrt(spread / math.log(2) * max(log2_odds, 0.0))


def yin(errors, n_test, n_key, eps):
    """Closed form of Yin et al.: very tight, but it bounds the probability of one outcome, not of the tail.

    Against the exact tail it is optimistic by a factor of up to some 20 in failure probability, which moves the phase
    error by less than 1 %. Below one error it rises again, so fewer count as one.

    Parameters
    ----------
    errors, n_test, n_key, eps : float
        As `serfling`; printed for a failure probability of `eps`.

    Returns
    -------
    float

    References
    ----------
    Yin et al., Sci. Rep. 10, 14312 (2020), random sampling without replacement.
    """
    rate, k, n = max(errors, 1.0) / n_test, n_test, n_key
    if rate >= 1:
        return rate
    a, total = max(n, k), n + k
    log_odds = math.log(total / (2 * math.pi * n * k * rate * (1 - rate))) - 2 * math.log(eps)
    g = total / (n * k) * max(log_odds, 0.0)
    root = math.sqrt((a * g / total) ** 2 + 4 * rate * (1 - rate) * g)
    return rate + ((1 - 2 * rate) * a * g / total + root) / (2 + 2 * a * a * g / total**2)


SAMPLING = {"serfling": serfling, "hypergeometric": hypergeometric, "gamma": gamma, "yin": yin}
PROVEN = {"serfling", "hypergeometric"}


def phase_error(sampling, errors, n_test, n_key, eps):
    """Upper bound of the phase error rate by the method called `sampling`, never 0.

    The published forms vanish or diverge at zero errors, so they are not let below the exact bound at zero errors.

    Parameters
    ----------
    sampling : str
        A key of `SAMPLING`.
    errors, n_test, n_key : float
        Upper bound of the errors (taken as 0 where negative) and lower bounds, above 0, of the detections.
    eps : float

    Returns
    -------
    float
        At most 1.

    Raises
    ------
    BadInput
        For an unknown name.
    """
    if sampling not in SAMPLING:
        raise BadInput(f"one of {', '.join(SAMPLING)} is expected", field="sampling", value=sampling)
    rate = float(SAMPLING[sampling](max(errors, 0.0), n_test, n_key, eps))
    # Each key error escapes the test with probability at most n/(n + k): what is above that needs no exact answer.
    if sampling not in PROVEN and rate * n_key < 2 - 2 * math.log(eps) / math.log1p(max(n_test - 1, 0.1) / (n_key + 1)):
        rate = max(rate, hypergeometric(0, n_test, n_key, eps))
    return min(rate, 1.0)
