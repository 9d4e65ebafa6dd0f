"""Are the tagger's inputs the detectors they are said to be? Bit and basis of the public string tell.

Swapped detectors leave times and slots untouched; only the bits come out wrong. In public slots everybody knows which
detector must click, so the mistake is seen at once, and named, before it looks like an eavesdropper.
"""

import numpy as np

from .. import preamble
from ..datatypes import BASES

__all__ = ["fits", "swapped"]

SIGNIFICANT = 5.0            # standard deviations by which a detector's clicks must fit another detector better


def fits(source, sync, slot, detector):
    """How well each detector's clicks fit what each detector should see.

    Parameters
    ----------
    source, sync : SourceSettings, SynchronisationSettings
    slot : ndarray of int64, shape (n,)
        Alice's; clicks outside of the headers are ignored.
    detector : ndarray of uint8, shape (n,)

    Returns
    -------
    ndarray of float, shape (4, 4)
        For clicks on detector ``d`` in public slots of basis ``k // 2`` that are on: (those with bit ``k % 2`` - those
        with the other one) / sqrt(sum). Where ``d`` is ``k`` that is sqrt(n) without errors, in the other basis 0 +- 1.
    """
    public = preamble.is_header(sync, slot) & (slot >= 0)
    symbols, detector = preamble.header_symbols(source, sync, slot[public]), detector[public]
    on = symbols < 4
    seen = np.bincount(detector[on] * np.intp(4) + symbols[on], minlength=16).reshape(4, 4).astype(float)
    other = seen[:, [1, 0, 3, 2]]
    return (seen - other) / np.sqrt(np.maximum(seen + other, 1.0))


def swapped(source, sync, slot, detector):
    """Detectors whose clicks are those of another one, in words; empty where all is well or too little was seen.

    Parameters are those of :func:`fits`.

    Returns
    -------
    list of str
    """
    fit, told = fits(source, sync, slot, detector), []
    for d, row in enumerate(fit):
        best = int(np.argmax(row))
        if best != d and row[best] > SIGNIFICANT and row[best] > row[d] + SIGNIFICANT:
            told.append(f"the input for {_name(d)} sees what belongs to {_name(best)}: are the detectors swapped?")
    return told


def _name(detector):
    return f"{BASES[detector >> 1]}-basis bit {detector & 1}"
