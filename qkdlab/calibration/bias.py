"""The bias of an intensity modulator: a scan of its transmission, and the lock of its controller.

A Mach-Zehnder modulator without drive passes ``a - r cos(pi (V - V_null) / V_pi)`` of the light.
"""

import time

import numpy as np
from scipy.optimize import curve_fit

from ..errors import BadInput
from ..instruments.errors import InstrumentTimeout
from .record import Limit, Value
from .scan import made, points_between, positive, restored, silent

__all__ = ["bias_lock", "bias_scan"]

LEAST_VISIBILITY = 0.98          # an extinction ratio of 20 dB: the darkest level then holds 1 % of the brightest one
LEAST_POINTS = 9                 # four numbers are fitted
_STEP_V = 1e-3                   # bias controllers set and show whole millivolts


def bias_scan(modulator, meter, *, from_v, to_v, points=41, reading="power_w", near_v=None, settle_s=0.05,
              valid_for_s=3600.0, wait=time.sleep, progress=silent):
    """Move the bias through a range, read the power, and find V_pi and the bias of least transmission.

    The modulator must not be driven meanwhile, or the meter must be slow and sit at a tap of undriven light. Its mode and,
    where the mode was manual, its bias are brought back afterwards, whatever happens.

    Parameters
    ----------
    modulator : IntensityModulator
    meter : PowerMeter, or the modulator itself where it has a tap
    from_v, to_v : float
        V. The range must hold a crest and a trough.
    points : int
    reading : str
        The meter's value, in W: "power_w", or "tap_power_w" of a bias controller.
    near_v : float, optional
        Of several troughs the one nearest to here is given; absent: to the middle of the range.
    settle_s : float
        Wait before each reading, s.
    valid_for_s : float
    wait : callable
        ``wait(seconds)``.
    progress : callable
        ``progress(share, bias_v=..., power_w=...)``; see :class:`qkdlab.calibration.Stopped`.

    Returns
    -------
    Calibration
        "modulator bias": ``v_pi_v``, ``best_bias_v`` (V) and ``visibility``.

    Raises
    ------
    BadInput
        Where the range is silly for the device, or no crest and trough lie in it.
    """
    wanted = points_between(from_v, to_v, points, device=modulator, setting="bias_v", unit="V", least=LEAST_POINTS)
    power = []
    with restored(modulator, "bias_v", "bias_mode") as before:
        if before["bias_mode"] != "manual":
            del before["bias_v"]                         # the controller's own; it finds it again
        for index, volts in enumerate(wanted):
            modulator.bias_v = float(volts)
            if index == 0:
                modulator.bias_mode = "manual"
            wait(settle_s)
            power.append(getattr(meter, reading))
            progress((index + 1) / len(wanted), bias_v=float(volts), power_w=power[-1])
    values = _fit(wanted, np.array(power), (from_v + to_v) / 2 if near_v is None else near_v)
    limits = {"visibility": Limit(LEAST_VISIBILITY, None, "the weakest intensities cannot be made (extinction below 20 dB)")}
    return made("modulator bias", values, devices={"modulator": modulator, "meter": meter}, valid_for_s=valid_for_s,
                limits=limits, table={"bias_v": wanted, "power_w": power})


