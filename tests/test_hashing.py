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
    # x generates a group of order dividing 2^128 - 1, and no element of a proper subfield equals its own x:
    # x^(2^128) = x while x^(2^64) != x, which makes the modulus irreducible (128 = 2^7 has the one prime divisor 2).
    power = 2
    for i in range(128):
        power = reference.gf128(power, power)
        assert (power == 2) == (i == 127)
