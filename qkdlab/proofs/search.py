"""Climbing the key length of Lim et al. (:mod:`.lim2014`) over the settings of a two-decoy source; see :mod:`.optimise`."""

import math
from dataclasses import dataclass

import numpy as np

from .. import _ext
from ..errors import BadInput
from ..settings import Settings, setting
from ..simulation.link_model import LinkModel
from . import lim2014
from .counts import Security, Source

__all__ = ["Plan", "Search"]

# Where climbs start: optima of blocks of 1e4, 1e6 and 1e9 key-basis detections at 100 km with the constants of Lim et
# al., and what an endless block tends to. Three intensities, their probabilities, probability of the key basis.
STARTS = np.array([
    (0.486, 0.107, 0.0002, 0.040, 0.507, 0.453, 0.45),
    (0.432, 0.203, 0.0002, 0.205, 0.551, 0.244, 0.77),
    (0.437, 0.173, 0.0002, 0.743, 0.164, 0.093, 0.925),
    (0.480, 0.050, 0.0002, 0.960, 0.025, 0.015, 0.99),
    (0.600, 0.020, 0.0002, 0.300, 0.300, 0.400, 0.60),
    (0.250, 0.080, 0.0002, 0.500, 0.300, 0.200, 0.80),
])
CLOSE, CLOSER = 1e-7, 1e-9       # relative height at which the corners of a simplex agree: first climbs, last ones
TRIALS = 1500                    # of one climb, at most


@dataclass(frozen=True, slots=True)
class Plan(Settings):
    """What is asked of a block, and what the source can do."""

    n_pulses: float | None = setting(None, help="pulses sent in a block", unit="pulses", low=1, high=1e15)
    n_key: float | None = setting(None, help="detections in the key basis that end a block", unit="bits", low=1,
                                  high=1e12)
    eps_sec: float = setting(1e-9, help="secrecy failure probability", low=1e-300, high=0.999)
    eps_cor: float = setting(1e-15, help="probability that the keys differ unnoticed", low=1e-300, high=0.999)
    f_ec: float = setting(1.16, help="efficiency of error correction", low=1, high=100)
    tails: str = setting("hoeffding", help="concentration bound of the decoy counts", choices=("hoeffding", "chernoff"))
    sampling: str = setting("serfling", help="bound from the test basis to the key basis",
                            choices=("serfling", "hypergeometric", "gamma", "yin"))
    clamp: bool = setting(True, help="lower bounds of counts are cut at 0")
    weakest_intensity: float = setting(2e-4, help="the weakest pulse; 2e-4 in Lim et al. (2014)", unit="photons/pulse",
                                       low=0, high=0.1)
    brightest_intensity: float = setting(1.0, help="the signal stays below it", unit="photons/pulse", low=0.25, high=10)
    intensities: tuple[float, ...] | None = setting(None, help="three that are held; absent: chosen", low=0, high=10)
    key_basis_probability: float | None = setting(None, help="held; absent: chosen", low=0.02, high=0.999)

    def check(self):
        if (self.n_pulses is None) == (self.n_key is None):
            raise BadInput("one of n_pulses and n_key is expected", field="n_pulses" if self.n_pulses else "n_key",
                           value=self.n_pulses)
        if self.intensities is not None:
            if len(self.intensities) != 3:
                raise BadInput("three are expected", field="intensities", value=list(self.intensities))
            lim2014.check(Source(self.intensities, (0.5, 0.25, 0.25)))

    @property
    def security(self):
        return Security(self.eps_sec, self.eps_cor, None, self.f_ec, self.tails, self.sampling, self.clamp)


