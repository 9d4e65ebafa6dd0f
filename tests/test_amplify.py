import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qkdlab
from qkdlab import _ext
from qkdlab.bits import Bits
from qkdlab.errors import BadInput
from qkdlab.postprocessing import amplify as module
from qkdlab.postprocessing.amplify import amplify

ODD_SIZES = [(1, 0), (1, 1), (2, 1), (2, 2), (63, 62), (64, 1), (64, 63), (64, 64), (65, 1), (65, 64), (65, 65),
             (127, 65), (128, 128), (129, 7), (191, 130), (1000, 333), (2047, 600)]


@pytest.fixture
def hashing(kernel, monkeypatch):
    """Amplify by each instruction path in turn."""
    monkeypatch.setattr(_ext, "hashing", kernel("hashing"), raising=False)


def draw(rng, n, m):
    return rng.integers(0, 2, n, dtype=np.uint8), rng.integers(0, 2, max(n + m - 1, 0), dtype=np.uint8)


def dense(key, length, seed):
    """The definition: a matrix times a vector, modulo 2."""
    n = len(key)
    matrix = np.empty((length, n), np.int64)
    for i in range(length):
        for j in range(n):
            matrix[i, j] = seed[i - j + n - 1]
    return matrix @ key.astype(np.int64) % 2


def by_python_integers(key, length, seed):
    """Polynomial product by Python's integers: a bit in each third byte, so that no sum of bits carries over."""
    def spread(bits):
        wide = np.zeros((len(bits), 3), np.uint8)
        wide[:, 0] = bits
        return int.from_bytes(wide.tobytes(), "little")

    n = len(key)
    sums = (spread(key) * spread(seed)).to_bytes(3 * (n + len(seed)), "little")
    return np.frombuffer(sums, np.uint8)[::3][n - 1 : n - 1 + length] & 1


def by_parity(key, i, seed):
    """Bit i of the hash: the parity of the seed's window and the reversed key."""
    n = len(key)
    return int(np.bitwise_and(seed[i : i + n], key[::-1]).sum()) & 1


@pytest.mark.parametrize("n, m", ODD_SIZES)
def test_equals_dense_matrix(hashing, n, m):
    key, seed = draw(np.random.default_rng(n + m), n, m)
    hashed = amplify(Bits.from_numpy(key), m, Bits.from_numpy(seed))
    assert len(hashed) == m
    assert np.array_equal(hashed.to_numpy(), dense(key, m, seed))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_equals_dense_matrix_at_any_size(data):
    n = data.draw(st.integers(0, 300))
    m = data.draw(st.integers(0, n))
    key, seed = draw(np.random.default_rng(data.draw(st.integers(0, 2**32))), n, m)
    assert np.array_equal(amplify(Bits.from_numpy(key), m, seed).to_numpy(), dense(key, m, seed))


@pytest.mark.parametrize("n, m", [(9973, 3001), (30011, 30011), (65537, 19661)])
def test_equals_python_integers(hashing, n, m):
    key, seed = draw(np.random.default_rng(n), n, m)
    assert np.array_equal(amplify(Bits.from_numpy(key), m, seed).to_numpy(), by_python_integers(key, m, seed))


BLOCK = 1 << 16          # bits in the smallest block of the transform


@pytest.mark.parametrize("k", [14, 15, 16])
@pytest.mark.parametrize("n, m", [(1, 1), (2, 1), (65, 64), (4001, 3999), (BLOCK - 1, 77), (BLOCK, 64), (BLOCK + 1, 65),
                                  (2 * BLOCK, 1), (2 * BLOCK + 63, 130), (3 * BLOCK - 63, 200)])
def test_transform_equals_direct_product(hashing, k, n, m):
    key, seed = (Bits.from_numpy(a) for a in draw(np.random.default_rng(n), n, m))
    direct = module._direct(key.words, seed.words, n, m)
    assert Bits.from_bytes(module._by_transform(key.words, seed.words, n, m, k), m) == Bits.from_bytes(direct, m)


@pytest.mark.parametrize("n, m", [(BLOCK, BLOCK), (BLOCK + 1, BLOCK + 1), (2 * BLOCK - 1, BLOCK - 1),
                                  (300_007, 3 * BLOCK), (1_000_003, 300_001)])
def test_long_keys_equal_parities(hashing, n, m):
    rng = np.random.default_rng(n)
    key, seed = draw(rng, n, m)
    hashed = amplify(Bits.from_numpy(key), m, Bits.from_numpy(seed)).to_numpy()
    edges = [i for b in range(0, m + 1, BLOCK) for i in (b - 1, b, b + 1)] + [m - 2, m - 1]
    for i in {i for i in [*edges, *rng.integers(0, m, 60).tolist()] if 0 <= i < m}:
        assert hashed[i] == by_parity(key, i, seed), i


