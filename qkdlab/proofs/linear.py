"""Any number of decoys, finite size: photon numbers bounded by linear programs.

Attema, Bosman and Neumann, Quantum Inf. Process. 20, 154 (2021). Two intensities or more, vacuum or not; all of them
make key. Instead of a formula for the bounds, the programs search all worlds (numbers of detections of each photon
number) that fit the counts, for the one with the fewest single photons, the fewest vacuum detections, the most errors.
What the formulas of :mod:`.lim2014` and :mod:`.rusca2018` promise holds in all these worlds, so that the programs, given
the same counts at the same failure probabilities, promise at least as much. Budget and key length are theirs too.

A solver's answer is right within its tolerance only. So only its dual solution is taken: weights of the counts. They are
corrected until the inequality they stand for holds for every photon number, which is a proof of its own
(:func:`least`); the solver could at worst cost key.
"""

import math

import numpy as np

from ..datatypes import BASES
from ..errors import BadInput
from . import rusca2018
from .conclusion import Case, conclude
from .counts import CLOSEST, require_intensities
from .photons import Estimate, tau, weighted

__all__ = ["bound", "check", "least", "shares"]

_CUT = 1e-9                      # photon numbers are told apart as long as the second intensity has this share of them
_MOST_COLUMNS, _MOST_CHECKED = 80, 20_000


def shares(number):
    """How the equal shares of eps_sec are spent with `number` intensities.

    One share for each side of each count that a program may use. Of detections these are the upper side of the signal
    and both sides of the decoys: a lower side of the strongest cannot help a lower bound, for its many-photon pulses
    outnumber all others'. Errors are counted in decoys only; there the strongest has an upper side only, and the weakest
    a lower one. With three intensities these are the 21 shares of Lim et al.; with two, the 19 of Rusca et al.
    """
    if number == 2:
        return rusca2018.SHARES
    return {"smoothing": 8, "privacy_amplification": 1, "key_detections": 2 * number - 1,
            "test_detections": 2 * number - 1, "test_errors": 2 * (number - 2)}


def check(source):
    """Refuse a source that this analysis was not made for (:class:`~qkdlab.errors.BadInput`)."""
    if len(source.intensities) < 2:
        raise BadInput("linear needs 2 intensities or more", field="intensities", value=list(source.intensities))
    if len(source.intensities) == 2:
        require_intensities(source, 2, "linear")
    if source.intensities[1] < CLOSEST:
        raise BadInput("linear needs a decoy above 0", field="intensities", value=list(source.intensities))


def bound(counts, source, security):
    """Key length with bounds from linear programs.

    ``l = floor(s0 + s1 [1 - h(phi)] - leak - 6 log2(S/eps_sec) - log2(2/eps_cor))`` with S shares of eps_sec
    (:func:`shares`).

    Arguments and errors are those of every analysis (:mod:`qkdlab.proofs`): BadInput
    if the source has fewer than two intensities, or no decoy above 0.
    """
    check(source)
    budget = shares(len(source.intensities))
    number = sum(budget.values())
    limits = source, security.eps_sec / number, security.tails, security.clamp
    errors = [weighted(counts.errors[:, basis], *limits) for basis in (0, 1)]
    estimates, contradiction = [], None
    for basis, name in enumerate(BASES):
        estimate = _photons(counts.clicks[:, basis], errors[basis][1], *limits)
        if estimate is None:
            estimate = Estimate(int(counts.clicks[:, basis].sum()), *weighted(counts.clicks[:, basis], *limits), 0.0, 0.0)
            contradiction = f"inconsistent counts in the {name} basis: no numbers of photons fit all intensities"
        estimates.append(estimate)
    key, test = estimates
    v1 = _errors(*errors[1], source)
    if v1 is None:
        v1, contradiction = 0.0, contradiction or ("inconsistent errors in the test basis: no numbers of photons fit all "
                                                   "intensities")
    details = {"key": {"n_minus": key.minus, "n_plus": key.plus},
               "test": {"n_minus": test.minus, "n_plus": test.plus, "m_minus": errors[1][0], "m_plus": errors[1][1]}}
    return conclude(Case(
        "linear", source, security, key, test, errors=tuple(counts.errors.sum(axis=0).tolist()), v1=v1,
        share=security.eps_sec / number, shares=budget, vacuum=True, contradiction=contradiction,
        pa_bits=6 * (math.log2(number) - math.log2(security.eps_sec)),
        assumptions=rusca2018.KEY_ERRORS if len(source.intensities) == 2 else (),
        details={"tau0": tau(0, source.intensities, source.probabilities),
                 "tau1": tau(1, source.intensities, source.probabilities), **details},
    ))


