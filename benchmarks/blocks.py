"""A block from detections to a secret key, and several blocks on threads of their own."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from qkdlab.benchmarks.measure import Case, Peer
from qkdlab.bits import Bits
from qkdlab.postprocessing.amplify import amplify
from qkdlab.postprocessing.reconcile import reconcile
from qkdlab.postprocessing.sift import sifted
from qkdlab.postprocessing.verify import tag, tag_bits

__all__ = ["cases"]

QBER, BASIS = 0.02, 0.9


def cases(size):
    """1e6 sifted bits at 2 %: Bob's sifting, Cascade with both parties, both tags, Bob's hash to half of the length."""
    blocks = [Block(1_000_000, seed) for seed in range(4)]
    for block in blocks:
        block()
    yield Case("sift to key, 1e6 bits, 2%", "bits", 1, blocks[0], goal=120,
               facts={"ms": {name: round(1000 * s, 2) for name, s in blocks[0].seconds.items()}})
    with ThreadPoolExecutor(2) as pool:
        yield Case("sift to key, four blocks on two threads", "bits", 4, lambda: list(pool.map(Block.__call__, blocks)),
                   (Peer("one thread", lambda: lambda: [block() for block in blocks]),), goal_over=(1.7, "one thread"),
                   clock=time.perf_counter)


class Block:
    """Bob's record of the slots that Alice kept, her key, and the seeds; calling it makes the key."""

    def __init__(self, n, seed):
        rng = np.random.default_rng(seed)
        total = round(n / (BASIS**2 / (BASIS**2 + (1 - BASIS) ** 2)))
        self.slot = np.cumsum(rng.integers(1, 2000, total))
        self.basis = (rng.permutation(total) >= n).astype(np.uint8)
        self.intensity = rng.integers(0, 3, total, dtype=np.uint8)
        alice = rng.integers(0, 2, total, dtype=np.uint8)
        self.bit = alice ^ (rng.random(total) < QBER)
        self.alice = Bits.from_numpy(alice[self.basis == 0])
        self.length = n // 2
        self.seed = Bits.from_bytes(rng.bytes((n + self.length) // 8), n + self.length - 1)
        self.tag_seed = rng.bytes(32)
        self.seconds = {}

    def __call__(self):
        clock = [time.thread_time()]
        bob = sifted(self.slot, self.bit, self.basis, self.intensity, code=0).bits
        clock.append(time.thread_time())
        corrected = reconcile(self.alice, bob, QBER, seed=1).bits
        clock.append(time.thread_time())
        bits = tag_bits(1e-15)
        if tag(self.alice, self.tag_seed, bits) != tag(corrected, self.tag_seed, bits):
            raise AssertionError("the keys differ after correction")
        clock.append(time.thread_time())
        key = amplify(corrected, self.length, self.seed)
        clock.append(time.thread_time())
        self.seconds = dict(zip(("sift", "correct", "verify", "amplify"), np.diff(clock).tolist(), strict=True))
        return key
