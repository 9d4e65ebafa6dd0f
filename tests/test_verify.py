import math
from fractions import Fraction

import numpy as np
import pytest
from reference import hashing as reference

from qkdlab import _ext
from qkdlab.bits import Bits
from qkdlab.errors import BadInput
from qkdlab.postprocessing.verify import LONGEST_KEY, collision_bound, tag, tag_bits

SEED = bytes(range(32))


@pytest.fixture
def hashing(kernel, monkeypatch):
    """Hash by each instruction path in turn."""
    monkeypatch.setattr(_ext, "hashing", kernel("hashing"), raising=False)


def random_key(n, seed=0):
    return Bits.from_numpy(np.random.default_rng(seed).integers(0, 2, n, dtype=np.uint8))


def by_definition(key, seed, bits):
    """a (m_1 r^(L+1) + ... + m_L r^2 + n r), power by power."""
    r, a = int.from_bytes(seed[:16], "little"), int.from_bytes(seed[16:], "little")
    data = key.to_bytes()
    elements = [int.from_bytes(data[i : i + 16], "little") for i in range(0, len(data), 16)] + [len(key)]
    total, power = 0, r
    for element in reversed(elements):
        total ^= reference.gf128(element, power)
        power = reference.gf128(power, r)
    return (reference.gf128(a, total) & (1 << bits) - 1).to_bytes((bits + 7) // 8, "little")


@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 127, 128, 129, 1000])
@pytest.mark.parametrize("bits", [1, 7, 50, 64, 65, 128])
def test_equals_definition(hashing, n, bits):
    assert tag(random_key(n), SEED, bits) == by_definition(random_key(n), SEED, bits)


def test_large_key_is_the_same_on_every_path(hashing):
    assert tag(random_key(1_000_003), SEED, 50).hex() == "d0d8270b760b02"


def test_length_is_hashed():
    tags = {tag(Bits.from_numpy(np.zeros(n, np.uint8)), SEED, 64) for n in range(300)}
    assert len(tags) == 300


def test_every_key_bit_matters():
    key = random_key(200).to_numpy()
    tags = {tag(Bits.from_numpy(key), SEED, 64)}
    for i in range(200):
        flipped = key.copy()
        flipped[i] ^= 1
        tags.add(tag(Bits.from_numpy(flipped), SEED, 64))
    assert len(tags) == 201


def test_every_seed_bit_matters():
    tags = {tag(random_key(200), SEED, 64)}
    for i in range(256):
        flipped = (int.from_bytes(SEED, "little") ^ 1 << i).to_bytes(32, "little")
        tags.add(tag(random_key(200), flipped, 64))
    assert len(tags) == 257


@pytest.mark.parametrize("bits", [1, 3, 6])
def test_short_tags_collide_as_often_as_promised(bits):
    rng = np.random.default_rng(bits)
    one, other = random_key(500, 1), random_key(500, 2)
    trials = 4000
    collisions = sum(tag(one, seed, bits) == tag(other, seed, bits)
                     for seed in (rng.bytes(32) for _ in range(trials)))
    p = 2**-bits
    assert abs(collisions - trials * p) < 5 * math.sqrt(trials * p * (1 - p))


@pytest.mark.parametrize("eps_cor, bits", [(1e-15, 50), (2.0**-50, 51), (1e-10, 34), (1e-3, 10), (0.5, 2), (1, 1)])
def test_tag_bits(eps_cor, bits):
    assert tag_bits(eps_cor) == bits


@pytest.mark.parametrize("eps_cor", [1.0, 0.3, 1e-3, 1e-10, 2.0**-34, 1e-15, 2.0**-50, 3e-20, 2.0**-80])
def test_tag_meets_eps_cor_and_is_paid_by_the_term_of_the_key_length(eps_cor):
    bits = tag_bits(eps_cor)
    # Exact arithmetic: the shortest key element is 128 bits, the polynomial of a key of 2^40 bits has 2^33 + 1 roots.
    assert Fraction(1, 2**bits) + Fraction(2**33 + 1, 2**128) <= Fraction(eps_cor)
    assert collision_bound(bits, LONGEST_KEY) <= Fraction(eps_cor)
    assert collision_bound(bits - 1) > Fraction(eps_cor)
    assert bits <= math.log2(2 / eps_cor)


@pytest.mark.parametrize("eps_cor", [0, -1e-9, 1.5, 2.0**-81, math.nan, math.inf, "1e-9", None])
def test_tag_bits_refuses(eps_cor):
    with pytest.raises(BadInput, match="^eps_cor: "):
        tag_bits(eps_cor)


@pytest.mark.parametrize("key, seed, bits, said", [
    (b"\x01", SEED, 50, "key"), (random_key(9), SEED[:31], 50, "seed"), (random_key(9), SEED + b"0", 50, "seed"),
    (random_key(9), 7, 50, "seed"), (random_key(9), SEED, 0, "bits"), (random_key(9), SEED, 129, "bits"),
    (random_key(9), SEED, 50.0, "bits"), (random_key(9), SEED, True, "bits"),
])
def test_tag_refuses(key, seed, bits, said):
    with pytest.raises(BadInput, match=f"^{said}: "):
        tag(key, seed, bits)
