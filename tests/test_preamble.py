import numpy as np
import pytest

from qkdlab import preamble
from qkdlab.datatypes import SourceSettings, SynchronisationSettings
from qkdlab.errors import BadInput

SOURCE = SourceSettings()
SYNC = SynchronisationSettings(frame_slots=4096, header_slots=1024, string_seed=3)


def test_half_of_each_pattern_is_on():
    for pattern in (preamble.fixed_pattern(SYNC), preamble.frame_pattern(SYNC, 7)):
        assert pattern.dtype == bool and pattern.shape == (512,)
        assert abs(pattern.sum() - 256) < 5 * np.sqrt(128)


def test_patterns_of_frames_seeds_and_halves_are_unlike():
    other = SYNC.replace(string_seed=4)
    big = SYNC.replace(string_seed=3 + (1 << 40))
    patterns = [preamble.fixed_pattern(s) for s in (SYNC, other, big)]
    patterns += [preamble.frame_pattern(s, f) for s in (SYNC, other, big) for f in (0, 1, 10**12)]
    sign = 2.0 * np.array(patterns) - 1
    overlap = sign @ sign.T - 512 * np.eye(len(patterns))
    assert np.abs(overlap).max() < 5 * np.sqrt(512)


def test_is_header():
    slots = np.array([0, 1023, 1024, 4095, 4096, 4096 * 5 + 1023, 4096 * 5 + 1024])
    assert preamble.is_header(SYNC, slots).tolist() == [True, True, False, False, True, True, False]
    assert not preamble.is_header(None, slots).any()


@pytest.mark.parametrize("frame", [0, 1, 2**40])
def test_header_symbols_carry_the_patterns(frame):
    symbols = preamble.header_symbols(SOURCE, SYNC, frame * 4096 + np.arange(1024))
    expected_on = np.concatenate([preamble.fixed_pattern(SYNC), preamble.frame_pattern(SYNC, frame)])
    assert np.array_equal(symbols >> 2, np.where(expected_on, 0, 2))
    assert all(200 < np.sum(symbols >> shift & 1) < 824 for shift in (0, 1))


def test_order_of_slots_does_not_matter():
    slots = np.random.default_rng(1).permutation(1024) + 4096 * 9
    symbols = preamble.header_symbols(SOURCE, SYNC, slots)
    assert np.array_equal(symbols[np.argsort(slots)], preamble.header_symbols(SOURCE, SYNC, np.sort(slots)))
    assert len(preamble.header_symbols(SOURCE, SYNC, np.array([], np.int64))) == 0


def test_bad_input_is_refused():
    with pytest.raises(BadInput, match="slots: not a public slot .got 1024"):
        preamble.header_symbols(SOURCE, SYNC, np.array([0, 1024]))
    with pytest.raises(BadInput, match="intensities"):
        preamble.header_symbols(SourceSettings(intensities=(0.5,), probabilities=(1.0,)), SYNC, np.array([0]))
    with pytest.raises(BadInput, match="frame"):
        preamble.frame_pattern(SYNC, -1)


@pytest.mark.parametrize("header_slots", [64, 200, 1024])
def test_packed_patterns_are_the_patterns(header_slots):
    sync = SYNC.replace(header_slots=header_slots)
    half = header_slots // 2
    words = preamble.frame_patterns(sync, 5, 3)
    assert words.dtype == np.uint64 and words.shape == (3, (half + 63) // 64)
    bits = np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")
    assert np.array_equal(bits[:, :half], [preamble.frame_pattern(sync, f) for f in (5, 6, 7)])
    assert not bits[:, half:].any()
    with pytest.raises(BadInput, match="first_frame"):
        preamble.frame_patterns(sync, -1, 3)
