import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import sift as reference

from qkdlab.bits import Bits
from qkdlab.datatypes import Clicks
from qkdlab.errors import BadInput
from qkdlab.postprocessing.sift import (
    announce,
    answer,
    decode_slots,
    encode_slots,
    pack_mask,
    read_announcement,
    read_answer,
    same_basis,
    sifted,
    unpack_mask,
)

LAST = 2**63 - 1


# ------------------------------------------------------------------------------------------------------ kernels


def selected(module, basis, code, slot, bit, intensity):
    """What the kernel returns and writes."""
    n = len(basis)
    out = np.zeros(n, np.int64), np.zeros((n + 63) // 64, np.uint64), np.zeros(n, np.uint8)
    kept, good = module.select(basis, code, slot, bit, intensity, *out)
    return kept, good, out[0][:kept].tolist(), out[1].tolist(), out[2][:kept].tolist()


@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 127, 128, 5001])
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_select_equals_twin(kernel, n, share):
    rng = np.random.default_rng(n)
    slot, bit = np.cumsum(rng.integers(1, 1000, n)) - 1, rng.integers(0, 2, n, dtype=np.uint8)
    basis, intensity = (rng.random(n) < share).astype(np.uint8), rng.integers(0, 8, n, dtype=np.uint8)
    for code in 0, 1, 7:
        ours = selected(kernel("sift"), basis, code, slot, bit, intensity)
        assert ours == selected(reference, basis, code, slot, bit, intensity)
        assert ours[1]


@pytest.mark.parametrize("n", [1, 63, 64, 65, 130])
def test_select_sees_each_bad_entry(kernel, n):
    rng = np.random.default_rng(n)
    good = {"basis": rng.integers(0, 2, n, dtype=np.uint8), "slot": 10 * np.arange(n),
            "bit": rng.integers(0, 2, n, dtype=np.uint8), "intensity": rng.integers(0, 8, n, dtype=np.uint8)}
    bad = [("basis", 2), ("basis", 255), ("bit", 3), ("bit", 128), ("intensity", 8), ("slot", -1), ("slot", -LAST)]
    for at in sorted({0, 7, 8, n // 2, n - 1} & set(range(n))):
        for name, value in bad + ([("slot", 10 * at - 10)] if at else []) + ([("slot", LAST)] if at < n - 1 else []):
            given = {key: column.copy() for key, column in good.items()}
            given[name][at] = value
            ours = selected(kernel("sift"), given["basis"], 0, given["slot"], given["bit"], given["intensity"])
            assert not ours[1]
            assert ours == selected(reference, given["basis"], 0, given["slot"], given["bit"], given["intensity"])


def random_slots(n, mean_gap, seed=0):
    return np.cumsum(np.random.default_rng(seed).geometric(1 / mean_gap, n)).astype(np.int64)


SLOT_LISTS = [
    *(random_slots(n, gap) for n in (0, 1, 63, 64, 65, 5001) for gap in (1, 100, 1e5)),
    np.array([0, 1, 128, 129, 257, 258, 16642, 16643, LAST], np.int64),
    np.array([LAST], np.int64), np.array([0], np.int64),
    np.array([3, 3], np.int64), np.array([5, 9, 8], np.int64), np.array([-1, 4], np.int64),
    np.array([LAST, LAST], np.int64), np.array([-LAST - 1], np.int64),
]


@pytest.mark.parametrize("slots", SLOT_LISTS, ids=lambda s: str(len(s)))
def test_encode_slots_equals_twin(kernel, slots):
    fast, slow = np.zeros(9 * len(slots), np.uint8), np.zeros(9 * len(slots), np.uint8)
    assert kernel("sift").encode_slots(slots, fast) == reference.encode_slots(slots, slow)
    assert np.array_equal(fast, slow)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=40) | st.lists(st.sampled_from([0, 1, 127, 128, 255]), max_size=40).map(bytes))
