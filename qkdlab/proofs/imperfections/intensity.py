"""Intensities known to lie in intervals: Wang, Peng, Zhang, Yang and Pan, PRA 77, 042311 (2008).

A pulse of setting k has some mean photon number inside [mu_k-, mu_k+], another one each time perhaps, chosen by Eve for
all we know; it is still a Poisson mixture of photon numbers, since its phase is random. So the expected detections N_k
per pulse of setting k obey, with the unknown detections Y_n that n photons would have given,

    sum_n P_n^-(k) Y_n  <=  N_k  <=  sum_n P_n^+(k) Y_n,

P_n^- and P_n^+ being the smallest and largest Poisson weights over the interval. Combining two or three of these lines
so that all unwanted Y_n come with the harmless sign gives the bounds below. With intervals of no width each one is,
term by term, the bound of the analysis it stands in for. Weights enter as ratios, so their factorials cancel and are
left out.
"""

import math
from dataclasses import dataclass

import numpy as np

from ...datatypes import as_table
from ...errors import BadInput
from ...settings import Settings, setting
from .. import lim2014, rusca2018, wiesemann2024
from ..assumptions import EXACT_INTENSITIES
from ..conclusion import Case, conclude
from ..counts import checked, source_of
from ..photons import Estimate, weighted
from ..tails import expectation

__all__ = ["Intervals", "intensity_intervals"]

_MOST = 64                       # photons: beyond 10 (the largest mu) ratios of weights are monotone


@dataclass(frozen=True, slots=True)
class Intervals(Settings):
    """Where each intensity lies, strongest first. They must not touch: a decoy like the signal tells nothing."""

    low: tuple[float, ...] = setting(help="smallest mean photon numbers", unit="photons/pulse", low=0, high=10)
    high: tuple[float, ...] = setting(help="largest mean photon numbers", unit="photons/pulse", low=0, high=10)

    def check(self):
        if len(self.low) != len(self.high) or not self.low:
            raise BadInput(f"as many as in low ({len(self.low)}) are expected", field="high", value=list(self.high))
        if any(a > b for a, b in zip(self.low, self.high, strict=True)):
            raise BadInput("must not be above high", field="low", value=list(self.low))
        if any(strong <= weak for strong, weak in zip(self.low, self.high[1:], strict=False)):
            raise BadInput("the intervals must fall and must not touch", field="high", value=list(self.high))

    @classmethod
    def around(cls, intensities, relative=0.0, absolute=0.0):
        """Each intensity give or take a share of it and an amount: ``mu (1 +- relative) +- absolute``.

        Parameters
        ----------
        intensities : sequence of float
        relative : float
            Stability of the laser and of its modulator, for example 0.02.
        absolute : float
            Photons per pulse: what is left where nothing should be (finite extinction).

        Raises
        ------
        BadInput
        """
        for name, value in (("relative", relative), ("absolute", absolute)):
            if not 0 <= value < 1:
                raise BadInput("from 0 to below 1 is expected", field=name, value=value)
        return cls(tuple(max(mu * (1 - relative) - absolute, 0.0) for mu in intensities),
                   tuple(mu * (1 + relative) + absolute for mu in intensities))

    def extreme(self, photons, k, sign):
        """Logarithm of n! times the largest (`sign` 1) or smallest (-1) Poisson weight of setting `k`; -inf for 0."""
        low, high = self.low[k], self.high[k]
        if sign > 0:
            return _log_weight(photons, np.clip(photons, low, high))
        ends = (_log_weight(photons, np.full(photons.shape, mu)) for mu in (low, high))
        return np.minimum(*ends)


def _log_weight(photons, mu):
    """ln(e^-mu mu^n), with 0^0 = 1."""
    with np.errstate(divide="ignore"):
        return np.where(photons == 0, 0.0, photons * np.log(np.where(photons == 0, 1.0, mu))) - mu


