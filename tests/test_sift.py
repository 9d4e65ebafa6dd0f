import numpy as np
import pytest
from reference import sift as reference


@pytest.mark.parametrize("n_words", [0, 1, 2, 63, 64, 65, 1001])
@pytest.mark.parametrize("density", [0.0, 0.1, 0.5, 1.0])
def test_compress_equals_twin(kernel, n_words, density):
    rng = np.random.default_rng(n_words)
    words = rng.integers(0, 2**64, n_words, dtype=np.uint64)
    mask = np.packbits(rng.random(64 * n_words) < density, bitorder="little").view(np.uint64)
    fast, slow = np.zeros(n_words + 1, np.uint64), np.zeros(n_words + 1, np.uint64)
    kernel("sift").compress(words, mask, fast)
    reference.compress(words, mask, slow)
    assert np.array_equal(fast, slow)
