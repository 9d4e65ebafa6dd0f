"""The one place where randomness for keys comes from: the operating system."""

import os

__all__ = ["entropy"]


def entropy(n_bytes):
    """`n_bytes` of the operating system's entropy: for keys, hash seeds and authentication. Never for simulations."""
    return os.urandom(n_bytes)
