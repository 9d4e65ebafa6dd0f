"""Delays of detectors in whole slots: each detector is placed by the public string on its own.

The fold to one pulse period tells a detector's delay up to a whole number of slots. Once the strong detectors have told
the frame and its number, every header slot of the weak ones can be compared with the string, both halves of it.
"""

import math

import numpy as np

from .. import preamble

__all__ = ["delay_scores", "place"]

CLICKS = 512                 # header clicks of a detector that are compared
WRONG = 1e-3                 # probability that a detector is put into a wrong slot, where none is more likely than that
                             # of its neighbours: a shift by s slots is taken for as likely as 1 / (1 + |s|)
ALIKE = 10.0                 # string expected at so many standard deviations and not seen: these are no pulses
CONSISTENT = 0.5             # part of the expected score at no shift at which a short recording's last word is "no shift"


def delay_scores(sync, slot, reach):
    """How well clicks agree with the string if they were shifted.

    Parameters
    ----------
    sync : SynchronisationSettings
    slot : ndarray of int64, shape (n,)
        Of one detector.
    reach : int

    Returns
    -------
    (ndarray of float, ndarray of int64), both of shape (2 * reach + 1,)
        For shifts from -reach to reach: (on - off) / sqrt(on + off) of the clicks in the headers, and their number.
    """
    place = slot % sync.frame_slots
    near = (place < sync.header_slots + reach) | (place >= sync.frame_slots - reach)
    slot = slot[near][-CLICKS:]
    on, used = (np.zeros(2 * reach + 1, np.int64) for _ in range(2))
    shifts = np.arange(-reach, reach + 1)
    for at in slot.tolist():
        moved = at + shifts
        inside = np.flatnonzero(preamble.is_header(sync, moved) & (moved >= 0))
        on[inside] += preamble.is_on(sync, moved[inside])
        used[inside] += 1
    return (2 * on - used) / np.sqrt(np.maximum(used, 1)), used


def place(sync, slot, reach, contrast, last_word):
    """Place one detector.

    Parameters
    ----------
    sync, slot, reach
        As for :func:`delay_scores`.
    contrast : float
        (on - off) / (on + off) of the detectors that were placed already.
    last_word : bool
        No more clicks will come.

    Returns
    -------
    (int or None, bool)
        The shift, None where it cannot be told; and whether more clicks could tell.
    """
    score, used = delay_scores(sync, slot, reach)
    shift = np.abs(np.arange(-reach, reach + 1))
    asked = np.sqrt(2 * (np.log1p(shift) + math.log(2 + 2 * math.log1p(reach)) - math.log(WRONG)))
    best = int(np.argmax(score - asked))
    if score[best] >= asked[best]:
        return best - reach, False
    expected = contrast * math.sqrt(float(used[reach]))
    if expected >= ALIKE:
        return 0, False                          # noise: wherever it goes, it does no harm
    if last_word and score[reach] >= max(CONSISTENT * expected, 1.0) and score[reach] >= score.max() - asked[reach]:
        return 0, False
    return None, not last_word
