"""Where a falling key rate reaches zero: tolerable error rates, reaches of links."""

import numpy as np

__all__ = ["last_positive"]


def last_positive(rate, low, high, shape=()):
    """Up to which argument a rate that falls from `low` to `high` is positive, by bisection.

    Parameters
    ----------
    rate : callable
        ``rate(x)`` with an array of `shape`; positive or not is all that counts.
    low, high : float
        Where to look.
    shape : tuple of int
        Shape of the answer: each element is bisected on its own.

    Returns
    -------
    float or ndarray
        `low` where nothing is positive, `high` where everything is; else exact to the last digits.
    """
    good, bad = np.full(shape, float(low)), np.full(shape, float(high))
    bad = np.where(rate(bad) > 0, np.inf, bad)                   # never crosses: stays at `high`
    for _ in range(100):
        middle = np.where(np.isinf(bad), high, (good + bad) / 2)
        positive = rate(middle) > 0
        good, bad = np.where(positive, middle, good), np.where(positive, bad, np.minimum(middle, bad))
    return good[()]
