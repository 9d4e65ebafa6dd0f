"""Whether the two detectors of a basis share the clicks, over a block and all through it.

Alice's bits are even, so honest detectors share evenly; what she sent while only one can click is no secret, and no
error rate shows it. The proofs assume equal detectors: this catches a blind or a blinded one, not a small mismatch (which
costs key, see Fung, Tamaki, Qi, Lo, Ma, Quantum Inf. Comput. 9, 131 (2009), and is not accounted for).
"""

import math

import numpy as np

from ..datatypes import BASES

__all__ = ["LEAST_BALANCE", "STRETCH", "Balance"]

LEAST_BALANCE = 0.5          # part of the clicks of a basis' stronger detector that the weaker one must have
STRETCH = 512                # clicks of a basis that are judged by themselves: a detector blinded for a while is seen, too


class Balance:
    """Clicks of one block by detector; the same whatever the stretches in which they come."""

    def __init__(self):
        self._whole = np.zeros(4, np.int64)
        self._waiting = [np.empty(0, np.uint8)] * 2
        self._past = [0, 0]                              # clicks of the stretches that were judged
        self._found = [None, None]                       # first stretch of each basis that fails, in words

    def add(self, basis, outcome):
        """Further clicks, in order: both uint8 (K,)."""
        self._whole += np.bincount(basis * 2 + outcome, minlength=4)
        for which in (0, 1):
            waiting = np.concatenate([self._waiting[which], outcome[basis == which]])
            stop = len(waiting) - len(waiting) % STRETCH
            self._judge(which, waiting[:stop].reshape(-1, STRETCH).sum(axis=1, dtype=np.int64))
            self._waiting[which] = waiting[stop:]

    def _judge(self, which, ones):
        for number in ones.tolist():
            if self._found[which] is None:
                where = f" among those from the {self._past[which] + 1:,}th on"
                self._found[which] = _one_sided(which, (STRETCH - number, number), where)
            self._past[which] += STRETCH

    def one_sided(self):
        """Which detector is all but blind against the other one of its basis, in words; or None."""
        for which, pair in enumerate(self._whole.reshape(2, 2).tolist()):
            words = _one_sided(which, pair) or self._found[which]
            if words:
                return words
        return None


def _one_sided(which, pair, where=""):
    weak, strong = sorted(pair)
    if weak + 5 * math.sqrt(weak + strong) >= LEAST_BALANCE * strong:                # 5: beyond what chance allows
        return None
    return (f"the {BASES[which]} basis' detector for bit {pair.index(weak)} has only {weak:,} clicks{where}, the other one "
            f"{strong:,}: bits that one detector alone can see are no secret. Is it blind?")
