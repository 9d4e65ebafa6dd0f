"""Clicks that leave another click behind: Lim, Curty, Walenta, Xu and Zbinden, PRA 89, 022307 (2014), section IV."""

import numpy as np

from ..arguments import within

__all__ = ["with_afterpulses"]


def with_afterpulses(click, error, probability):
    """Detection and error probability of a pulse with afterpulses: ``R = (1 + p) D``, ``e + p D/2``. Arrays broadcast.

    An afterpulse is a click of its own, with a bit at random. That it falls as often behind signals as behind decoys is
    the paper's approximation; with a dead time beyond the afterpulses' lifetime p is small and so is its error.

    Parameters
    ----------
    click, error : array_like
        Probability per pulse of a detection, and of a wrong one (not divided by the first), without afterpulses.
    probability : array_like
        Afterpulses per click.

    Returns
    -------
    click, error : float or ndarray
        Unchanged where `probability` is 0; at most 1 and at most the clicks.

    Raises
    ------
    BadInput
    """
    click, error = within("click", click, 0, 1), within("error", error, 0, 1)
    p = within("probability", probability, 0, 1)
    clicks = np.minimum((1 + p) * click, 1.0)
    return clicks[()], np.minimum(error + p * click / 2, clicks)[()]
