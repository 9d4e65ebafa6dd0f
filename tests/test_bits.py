import copy
import hashlib
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qkdlab
from qkdlab.bits import Bits, BitsDigest

SIZES = [0, 1, 7, 8, 9, 63, 64, 65, 127, 128, 129, 1000]
bit_lists = st.lists(st.integers(0, 1), max_size=300)


def some(n, seed=0):
    return np.random.default_rng(seed).integers(0, 2, n, dtype=np.uint8)


@pytest.mark.parametrize("n", SIZES)
def test_numpy_round_trip(n):
    bits = Bits.from_numpy(some(n))
    back = bits.to_numpy()
    assert len(bits) == n and back.dtype == np.uint8 and back.shape == (n,)
    assert np.array_equal(back, some(n))


@pytest.mark.parametrize("n", SIZES)
def test_bytes_round_trip(n):
    bits = Bits.from_numpy(some(n))
    data = bits.to_bytes()
    assert len(data) == (n + 7) // 8
    assert data == np.packbits(some(n), bitorder="little").tobytes()
    assert Bits.from_bytes(data, n) == bits


def test_where_a_bit_lies():
    bits = Bits.from_numpy(np.arange(130) == 65)
    assert bits.words.tolist() == [0, 2, 0]
    assert bits.to_bytes()[8] == 2


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.uint64])
def test_packs_any_whole_numbers(dtype):
    assert Bits.from_numpy(some(70).astype(dtype)) == Bits.from_numpy(some(70).tolist())


@pytest.mark.parametrize("bad", [[0, 2], [-1, 0], [0.0, 1.0], [[0, 1]], ["0", "1"], 1, [None], np.zeros((0, 3))])
def test_refuses_what_is_not_a_row_of_0_and_1(bad):
    with pytest.raises(ValueError):
        Bits.from_numpy(bad)


@pytest.mark.parametrize("words, length", [
    (np.zeros(1, np.uint64), 65), (np.zeros(2, np.uint64), 64), (np.zeros(1, np.uint64), 0),
    (np.zeros(1, np.uint64), -1), (np.zeros(0, np.uint64), -1), (np.zeros(1, np.int64), 3),
    (np.zeros((1, 1), np.uint64), 3), (np.array([8], np.uint64), 3),
])
def test_refuses_words_that_do_not_fit(words, length):
    with pytest.raises(ValueError):
        Bits(words, length)


@pytest.mark.parametrize("data, length", [(b"", 1), (b"\0", 9), (b"\0", -9)])
def test_refuses_too_few_bytes(data, length):
    with pytest.raises(ValueError):
        Bits.from_bytes(data, length)


def test_bits_beyond_the_length_are_dropped():
    assert Bits.from_bytes(b"\xff", 3).words.tolist() == [7]
    assert Bits.from_bytes(b"\xff", 3).to_bytes() == b"\7"


def test_is_immutable():
    words = np.array([5], np.uint64)
    bits = Bits(words, 3)
    words[0] = 0
    assert bits.words.tolist() == [5]
    with pytest.raises(ValueError):
        bits.words[0] = 1
    with pytest.raises(AttributeError):
        bits.length = 4


@pytest.mark.parametrize("n", SIZES)
def test_popcount_and_sha256(n):
    bits = Bits.from_numpy(some(n))
    assert bits.popcount() == some(n).sum()
    assert bits.sha256() == hashlib.sha256(np.packbits(some(n), bitorder="little").tobytes()).hexdigest()


def test_equality_and_hash():
    a, b = Bits.from_numpy([1, 0, 1]), Bits.from_numpy([1, 0, 1])
    assert a == b and hash(a) == hash(b) and len({a, b}) == 1
    assert a != Bits.from_numpy([1, 0, 1, 0]) and a != Bits.from_numpy([1, 0, 0]) and a != [1, 0, 1]


@given(bit_lists, st.data())
def test_xor(a, data):
    b = data.draw(st.lists(st.integers(0, 1), min_size=len(a), max_size=len(a)))
    assert (Bits.from_numpy(a) ^ Bits.from_numpy(b)).to_numpy().tolist() == [x ^ y for x, y in zip(a, b, strict=True)]


def test_xor_refuses():
    with pytest.raises(ValueError):
        Bits.from_numpy([1]) ^ Bits.from_numpy([1, 0])
    with pytest.raises(TypeError):
        Bits.from_numpy([1]) ^ 1


@settings(max_examples=200)
@given(bit_lists, st.none() | st.integers(-310, 310), st.none() | st.integers(-310, 310))
def test_slices_are_those_of_a_list(a, start, stop):
    part = Bits.from_numpy(a)[start:stop]
    assert part.to_numpy().tolist() == a[start:stop]
    assert part == Bits.from_numpy(a[start:stop])        # also in the bits that must be 0


@pytest.mark.parametrize("where", [3, slice(0, 9, 2), slice(None, None, -1), (0, 1), np.arange(2)])
def test_other_indices_are_refused(where):
    with pytest.raises(TypeError):
        Bits.from_numpy(some(20))[where]


@given(st.lists(bit_lists, max_size=6))
def test_concatenate(parts):
    whole = Bits.concatenate(Bits.from_numpy(p) for p in parts)
    assert whole == Bits.from_numpy([b for p in parts for b in p])


def test_the_bits_are_never_shown():
    bits = Bits.from_numpy([1, 0, 1, 1])
    assert repr(bits) == str(bits) == "<Bits: 4 bits>"


def test_copies():
    bits = Bits.from_numpy(some(100))
    assert copy.deepcopy(bits) == pickle.loads(pickle.dumps(bits)) == bits


def test_is_the_public_name():
    assert qkdlab.Bits is Bits


def test_a_digest_of_pieces_is_that_of_the_whole():
    digest, pieces = BitsDigest(), [Bits.from_numpy(some(n)) for n in (0, 1, 7, 8, 64, 65, 3, 1000, 0, 13)]
    assert digest.hexdigest() == hashlib.sha256(b"").hexdigest()
    for count, piece in enumerate(pieces, 1):
        digest.add(piece)
        whole = Bits.concatenate(pieces[:count])
        assert digest.hexdigest() == whole.sha256() and digest.length == len(whole)
