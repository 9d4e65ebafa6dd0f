"""Arguments of the rate functions, checked alike everywhere."""

import numpy as np

from ..errors import BadInput

__all__ = ["share", "within"]


def within(field, value, low, high):
    """`value` as floats, if all of them lie in [low, high].

    Parameters
    ----------
    field : str
        Name for the complaint.
    value : array_like
    low, high : float
        Either may be infinite.

    Returns
    -------
    ndarray of float64
        Zero-dimensional for a number.

    Raises
    ------
    BadInput
        Naming the field; NaN lies nowhere.
    """
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise BadInput("a number or an array of numbers is expected", field=field, value=value) from None
    if not ((array >= low) & (array <= high)).all():
        raise BadInput(f"from {low:g} to {high:g} is expected", field=field, value=np.asarray(value).tolist())
    return array


def share(part, whole):
    """``part / whole``, an error rate; 1/2 where the whole is 0, since bits that were never seen may be anything.

    Parameters
    ----------
    part, whole : array_like
        Not negative; they broadcast.

    Returns
    -------
    ndarray of float64
    """
    part, whole = np.broadcast_arrays(part, whole)
    return np.divide(part, whole, out=np.full(part.shape, 0.5), where=whole > 0)
