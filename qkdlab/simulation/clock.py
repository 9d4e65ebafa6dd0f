"""Bob's clock as it reads against Alice's."""

import numpy as np

__all__ = ["read", "true_time_ps"]


def read(clock, time_ps):
    """What Bob's clock shows at these times of Alice's, in whole ticks.

    Parameters
    ----------
    clock : ClockSettings
    time_ps : ndarray of int64, shape (n,)

    Returns
    -------
    ndarray of int64, shape (n,), ps
    """
    t = time_ps.astype(np.float64)
    gained = np.rint(t * (clock.offset_ppm * 1e-6 + 0.5e-12 * clock.drift_per_s * t)).astype(np.int64)
    shown = time_ps + gained + clock.offset_ps
    return shown if clock.tick_ps == 1 else shown // clock.tick_ps * clock.tick_ps


def true_time_ps(clock, shown_ps):
    """The first of Alice's times (int, ps) at which Bob's clock shows at least `shown_ps`: undoes :func:`read`."""
    rate, bend = clock.offset_ppm * 1e-6, 0.5e-12 * clock.drift_per_s
    since = shown_ps - clock.offset_ps
    time = since
    for _ in range(20):                  # a contraction: the clocks differ by 1e-3 at most
        time = since - round(time * (rate + bend * time))
    near = np.arange(time - clock.tick_ps - 4, time + clock.tick_ps + 5)
    return int(near[np.argmax(read(clock, near) >= shown_ps)])
