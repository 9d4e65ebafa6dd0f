"""Polarisation compensation: turn the controller until the test basis makes the fewest errors."""

import math

import numpy as np

from ..errors import BadInput
from .record import Limit, Value
from .scan import made, positive, restored, silent

__all__ = ["polarisation_compensation"]

MOST_QBER = 0.05                 # by default: half way to the abort line of 11 %
ROUNDS = 2                       # through all actuators; a third one finds what the pattern search finds too


def polarisation_compensation(controller, measure, *, seconds, points=9, finest=0.01, span=1.0, confirm=4,
                              most_qber=MOST_QBER, valid_for_s=600.0, progress=silent):
    """Search the controller's actuators for the least error rate in the test basis.

    One actuator after the other goes through its range and to its best place; then all are moved in ever smaller steps.
    Where nothing better than the start is found (by more than chance), and on an error or a stop, the controller goes back
    to where it was. The error rate that is kept is measured anew at the end: the least of many is too small by chance.

    Parameters
    ----------
    controller : PolarisationController
    measure : callable
        ``measure(seconds) -> (errors, clicks)`` of the test basis: sifted counts whose bits are then no key.
    seconds : float
        Of each measurement, s.
    points : int
        Places of each actuator in the first search, 3 to 101.
    finest : float
        Step at which the search ends, as a share of the actuator's range.
    span : float
        Share of each actuator's range around its present place that is searched; 1: all of it.
    confirm : int
        The last measurement takes so many times `seconds`.
    most_qber : float
        Limit of the error rate.
    valid_for_s, progress
        As for :func:`qkdlab.calibration.bias_scan`; readings: ``qber`` and the actuators.

    Returns
    -------
    Calibration
        "polarisation": ``qber``, ``qber_before`` and the place of each actuator.

    Raises
    ------
    BadInput
        Where an actuator has no known range, or there are no clicks.
    """
    positive(seconds, "seconds", high=3600)
    positive(finest, "finest", "", 0.5)
    positive(span, "span", "", 1.0)
    positive(most_qber, "most_qber", "", 0.5)
    for name, value, low, high in (("points", points, 3, 101), ("confirm", confirm, 1, 1000)):
        if isinstance(value, bool | str) or value != int(value) or not low <= value <= high:
            raise BadInput(f"a whole number from {low} to {high} is expected", field=name, value=value)
    search = _Search(controller, measure, float(seconds), progress)
    with restored(controller, *controller.actuators) as before:
        start = search.counts(confirm)
        search.look_round(int(points), span)
        search.close_in(span / (points - 1), finest)
        search.go(search.place)
        end = search.counts(confirm)
        better = _rate(start) - _rate(end) > math.hypot(_error(start), _error(end))
        if better:
            before.clear()
        else:                                            # nothing gained beyond chance: go back, and say what is there
            end = start
    places = search.place if better else dict(before)
    values = {"qber": Value(_rate(end), "", _error(end)), "qber_before": Value(_rate(start), "", _error(start))}
    values |= {name: Value(places[name], search.units[name], finest * search.width[name]) for name in controller.actuators}
    limits = {"qber": Limit(0.0, most_qber, "errors cost key: look at the fibre, or search with more light")}
    return made("polarisation", values, devices={"controller": controller}, valid_for_s=valid_for_s, limits=limits,
                table=search.table, note="" if better else "no better place was found: the controller was left as it was")


class _Search:
    """A place, its error rate, and the ways to a better one."""

    def __init__(self, controller, measure, seconds, progress):
        self._controller, self._measure, self._seconds, self._progress = controller, measure, seconds, progress
        self.low, self.width, self.units, self.place = {}, {}, {}, {}
        for name in controller.actuators:
            described = getattr(type(controller), name)
            low, high = described.limits(controller)
            if low is None or high is None:
                raise BadInput("has no known range to search", where="polarisation", field=name)
            self.low[name], self.width[name], self.units[name] = low, high - low, described.unit
            self.place[name] = float(getattr(controller, name))
        self.best, self.table = math.inf, {name: [] for name in (*controller.actuators, "errors", "clicks")}

    def counts(self, times=1):
        """(errors, clicks) here and now."""
        errors, clicks = self._measure(self._seconds * times)
        if clicks <= 0 or not 0 <= errors <= clicks:
            raise BadInput("no clicks in the test basis: is the shutter open?", where="polarisation", field="clicks",
                           value=clicks)
        for name in self._controller.actuators:
            self.table[name].append(float(getattr(self._controller, name)))
        self.table["errors"].append(errors)
        self.table["clicks"].append(clicks)
        return errors, clicks

    def go(self, place):
        for name, value in place.items():
            setattr(self._controller, name, value)

    def _try(self, share, **moved):
        """Measure with some actuators moved; keep the place where it is better."""
        place = self.place | moved
        self.go(place)
        rate = _rate(self.counts())
        self._progress(share, qber=rate, **place)
        if rate < self.best:
            self.best, self.place = rate, place

    def look_round(self, points, span):
        """Each actuator through its range, a parabola's bottom between the best places included."""
        names = list(self.place)
        for turn in range(ROUNDS):
            for index, name in enumerate(names):
                self.best = math.inf                     # an old luck must not win over what is there now
                middle, half = self.place[name], span * self.width[name] / 2
                ends = np.clip((middle - half, middle + half), self.low[name], self.low[name] + self.width[name])
                for value in np.linspace(*ends, points):
                    self._try(0.6 * (turn * len(names) + index) / (ROUNDS * len(names)), **{name: float(value)})

    def close_in(self, step, finest):
        """Steps up and down along each actuator, halved where none helps."""
        first = step
        while step >= finest:
            self.go(self.place)
            self.best = _rate(self.counts(2))            # measured anew: it may have been luck
            before = dict(self.place)
            for name in before:
                for way in (step, -step):
                    value = before[name] + way * self.width[name]
                    value = min(max(value, self.low[name]), self.low[name] + self.width[name])
                    self._try(0.6 + 0.4 * math.log(first / step) / math.log(2 * first / finest), **{name: value})
            step /= 2


def _rate(counts):
    return counts[0] / counts[1]


def _error(counts):
    """Of a binomial share; one error more where there are none."""
    errors, clicks = counts
    share = (errors + 1) / (clicks + 2)
    return math.sqrt(share * (1 - share) / clicks)