def _fit(volts, power, near_v):
    """V_pi, trough and visibility by least squares."""
    span = volts[-1] - volts[0]
    if np.ptp(power) <= 0:
        raise BadInput("the power does not change: is the light on, and the meter behind the modulator?", where="bias scan",
                       field="power_w", value=power[0])
    scale = power.max()
    start = min((_misfit(volts, power / scale, v_pi) for v_pi in np.geomspace(2 * span / len(volts), 4 * span, 120)),
                key=lambda one: one[0])
    v_pi, a, b, c = start[1:]
    null = np.arctan2(c, b) / np.pi * v_pi + v_pi
    found, covariance = curve_fit(_transmission, volts, power / scale, (a, np.hypot(b, c), v_pi, null))
    a, r, v_pi, null = found
    if r < 0:
        r, null = -r, null + v_pi
    v_pi = abs(v_pi)
    error = np.sqrt(np.diag(covariance))
    if not np.isfinite(error).all() or v_pi > span or 2 * v_pi * (len(volts) - 1) < 4 * span:
        raise BadInput("no crest and trough of a modulator are in this range: widen it, or take more points",
                       where="bias scan", field="to_v - from_v", value=float(span))
    null += 2 * v_pi * round((near_v - null) / (2 * v_pi))
    ratio = error[0] / a + error[1] / r
    return {"v_pi_v": Value(v_pi, "V", np.hypot(error[2], _STEP_V)),
            "best_bias_v": Value(null, "V", np.hypot(error[3], _STEP_V)),
            "visibility": Value(min(1.0, r / a), "", ratio)}


def _transmission(volts, a, r, v_pi, null):
    return a - r * np.cos(np.pi * (volts - null) / v_pi)


def _misfit(volts, power, v_pi):
    """Sum of squares for one V_pi, with the three linear numbers that make it least."""
    phase = np.pi * volts / v_pi
    basis = np.stack([np.ones_like(phase), np.cos(phase), np.sin(phase)], axis=1)
    numbers = np.linalg.lstsq(basis, power, rcond=None)[0]
    return float(((basis @ numbers - power) ** 2).sum()), v_pi, *numbers


def bias_lock(modulator, *, mode="auto null", timeout_s=30.0, readings=5, expected_v=None, tolerance_v=0.1,
              valid_for_s=3600.0, wait=time.sleep, progress=silent):
    """Let the controller hold the bias, and see that it does.

    The modulator stays in that mode; where the lock is not found, it goes back to its old one.

    Parameters
    ----------
    modulator : IntensityModulator
    mode : str
        A mode of the controller.
    timeout_s : float
        For the lock, s.
    readings : int
        Of the voltage, at least 2.
    expected_v : float, optional
        Where the bias scan has found the trough: a lock further away than `tolerance_v` is out of limits.
    tolerance_v : float
        V. By default 2 % of a V_pi of 5 V: the weakest levels then move by 1e-3 of the signal.
    valid_for_s, wait, progress
        As for :func:`bias_scan`.

    Returns
    -------
    Calibration
        "modulator lock": ``bias_v``.
    """
    positive(timeout_s, "timeout_s")
    if isinstance(readings, bool) or readings != int(readings) or readings < 2:
        raise BadInput("a whole number of at least 2 is expected", field="readings", value=readings)
    with restored(modulator, "bias_mode") as before:
        modulator.bias_mode = mode
        waited = 0.0
        while not modulator.bias_locked:
            if waited >= timeout_s:
                raise InstrumentTimeout(f"no lock within {timeout_s:g} s in mode {mode!r}: scan the bias, or let it "
                                        "calibrate itself", device=getattr(modulator, "name", ""))
            wait(0.1)
            waited += 0.1
            progress(0.5 * waited / timeout_s)
        volts = []
        for index in range(int(readings)):
            volts.append(modulator.bias_v)
            progress(0.5 + 0.5 * (index + 1) / readings, bias_v=volts[-1])
        before.clear()                                   # it has found its lock: it stays
    limits = {}
    if expected_v is not None:
        limits["bias_v"] = Limit(expected_v - positive(tolerance_v, "tolerance_v", "V"), expected_v + tolerance_v,
                                 "the lock is not where the scan found the trough: it may sit on another fringe")
    spread = float(np.std(volts, ddof=1) / np.sqrt(len(volts)))
    return made("modulator lock", {"bias_v": Value(float(np.mean(volts)), "V", np.hypot(spread, _STEP_V))},
                devices={"modulator": modulator}, valid_for_s=valid_for_s, limits=limits, table={"bias_v": volts})
