"""What Alice prepares in each slot."""

import numpy as np

from qkdlab.benchmarks.measure import Case, Peer
from qkdlab.choices import DrawnChoices
from qkdlab.datatypes import SourceSettings

__all__ = ["cases"]


def cases(size):
    """Bit, basis and one of three intensities, one byte a pulse."""
    n = 2_000_000 if size == "quick" else 10_000_000
    source = SourceSettings()
    choices = DrawnChoices(source, None, bytes(range(32)))
    achieved = np.abs(np.subtract(source.achieved_probabilities, source.probabilities)).max()
    yield Case("encode", "pulses", n / 1e6, lambda: choices.train(0, n),
               (Peer("numpy", lambda: lambda: naive(source, n // 10), n / 1e7),), goal_over=(25, "numpy"),
               facts={"largest deviation of a probability": float(f"{achieved:.1g}")})


def naive(source, n, rng=np.random.default_rng(1)):     # noqa: B008
    """One draw for each choice, as one writes it first."""
    bit = rng.integers(0, 2, n, dtype=np.uint8)
    basis = (rng.random(n) >= source.key_basis_probability).astype(np.uint8)
    intensity = rng.choice(len(source.intensities), n, p=source.probabilities).astype(np.uint8)
    return bit | basis << 1 | intensity << 2
