"""Loss of the channel: by a power meter at both ends, and by a reflectometer."""

import math
import time

import numpy as np

from ..errors import BadInput
from .record import Limit, Value
from .scan import made, silent

__all__ = ["loss_by_otdr", "loss_by_power_meter"]

METER_ACCURACY = 0.05            # of a reading, one standard deviation: makers of such heads state 3 to 7 %
LEAST_READINGS = 3


def loss_by_power_meter(near, far, *, readings=10, same_meter=False, most_db=None, dark_w=(0.0, 0.0), wait=time.sleep,
                        settle_s=0.1, valid_for_s=7 * 86400.0, progress=silent):
    """Power where the light enters over power where it leaves, in dB.

    Parameters
    ----------
    near, far : PowerMeter, or callable
        A callable gives the meter once it may be read: the place to move one meter from one end to the other.
    readings : int
        At each end, at least 3.
    same_meter : bool
        One meter at both ends: the accuracy of its scale cancels.
    most_db : float, optional
        Limit of the loss, dB.
    dark_w : (float, float)
        What the meters show in the dark, W.
    wait, settle_s, valid_for_s, progress
        As for :func:`qkdlab.calibration.bias_scan`.

    Returns
    -------
    Calibration
        "channel loss": ``loss_db``.
    """
    if isinstance(readings, bool | str) or readings != int(readings) or not LEAST_READINGS <= readings <= 10_000:
        raise BadInput(f"a whole number from {LEAST_READINGS} to 10000 is expected", field="readings", value=readings)
    table, devices, means = {}, {}, []
    for end, (role, given) in enumerate((("near", near), ("far", far))):
        meter = devices[role] = given() if callable(given) else given
        power = []
        for index in range(int(readings)):
            wait(settle_s)
            power.append(meter.power_w - dark_w[end])
            progress((end + (index + 1) / readings) / 2, **{f"{role}_w": power[-1]})
        table[f"{role}_w"] = power
        mean, error = float(np.mean(power)), float(np.std(power, ddof=1) / math.sqrt(readings))
        if mean <= 5 * error or mean <= 0:
            raise BadInput("no light above the noise of the meter: is the laser on, and the dark reading right?",
                           where="channel loss", field=f"{role}_w", value=mean)
        means.append((mean, error / mean))
    (near_w, near_share), (far_w, far_share) = means
    blur = math.hypot(near_share, far_share, 0 if same_meter else math.sqrt(2) * METER_ACCURACY)
    return _made(10 * math.log10(near_w / far_w), max(10 / math.log(10) * blur, 1e-3), devices, valid_for_s, most_db,
                 table, "")


def loss_by_otdr(otdr, *, most_db=None, valid_for_s=30 * 86400.0, progress=silent):
    """Loss of a fibre from the trace of a reflectometer: slopes times spans, and the splices between the ends.

    The uncertainty is what the stated total differs by, at least 0.02 dB for each connector at the ends, which the trace
    cannot see, and what the noise of the trace makes of a straight line.

    Parameters
    ----------
    otdr : Otdr or OtdrTrace
    most_db, valid_for_s, progress
        As for :func:`loss_by_power_meter`.

    Returns
    -------
    Calibration
        "channel loss": ``loss_db``, ``length_m``.
    """
    trace = otdr.trace() if hasattr(otdr, "trace") else otdr
    if len(trace.events) < 2:
        raise BadInput("two events at least are expected, the ends of the fibre", where="channel loss", field="events",
                       value=len(trace.events))
    loss, length = trace.event_loss_db, trace.events[-1].distance_m - trace.events[0].distance_m
    if not loss > 0 or not length > 0:
        raise BadInput("the trace shows no fibre that loses light", where="channel loss", field="loss_db", value=loss)
    stated = 0.0 if trace.total_loss_db is None else abs(trace.total_loss_db - loss)
    progress(1.0, loss_db=loss)
    uncertainty = math.hypot(stated, 0.02 * math.sqrt(2), _line_error_db(trace))
    return _made(loss, uncertainty, {"otdr": otdr}, valid_for_s, most_db,
                 {"distance_m": [e.distance_m for e in trace.events], "loss_db": [e.loss_db for e in trace.events],
                  "slope_db_per_km": [e.slope_db_per_km for e in trace.events]}, "; ".join(trace.warnings),
                 length_m=Value(length, "m", max(1.0, 1e-4 * length)))


def _line_error_db(trace):
    """What the noise of the points makes of the loss of a straight line over the whole fibre."""
    start, stop = trace.events[0].distance_m, trace.events[-1].distance_m
    inside = (trace.distance_m > start + 0.1 * (stop - start)) & (trace.distance_m < stop - 0.1 * (stop - start))
    if np.count_nonzero(inside) < 10:
        return 0.0
    steps = np.diff(trace.power_db[inside])
    noise = 1.4826 * float(np.median(np.abs(steps - np.median(steps)))) / math.sqrt(2)      # a splice is no noise
    return noise * math.sqrt(12 / np.count_nonzero(inside)) / 0.8


def _made(loss_db, uncertainty, devices, valid_for_s, most_db, table, note, **more):
    why = "the link loses more than it was planned for: look for a bent fibre, clean the connectors"
    limits = {} if most_db is None else {"loss_db": Limit(None, float(most_db), why)}
    return made("channel loss", {"loss_db": Value(loss_db, "dB", uncertainty), **more}, devices=devices,
                valid_for_s=valid_for_s, limits=limits, table=table, note=note)