def intensity_intervals(counts, source, security, intervals, proof="lim2014"):
    """A finite-size bound that holds whatever the intensities were inside their intervals.

    Parameters
    ----------
    counts : DecoyCounts
    source : Source or SourceSettings
        The nominal intensities, inside the intervals, and the probabilities of the settings.
    security : Security
    intervals : Intervals
    proof : {"lim2014", "rusca2018", "wiesemann2024"}
        The analysis whose bounds are generalised; its budget stays as it is.

    Returns
    -------
    Bound
        No key, with the reason, where the intervals are too wide for the bounds to say anything.

    Raises
    ------
    BadInput
        Naming the field.
    """
    if proof not in _ANALYSES:
        raise BadInput(f"one of {', '.join(_ANALYSES)} is expected", field="proof", value=proof)
    module, bounds, vacuum, clip_total, words = _ANALYSES[proof]
    source = source_of(source, None, None)
    checked(counts, source)
    exact = module.bound(counts, source, security)
    if len(intervals.low) != len(source.intensities) or any(
            not a <= mu <= b for a, mu, b in zip(intervals.low, source.intensities, intervals.high, strict=True)):
        raise BadInput(f"intervals around {list(source.intensities)} are expected", field="intervals",
                       value=as_table(intervals))
    share = security.eps_sec / sum(module.SHARES.values())
    limits = share, security.tails, security.clamp, clip_total
    key, test, v1 = bounds(counts, source, limits, intervals)
    return conclude(Case(
        proof, source, security, key, test, errors=tuple(counts.errors.sum(axis=0).tolist()), v1=v1, share=share,
        shares=module.SHARES, pa_bits=exact.details["pa_bits"], vacuum=vacuum, assumptions=words,
        details={"intensity_low": list(intervals.low), "intensity_high": list(intervals.high),
                 "length_if_exact": exact.length},
        instead={EXACT_INTENSITIES: f"the intensities lie inside {_words(intervals)} and their probabilities are "
                 "exactly those stated; where inside does not depend on other pulses' settings (Wang et al. 2008)"},
    ))


def _words(intervals):
    return ", ".join(f"[{a:.6g}, {b:.6g}]" for a, b in zip(intervals.low, intervals.high, strict=True))


# --------------------------------------------------------------------------------------------------- the two protocols


def _two_decoys(counts, source, limits, intervals):
    key, test = (_photons_two_decoys(counts.clicks[:, basis], source, limits, intervals) for basis in (0, 1))
    return key, test, _errors(counts.errors[:, 1], source, limits, intervals, strong=1, weak=2)


def _photons_two_decoys(n, source, limits, intervals):
    """Lim et al. (2014), equations (2) and (3), with weights in intervals."""
    minus, plus, lower, upper = _expected(n, source, limits)
    y0 = max(_vacuum(lower, upper, intervals, strong=1, weak=2), 0.0)
    # N_2/P0+(2) - N_3/P0-(3): no Y_0 is left with a plus, the multi-photon rest is at most rho times the signal's
    photons = np.arange(_MOST + 1)
    strong = intervals.extreme(photons, 0, -1)
    decoy, weak = intervals.extreme(photons, 1, 1), intervals.extreme(photons, 2, -1)
    with np.errstate(invalid="ignore"):
        ratios = np.exp((decoy - decoy[0]) - (strong - strong[0])) - np.exp((weak - weak[0]) - (strong - strong[0]))
    rho = ratios[2:].max()
    slope = math.exp(decoy[1] - decoy[0]) - math.exp(weak[1] - weak[0]) - rho * math.exp(strong[1] - strong[0])
    signal = upper[0] / math.exp(strong[0])
    rest = lower[1] / math.exp(decoy[0]) - upper[2] / math.exp(weak[0]) - rho * (signal - y0)
    y1 = rest / slope if slope > 0 else 0.0
    return _estimate(n, source, limits, intervals, (minus, plus), y0, y1)


def _one_decoy(counts, source, limits, intervals):
    key, test = (_photons_one_decoy(counts, basis, source, limits, intervals) for basis in (0, 1))
    return key, test, _errors(counts.errors[:, 1], source, limits, intervals, strong=0, weak=1)


