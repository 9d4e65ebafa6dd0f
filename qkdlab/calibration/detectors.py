"""Dark counts, and how evenly the two detectors of each basis count."""

import math

import numpy as np

from ..errors import BadInput
from .counters import device_of
from .record import Limit, Value
from .scan import made, positive, restored, silent

__all__ = ["dark_counts", "detector_balance"]

MOST_DARK_HZ = 1e4               # of a detector, by default: 1e-5 in a gate of 1 ns, as many as a link of 40 dB gives
LEAST_BALANCE = 0.9              # weaker over stronger detector; the proofs assume equal ones (see postprocessing.balance)


def dark_counts(count, shutter, *, seconds, repeats=1, closed=("shutter_open", False), dead_time_s=0.0,
                afterpulse_probability=0.0, most_hz=MOST_DARK_HZ, valid_for_s=86400.0, progress=silent):
    """Count in the dark.

    The shutter is brought back afterwards, whatever happens.

    Parameters
    ----------
    count : callable
        See :mod:`qkdlab.calibration.counters`.
    shutter : Attenuator with a shutter, or OpticalSwitch
    seconds : float
        Of each count, s.
    repeats : int
    closed : (str, value)
        The setting that makes it dark, and its value: ``("port", 2)`` for a switch.
    dead_time_s : float
        Known dead time, s: each count takes it from the time in which the detector was ready.
    afterpulse_probability : float
        Known share of the clicks that leave an afterpulse: these are no dark counts.
    most_hz : float
        Limit of each detector, Hz.
    valid_for_s, progress
        As for :func:`qkdlab.calibration.bias_scan`; readings: ``counts``, of all detectors.

    Returns
    -------
    Calibration
        "dark counts": ``detector_0_hz``, ...
    """
    positive(seconds, "seconds", high=86400)
    _share(afterpulse_probability, "afterpulse_probability")
    total = np.zeros(0, np.int64)
    with restored(shutter, closed[0]):
        setattr(shutter, *closed)
        for index in range(_whole(repeats, "repeats")):
            found = np.asarray(count(seconds), np.int64)
            total = found if index == 0 else total + found
            progress((index + 1) / repeats, counts=int(found.sum()))
    time_s = seconds * repeats
    values, limits = {}, {}
    for detector, clicks in enumerate(total.tolist()):
        ready_s = time_s - clicks * dead_time_s
        if ready_s <= 0:
            raise BadInput("leaves no time in which the detector was ready: is it dark?", where="dark counts",
                           field="dead_time_s", value=dead_time_s)
        # An empty count still bounds the rate: one count is its uncertainty.
        scale = (1 - afterpulse_probability) / ready_s
        values[f"detector_{detector}_hz"] = Value(clicks * scale, "Hz", math.sqrt(max(clicks, 1)) * scale)
        limits[f"detector_{detector}_hz"] = Limit(0.0, most_hz, "dark counts make errors: cool the detector, look for stray "
                                                                "light")
    return made("dark counts", values, devices={"detectors": device_of(count), "shutter": shutter}, valid_for_s=valid_for_s,
                limits=limits, table={"counts": total})


def detector_balance(count, *, seconds, dark_hz=(0.0, 0.0, 0.0, 0.0), dark_uncertainty_hz=(0.0, 0.0, 0.0, 0.0),
                     dead_time_s=0.0, least=LEAST_BALANCE, valid_for_s=86400.0, progress=silent):
    """Compare the two detectors of each basis under light that must reach both alike (the link's own, whose bits are even).

    Parameters
    ----------
    count : callable
        Gives four numbers: key basis bit 0 and 1, test basis bit 0 and 1.
    seconds : float
    dark_hz, dark_uncertainty_hz : sequence of float, four
        From :func:`dark_counts`.
    dead_time_s : float
        Corrected for by ``R / (1 - R t)``.
    least : float
        Limit of the weaker over the stronger, 0 to 1. Default: a bit that is 1 with 0.474 instead of 0.5; keys are given
        up at 0.5 (``qkdlab.postprocessing.balance.LEAST_BALANCE``).
    valid_for_s, progress
        As for :func:`dark_counts`.

    Returns
    -------
    Calibration
        "detector balance": ``key``, ``test`` (weaker over stronger), ``key_1_to_0`` and ``test_1_to_0``.
    """
    positive(seconds, "seconds", high=86400)
    _share(least, "least")
    clicks = np.asarray(count(seconds), np.int64)
    if clicks.shape != (4,):
        raise BadInput("four detectors are expected", where="detector balance", field="count", value=clicks.shape)
    progress(1.0, counts=int(clicks.sum()))
    rate = clicks / seconds
    live = 1 - rate * dead_time_s
    if (live <= 0).any():
        raise BadInput("the detectors are blind all the time: less light", where="detector balance", field="dead_time_s",
                       value=dead_time_s)
    light = rate / live - np.asarray(dark_hz, float)
    # d(R / (1 - R t)) = dR / (1 - R t)^2, and the dead time narrows the counts to live^2 of Poisson's variance.
    error = np.hypot(np.sqrt(np.maximum(clicks, 1)) / seconds / live, dark_uncertainty_hz)
    if (light <= 3 * error).any():
        raise BadInput("no more than the dark counts: is there light?", where="detector balance",
                       field=f"detector {int(np.argmin(light / error))}", value=float(light.min()))
    values, limits = {}, {}
    for basis, (zero, one) in (("key", (0, 1)), ("test", (2, 3))):
        ratio = light[one] / light[zero]
        relative = math.hypot(error[zero] / light[zero], error[one] / light[one])
        values[f"{basis}_1_to_0"] = Value(ratio, "", ratio * relative)
        weaker = min(ratio, 1 / ratio)
        values[basis] = Value(weaker, "", weaker * relative)
        limits[basis] = Limit(least, None, "the proofs assume equal detectors: adjust the bias, or look for a blinded one")
    return made("detector balance", values, devices={"detectors": device_of(count)}, valid_for_s=valid_for_s, limits=limits,
                table={"counts": clicks})


def _share(value, field):
    if isinstance(value, bool | str) or not 0 <= value <= 1:
        raise BadInput("a share from 0 to 1 is expected", field=field, value=value)


def _whole(value, field):
    if isinstance(value, bool | str) or value != int(value) or not 1 <= value <= 10_000:
        raise BadInput("a whole number from 1 to 10000 is expected", field=field, value=value)
    return int(value)
