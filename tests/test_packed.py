import numpy as np
import pytest
from reference import packed as reference


def both(kernel, words, *arguments, room=10_000):
    found = []
    for module in kernel("packed"), reference:
        ticks, base = np.zeros(room, np.int64), np.zeros(room, np.uint8)
        at, events, ended = module.differences(words, *arguments, ticks, base)
        found.append((at, events, ended, ticks[:events].tolist(), base[:events].tolist()))
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize("n", [0, 1, 2, 63, 64, 65, 1000])
@pytest.mark.parametrize("order, base_bits", [(2, 0), (2, 1), (17, 1), (24, 8), (31, 1), (32, 0), (8, 4)])
def test_kernel_equals_twin(kernel, n, order, base_bits):
    words = np.random.default_rng(n).integers(0, 2**32, n, dtype=np.uint32)
    words[::5] &= 0x0000FFFF                       # extensions now and then
    for at in {0, min(7, 32 * n), 32 * n}:
        both(kernel, words, at, order, base_bits, 5)
    both(kernel, words, 0, order, base_bits, 0, room=3)


def test_entries(kernel):
    # 4 bits of time, 1 beside: 5+1, extension of 100000 with 0, the end, then one that is not read.
    bits = "0101" "1" + "0000" f"{100_000:032b}" "0" + "0001" "0" + "1111" "1"
    words = np.array([int(bits.ljust(96, "0")[i : i + 32], 2) for i in (0, 32, 64)], np.uint32)
    at, events, ended, ticks, base = both(kernel, words, 0, 4, 1, 1000)
    assert (at, events, ended, ticks, base) == (5 + 37 + 5, 2, True, [1005, 101_005], [1, 0])
    assert both(kernel, words[:1], 0, 4, 1, 1000)[:3] == (5, 1, False)


@pytest.mark.parametrize("changed", [{"order": 1}, {"order": 33}, {"base_bits": 9}, {"base_bits": -1}, {"at": 33},
                                     {"at": -1}, {"start": -1}, {"start": 2**62}, {"order": 30, "base_bits": 3}])
def test_kernel_refuses_what_does_not_fit(kernel, changed):
    arguments = {"at": 0, "order": 10, "base_bits": 1, "start": 0} | changed
    with pytest.raises(ValueError, match="expected"):
        kernel("packed").differences(np.zeros(1, np.uint32), *arguments.values(), np.zeros(9, np.int64),
                                     np.zeros(9, np.uint8))