def test_decode_slots_equals_twin_on_any_bytes(data):
    data = np.frombuffer(data, np.uint8)
    room = np.count_nonzero(data < 128)
    for kernel in kernels():
        fast, slow = np.zeros(room, np.int64), np.zeros(room, np.int64)
        assert kernel.decode_slots(data, fast) == reference.decode_slots(data, slow)
        assert np.array_equal(fast, slow)


def kernels():
    import importlib

    from qkdlab import _ext

    return [importlib.import_module(f"qkdlab._ext.{path}.sift") for path in _ext.paths]


# ------------------------------------------------------------------------------------------------------- slots


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, LAST) | st.integers(0, 1000), unique=True, max_size=60))
def test_slots_round_trip(slots):
    slots = np.array(sorted(slots), np.int64)
    assert np.array_equal(decode_slots(encode_slots(slots)), slots)


def test_slots_take_less_than_two_bytes_a_click():
    slots = random_slots(100_000, 1000)
    data = encode_slots(slots)
    assert len(data) < 2 * len(slots)
    assert np.array_equal(decode_slots(data), slots)


@pytest.mark.parametrize("slots", [[1, 1], [2, 1], [-1, 4], [0, 5, 5]])
def test_slots_out_of_order_are_refused(slots):
    with pytest.raises(BadInput, match="increase strictly"):
        encode_slots(np.array(slots, np.int64))


@pytest.mark.parametrize("slots", [[1, 2], np.array([1.0]), np.array([[1]]), np.array([1], np.int32)])
def test_slots_of_another_type_are_refused(slots):
    if isinstance(slots, list):
        slots = np.array(slots, np.uint64)
    with pytest.raises(BadInput, match="int64"):
        encode_slots(slots)


@pytest.mark.parametrize("data, at", [
    (b"\x80", 0),                                # cut off
    (b"\x05\xff", 1),                            # cut off after a good one
    (b"\x01\x80\x00", 1),                        # zero in two bytes: the same slots have one spelling only
    (b"\xff" * 9 + b"\x01", 0),                  # 64 bits
    (b"\xff" * 8 + b"\x7f" + b"\x00", 9),        # one slot beyond the largest int64
    (b"\x00" + b"\xff" * 8 + b"\x7f", 1),        # the sum is beyond it
])
def test_malformed_slots_are_refused(data, at):
    with pytest.raises(BadInput, match=f"byte {at}$"):
        decode_slots(data)


def test_largest_slot():
    assert decode_slots(b"\xff" * 8 + b"\x7f").tolist() == [LAST]


# ------------------------------------------------------------------------------------------------------- masks


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 63, 64, 65, 1000])
def test_mask_round_trip(n):
    mask = np.random.default_rng(n).random(n) < 0.5
    data = pack_mask(mask)
    assert len(data) == (n + 7) // 8
    back = unpack_mask(data, n)
    assert back.dtype == bool and np.array_equal(back, mask)


@pytest.mark.parametrize("data, n", [(b"", 1), (b"\0\0", 8), (b"\x80", 7), (b"\0", 0)])
def test_malformed_mask_is_refused(data, n):
    with pytest.raises(BadInput, match="^mask: "):
        unpack_mask(data, n)


# ----------------------------------------------------------------------------------------------------- parties


def test_same_basis():
    a, b = np.array([0, 1, 0, 1], np.uint8), np.array([0, 0, 1, 1], np.uint8)
    assert same_basis(a, b).tolist() == [True, False, False, True]


@pytest.mark.parametrize("a, b", [([0, 1], [0]), ([0, 2], [0, 1]), ([0.0, 1.0], [0, 1]), ([[0], [1]], [0, 1])])
def test_same_basis_refuses(a, b):
    with pytest.raises(BadInput, match="basis"):
        same_basis(np.array(a), np.array(b))


def test_sifted_keeps_one_basis():
    key = sifted(np.array([3, 5, 9], np.int64), np.array([1, 0, 1]), np.array([0, 1, 0]), np.array([2, 0, 1]), code=0)
    assert key.bits == Bits.from_numpy([1, 1])
    assert key.slot.tolist() == [3, 9] and key.intensity.tolist() == [2, 1] and key.basis == 0
    test = sifted(np.array([3, 5, 9], np.int64), np.array([1, 0, 1]), np.array([0, 1, 0]), np.array([2, 0, 1]), code=1)
    assert test.bits == Bits.from_numpy([0]) and test.slot.tolist() == [5]


