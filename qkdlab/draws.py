"""Where the random bytes of the two parties come from: hash seeds, and the bits of double clicks."""

import hashlib

from .entropy import entropy

__all__ = ["from_system", "replayed"]


def from_system(n_bytes, purpose):
    """Random bytes for a live link: the operating system's entropy, whatever the purpose."""
    return entropy(n_bytes)


def replayed(public_seed):
    """Random bytes for a replay: expanded from the recording's public seed, so that the same recording and the same
    settings give the same key. The expansion (SHAKE-256) is computational, not information-theoretic; a bound that
    rests on it says so."""

    def draw(n_bytes, purpose):
        return hashlib.shake_256(public_seed + purpose.encode()).digest(n_bytes)

    return draw
