import numpy as np
import pytest

from qkdlab.instruments.errors import DeviceError
from qkdlab.instruments.random_health import HealthTest


def test_good_bytes_pass_in_any_pieces():
    rng, test, total = np.random.default_rng(3), HealthTest(), 0
    for size in (0, 1, 2, 3, 5, 511, 512, 513, 100_000):
        data = rng.bytes(size)
        assert test.check(data) == data
        total += size
    assert test.tested_bytes == total


@pytest.mark.parametrize("cut", range(1, 6))
def test_a_stuck_source_is_seen_across_pieces(cut):
    test = HealthTest()
    test.check(b"abc" + b"x" * cut)
    with pytest.raises(DeviceError, match="stuck"):
        test.check(b"x" * (6 - cut) + b"y")


def test_five_equal_bytes_happen():
    test = HealthTest()
    test.check(b"abxxxxxcd")
    for _ in range(6):                                   # one by one
        test.check(b"a")
        test.check(b"b")


def test_a_biased_source_is_seen():
    rng = np.random.default_rng(4)
    biased = np.where(rng.random(1 << 16) < 0.1, 0, rng.integers(0, 256, 1 << 16)).astype(np.uint8)
    with pytest.raises(DeviceError, match="biased"):
        HealthTest().check(biased.tobytes())


def test_a_biased_source_is_seen_a_few_bytes_at_a_time():
    rng, test = np.random.default_rng(4), HealthTest()
    biased = np.where(rng.random(1 << 14) < 0.1, 0, rng.integers(0, 256, 1 << 14)).astype(np.uint8).tobytes()
    with pytest.raises(DeviceError, match="biased"):
        for at in range(0, len(biased), 16):             # a key's seed, say
            test.check(biased[at : at + 16])
