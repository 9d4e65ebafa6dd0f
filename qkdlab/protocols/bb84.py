"""Decoy-state BB84: what is prepared, what is sifted, what is counted.

Alice prepares one of four states in one of several intensities; Bob's passive receiver measures one of two bases. The
key basis makes key, the test basis is revealed and bounds the phase error. Nothing about an outcome of the key basis is
ever announced.
"""

import dataclasses

import numpy as np

from .._ext import decoy
from ..datatypes import DecoyCounts

__all__ = ["Answer", "answer", "pulses_sent", "tally"]


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What Alice says about the slots that Bob announced. Public."""

    keep: np.ndarray             # bool (K,): both chose the same basis
    intensity: np.ndarray        # uint8 (n,), of the kept slots
    test_bits: np.ndarray        # uint8 (t,), her bits of the kept test-basis slots


def answer(symbols, bob_basis):
    """Alice's answer to an announcement, and what she keeps to herself.

    Parameters
    ----------
    symbols : ndarray of uint8, shape (K,)
        What she prepared in the announced slots.
    bob_basis : ndarray of uint8, shape (K,)

    Returns
    -------
    Answer
    ndarray of uint8, shape (n - t,)
        Her bits of the kept key-basis slots, not announced.
    """
    keep = ((symbols >> 1) & 1) == bob_basis
    kept = symbols[keep]
    test = bob_basis[keep] == 1
    return Answer(keep, kept >> 2, kept[test] & 1), kept[~test] & 1


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