def _photons(n, m_plus, source, eps, tails, clamp):
    """Vacuum and single-photon detections of one basis; None where no world fits."""
    minus, plus = weighted(n, source, eps, tails, clamp)
    tau0, tau1 = (tau(k, source.intensities, source.probabilities) for k in (0, 1))
    lower, upper, vacuum = minus.copy(), plus.copy(), None
    lower[0] = -math.inf
    if len(n) == 2:
        # Without a third intensity nothing tells the vacuum from one photon but its errors: half of it is wrong.
        upper[1] = math.inf
        vacuum = rusca2018.vacuum_upper(n.sum(), m_plus, tau0, eps, tails)
    cap = None if vacuum is None else vacuum / tau0
    s0 = least(0, tau0, source.intensities, lower, upper, cap)
    s1 = least(1, tau1 / source.intensities[0], source.intensities, lower, upper, cap)
    if s0 is None or s1 is None:
        return None
    return Estimate(int(n.sum()), minus, plus, max(s0, 0.0), max(s1, 0.0), vacuum)


def _errors(minus, plus, source):
    """Single-photon errors of one basis at most; None where no world fits."""
    first = 0 if len(plus) == 2 else 1
    mu = source.intensities[first:]
    lower, upper = minus[first:].copy(), plus[first:].copy()
    lower[0], upper[-1] = -math.inf, math.inf
    most = least(1, -tau(1, source.intensities, source.probabilities) / mu[0], mu, lower, upper)
    return None if most is None else -most


def least(photons, cost, mu, lower, upper, most_vacuum=None):
    """Lower bound of ``cost * z[photons]`` over all worlds that fit.

    A world has detections x_n of each photon number n, or ``z_n = mu_1^n / (n! tau_n) x_n >= 0``. Of the n-photon ones the
    share ``p_k e^-mu_k mu_k^n / (n! tau_n)`` is expected to have intensity k, so that
    ``lower_k <= sum_n (mu_k / mu_1)^n z_n <= upper_k``.

    Weights ``w_k`` of the lower sides less those of the upper sides, with ``sum_k w_k (mu_k / mu_1)^n <= cost_n`` for every
    n, bound it by ``sum_k`` weight times side (weak duality). Raising the weight of the first upper side by some amount
    lowers the left side by as much for every n, which is how weights that are not quite allowed are made so.

    Parameters
    ----------
    photons : int
        0 or 1.
    cost : float
        Negative: then minus the result is an upper bound of ``-cost * z[photons]``.
    mu : sequence of float, shape (K,)
        Falling.
    lower, upper : ndarray, shape (K,)
        Infinite where a side is not used; ``upper[0]`` is used.
    most_vacuum : float, optional
        Upper side of z_0.

    Returns
    -------
    float or None
        None where no world fits.
    """
    ratio = np.array(mu) / mu[0]
    if not upper[0] > 0:
        return 0.0                                           # nothing was counted
    columns = _reach(ratio, _CUT, _MOST_COLUMNS)
    power = np.append(ratio[:, None] ** np.arange(columns), (ratio == 1)[:, None], axis=1)     # the last: endlessly many
    sides = [(-power[k], -lower[k]) for k in range(len(mu)) if lower[k] > 0]
    sides += [(power[k], upper[k]) for k in range(len(mu)) if upper[k] < math.inf]
    if most_vacuum is not None:
        sides.append((np.eye(columns + 1)[0], max(most_vacuum, 0.0)))
    weights = _dual(photons, cost, *map(np.array, zip(*sides, strict=True)))
    if weights is None:
        return None
    total = float(np.dot(weights, [-side[1] for side in sides]))
    w, at = np.zeros(len(mu)), 0
    for k in range(len(mu)):
        if lower[k] > 0:
            w[k] += weights[at]
            at += 1
    for k in range(len(mu)):
        if upper[k] < math.inf:
            w[k] -= weights[at]
            at += 1
    checked = _reach(ratio, 1e-15, _MOST_CHECKED)
    left = w @ ratio[:, None] ** np.arange(checked)
    left[photons] -= cost
    if most_vacuum is not None:
        left[0] -= weights[-1]
    rest = w[0] + np.maximum(w[1:], 0) @ ratio[1:] ** checked     # what the left side is at most for all other n
    return total - max(left.max(), rest, 0.0) * float(upper[0])


def _reach(ratio, share, most):
    """Photon numbers up to which the second intensity has more than this share of the first's; at most `most`."""
    return min(most, 4 + math.ceil(math.log(share) / math.log(ratio[1]))) if len(ratio) > 1 and ratio[1] > 0 else 4


def _dual(photons, cost, rows, sides):
    """Weights (at least 0) of ``rows @ z <= sides`` that bound ``cost * z[photons]`` best; None where nothing fits."""
    from scipy.optimize import linprog  # a heavy import, and the other analyses do without

    most = np.divide(np.maximum(sides, 0)[:, None], rows, out=np.full(rows.shape, np.inf), where=rows > 0).min(axis=0)
    most = np.where((most > 0) & np.isfinite(most), most, 1.0)
    scale = np.abs(rows * most).max(axis=1)                  # every number the solver sees is of order one
    goal = np.zeros(rows.shape[1])
    goal[photons] = math.copysign(1, cost)
    result = linprog(goal, A_ub=rows * most / scale[:, None], b_ub=sides / scale, method="highs",
                     options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10})
    if result.status == 2:
        return None
    if result.status != 0:
        return np.zeros(len(sides))                          # no help: what is left is still a bound
    return np.maximum(-result.ineqlin.marginals, 0) * abs(cost) * most[photons] / scale
