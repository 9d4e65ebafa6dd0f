"""Detectors of unequal efficiency.

Where the bases do not detect alike, the errors of the test basis are no fair sample of those the key basis would have
shown. Two ways out:

* :func:`efficiency_mismatch`, for efficiencies known up to a factor only, which Eve may choose inside it for every
  pulse: Tupkary, Nahar, Sinha and Lutkenhaus, Quantum 9, 1937 (2025), derived for an active choice of basis;
* :func:`equalising`, for efficiencies that are known and fixed: throw clicks of the better detectors away until all are
  as poor as the poorest (after Fung, Tamaki, Qi, Lo and Ma, Quantum Inf. Comput. 9, 131 (2009)).
"""

import math

from ...errors import BadInput
from .. import sampling
from ..arguments import within
from ..assumptions import EQUAL_DETECTION
from ..conclusion import with_phase_error

__all__ = ["efficiency_mismatch", "equalising"]


def efficiency_mismatch(bound, ratio, *, dark_probability=0.0, dark_spread=0.0, swapped=False):
    """A bound for detectors whose efficiencies differ by no more than a factor.

    ``phi = (e + g_s + d1 + g(d1)) / (1 - d2 - g(d2))``, where ``e + g_s`` is the phase error by sampling alone, d1 and
    d2 say how far detectors can be from being alike (see :func:`deltas`), and g(d) is how far a binomial variable of
    mean d may stray. The three failure events share what the sampling had alone: each gets a third of its probability.

    Parameters
    ----------
    bound : Bound
        Of a finite-size analysis.
    ratio : float
        Smallest efficiency over the largest, of all four detectors and of whatever light Eve may send.
    dark_probability : float
        Dark counts of a detector per gate.
    dark_spread : float
        Largest relative deviation of a detector's dark counts from that.
    swapped : bool
        Whether Bob swaps the detectors of 0 and 1 at random for each pulse.

    Returns
    -------
    Bound
        The same length where nothing differs.

    Raises
    ------
    BadInput

    References
    ----------
    Tupkary et al. (2025): the phase error bound for basis-efficiency mismatch, and the authors' published program.
    """
    d1, d2 = deltas(ratio, dark_probability, dark_spread, swapped)
    words = (f"the smallest detector efficiency is at least {float(ratio):.6g} of the largest"
             + (f" and dark counts lie within {100 * dark_spread:.3g} % of {dark_probability:.3g} per gate"
                if dark_spread else "")
             + ", whatever Eve sends; double clicks got a random bit (Tupkary et al. 2025, active basis choice)")
    details = {"efficiency_ratio": float(ratio), "mismatch_delta1": d1, "mismatch_delta2": d2}
    phi = bound.phase_error
    if phi is not None and max(d1, d2) > 0:
        phi = _phase_error(bound, d1, d2)
    return with_phase_error(bound, 1.0 if phi is None else phi, words, instead_of=EQUAL_DETECTION, details=details)


def deltas(ratio, dark_probability=0.0, dark_spread=0.0, swapped=False):
    """How far the two bases can be from one common filter: d1 for what is counted, d2 for what is lost.

    With the smallest dark count probability d- and ``t = (1 - d-)^2 (1 - ratio)``: ``d1 = 4 (1 - sqrt(1 - t))``,
    ``d2 = t``; with swapped detectors ``t = (1 - d-)^2 (1 - ratio)^2 / 2``. Where nobody sends light, unequal dark
    counts count by themselves, and the larger one of both holds.

    Parameters
    ----------
    As :func:`efficiency_mismatch`.

    Returns
    -------
    d1, d2 : float

    Raises
    ------
    BadInput
    """
    ratio, dark, spread = (float(within(name, value, 0, most)) for name, value, most in (
        ("ratio", ratio, 1), ("dark_probability", dark_probability, 0.1), ("dark_spread", dark_spread, 1)))
    least, most = dark * (1 - spread), dark * (1 + spread)
    t = (1 - least) ** 2 * ((1 - ratio) ** 2 / 2 if swapped else 1 - ratio)
    d1, d2 = 4 * (1 - math.sqrt(1 - t)), t
    if swapped or not most:
        return d1, d2
    any_least, any_most = 1 - (1 - least) ** 2, 1 - (1 - most) ** 2      # a dark click in either of two detectors
    lost = 1 - any_least / any_most
    counted = lost * most * (2 - least) / any_least if any_least else math.inf if lost else 0.0
    return max(d1, counted), max(d2, lost)


def _phase_error(bound, d1, d2):
    """The bound on the phase error with its three failure events."""
    share = bound.epsilons["eps_sec_parts"]["privacy_amplification"]
    eps = share / math.sqrt(3)                          # a bound may fail with eps^2
    alone = sampling.phase_error(bound.details["sampling"], bound.v1_test, bound.s1_test, bound.s1, eps)
    up, down = (_strays(d, bound.s1, eps) for d in (d1, d2))
    return 1.0 if down >= 1 else (alone + up) / (1 - down)


def _strays(mean, n, eps):
    """What a binomial share of `n` trials of probability `mean` exceeds with probability at most ``eps**2``.

    Chernoff's bound ``exp(-n KL(x, mean))``, inverted by bisection.
    """
    if mean <= 0 or mean >= 1:
        return min(max(mean, 0.0), 1.0)
    goal, low, high = -2 * math.log(eps) / n, mean, 1.0
    for _ in range(100):
        x = (low + high) / 2
        inside = 0 < x < 1
        divergence = x * math.log(x / mean) + (1 - x) * math.log((1 - x) / (1 - mean)) if inside else -math.log(mean)
        low, high = (low, x) if divergence >= goal else (x, high)
    return high


def equalising(efficiencies):
    """How often to keep a click of each detector, so that all seem to have the efficiency of the poorest.

    For efficiencies that are known and do not depend on what Eve sends. The choice is random for each click and made
    before anything is announced; the rate falls as if the poorest detector were everywhere.

    Parameters
    ----------
    efficiencies : sequence of float
        Of each detector, in (0, 1].

    Returns
    -------
    ndarray of float64
        Probabilities; all 1 where the detectors are alike.

    Raises
    ------
    BadInput
    """
    eta = within("efficiencies", efficiencies, 0, 1)
    if eta.ndim != 1 or not len(eta) or not eta.min() > 0:
        raise BadInput("a list of numbers above 0 is expected", field="efficiencies", value=eta.tolist())
    return eta.min() / eta
