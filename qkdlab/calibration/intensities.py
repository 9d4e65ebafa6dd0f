"""Intensities as made against those commanded: by a power meter level by level, or by Bob's gains."""

import math
import time

import numpy as np

from ..errors import BadInput
from .record import Limit, Value
from .scan import made, silent

__all__ = ["intensity_ratios", "intensity_ratios_from_counts", "level_player"]

TOLERANCE = 0.05                 # of each ratio, by default; what a proof makes of it is told by its own assumptions
LEAST_READINGS = 3
LEAST_SAMPLES = 8                # of a waveform, for the generators on the menu
SIGMAS = 3.0                     # a ratio is out of limits only beyond this part of its own uncertainty


def level_player(generator, levels, pattern, sample_rate_hz):
    """The ``play`` of :func:`intensity_ratios` over a pattern generator that drives the modulator.

    Parameters
    ----------
    generator : PatternGenerator
    levels : sequence of float
        Sample of each intensity, from -1 (lower voltage) to 1 (upper voltage), strongest first.
    pattern : array of float
        What is played otherwise: ``play(None)`` loads it again.
    sample_rate_hz : float

    Returns
    -------
    callable
    """
    levels, pattern = np.asarray(levels, float), np.asarray(pattern, float)
    if levels.ndim != 1 or not len(levels) or not (np.abs(levels) <= 1).all():
        raise BadInput("numbers from -1 to 1 are expected", where="intensity ratios", field="levels", value=levels.tolist())

    def play(index):
        samples = pattern if index is None else np.full(LEAST_SAMPLES, levels[index])
        generator.load("pattern" if index is None else f"level_{index}", samples, sample_rate_hz)

    return play


def intensity_ratios(play, meter, source, *, readings=10, dark_w=0.0, tolerance=TOLERANCE, settle_s=0.1, valid_for_s=3600.0,
                     wait=time.sleep, progress=silent):
    """Send each intensity alone, read the power, and compare ratios to the signal with the commanded ones.

    Parameters
    ----------
    play : callable
        ``play(index)`` lets the sender send that intensity only; ``play(None)`` brings back what it sent before, and is
        called at the end whatever happens. See :func:`level_player`.
    meter : PowerMeter
    source : SourceSettings
    readings : int
        Of each level, at least 3.
    dark_w : float
        What the meter shows without light, W.
    tolerance : float
        Limit of each ratio over the commanded one, on either side of 1.
    settle_s, valid_for_s, wait, progress
        As for :func:`qkdlab.calibration.bias_scan`.

    Returns
    -------
    Calibration
        "intensity ratios": ``ratio_1``, ... (measured over signal) and ``relative_1``, ... (of that to the commanded one;
        left out where zero is commanded, whose ``ratio`` is limited instead).
    """
    if isinstance(readings, bool | str) or readings != int(readings) or not LEAST_READINGS <= readings <= 10_000:
        raise BadInput(f"a whole number from {LEAST_READINGS} to 10000 is expected", field="readings", value=readings)
    levels, table = len(source.intensities), {}
    try:
        for level in range(levels):
            play(level)
            power = table[f"level_{level}_w"] = []
            for index in range(int(readings)):
                wait(settle_s)
                power.append(meter.power_w - dark_w)
                progress((level + (index + 1) / readings) / levels, level=level, power_w=power[-1])
    finally:
        play(None)
    mean = np.array([np.mean(p) for p in table.values()])
    error = np.array([np.std(p, ddof=1) for p in table.values()]) / math.sqrt(readings)
    return _ratios(mean, error, source, tolerance, {"meter": meter}, valid_for_s, table)


def intensity_ratios_from_counts(counts, source, *, dark_probability=0.0, dark_uncertainty=0.0, tolerance=TOLERANCE,
                                 devices=None, valid_for_s=3600.0, progress=silent):
    """The same from what Bob counted of each intensity: ``Q = 1 - (1 - Y0) exp(-eta mu)``, so that ``eta mu`` is known.

    It needs no further device and sees what Bob sees; dead time, which thins all intensities alike, falls out. It rests on
    an honest channel: a photon-number-splitting Eve changes these ratios, and is then taken for a wrong modulator.

    Parameters
    ----------
    counts : DecoyCounts
    source : SourceSettings
    dark_probability, dark_uncertainty : float
        Y0, the chance of a click in a slot without light, from the dark counts.
    tolerance, valid_for_s, progress
        As for :func:`intensity_ratios`.
    devices : dict of str to device, optional
    """
    sent, clicks = counts.sent.sum(axis=1), counts.clicks.sum(axis=1)
    if (sent <= 0).any() or (clicks[:1] <= 0).any():
        raise BadInput("no clicks of the signal: is the shutter open?", where="intensity ratios", field="clicks",
                       value=clicks.tolist())
    if not 0 <= dark_probability < 1:
        raise BadInput("a probability is expected", field="dark_probability", value=dark_probability)
    gain = clicks / sent
    seen = np.log1p(-dark_probability) - np.log1p(-np.minimum(gain, 1 - 1e-12))
    # d(eta mu) = dQ / (1 - Q)
    error = np.hypot(np.sqrt(np.maximum(clicks, 1)) / sent, dark_uncertainty) / (1 - gain)
    progress(1.0)
    return _ratios(seen, error, source, tolerance, devices or {}, valid_for_s, {"sent": sent, "clicks": clicks})


def _ratios(mean, error, source, tolerance, devices, valid_for_s, table):
    if mean[0] <= 5 * error[0] or mean[0] <= 0:
        raise BadInput("no light of the signal above the noise: is the laser on?", where="intensity ratios", field="level_0",
                       value=float(mean[0]))
    if isinstance(tolerance, bool | str) or not 0 < tolerance < 1:
        raise BadInput("a share between 0 and 1 is expected", field="tolerance", value=tolerance)
    values, limits = {}, {}
    for level in range(1, len(mean)):
        ratio, blur = mean[level] / mean[0], math.hypot(error[level] / mean[0], mean[level] * error[0] / mean[0] ** 2)
        commanded = source.intensities[level] / source.intensities[0]
        values[f"ratio_{level}"] = Value(ratio, "", blur)
        why = "the proofs take the intensities as agreed: scan the bias, lock it, set the drive anew"
        if commanded < 0.01:                             # vacuum in all but name: a share of almost nothing says nothing
            limits[f"ratio_{level}"] = Limit(-SIGMAS * blur, commanded + tolerance * 0.01 + SIGMAS * blur, why)
        else:
            values[f"relative_{level}"] = Value(ratio / commanded, "", blur / commanded)
            room = tolerance + SIGMAS * blur / commanded
            limits[f"relative_{level}"] = Limit(1 - room, 1 + room, why)
    return made("intensity ratios", values, devices=devices, valid_for_s=valid_for_s, limits=limits, table=table)
