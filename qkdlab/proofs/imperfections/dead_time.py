"""Detectors that are blind for a while after a click.

For counting: the classical corrections for a dead time that later clicks do not prolong (non-paralysable: a gated or
actively quenched diode) or do (paralysable); Knoll, Radiation Detection and Measurement, chapter 4.

For security: while one detector is blind and the other is not, a click tells its own bit. Weier et al., New J. Phys.
13, 073024 (2011), used this to read keys. **The clicks to keep are those before which, for one dead time, no detector
clicked** (:func:`all_ready`): all detectors were ready, so the bit is fair. The others are dropped by Bob before he
announces anything; to the proof that is loss which depends on neither bit nor basis.
"""

import numpy as np

from ...errors import BadInput
from ..arguments import within

__all__ = ["all_ready", "observed_rate", "share_kept", "true_rate"]


def observed_rate(rate_hz, dead_time_ps, *, paralysable=False):
    """Clicks per second of a detector that would make `rate_hz` if it were always ready. Arrays broadcast.

    ``R/(1 + R t)``; paralysable: ``R e^(-R t)``.

    Parameters
    ----------
    rate_hz, dead_time_ps : array_like
    paralysable : bool
        Whether an event during the dead time prolongs it.

    Returns
    -------
    float or ndarray
        Hz.

    Raises
    ------
    BadInput
    """
    rate, t = within("rate_hz", rate_hz, 0, 1e15), within("dead_time_ps", dead_time_ps, 0, 1e15) * 1e-12
    return (rate * np.exp(-rate * t) if paralysable else rate / (1 + rate * t))[()]


def true_rate(observed_hz, dead_time_ps, *, paralysable=False):
    """The other way round: ``R/(1 - R t)``; paralysable: the smaller solution of ``observed = R e^(-R t)``.

    Parameters
    ----------
    observed_hz, dead_time_ps : array_like
    paralysable : bool

    Returns
    -------
    float or ndarray
        Hz.

    Raises
    ------
    BadInput
        Where a detector with this dead time cannot click so often.
    """
    observed = within("observed_hz", observed_hz, 0, 1e15)
    t = within("dead_time_ps", dead_time_ps, 0, 1e15) * 1e-12
    load, most = observed * t, np.exp(-1) if paralysable else 1.0
    if (load > most).any() or (not paralysable and (load == 1).any()):
        raise BadInput(f"a detector blind for {np.max(t) * 1e12:,.0f} ps cannot click so often: is the dead time "
                       "right?", field="observed_hz", value=observed.tolist())
    if not paralysable:
        return (observed / (1 - load))[()]
    from scipy.special import lambertw

    return np.where(t > 0, np.divide(-lambertw(-load).real, t, out=np.zeros(np.shape(load)), where=t > 0), observed)[()]


def all_ready(time_ps, dead_time_ps):
    """Which clicks came when every detector was ready: no click of any detector within the dead time before.

    Parameters
    ----------
    time_ps : array_like of int64, shape (n,)
        Clicks of all detectors together, in time order.
    dead_time_ps : int
        The longest one of the detectors.

    Returns
    -------
    ndarray of bool, shape (n,)

    Raises
    ------
    BadInput
    """
    time_ps = np.asarray(time_ps, dtype=np.int64)
    window = int(within("dead_time_ps", dead_time_ps, 0, 2**62))
    gaps = np.diff(time_ps)
    if time_ps.ndim != 1 or (gaps < 0).any():
        raise BadInput("clicks in time order are expected", field="time_ps")
    ready = np.ones(len(time_ps), bool)
    ready[1:] = gaps >= window
    return ready


def share_kept(rate_hz, dead_time_ps):
    """Share of the clicks that :func:`all_ready` keeps, for clicks that come at random: ``e^(-R t)``. Arrays broadcast.

    Parameters
    ----------
    rate_hz : array_like
        Clicks per second of all detectors together.
    dead_time_ps : array_like

    Returns
    -------
    float or ndarray

    Raises
    ------
    BadInput
    """
    return np.exp(-within("rate_hz", rate_hz, 0, 1e15) * within("dead_time_ps", dead_time_ps, 0, 1e15) * 1e-12)[()]
