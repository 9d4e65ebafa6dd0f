import numpy as np
import pytest
from reference import hashing as reference


def words(rng, n):
    return rng.integers(0, 2**64, n, dtype=np.uint64)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 17, 64, 65])
@pytest.mark.parametrize("m", [0, 1, 2, 7, 33])
def test_product_equals_twin(kernel, n, m):
    rng = np.random.default_rng(100 * n + m)
    seed, key, fast = words(rng, n + m), words(rng, n), words(rng, m)
    slow = fast.copy()
    kernel("hashing").product(seed, key, fast)
    reference.product(seed, key, slow)
    assert np.array_equal(fast, slow)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 63, 64, 65, 1001])
def test_polynomial_equals_twin(kernel, n):
    rng = np.random.default_rng(n)
    coefficients, where = words(rng, n), words(rng, 4)
    fast, slow = np.zeros(2, np.uint64), np.zeros(2, np.uint64)
    kernel("hashing").polynomial(coefficients, 64 * n, where, fast)
    reference.polynomial(coefficients, 64 * n, where, slow)
    assert np.array_equal(fast, slow)


def test_field_of_the_twin_is_a_field():
    # x^(2^128) = x: every irreducible factor of the modulus has a degree that divides 128, none twice. Were it not
    # irreducible itself, all these degrees would divide 64 and x^(2^64) = x would hold too.
    power = 2
    for i in range(1, 129):
        power = reference.gf128(power, power)
        assert (power == 2) == (i == 128)


# ------------------------------------------------------------------------------------------- additive transform


def sparse(rng, size, n):
    """`size` bytes, few of them not 0: the twin's time goes with those."""
    data = np.zeros(size, np.uint8)
    if size:
        data[rng.integers(0, size, n)] = rng.integers(1, 256, n)
        data[0], data[-1] = rng.integers(1, 256, 2)
    return data


def spectra(rng, cells, blocks):
    return rng.integers(0, 256, (cells, blocks, 128), dtype=np.uint8)


@pytest.mark.parametrize("cells", [256, 512, 1024])
@pytest.mark.parametrize("part", [0, 1 / 2**20, 0.37, 1])
def test_transform_equals_twin(kernel, cells, part):
    rng = np.random.default_rng(cells)
    data = sparse(rng, -int(-part * 32 * cells // 1), 20)
    fast = spectra(rng, cells, 3)
    slow = fast.copy()
    kernel("hashing").transform(data, rng.integers(0, 256, 160 * cells, dtype=np.uint8), fast, 1)
    reference.transform(data, None, slow, 1)
    assert np.array_equal(fast, slow)


def test_transform_of_dense_data_equals_twin(kernel):
    rng = np.random.default_rng(0)
    data, work = rng.integers(0, 256, 401, dtype=np.uint8), np.zeros(160 * 256, np.uint8)
    fast, slow = np.zeros((2, 256, 1, 128), np.uint8)
    kernel("hashing").transform(data, work, fast, 0)
    reference.transform(data, None, slow, 0)
    assert np.array_equal(fast, slow)


@pytest.mark.parametrize("n_key, n_out", [(0, 1), (1, 0), (1, 1), (2, 3), (3, 4), (1, 7), (5, 8), (2, 17)])
def test_multiply_add_equals_twin(kernel, n_key, n_out):
    rng = np.random.default_rng(n_key)
    seed, key = spectra(rng, 256, max(n_key + n_out - 1, 0)), spectra(rng, 256, n_key)
    fast = spectra(rng, 256, n_out)
    slow = fast.copy()
    kernel("hashing").multiply_add(seed, key, fast)
    reference.multiply_add(seed, key, slow)
    assert np.array_equal(fast, slow)


@pytest.mark.parametrize("cells", [256, 512, 1024])
def test_interpolate_equals_twin_and_is_the_product(kernel, cells):
    rng, hashing = np.random.default_rng(cells), kernel("hashing")
    n, work = 64 * cells, np.zeros(160 * cells, np.uint8)
    a, b = (rng.integers(0, 256, n // 2, dtype=np.uint8) for _ in range(2))
    values, fast, slow = np.zeros((cells, 2, 128), np.uint8), np.zeros(2 * n, np.uint8), np.zeros(2 * n, np.uint8)
    factors = np.zeros((2, cells, 1, 128), np.uint8)
    hashing.transform(a, work, factors[0], 0)
    hashing.transform(b, work, factors[1], 0)
    values[:, 1] = reference.to_cells(reference.multiply(*(reference.from_cells(f[:, 0]) for f in factors)))
    hashing.interpolate(values, 1, work, fast)
    reference.interpolate(values, 1, None, slow)
    assert np.array_equal(fast[:n], slow[:n])
    whole = np.zeros(n // 8, np.uint64)                 # the product of words knows the upper half
    padded = np.concatenate([a, np.zeros_like(a)]).view(np.uint64)
    hashing.product(padded, b.view(np.uint64), whole[n // 16 :])
    assert np.array_equal(fast[n // 2 : n], whole[n // 16 :].view(np.uint8))
