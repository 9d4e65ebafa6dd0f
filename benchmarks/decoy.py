"""The two-decoy bound on a grid of settings, from expected counts."""

import numpy as np

from qkdlab.benchmarks.measure import Case, Peer
from qkdlab.proofs import keylength
from qkdlab.proofs.optimise import evaluate
from qkdlab.simulation.link_model import LIM2014

__all__ = ["cases"]


def cases(size):
    """Intensities, probabilities and basis bias at 20 dB; the peer is the analysis that proves a block's bound."""
    n = 20_000 if size == "quick" else 100_000
    link, settings = LIM2014.over(20), _grid(n)
    trials = evaluate(link, settings, n_pulses=1e10)
    yield Case("decoy bound", "settings", n / 1e6, lambda: evaluate(link, settings, n_pulses=1e10),
               (Peer("lim2014", lambda: lambda: one_by_one(settings[:50]), 50e-6),), goal=2,
               facts={"with a key": f"{np.mean(trials.rate_per_pulse > 0):.0%}"})


def _grid(n):
    """Settings drawn at random, n of them."""
    rng = np.random.default_rng(1)
    mu1, mu2, p = rng.uniform(0.3, 0.8, n), rng.uniform(0.02, 0.2, n), rng.dirichlet([6, 2, 2], n)
    return np.column_stack([mu1, mu2, np.full(n, 1e-3), p, rng.uniform(0.7, 0.98, n)])


def one_by_one(settings):
    """Counts of a block of the same kind, whole numbers, through ``qkdlab keylength``."""
    for mu1, mu2, mu3, *p, _ in settings.tolist():
        keylength({"proof": "lim2014", "intensities": [mu1, mu2, mu3], "probabilities": p,
                   "key": {"n": [3_000_000, 200_000, 2000], "m": [30_000, 3000, 500]},
                   "test": {"n": [300_000, 20_000, 200], "m": [3000, 300, 50]}, "eps_sec": 1e-9, "eps_cor": 1e-15,
                   "f_ec": 1.16, "tails": "hoeffding", "sampling": "gamma", "clamp": True})