class Search:
    """Problems climbed together: links that differ in transmittance and dark counts only, blocks that differ in size.

    Attributes
    ----------
    x : ndarray, shape (P, 5)
        Coordinates of the best point so far (see :func:`qkdlab._ext.decoy.climb`).
    best : ndarray, shape (P,)
        Its height: signed bits per pulse, below -1e29 where there is none.
    settings : ndarray, shape (P, 7)
    slots : ndarray, shape (P, T, 3)
        Share of the pulses, transmittance, dark counts per pulse in each time slot.
    shares : ndarray, shape (T,)
    trials : int
        How often the height was computed.
    """

    def __init__(self, slots, shares, receiver, passive, amount, plan):
        self.slots, self.shares, self._plan, self._amount = slots, shares, plan, amount
        self._receiver, self._passive = receiver, passive
        shares_of_eps, eps = sum(lim2014.SHARES.values()), plan.eps_sec
        self._price = np.array([
            math.log(shares_of_eps) - math.log(eps),
            6 * (math.log2(shares_of_eps) - math.log2(eps)) + 1 - math.log2(plan.eps_cor), plan.f_ec])
        # The exact bound is a search in itself: gamma, close to it where there are errors enough, stands in for it.
        self._flags = plan.tails == "chernoff", plan.sampling != "serfling", plan.clamp
        held = plan.intensities
        self._weakest = plan.weakest_intensity if held is None else held[2]
        self._brightest = plan.brightest_intensity if held is None else 2 * held[0]
        self._free = np.array([held is None, held is None, True, True, plan.key_basis_probability is None], dtype=float)
        self.x, self.best = np.zeros((len(amount), 5)), np.full(len(amount), -np.inf)
        self.settings, self.trials = np.zeros((len(amount), 7)), 0

    @classmethod
    def of(cls, problems, shares, amount, plan):
        """Of lists of links (time slots), one list for each amount (`n_key` or `n_pulses`).

        Raises
        ------
        BadInput
            Where a list is empty, the links have different receivers, or the shares do not belong to them.
        """
        first = problems[0][0] if problems and problems[0] else None
        if not isinstance(first, LinkModel):
            raise BadInput("a LinkModel is expected, or one for each time slot", field="link", value=first)
        for link in (link for links in problems for link in links):
            if _receiver(link) != _receiver(first):
                raise BadInput("links may differ in transmittance and dark_probability only", field="link", value=link)
        n = len(problems[0])
        shares = np.full(n, 1 / n) if shares is None else np.array(shares, dtype=float)
        if shares.shape != (n,) or not (shares >= 0).all() or abs(shares.sum() - 1) > 1e-9:
            raise BadInput(f"{n} numbers from 0 are expected that sum to 1", field="shares", value=shares.tolist())
        slots = np.array([[(s, a.transmittance, a.dark_probability) for s, a in zip(shares, links, strict=True)]
                          for links in problems])
        *receiver, passive = _receiver(first)
        return cls(slots, shares, np.array(receiver), passive, np.array(amount, dtype=float), plan)

    def worth(self, settings, problem=0):
        """Signed bits per pulse of settings, float64 (n, 7) to (n,); below -1e29 where no key is possible."""
        out = np.empty(len(settings))
        _ext.decoy.worth(np.ascontiguousarray(settings, dtype=float), self.slots[problem], self._receiver, self._passive,
                         self._amount[problem], self._plan.n_key is not None, self._price, *self._flags, out)
        return out

    def trials_of(self, settings, problem=0):
        """Columns of :class:`qkdlab.proofs.optimise.Trials` for settings (n, 7).

        Raises
        ------
        BadInput
            For a row that no analysis takes.
        """
        settings = np.ascontiguousarray(settings, dtype=float)
        if settings.ndim != 2 or settings.shape[1] != 7:
            raise BadInput("rows of 7 are expected: three intensities, three probabilities, the key basis", field="settings",
                           value=settings.shape)
        worth = self.worth(settings, problem)
        wrong = (worth == -8e30) | (np.abs(settings[:, 3:6].sum(axis=1) - 1) > 1e-9)
        if wrong.any():
            raise BadInput("intensities must fall with the first above the sum of the others, probabilities be above 0 and "
                           "sum to 1, the key basis lie in 0.02 to 0.999999", field=f"settings, row {int(np.argmax(wrong))}",
                           value=settings[np.argmax(wrong)].tolist())
        counts, found = np.empty((len(settings), 13)), np.empty((len(settings), 9))
        _ext.decoy.expect(settings, self.slots[problem], self._receiver, self._passive, self._amount[problem],
                          self._plan.n_key is not None, counts)
        _ext.decoy.bounds(settings, counts, self._price, *self._flags, found)
        return counts[:, 0], found[:, 8], *found[:, :8].T, np.maximum(worth, 0)

    def within(self, used):
        """The same search with some of the time slots only; bits per pulse stay those of all pulses."""
        return Search(np.ascontiguousarray(self.slots[:, used]), self.shares[used], self._receiver, self._passive,
                      self._amount, self._plan)

    def cold(self, climbs, starts=()):
        """Climb from the `climbs` most promising of the usual starts, and from all of `starts`."""
        usual = self.coordinates(STARTS)
        rows = self._at(usual)
        for problem in range(len(self.best)):
            order = np.argsort(-self.worth(rows, problem), kind="stable")[:climbs]
            x = np.concatenate([usual[order], *(self.coordinates([start]) for start in starts)])
            self._climb(x, np.full(len(x), problem), 0.5)

    def warm(self, order):
        """Climb from the neighbour's point, in this order of problems."""
        for before, here in zip(order, order[1:], strict=False):
            self._climb(self.x[before:before + 1].copy(), np.array([here]), 0.15)

    def polish(self, rounds=8):
        """Climb again from where the last climb ended, as long as it gains."""
        where = np.arange(len(self.best))
        for i in range(rounds):
            before = self.best[where]
            self._climb(self.x[where], where, (0.3, 0.1)[i % 2], CLOSER)
            where = where[self.best[where] - before > 1e-7 * np.abs(before)] if i else where
            if not len(where):
                break

    def coordinates(self, settings):
        """Settings as coordinates, (n, 7) to (n, 5); what is held takes its value."""
        mu1, mu2, _, p1, p2, p3, q = np.array(settings, dtype=float).T
        if self._plan.intensities is not None:
            mu1, mu2 = (np.full_like(q, value) for value in self._plan.intensities[:2])
        if self._plan.key_basis_probability is not None:
            q = np.full_like(q, self._plan.key_basis_probability)
        low = self._weakest
        mu1 = np.clip(mu1, 2 * low + 1e-3, 0.99 * self._brightest) if self._plan.intensities is None else mu1
        return np.column_stack([_logit((mu1 - 2 * low) / (self._brightest - 2 * low)),
                                _logit(np.clip((mu2 - low) / (mu1 - 2 * low), 1e-6, 1 - 1e-6)),
                                np.log(p2 / p1), np.log(p3 / p1), _logit(q)])

    def _at(self, x):
        """Settings at coordinates: a climb of no length."""
        return self._run(x, np.zeros(len(x), np.int64), 0.0, 0)[1]

    def _climb(self, x, where, step, close=CLOSE):
        best, settings = self._run(x, where, step, TRIALS, close)
        for i, problem in enumerate(where):
            if best[i] > self.best[problem]:
                self.x[problem], self.best[problem], self.settings[problem] = x[i], best[i], settings[i]

    def _run(self, x, where, step, most, close=CLOSE):
        best, settings = np.empty(len(x)), np.empty((len(x), 7))
        self.trials += _ext.decoy.climb(
            x, self.slots[where], self._receiver, self._passive, self._amount[where], self._plan.n_key is not None,
            self._price, *self._flags, step * self._free, self._brightest, self._weakest, most, close, best, settings)
        return best, settings


def _receiver(link):
    """What the time slots of a pass have in common."""
    bob = -1.0 if link.receiver_key_basis is None else link.receiver_key_basis
    return link.misalignment, link.afterpulse_probability, link.dead_time_pulses, bob, link.passive


def _logit(y):
    return np.log(y / (1 - y))
