"""Timing of the receiver from its tags: the clock's offset, and the gate with the delays of the detectors."""

import math

import numpy as np

from ..errors import BadInput
from ..postprocessing.synchronise import Synchroniser
from .counters import collect
from .record import Limit, Value
from .scan import made, positive, silent

__all__ = ["clock_offset", "gate_delay"]

MOST_PPM = 20.0                  # what the search of the pulse rate covers by default (Synchroniser)
MOST_DELAY_PS = 10_000.0         # by default: ten slots at 1 GHz; delays are found beyond, a cable is then longer than meant
_BINS = 4096                     # of the phase histogram over a period


def clock_offset(tagger, source, sync, receiver, *, seconds=1.0, block_seconds=0.1, most_ppm=MOST_PPM, valid_for_s=3600.0,
                 progress=silent):
    """Rate of Bob's pulses against the nominal one, and Alice's slot at his first tag.

    Parameters
    ----------
    tagger : TimeTagger
    source, sync, receiver
        The public settings of the link.
    seconds : float
        At least five blocks, s.
    block_seconds : float
    most_ppm : float
        Limit on either side.
    valid_for_s, progress
        As for :func:`qkdlab.calibration.bias_scan`; readings: ``offset_ppm``.

    Returns
    -------
    Calibration
        "clock offset": ``offset_ppm`` (pulses per second of Bob's clock over the nominal ones, less 1; a fast clock gives
        a negative one) and ``drift_ppm_per_s`` over the time of the measurement, ``offset_slots``.

    Raises
    ------
    BadInput
        Where the clock is not found, with the synchroniser's reason.
    """
    state, _, rows = _followed(tagger, source, sync, receiver, seconds, block_seconds, progress)
    time_s, ppm = np.array(rows["time_s"]), np.array(rows["offset_ppm"])
    settled = slice(len(ppm) // 3, None)                 # the filter narrows down at first
    line, left = _line(time_s[settled], ppm[settled])
    error = float(np.sqrt((left**2).sum() / max(1, len(left) - 2)))
    width = float(np.ptp(time_s[settled]))
    clicks = max(2, rows["tags"] * (state.gated_fraction or 0.0))
    # A straight line through the arrival times can not be better than the jitter allows: sqrt(12 / N) sigma / T.
    floor = 1e-6 * state.jitter_ps * math.sqrt(12 / clicks) / max(width, 1e-3)
    values = {"offset_ppm": Value(float(ppm[-1]), "ppm", math.hypot(error, floor)),
              "drift_ppm_per_s": Value(line, "ppm/s", math.hypot(error, floor) * math.sqrt(12) / max(width, 1e-3)),
              "offset_slots": Value(state.offset_slots, "slots", 0.0)}
    limits = {"offset_ppm": Limit(-most_ppm, most_ppm, "the search for the pulse rate ends there: discipline the clock")}
    return made("clock offset", values, devices={"tagger": tagger}, valid_for_s=valid_for_s, limits=limits,
                table={name: rows[name] for name in ("time_s", "offset_ppm")})


def gate_delay(tagger, source, sync, receiver, *, seconds=1.0, block_seconds=0.1, most_ps=MOST_DELAY_PS, valid_for_s=3600.0,
               progress=silent):
    """Delay of each detector against the first one, the width of the pulse and of the gate that is best for it.

    This gate is cut out of the tags. That of a detector's own electronics is not scanned: no detector on the menu has a
    documented command for its delay.

    Parameters
    ----------
    most_ps : float
        Limit of the delays on either side, ps.
    Others
        As for :func:`clock_offset`.

    Returns
    -------
    Calibration
        "gate delay": ``delay_1_ps`` to ``delay_3_ps``, ``jitter_ps`` (standard deviation), ``gate_ps``.
    """
    state, by_detector, rows = _followed(tagger, source, sync, receiver, seconds, block_seconds, progress)
    shares = by_detector / max(1, by_detector.sum())
    gated = rows["tags"] * (state.gated_fraction or 0.0)
    # The centre of n clicks is known to jitter / sqrt(n); delays are then followed, and kept in whole bins and ps.
    centre = state.jitter_ps / np.sqrt(np.maximum(1, shares * gated))
    step = 1e12 / source.clock_hz / _BINS
    values, limits = {}, {}
    for detector in (1, 2, 3):
        name = f"delay_{detector}_ps"
        values[name] = Value(state.delays_ps[detector], "ps", float(math.hypot(centre[0], centre[detector], 1.0, step)))
        limits[name] = Limit(-most_ps, most_ps, "a cable is longer than it was meant to be, or the input is another one")
    values["jitter_ps"] = Value(state.jitter_ps, "ps", max(1.0, state.jitter_ps / math.sqrt(max(2.0, 2 * gated))))
    values["gate_ps"] = Value(state.gate_ps, "ps", 1.0)
    return made("gate delay", values, devices={"tagger": tagger}, valid_for_s=valid_for_s, limits=limits,
                table={"phase_ps": rows["phase_ps"], **{f"detector_{i}": h for i, h in enumerate(rows["histogram"])}})


def _followed(tagger, source, sync, receiver, seconds, block_seconds, progress):
    """Tags through a synchroniser: its last state, tags by detector, and a row for each block with a lock."""
    positive(seconds, "seconds", high=3600)
    if seconds < 5 * positive(block_seconds, "block_seconds"):
        raise BadInput("at least five blocks are expected", field="seconds", value=seconds)
    follower = Synchroniser(source, sync, receiver, np.random.default_rng(0))        # its bits are thrown away
    by_detector, rows = np.zeros(4, np.int64), {"time_s": [], "offset_ppm": [], "tags": 0}
    first_ps = None
    for index, tags in enumerate(blocks := collect(tagger, seconds, block_seconds=block_seconds)):
        follower.push(tags)
        by_detector += np.bincount(tags.channel, minlength=256)[list(receiver.channels)]
        rows["tags"] += len(tags)
        if len(tags):
            first_ps = int(tags.time_ps[0]) if first_ps is None else first_ps
        state = follower.state
        if state.locked and len(tags):
            rows["time_s"].append((int(tags.time_ps[-1]) - first_ps) * 1e-12)
            rows["offset_ppm"].append(state.offset_ppm)
        progress((index + 1) / len(blocks), offset_ppm=state.offset_ppm or 0.0)
    state = follower.state
    if not state.locked or len(rows["offset_ppm"]) < 3 or state.jitter_ps is None or state.delays_ps is None:
        raise BadInput(f"the clock was not found: {state.reason or 'too few blocks with a lock, take more time'}",
                       where="timing", field="seconds", value=seconds)
    rows["phase_ps"], rows["histogram"] = follower.histogram()
    return state, by_detector, rows


def _line(x, y):
    """Slope and residuals of a straight line."""
    if len(x) < 2 or np.ptp(x) == 0:
        return 0.0, np.zeros(len(x))
    slope = float(((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum())
    return slope, y - y.mean() - slope * (x - x.mean())