@pytest.mark.parametrize("change", [
    {"bit": np.array([1, 2])}, {"bit": np.array([1])}, {"basis": np.array([0, 3])}, {"intensity": np.array([0, 8])},
    {"slot": np.array([4, 4], np.int64)}, {"code": 2},
])
def test_sifted_refuses(change):
    good = {"slot": np.array([4, 7], np.int64), "bit": np.array([1, 0]), "basis": np.array([0, 1]),
            "intensity": np.array([0, 1]), "code": 0}
    with pytest.raises(BadInput, match=next(iter(change))):
        sifted(**good | change)


@pytest.mark.parametrize("n", [0, 1, 8, 1001])
@pytest.mark.parametrize("n_intensities", [1, 2, 3, 8])
def test_two_parties_sift_the_same_slots(n, n_intensities):
    rng = np.random.default_rng(n)
    slot = random_slots(n, 300, seed=n)
    basis_a, basis_b, bit, noise = (rng.integers(0, 2, n, dtype=np.uint8) for _ in range(4))
    intensity = rng.integers(0, n_intensities, n, dtype=np.uint8)
    clicks = Clicks(slot, basis_b, bit ^ noise * (rng.random(n) < 0.1))

    heard_slot, heard_basis = read_announcement(announce(clicks))                      # Alice hears Bob
    assert np.array_equal(heard_slot, slot) and np.array_equal(heard_basis, basis_b)
    kept = same_basis(basis_a, heard_basis)
    alice = sifted(slot[kept], bit[kept], basis_a[kept], intensity[kept], code=0)

    said = read_answer(answer(bit, basis_a, intensity, heard_basis, n_intensities), basis_b, n_intensities)   # Bob
    assert np.array_equal(said.kept, kept) and np.array_equal(said.intensity, intensity[kept])
    assert np.array_equal(said.test_bit, bit[kept & (basis_b == 1)])
    bob = sifted(slot[said.kept], clicks.outcome[said.kept], basis_b[said.kept], said.intensity, code=0)

    assert np.array_equal(alice.slot, bob.slot) and np.array_equal(alice.intensity, bob.intensity)
    assert np.array_equal((alice.bits ^ bob.bits).to_numpy(), (bit ^ clicks.outcome)[kept & (basis_a == 0)])


def test_answer_says_no_bit_of_the_key_basis():
    rng = np.random.default_rng(1)
    basis_a, basis_b, bit = (rng.integers(0, 2, 500, dtype=np.uint8) for _ in range(3))
    intensity = np.zeros(500, np.uint8)
    other = bit ^ (1 - (basis_a & basis_b))            # every bit differs but those both chose the test basis for
    assert answer(bit, basis_a, intensity, basis_b, 3) == answer(other, basis_a, intensity, basis_b, 3)


@pytest.mark.parametrize("payload", [b"", b"\1\0\0", b"\2" + bytes(7) + b"\0", b"\2" + bytes(7) + b"\0\1",
                                     b"\1" + bytes(7) + b"\2\1", b"\1" + bytes(7) + b"\0\1\1",
                                     b"\xff" * 8 + b"\0\0"])
def test_malformed_announcement_is_refused(payload):
    with pytest.raises(BadInput):
        read_announcement(payload)


@pytest.mark.parametrize("payload", [b"", b"\3", b"\3\3", b"\3\1\1", b"\3\1\1\1\1", b"\7\1\1\1", b"\3\1\1\2",
                                     b"\3\1\1\1\0"])
def test_malformed_answer_is_refused(payload):
    with pytest.raises(BadInput):
        read_answer(payload, np.array([0, 1], np.uint8), 3)


def test_well_formed_answer_of_that_size_is_read():
    said = read_answer(b"\3\1\2\1", np.array([0, 1], np.uint8), 3)
    assert said.kept.tolist() == [True, True] and said.intensity.tolist() == [1, 2] and said.test_bit.tolist() == [1]
