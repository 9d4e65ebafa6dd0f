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


@pytest.mark.parametrize("n_words", [0, 1, 2, 40])
@pytest.mark.parametrize("m", [0, 1, 2, 17])
@pytest.mark.parametrize("start", [-3000, -1087, -64, -63, -1, 0, 1, 63, 64, 65, 127, 1600, 3000])
def test_move_equals_twin(kernel, n_words, m, start):
    rng = np.random.default_rng(n_words)
    string, fast, slow = words(rng, n_words), words(rng, m), np.zeros(m, np.uint64)
    kernel("hashing").move(string, start, fast)
    reference.move(string, start, slow)
    assert np.array_equal(fast, slow)


def sparse(rng, n_words, n):
    """Words with few bytes that are not 0: the twin's time goes with those."""
    data = np.zeros(8 * n_words, np.uint8)
    if n_words:
        data[rng.integers(0, len(data), n)] = rng.integers(1, 256, n)
        data[0], data[-1] = rng.integers(1, 256, 2)
    return data.view(np.uint64)


def spectra(rng, cells, blocks):
    return rng.integers(0, 256, (cells, blocks, 128), dtype=np.uint8)


@pytest.mark.parametrize("cells", [256, 512, 1024])
@pytest.mark.parametrize("n_words, start", [(0, 0), (1, 0), (1, -63), (1025, 1), (4096, 0), (4200, 77), (1000, -100_000)])
def test_transform_equals_twin(kernel, cells, n_words, start):
    rng = np.random.default_rng(cells)
    string, fast = sparse(rng, n_words, 20), spectra(rng, cells, 3)
    slow = fast.copy()
    kernel("hashing").transform(string, start, words(rng, 32 * cells), fast, 1)
    reference.transform(string, start, None, slow, 1)
    assert np.array_equal(fast, slow)


def test_transform_of_dense_data_equals_twin(kernel):
    rng = np.random.default_rng(0)
    string, work = words(rng, 51), np.zeros(32 * 256, np.uint64)
    fast, slow = np.zeros((2, 256, 1, 128), np.uint8)
    kernel("hashing").transform(string, -5, work, fast, 0)
    reference.transform(string, -5, None, slow, 0)
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
    m, work = 4 * cells, np.zeros(32 * cells, np.uint64)            # words in a block
    a, b = words(rng, m), words(rng, m)
    factors = np.zeros((2, cells, 1, 128), np.uint8)
    hashing.transform(a, 0, work, factors[0], 0)
    hashing.transform(b, 0, work, factors[1], 0)
    values = spectra(rng, cells, 2)
    values[:, 1] = reference.to_cells(reference.multiply(*(reference.from_cells(f[:, 0]) for f in factors)))
    before = words(rng, 2 * m)
    fast, slow = before.copy(), before.copy()
    hashing.interpolate(values, 1, work, fast)
    reference.interpolate(values, 1, None, slow)
    assert np.array_equal(fast, slow)
    upper = before[m:].copy()                           # the product of words knows the upper half
    hashing.product(np.concatenate([a, np.zeros_like(a)]), b, upper)
    assert np.array_equal(fast[m:], upper)


def test_several_blocks_in_one_call_equal_twin(kernel):
    rng, work = np.random.default_rng(3), np.zeros(32 * 256, np.uint64)
    string, fast = sparse(rng, 3000, 40), spectra(rng, 256, 4)
    slow = fast.copy()
    kernel("hashing").transform(string, -100, work, fast, 1, 3)
    reference.transform(string, -100, None, slow, 1, 3)
    assert np.array_equal(fast, slow)
    ours = words(rng, 3 * 1024)
    twins = ours.copy()
    kernel("hashing").interpolate(fast, 2, work, ours, 2)
    reference.interpolate(slow, 2, None, twins, 2)
    assert np.array_equal(ours, twins)


def zeros(*shape):
    return np.zeros(shape, np.uint8 if len(shape) == 3 else np.uint64)


@pytest.mark.parametrize("name, arguments", [
    ("product", (zeros(4), zeros(2), zeros(1))),
    ("polynomial", (zeros(2), 0, zeros(3), zeros(2))),
    ("polynomial", (zeros(2), 0, zeros(4), zeros(1))),
    ("transform", (zeros(2), 0, zeros(32 * 256 - 1), zeros(256, 1, 128), 0)),
    ("transform", (zeros(2), 0, zeros(32 * 256), zeros(255, 1, 128), 0)),
    ("transform", (zeros(2), 0, zeros(32 * 256), zeros(256, 1, 127), 0)),
    ("transform", (zeros(2), 0, zeros(32 * 256), zeros(256, 1, 128), 1)),
    ("transform", (zeros(2), 0, zeros(32 * 256), zeros(256, 1, 128), -1)),
    ("transform", (zeros(2), 0, zeros(32 * 256), zeros(256, 2, 128), 1, 2)),
    ("transform", (zeros(2), 0, zeros(32 * 256), zeros(256, 2, 128), 1, 0)),
    ("multiply_add", (zeros(256, 2, 128), zeros(256, 1, 128), zeros(256, 1, 128))),
    ("multiply_add", (zeros(256, 1, 128), zeros(255, 1, 128), zeros(256, 1, 128))),
    ("multiply_add", (zeros(256, 1, 128), zeros(256, 1, 128), zeros(256, 1, 64))),
    ("interpolate", (zeros(256, 1, 128), 0, zeros(32 * 256), zeros(2047))),
    ("interpolate", (zeros(256, 1, 128), 0, zeros(32 * 256 - 1), zeros(2048))),
    ("interpolate", (zeros(256, 1, 128), 0, zeros(32 * 256), zeros(3072), 2)),
    ("interpolate", (zeros(256, 2, 128), 0, zeros(32 * 256), zeros(2048), 2)),
    ("product", (zeros(4), zeros(2), zeros(4)[::2])),
    ("product", (zeros(4).astype(np.int64), zeros(2), zeros(2))),
])
def test_arrays_that_do_not_fit_are_refused(kernel, name, arguments):
    with pytest.raises(ValueError):
        getattr(kernel("hashing"), name)(*arguments)
