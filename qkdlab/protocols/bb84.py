"""Decoy-state BB84: what is prepared and what is counted (the messages of sifting are :mod:`..postprocessing.sift`'s).

Alice prepares one of four states in one of several intensities; Bob's passive receiver measures one of two bases. The
key basis makes key, the test basis is revealed and bounds the phase error. Nothing about an outcome of the key basis is
ever announced.
"""

import numpy as np

from .._ext import decoy
from ..datatypes import DecoyCounts

__all__ = ["pulses_sent", "tally"]


def tally(n_intensities, intensity, basis, error):
    """Count kept detections.

    Parameters
    ----------
    n_intensities : int
    intensity, basis, error : ndarray of uint8, shape (n,)
        `error` is 1 where the bits of the two parties differ (0 where it is not known).

    Returns
    -------
    DecoyCounts
        With nothing in ``sent`` (see `pulses_sent`).
    """
    out = np.zeros((2, n_intensities, 2), np.int64)
    decoy.tally(*(np.ascontiguousarray(a, np.uint8) for a in (intensity, basis, error)), out)
    return DecoyCounts(np.zeros((n_intensities, 2), np.int64), out[0], out[1])


def pulses_sent(source, n_slots):
    """Expected number of pulses by (intensity, basis) in `n_slots` slots, int64, from the probabilities as drawn."""
    basis = np.array([source.achieved_key_basis_probability, 1 - source.achieved_key_basis_probability])
    return np.rint(n_slots * np.outer(source.achieved_probabilities, basis)).astype(np.int64)