def test_key_held_in_parts_gives_the_same(monkeypatch):
    n, m = 5 * BLOCK - 5, BLOCK + 9
    key, seed = (Bits.from_numpy(a) for a in draw(np.random.default_rng(2), n, m))
    whole = module._by_transform(key.words, seed.words, n, m, 14).tobytes()
    monkeypatch.setattr(module, "_KEY_BLOCKS", 2)
    monkeypatch.setattr(module, "_CELLS_AT_ONCE", 100)
    assert module._by_transform(key.words, seed.words, n, m, 14).tobytes() == whole


def test_words_in_parts_give_the_same(monkeypatch):
    n, m = 1001, 900
    key, seed = draw(np.random.default_rng(3), n, m)
    whole = amplify(Bits.from_numpy(key), m, seed)
    monkeypatch.setattr(module, "_WORDS_AT_ONCE", 40)
    assert amplify(Bits.from_numpy(key), m, seed) == whole


def test_long_keys_go_by_the_transform_and_short_ones_do_not():
    assert module._plan(1000, 300) is None
    assert module._plan(10**6, 3 * 10**5) in (14, 15, 16)
    assert module._plan(10**8, 3 * 10**7) == 16


def test_is_linear_in_key_and_in_seed(hashing):
    rng = np.random.default_rng(5)
    n, m = 200_001, 60_007
    (k1, s1), (k2, s2) = ([Bits.from_numpy(a) for a in draw(rng, n, m)] for _ in range(2))
    assert amplify(k1 ^ k2, m, s1) == amplify(k1, m, s1) ^ amplify(k2, m, s1)
    assert amplify(k1, m, s1 ^ s2) == amplify(k1, m, s1) ^ amplify(k1, m, s2)


def test_memory_is_bounded():
    n, m = 10_000_000, 3_000_000
    key, seed = (Bits.from_numpy(a) for a in draw(np.random.default_rng(1), n, m))
    tracemalloc.start()
    amplify(key, m, seed)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * (2 * n + m) / 8


@pytest.mark.parametrize("n, m", [(70, 70), (129, 40)])
def test_every_bit_of_key_and_seed_matters(n, m):
    key, seed = draw(np.random.default_rng(n), n, m)
    whole = amplify(Bits.from_numpy(np.ones(n, np.uint8)), m, seed)
    for t in range(n + m - 1):             # with an all-ones key each seed bit enters some output bit
        other = seed.copy()
        other[t] ^= 1
        assert amplify(Bits.from_numpy(np.ones(n, np.uint8)), m, other) != whole
    for j in range(n):                     # an all-ones seed lets each key bit into every output bit
        other = key.copy()
        other[j] ^= 1
        ones = np.ones(n + m - 1, np.uint8)
        flipped = amplify(Bits.from_numpy(key), m, ones) ^ amplify(Bits.from_numpy(other), m, ones)
        assert flipped.popcount() == m


def test_single_bits_land_where_the_definition_says():
    n, m = 200, 77
    for j in (0, 1, 63, 64, 127, 128, 199):
        for i in (0, 1, 63, 64, 76):
            key, seed = np.zeros(n, np.uint8), np.zeros(n + m - 1, np.uint8)
            key[j] = seed[i - j + n - 1] = 1
            assert np.flatnonzero(amplify(Bits.from_numpy(key), m, seed).to_numpy()).tolist() == [i]


def test_empty():
    assert len(amplify(Bits.from_numpy([]), 0, [])) == 0
    assert len(amplify(Bits.from_numpy([1, 0, 1]), 0, [1, 0])) == 0


def test_is_the_public_name():
    assert qkdlab.amplify is amplify


KEY = Bits.from_numpy([1, 0, 1, 1])


@pytest.mark.parametrize("key, length, seed, said", [
    (KEY, 5, np.zeros(8, np.uint8), "length"),
    (KEY, -1, np.zeros(2, np.uint8), "length"),
    (KEY, 2.5, np.zeros(5, np.uint8), "length"),
    (KEY, True, np.zeros(4, np.uint8), "length"),
    (KEY, 2, np.zeros(4, np.uint8), "seed"),
    (KEY, 2, np.zeros(6, np.uint8), "seed"),
    (KEY, 0, np.zeros(4, np.uint8), "seed"),
    (KEY, 2, np.full(5, 2), "seed"),
    (KEY, 2, np.zeros(5), "seed"),
    (KEY, 2, np.zeros((5, 1), np.uint8), "seed"),
    (KEY, 2, None, "seed"),
    (KEY, 2, "01101", "seed"),
    (np.array([1, 0, 1, 1]), 2, np.zeros(5, np.uint8), "key"),
])
def test_bad_input_names_the_field(key, length, seed, said):
    with pytest.raises(BadInput, match=f"^{said}: "):
        amplify(key, length, seed)


def test_numpy_integers_are_lengths():
    assert amplify(KEY, np.int64(2), np.ones(5, np.uint8)) == amplify(KEY, 2, np.ones(5, np.uint8))
