"""The best settings of a two-decoy source for a link and a block: intensities, their probabilities, basis bias.

What is climbed is the key length of Lim et al. (:mod:`.lim2014`), signed and not floored, over expected counts of
:class:`~qkdlab.simulation.LinkModel`: compiled (:mod:`qkdlab._ext.decoy`), some 5 million trials a second. The surface
has kinks and wide places without any key, so Nelder and Mead's simplex climbs from several starts, again from
where it ended, and along a curve from the neighbours on both sides; the intensities stay in order and the
probabilities sum to 1 by the choice of coordinates. What comes out is computed once more by the analysis itself, from
whole counts. A plan is no promise: the key of a real block comes from that block's own counts.

Coordinate search from a good start: Xu, Xu and Lo, PRA 89, 052333 (2014). Many time slots, whose counts are summed
before the bounds: Sidhu, Brougham, McArthur, Pousa and Oi, npj Quantum Inf. 8, 18 (2022).
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..datatypes import Bound, SourceSettings
from ..errors import BadInput
from ..simulation.link_model import LinkModel, expected_counts
from . import lim2014
from .counts import MOST_SENT, Source, checked
from .search import Plan, Search

__all__ = ["Optimum", "Plan", "RateCurve", "Trials", "evaluate", "optimise", "optimise_per_bit", "rate_curve"]


@dataclass(frozen=True, slots=True)
class Optimum:
    """The best settings found, and what the analysis says of the counts to expect with them."""

    intensities: tuple[float, float, float]
    probabilities: tuple[float, float, float]
    key_basis_probability: float
    n_pulses: float              # pulses of the block, on average
    rate_per_pulse: float        # length / n_pulses
    length: int
    bound: Bound

    def source(self, clock_hz):
        """As settings of a source (which draws with probabilities in steps of 2^-16)."""
        return SourceSettings(self.intensities, self.probabilities, self.key_basis_probability, clock_hz)


class RateCurve(NamedTuple):
    """Best settings over loss, for several sizes of block B and losses L."""

    loss_db: np.ndarray          # float64 (L,)
    blocks: np.ndarray           # float64 (B,): n_key or n_pulses
    rate_per_pulse: np.ndarray   # float64 (B, L): secret bits per pulse
    length: np.ndarray           # int64 (B, L)
    settings: np.ndarray         # float64 (B, L, 7): three intensities, their probabilities, key-basis probability


class Trials(NamedTuple):
    """What settings are worth; float64 (n,) each."""

    n_pulses: np.ndarray         # pulses of the block
    n_key: np.ndarray            # detections in the key basis
    s0: np.ndarray
    s1: np.ndarray
    s0_test: np.ndarray
    s1_test: np.ndarray
    v1_test: np.ndarray
    phase_error: np.ndarray      # 1 where it is undefined
    leak_bits: np.ndarray
    signed_length: np.ndarray    # -inf where it is undefined
    rate_per_pulse: np.ndarray   # 0 where there is no key


def optimise(link, *, shares=None, start=None, **plan):
    """Best settings for a link and a block.

    Parameters
    ----------
    link : LinkModel or sequence of LinkModel
        One, or one for each time slot of a pass; slots may differ in transmittance and dark counts.
    shares : array_like, optional
        Which part of the pulses is sent in each slot; absent: the same in all.
    start : array_like, shape (7,), optional
        Settings to start from beside the usual ones: three intensities, their probabilities, key-basis probability.
    **plan
        Fields of :class:`Plan`: `n_pulses` or `n_key`, `eps_sec`, `eps_cor`, `f_ec`, ...

    Returns
    -------
    Optimum
        With length 0 and the reason in ``bound`` where no settings give a key.

    Raises
    ------
    BadInput
        Naming the field.
    """
    plan = _plan(plan)
    links = [link] if isinstance(link, LinkModel) else list(link)
    search = Search.of([links], shares, [plan.n_key or plan.n_pulses], plan)
    search.cold(3, () if start is None else (start,))
    search.polish()
    return result(links, search.shares, search.settings[0], plan, plan.n_key or plan.n_pulses)


def evaluate(link, settings, *, shares=None, **plan):
    """What settings are worth on a link, for many at once: a map of the surface that :func:`optimise` climbs.

    Compiled; expected counts are not rounded, and the sampling bound is Serfling's or gamma (which also stands in for
    `hypergeometric` and `yin`).

    Parameters
    ----------
    link, shares, **plan
        As :func:`optimise`.
    settings : array_like, shape (n, 7)
        Three intensities, their probabilities, key-basis probability.

    Returns
    -------
    Trials

    Raises
    ------
    BadInput
        Naming the field, or the first row that no analysis takes.
    """
    plan = _plan(plan)
    links = [link] if isinstance(link, LinkModel) else list(link)
    return Trials(*Search.of([links], shares, [plan.n_key or plan.n_pulses], plan).trials_of(settings))


def rate_curve(link, loss_db, *, n_key=None, n_pulses=None, **plan):
    """Best settings and rates over loss, for several sizes of block.

    Parameters
    ----------
    link : LinkModel
        Without the loss.
    loss_db : array_like, shape (L,)
        Loss added to it; in order, for each point also starts from its neighbours.
    n_key, n_pulses : array_like, shape (B,)
        Sizes of the block: detections in the key basis, or pulses. One of the two.
    **plan
        Further fields of :class:`Plan`.

    Returns
    -------
    RateCurve

    Raises
    ------
    BadInput
        Naming the field.
    """
    name, blocks = ("n_key", n_key) if n_key is not None else ("n_pulses", n_pulses)
    loss_db, blocks = (np.atleast_1d(np.asarray(a, dtype=float)) for a in (loss_db, np.nan if blocks is None else blocks))
    if n_key is not None and n_pulses is not None:
        raise BadInput("one of n_pulses and n_key is expected", field="n_pulses", value=n_pulses)
    plans = [_plan({**plan, name: block}) for block in blocks]
    links = [link.over(loss) for loss in loss_db]
    search = Search.of([[at] for _ in blocks for at in links], None, np.repeat(blocks, len(links)), plans[0])
    search.cold(2)
    for i in range(len(blocks)):
        here = range(i * len(links), (i + 1) * len(links))
        search.warm(here)
        search.warm(here[::-1])
    search.polish()
    best = [result([at], search.shares, row, plan, block) for row, (block, plan, at) in zip(
        search.settings, ((b, p, at) for b, p in zip(blocks, plans, strict=True) for at in links), strict=True)]
    shape = len(blocks), len(links)
    return RateCurve(loss_db, blocks, np.array([o.rate_per_pulse for o in best]).reshape(shape),
                     np.array([o.length for o in best], dtype=np.int64).reshape(shape),
                     search.settings.reshape(*shape, 7))


def optimise_per_bit(link, eps_per_bit=1e-15, **plan):
    """Best settings where the secrecy asked for goes with the key: ``eps_sec = eps_per_bit * length``.

    So the text of Lim et al. (2014) has it; their figure 1 was in effect drawn with 1e-9 throughout. The length is found by
    repetition from above, since shorter keys must be surer, and so shorter still.

    Parameters
    ----------
    link : LinkModel or sequence of LinkModel
    eps_per_bit : float
    **plan
        Further fields of :class:`Plan`.

    Returns
    -------
    Optimum
    """
    length, best = 1e12, None
    for _ in range(40):
        best = optimise(link, **plan, eps_sec=min(eps_per_bit * max(length, 1.0), 0.1))
        if best.length >= 0.99999 * length:
            break
        length = best.length
    return best


def _plan(fields):
    unknown = [name for name in fields if name not in Plan.__dataclass_fields__]
    if unknown:
        raise TypeError(f"unexpected keyword argument {unknown[0]!r}")
    return Plan(**fields)


def result(links, shares, row, plan, block):
    """Settings (7,) on the reference path: whole expected counts through the analysis.

    Returns
    -------
    Optimum
    """
    mu, p, q = (tuple(part.tolist()) for part in (row[:3], row[3:6], row[6:]))
    n_pulses = block
    if plan.n_key is not None:
        found = sum(share * link.gains(mu, p, *q)[0][:, 0] for share, link in zip(shares, links, strict=True))
        per_pulse = float(q[0] * np.dot(p, found))
        n_pulses = block / per_pulse if per_pulse > 0 else math.inf
    # Beyond what can be counted: a link without light or dark counts, or as good as.
    counts = expected_counts(links, shares, mu, p, *q, n_pulses if n_pulses < MOST_SENT else 0)
    result = lim2014.bound(checked(counts, source := Source(mu, p)), source, plan.security)
    return Optimum(mu, p, q[0], n_pulses, result.length / n_pulses, result.length, result)
