import numpy as np
import pytest
from reference import decoy as reference


@pytest.mark.parametrize("n", [0, 1, 2, 63, 64, 65, 100_003])
@pytest.mark.parametrize("rows, high", [(1, 1), (3, 3), (3, 5), (8, 8), (256, 256)])
def test_tally_equals_twin(kernel, n, rows, high):
    rng = np.random.default_rng(n + rows)
    intensity = rng.integers(0, high, n).astype(np.uint8)
    basis, error = rng.integers(0, 4, (2, n)).astype(np.uint8)
    fast = rng.integers(0, 1000, (2, rows, 2))          # adds to what is there
    slow = fast.copy()
    kernel("decoy").tally(intensity, basis, error, fast)
    reference.tally(intensity, basis, error, slow)
    assert np.array_equal(fast, slow)


def test_tally_counts_by_intensity_and_basis(kernel):
    out = np.zeros((2, 2, 2), np.int64)
    kernel("decoy").tally(*(np.array(a, np.uint8) for a in ([0, 0, 1, 1, 1], [0, 1, 1, 1, 0], [1, 0, 1, 1, 0])), out)
    assert out[0].tolist() == [[1, 1], [1, 2]]
    assert out[1].tolist() == [[1, 0], [0, 2]]
