"""Calibrations on disk, what is known of each now, how it drifts, and why it may stop a key."""

import json
import math
import os
import pathlib
import time
from dataclasses import dataclass

import numpy as np

from ..errors import BadInput
from .record import Calibration

__all__ = ["Drift", "Status", "Store", "bench_blockers", "bench_calibrations", "blocker"]

DUE = 0.8                        # part of its validity after which a calibration is called due: time to make it again
SLOPE_SIGMAS = 3.0               # a slope below so many of its standard deviations is no drift: 1 in 370 by chance
LOOK_BACK = 10                   # calibrations that a drift is made of
SYMBOLS = {"fresh": "✓", "due": "◔", "expired": "✗", "out of limits": "✗", "missing": "–"}


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of one calibration now.

    Attributes
    ----------
    name : str
    state : {"fresh", "due", "expired", "out of limits", "missing"}
    words : str
        One sentence.
    calibration : Calibration or None
    """

    name: str
    state: str
    words: str
    calibration: Calibration | None = None

    @property
    def usable(self):
        """Whether a key may rest on it."""
        return self.state in ("fresh", "due")

    @property
    def symbol(self):
        """One character for the state, beside the word: never colour alone."""
        return SYMBOLS[self.state]


@dataclass(frozen=True, slots=True)
class Drift:
    """How one value went from calibration to calibration (weighted straight line).

    Attributes
    ----------
    value : str
    slope_per_s, slope_uncertainty : float
        In the value's unit per second.
    limit_at : float or None
        When it reaches its limit if it goes on so, seconds since 1970; None: it does not, or no drift is certain.
    warning : str or None
        In words, where the limit comes before the calibration expires.
    """

    value: str
    slope_per_s: float
    slope_uncertainty: float
    limit_at: float | None
    warning: str | None


class Store:
    """A folder of calibrations, one JSON file each, named by the hash of what is in it. Nothing is ever changed.

    Parameters
    ----------
    folder : path-like
        Made where it does not exist.
    """

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._read = {}

    def add(self, calibration):
        """Keep a calibration; its id. The same one twice is one."""
        path = self.folder / f"{calibration.id}.json"
        if not path.exists():
            part = path.with_suffix(f".{os.getpid()}.part")        # a file is there whole or not at all
            part.write_text(calibration.text() + "\n")
            part.replace(path)
        return calibration.id

    def all(self):
        """Every calibration, oldest first.

        Raises
        ------
        BadInput
            Where a file is not what it was: its name is the hash of its content.
        """
        for path in self.folder.glob("*.json"):
            if path.name not in self._read:
                self._read[path.name] = _load(path)
        return sorted(self._read.values(), key=lambda one: (one.made_at, one.id))

    def names(self):
        """What there are calibrations of."""
        return sorted({one.name for one in self.all()})

    def history(self, name):
        """Calibrations of one thing, oldest first."""
        return [one for one in self.all() if one.name == name]

    def latest(self, name):
        """The newest one, or None."""
        return (self.history(name) or [None])[-1]

    def status(self, now=None, needed=None):
        """What is known of each calibration.

        Parameters
        ----------
        now : float, optional
            Seconds since 1970; absent: the clock's.
        needed : iterable of str, optional
            Names to tell of; absent: all that there are.

        Returns
        -------
        list of Status
        """
        now = time.time() if now is None else now
        return [_status(name, self.latest(name), now) for name in (self.names() if needed is None else needed)]

    def drift(self, name):
        """How each value of a calibration drifts, over the last :data:`LOOK_BACK` of them.

        Returns
        -------
        list of Drift
            Empty where there are fewer than two calibrations.
        """
        history = self.history(name)[-LOOK_BACK:]
        if len(history) < 2 or history[0].made_at == history[-1].made_at:
            return []
        return [_drift(history, value) for value in history[-1].values if all(value in one.values for one in history)]


def blocker(store, needed, now=None, *, real=False):
    """Why no key may be made now, in words; or None.

    Parameters
    ----------
    store : Store
    needed : iterable of str
        Names of the calibrations that the key rests on.
    now : float or callable, optional
        Seconds since 1970; absent: the clock's.
    real : bool
        Whether the key will be marked as real: a calibration of simulated devices says nothing of real ones.

    Returns
    -------
    str or None
    """
    now = now() if callable(now) else now
    for one in store.status(now, needed):
        if not one.usable:
            return f"calibration: {one.words}"
        if real and one.calibration.simulated:
            return f"calibration: {one.name} was made with simulated devices: no real key may rest on it"
    return None


def bench_blockers(file, *, real):
    """What a bench file asks for: a blocker over all calibrations that it or one of its devices needs.

    Parameters
    ----------
    file : qkdlab.bench_file.BenchFile
    real : bool
        As for :func:`blocker`.

    Returns
    -------
    tuple of callable
        For ``Session(..., blockers=...)``; empty where nothing is needed.
    """
    wanted, needed = file.tables["calibrations"], _needed(file)
    if not needed:
        return ()
    if wanted.store is None:
        reason = f"calibration: {file.path} needs {', '.join(needed)}, but names no folder: [calibrations] store"
        return (lambda: reason,)
    store = Store(file.path.parent / wanted.store)
    return (lambda: blocker(store, needed, real=real),)


def bench_calibrations(file):
    """The calibrations that a bench rests on now, for the run's record: name to ``{"id", "made_at", "state"}``, the first
    two None where there is none."""
    folder, needed = file.tables["calibrations"].store, _needed(file)
    if folder is None:
        return {name: {"id": None, "made_at": None, "state": "missing"} for name in needed}
    return {one.name: {"id": getattr(one.calibration, "id", None), "made_at": getattr(one.calibration, "made_at", None),
                       "state": one.state} for one in Store(file.path.parent / folder).status(needed=needed)}


def _needed(file):
    """Names of the calibrations that the file or one of its devices asks for."""
    names = [*file.tables["calibrations"].needed, *(name for one in file.devices.values() for name in one.calibrations)]
    return tuple(dict.fromkeys(names))


def _load(path):
    try:
        table = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise BadInput(f"not readable as a calibration: {error}", where=path) from None
    found = Calibration.from_table(table, path)
    if found.id != path.stem:
        raise BadInput("was changed after it was written: its name is the hash of its content", where=path, field="id",
                       value=found.id)
    return found


def _status(name, latest, now):
    if latest is None:
        return Status(name, "missing", f"{name} was never calibrated")
    beyond = latest.beyond()
    if beyond:
        return Status(name, "out of limits", f"{name} is out of limits: {beyond}", latest)
    age, left = now - latest.made_at, latest.expires_at - now
    if left < 0:
        return Status(name, "expired", f"{name} is out of date: it was made {_span(age)} ago and holds for "
                                       f"{_span(latest.valid_for_s)}", latest)
    if age < -1.0:                                       # a clock that was set back must not make old numbers fresh
        return Status(name, "expired", f"{name} was made {_span(-age)} in the future: is the computer's clock right?",
                      latest)
    if age > DUE * latest.valid_for_s:
        return Status(name, "due", f"{name} is due: it holds for another {_span(left)}", latest)
    return Status(name, "fresh", f"{name} was made {_span(age)} ago and holds for another {_span(left)}", latest)


def _drift(history, name):
    """A weighted straight line through the values, and when it meets a limit."""
    t = np.array([one.made_at for one in history])
    y = np.array([one.values[name].value for one in history])
    sigma = np.array([one.values[name].uncertainty for one in history])
    # Without stated uncertainties the scatter about the line is all there is.
    weight = 1 / sigma**2 if (sigma > 0).all() else np.ones(len(t))
    mean_t, mean_y = np.average(t, weights=weight), np.average(y, weights=weight)
    spread = float((weight * (t - mean_t) ** 2).sum())
    slope = float((weight * (t - mean_t) * (y - mean_y)).sum()) / spread
    error = 1 / math.sqrt(spread) if (sigma > 0).all() else 0.0
    left = y - mean_y - slope * (t - mean_t)
    if len(t) > 2:                                       # scatter beyond the stated uncertainties widens the slope's
        scatter = float((weight * left**2).sum()) / (len(t) - 2)
        error = math.sqrt(scatter / spread) if error == 0 else error * math.sqrt(max(1.0, scatter))
    last, limit_at, warning = history[-1], None, None
    limit = last.limits.get(name)
    end = None if limit is None else limit.high if slope > 0 else limit.low
    if end is not None and abs(slope) > SLOPE_SIGMAS * error and limit.holds(last.values[name].value):
        now_y = mean_y + slope * (last.made_at - mean_t)
        limit_at = last.made_at + max(0.0, (end - now_y) / slope)
        if limit_at < last.expires_at:
            unit = f" {last.values[name].unit}".rstrip()
            warning = (f"{last.name}: {name} drifts by {slope * 3600:.3g}{unit} per hour and reaches its limit of {end:g}"
                       f"{unit} in {_span(limit_at - last.made_at)}, before the calibration expires: calibrate earlier")
    return Drift(name, slope, error, limit_at, warning)


def _span(seconds):
    """A stretch of time in words."""
    for size, word in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {word}"
    return f"{max(0.0, seconds):.0f} s"
