"""Error correction: both parties in one thread; and its statistics from the errors alone."""

import itertools

import numpy as np

from qkdlab.benchmarks.measure import Case, Peer
from qkdlab.bits import Bits
from qkdlab.postprocessing.monte_carlo import correct_patterns, error_patterns, simulate_frames
from qkdlab.postprocessing.reconcile import reconcile

__all__ = ["cases"]

GOALS = {0.01: (800, 1.026), 0.02: (580, 1.036), 0.03: (420, 1.038), 0.05: (270, 1.052), 0.08: (200, 1.070)}


def cases(size):
    """Cascade on keys of 1e5 and 1e6 bits; the counts beside are means over other keys."""
    keys = 200 if size == "quick" else 1000
    for qber, (goal, f) in GOALS.items():
        yield _case(100_000, qber, goal, f, keys, "default")
    yield _case(1_000_000, 0.02, 400, 1.034, keys // 10, "default")
    yield _case(100_000, 0.02, None, None, keys, "few-rounds")
    for n, frames in (100_000, 40), (10_000, 400):
        yield _statistics(n, 0.01, frames)


def _case(n, qber, goal, goal_f, keys, variant):
    rng = np.random.default_rng(1)
    pairs = itertools.cycle([_pair(n, qber, rng) for _ in range(max(2, 2_000_000 // n))])
    found = simulate_frames(n, qber, keys, 2, variant=variant)
    facts = {"f": round(found.efficiency, 4), "f goal": goal_f, "keys": keys, "failures": found.failures,
             "rounds": round(float(found.rounds.mean())),
             "transcript / leak": round(float(found.transcript_bits.sum() / found.leak_bits.sum()), 2)}
    label = "" if variant == "default" else f", {variant}"
    return Case(f"Cascade, {n:.0e} bits, {qber:.0%}{label}".replace("e+0", "e"), "bits", n / 1e6,
                lambda: reconcile(*next(pairs), qber, seed=3, variant=variant), goal=goal, facts=facts)


def _pair(n, qber, rng):
    alice = rng.integers(0, 2, n, dtype=np.uint8)
    return Bits.from_numpy(alice), Bits.from_numpy(alice ^ (rng.random(n) < qber))


def _statistics(n, qber, frames):
    """The same error patterns with and without the keys; and a whole study, drawing included."""
    positions, ends = error_patterns(n, qber, frames, np.random.default_rng(4))
    alice = Bits.from_numpy(np.random.default_rng(5).integers(0, 2, n, dtype=np.uint8))
    starts = np.append(0, ends[:-1])
    bobs = [alice ^ _marked(n, positions[a:b] - i * n) for i, (a, b) in enumerate(zip(starts, ends, strict=True))]
    rng = np.random.default_rng(6)

    def full():
        for bob in bobs:
            reconcile(alice, bob, qber, seed=7)

    def drawn():
        for _ in range(frames // 10):
            reconcile(*_pair(n, qber, rng), qber, seed=7)

    amount = frames * n / 1e6
    return Case(f"Cascade's counts from errors, {n:.0e} bits, {qber:.0%}".replace("e+0", "e"), "bits", amount,
                lambda: correct_patterns(n, positions, ends, qber, seed=7),
                (Peer("reconcile, keys given", lambda: full), Peer("reconcile, keys drawn", lambda: drawn, amount / 10)),
                goal_over=(10, "reconcile, keys given"))


def _marked(n, positions):
    bits = np.zeros(n, np.uint8)
    bits[positions] = 1
    return Bits.from_numpy(bits)