def _photons_one_decoy(counts, basis, source, limits, intervals):
    """Rusca et al. (2018), equations (A16), (A17) and (A19), with weights in intervals."""
    eps, tails, clamp, clip_total = limits
    n = counts.clicks[:, basis]
    minus, plus, lower, upper = _expected(n, source, limits)
    wrong = _expected(counts.errors[:, basis], source, limits)[3] * np.exp(intervals.high)         # over P0-
    tau0 = _tau(0, source, intervals)
    half = expectation("hoeffding", 0.0, n.sum(), eps)[1]
    s0_upper = 2 * (tau0[1] * (wrong.min() if tails == "hoeffding" else wrong[1]) + half)
    s0_upper = min(s0_upper, float(n.sum())) if clamp and clip_total else s0_upper
    photons = np.arange(_MOST + 1)
    strong, weak = intervals.extreme(photons, 0, -1), intervals.extreme(photons, 1, 1)
    rho = math.exp((weak - strong)[2:].max())
    slope = math.exp(weak[1]) - rho * math.exp(strong[1])
    rest = lower[1] - rho * upper[0] - (math.exp(weak[0]) - rho * math.exp(strong[0])) * s0_upper / tau0[0]
    y1 = rest / slope if slope > 0 else 0.0
    y0 = _vacuum(lower, upper, intervals, strong=0, weak=1)
    return _estimate(n, source, limits, intervals, (minus, plus), y0, y1, float(s0_upper))


# ---------------------------------------------------------------------------------------------- pieces that both share


def _expected(count, source, limits):
    """n_k^-, n_k^+ as the analyses have them (nominal weights), and bounds of the expected counts per p_k."""
    minus, plus = weighted(count, source, *limits)
    return minus, plus, minus * np.exp(-np.array(source.intensities)), plus * np.exp(-np.array(source.intensities))


def _vacuum(lower, upper, intervals, strong, weak):
    """Y_0 at least: the weaker setting's detections less those that the stronger one explains."""
    photons = np.arange(_MOST + 1)
    a, b = intervals.extreme(photons, weak, 1), intervals.extreme(photons, strong, -1)
    r = math.exp((a - b)[1:].max())
    slope = math.exp(a[0]) - r * math.exp(b[0])
    return (lower[weak] - r * upper[strong]) / slope if slope > 0 else 0.0


def _errors(m, source, limits, intervals, strong, weak):
    """Single-photon errors at most: the stronger setting's errors less the weaker one's, so that no vacuum is left."""
    _, _, lower, upper = _expected(m, source, limits)
    photons = np.arange(_MOST + 1)
    a, b = intervals.extreme(photons, strong, -1), intervals.extreme(photons, weak, 1)
    with np.errstate(invalid="ignore"):
        others = np.delete(a - b, 1)
    q = math.exp(min(others.min(), 700.0))
    slope = math.exp(a[1]) - q * math.exp(b[1])
    if slope <= 0:
        return float(m.sum())
    return float(_tau(1, source, intervals)[1] * (upper[strong] - q * lower[weak]) / slope)


def _estimate(n, source, limits, intervals, nominal, y0, y1, s0_upper=None):
    s0, s1 = (float(_tau(k, source, intervals)[0] * y) for k, y in ((0, y0), (1, y1)))
    if limits[2]:
        s0, s1 = max(s0, 0.0), max(s1, 0.0)
    return Estimate(int(n.sum()), *nominal, s0, s1, s0_upper)


def _tau(photons, source, intervals):
    """Probability to send so few photons, over all settings: at least and at most."""
    n = np.array(photons)
    return tuple(sum(p * math.exp(intervals.extreme(n, k, sign)) for k, p in enumerate(source.probabilities))
                 for sign in (-1, 1))


_ANALYSES = {                    # bounds, whether vacuum makes key, whether counts are cut at the total, words
    "lim2014": (lim2014, _two_decoys, True, False, ()),
    "rusca2018": (rusca2018, _one_decoy, True, False, rusca2018.KEY_ERRORS),
    "wiesemann2024": (wiesemann2024, _one_decoy, False, True, rusca2018.KEY_ERRORS),
}
