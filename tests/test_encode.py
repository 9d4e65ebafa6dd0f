import numpy as np
import pytest
from reference import encode as reference

KEY = np.random.default_rng(8).integers(0, 2**32, 8, dtype=np.uint32)
RULES = [(29491, [45875, 58982, 65536]), (0, [65536]), (32768, [1, 2, 65535, 65536]), (16384, [32768, 65536]),
         (1, [8192, 16384, 24576, 32768, 40960, 49152, 57344, 65536])]


def test_twin_at_20_rounds_gives_the_rfc_8439_block():
    # RFC 8439, section 2.3.2. Its 96-bit nonce overlaps the upper half of our 64-bit counter.
    words = reference.keystream(np.arange(32, dtype=np.uint8).view("<u4"), [1 | 0x09000000 << 32], 20, (0x4A000000, 0))
    assert words[0].tolist() == [
        0xE4E7F110, 0x15593BD1, 0x1FDD0F50, 0xC47120A3, 0xC7F4D1C7, 0x0368C033, 0x9AAA2204, 0x4E6CD4C3,
        0x466482D2, 0x09AA9F07, 0x05D7C214, 0xA2028BD9, 0xD19C12B5, 0xB94E16DE, 0xE883D0CB, 0x4E3C50A2]


def test_twin_at_12_rounds_gives_the_published_block():
    # draft-strombergson-chacha-test-vectors, TC1: key and nonce all zero, 12 rounds, 256-bit key, block 0.
    words = reference.keystream(np.zeros(8, np.uint32), [0])
    assert words.astype("<u4").tobytes().hex() == (
        "9bf49a6a0755f953811fce125f2683d50429c3bb49e074147e0089a52eae155f"
        "0564f879d27ae3c02ce82834acfa8c793a629f2ca0de6919610be82f411326be")


@pytest.mark.parametrize("basis, thresholds", RULES)
@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 255, 256, 257, 3001])
def test_symbols_equal_twin(kernel, n, basis, thresholds):
    thresholds = np.array(thresholds)
    for first in (0, 5, 16 * (2**32 - 3) + 1, 2**62 - n):
        fast, slow = np.full(n, 255, np.uint8), np.full(n, 254, np.uint8)
        kernel("encode").symbols(KEY, first, basis, thresholds, fast)
        reference.symbols(KEY, first, basis, thresholds, slow)
        assert np.array_equal(fast, slow)


@pytest.mark.parametrize("basis, thresholds", RULES)
@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 63, 64, 65, 3001])
def test_symbols_at_equal_twin(kernel, n, basis, thresholds):
    thresholds = np.array(thresholds)
    slots = np.random.default_rng(n).integers(0, 2**62, n)
    slots[: n // 2] %= 40
    fast, slow = np.full(n, 255, np.uint8), np.full(n, 254, np.uint8)
    kernel("encode").symbols_at(KEY, slots, basis, thresholds, fast)
    reference.symbols_at(KEY, slots, basis, thresholds, slow)
    assert np.array_equal(fast, slow)
