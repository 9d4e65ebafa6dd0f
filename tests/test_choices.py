import numpy as np
import pytest
from scipy.stats import chisquare

import qkdlab
from qkdlab import preamble
from qkdlab.choices import DrawnChoices, RecordedChoices, StoredPattern, encode, load_choices
from qkdlab.datatypes import SourceSettings, SynchronisationSettings
from qkdlab.errors import BadInput

SOURCE = SourceSettings()
SYNC = SynchronisationSettings(frame_slots=4096, header_slots=1024, string_seed=3)
KEY = bytes(range(32))
SYMBOLS = np.random.default_rng(4).integers(0, 12, 5000).astype(np.uint8)
KINDS = [
    lambda sync: DrawnChoices(SOURCE, sync, KEY),
    lambda sync: StoredPattern(SOURCE, sync, SYMBOLS[:777]),
    lambda sync: RecordedChoices(SOURCE, sync, SYMBOLS, first_slot=123),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sync", [None, SYNC])
def test_slot_k_of_at_is_slot_k_of_train(kind, sync):
    choices = kind(sync)
    assert choices.source is SOURCE and choices.sync is sync
    train = choices.train(1000, 4100)
    assert train.first_slot == 1000 and len(train) == 4100
    slots = np.random.default_rng(1).permutation(4100) + 1000
    assert np.array_equal(choices.at(slots), train.symbols[slots - 1000])
    assert len(choices.train(500, 0)) == 0 and len(choices.at([])) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_public_slots_and_only_those_are_overridden(kind):
    slots = np.arange(123, 5123)
    with_string, without = kind(SYNC).at(slots), kind(None).at(slots)
    public = preamble.is_header(SYNC, slots)
    assert np.array_equal(with_string[~public], without[~public])
    assert np.array_equal(with_string[public], preamble.header_symbols(SOURCE, SYNC, slots[public]))
    assert not np.array_equal(with_string[public], without[public])


def test_far_slots_need_no_earlier_ones():
    choices = DrawnChoices(SOURCE, SYNC, KEY)
    far = 2**62 - 100
    assert np.array_equal(choices.at(np.arange(far, far + 100)), choices.train(far, 100).symbols)


def test_key_decides_and_does_not_show():
    a, b = DrawnChoices(SOURCE, None, KEY), DrawnChoices(SOURCE, None, KEY[::-1])
    assert not np.array_equal(a.train(0, 100).symbols, b.train(0, 100).symbols)
    assert KEY.hex() not in repr(a) and repr(KEY) not in repr(a)
    for key in (b"short", None, "x" * 32):
        with pytest.raises(BadInput, match="key: 32 bytes"):
            DrawnChoices(SOURCE, None, key)


def test_pattern_repeats():
    pattern = StoredPattern(SOURCE, None, SYMBOLS[:10])
    assert np.array_equal(pattern.train(7, 30).symbols, SYMBOLS[:10][np.arange(7, 37) % 10])


@pytest.mark.parametrize("choices, slot", [
    (KINDS[0](None), -1), (KINDS[0](None), 2**62), (KINDS[1](None), -1), (KINDS[2](None), 122), (KINDS[2](None), 5123)])
def test_slots_out_of_range_are_refused(choices, slot):
    with pytest.raises(BadInput, match=f"slot: .*got {slot}"):
        choices.at([slot, 200])
    with pytest.raises(BadInput, match=f"slot: .*got {slot}"):
        choices.train(slot, 1)
    with pytest.raises(BadInput, match="n: must be at least 0"):
        choices.train(200, -1)


@pytest.mark.parametrize("source", [
    SOURCE,
    SourceSettings(intensities=(0.5, 0.1), probabilities=(1 / 3, 2 / 3), key_basis_probability=0.5),
    SourceSettings(intensities=(0.6, 0.3, 0.1, 0.0), probabilities=(0.25, 0.25, 0.4, 0.1), key_basis_probability=1.0)])
def test_frequencies_are_the_achieved_probabilities(source):
    n = 1_000_000
    train = encode(source, n, np.random.default_rng(11))
    p_basis = np.array([source.achieved_key_basis_probability, 1 - source.achieved_key_basis_probability])
    expected = np.einsum("i,b,v->ibv", source.achieved_probabilities, p_basis, [0.5, 0.5]).ravel() * n
    cell = train.intensity.astype(int) * 4 + train.basis * 2 + train.bit
    counts = np.bincount(cell, minlength=len(expected))
    assert np.all(counts[expected == 0] == 0)
    assert chisquare(counts[expected > 0], expected[expected > 0]).pvalue > 1e-4


def test_encode_is_reproducible_from_the_generator_and_fresh_without():
    assert qkdlab.encode is encode
    first, again = (encode(SOURCE, 1000, np.random.default_rng(5)).symbols for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(encode(SOURCE, 1000).symbols, encode(SOURCE, 1000, None).symbols)
    assert len(encode(SOURCE, 0)) == 0
    for n in (-1, 2.5):
        with pytest.raises(BadInput, match="n_pulses"):
            encode(SOURCE, n)


@pytest.mark.parametrize("repeat, kind", [(True, StoredPattern), (False, RecordedChoices)])
def test_load_choices(tmp_path, repeat, kind):
    np.save(tmp_path / "a.npy", SYMBOLS)
    choices = load_choices(tmp_path / "a.npy", SOURCE, None, repeat)
    assert type(choices) is kind
    assert np.array_equal(choices.train(0, 5000).symbols, SYMBOLS)


@pytest.mark.parametrize("array, complaint", [
    (SYMBOLS.astype(np.int64), "symbols: a 1-D array of uint8 is expected .got 'int64 of shape"),
    (SYMBOLS.reshape(2, -1), "symbols: a 1-D array of uint8"),
    (np.zeros(0, np.uint8), "symbols: at least one"),
    (np.array([0, 11, 12, 13], np.uint8), r"symbols\[2\]: intensity index must be below 3.*got 3"),
    (np.array([{}, 1], object), "not readable"),
])
def test_bad_symbols_are_refused_with_file_and_field(tmp_path, array, complaint):
    path = tmp_path / "bad.npy"
    np.save(path, array)
    with pytest.raises(BadInput, match=f"bad.npy: {complaint}"):
        load_choices(path, SOURCE, None, True)


def test_files_that_are_no_arrays_are_refused(tmp_path):
    whole = tmp_path / "a.npy"
    np.save(whole, SYMBOLS)
    (tmp_path / "cut.npy").write_bytes(whole.read_bytes()[:1000])
    (tmp_path / "head.npy").write_bytes(whole.read_bytes()[:9])
    (tmp_path / "empty.npy").touch()
    (tmp_path / "text.npy").write_text("hello there")
    np.savez(tmp_path / "many.npz", a=SYMBOLS)
    for name in ("cut.npy", "head.npy", "empty.npy", "text.npy", "many.npz", "absent.npy", "."):
        with pytest.raises(BadInput, match=str(tmp_path)):
            load_choices(tmp_path / name, SOURCE, None, True)


def test_string_needs_two_intensities():
    with pytest.raises(BadInput, match="intensities"):
        DrawnChoices(SourceSettings(intensities=(0.5,), probabilities=(1.0,)), SYNC, KEY)


@pytest.mark.parametrize("kind", [StoredPattern, RecordedChoices])
def test_stored_choices_that_are_not_as_stated_are_found(kind):
    source = SourceSettings(probabilities=(0.6, 0.3, 0.1), key_basis_probability=0.7)
    honest = encode(source, 100_000, np.random.default_rng(1)).symbols
    assert kind(source, None, honest).departure() is None
    biased = encode(source.replace(probabilities=(0.63, 0.27, 0.1)), 100_000, np.random.default_rng(1)).symbols
    assert "0.63" in kind(source, None, biased).departure()
    ones = honest | (np.random.default_rng(2).random(len(honest)) < 0.1).astype(np.uint8)
    assert "ones 0.549" in kind(source, None, ones).departure()
    never = source.replace(key_basis_probability=1.0)
    assert kind(never, None, honest).departure() is not None


def test_the_public_string_is_not_held_against_recorded_choices():
    source = SourceSettings(probabilities=(0.6, 0.3, 0.1), key_basis_probability=0.7)
    sync = SynchronisationSettings(frame_slots=1024, header_slots=512)
    symbols = DrawnChoices(source, sync, bytes(32)).train(0, 200_000).symbols      # half of it is the string
    assert RecordedChoices(source, sync, symbols).departure() is None
    assert RecordedChoices(source, None, symbols).departure() is not None
