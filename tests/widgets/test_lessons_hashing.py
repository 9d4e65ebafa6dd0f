import re

import numpy as np
import pytest

import qkdlab
from qkdlab import Bits
from qkdlab.postprocessing.amplify import amplify
from qkdlab.widgets.lessons import hashing


def test_the_matrix_is_the_library_s_toeplitz_matrix():
    rng = np.random.default_rng(2)
    n, length = 20, 9
    seed, key = rng.integers(0, 2, n + length - 1, dtype=np.uint8), rng.integers(0, 2, n, dtype=np.uint8)
    rows = hashing.matrix(n, length, seed)
    assert rows.shape == (length, n) and all(rows[i, j] == seed[i - j + n - 1] for i in range(length) for j in range(n))
    assert np.array_equal(rows @ key % 2, amplify(Bits.from_numpy(key), length, seed).to_numpy())


def test_flipping_a_bit_changes_the_hash():
    length, flip, words, picture = hashing.toeplitz().children
    before = picture.value
    flip.value = 3
    assert re.search(r"changes \d+ of 14 bits", words.value) and picture.value != before
    length.value = 5
    assert "become 5" in words.value and "seed of 32 bits" in words.value


def test_eve_knows_nothing_of_short_hashes_and_all_beyond_what_she_lacks():
    known = hashing.known_bits(20)
    assert known[:30].max() == 0 and known[64] >= 20 and 0.1 < known[44] < 2
    assert (np.diff(known) >= 0).all() and hashing.known_bits(0)[40] < 0.01
    assert np.array_equal(hashing.known_bits(64), np.arange(65.0))
    with pytest.raises(qkdlab.errors.BadInput):
        hashing.known_bits(65)


def test_ranks():
    rows = np.array([[1, 0, 1], [0, 1, 1], [1, 1, 0], [0, 0, 1]], np.uint8)
    assert hashing._ranks(rows).tolist() == [0, 1, 2, 2, 3]
    assert hashing._ranks(np.zeros((2, 0), np.uint8)).tolist() == [0, 0, 0]


def test_eve_s_panel_follows_its_sliders():
    panel = hashing.eve_after_hashing(20)
    assert "she knows <b>0</b>" in panel.children[2].value
    panel.children[0].value = 64
    assert "she knows <b>30</b>" in panel.children[2].value
    panel.children[1].value = 0
    panel.children[-1].close()


@pytest.mark.parametrize("answer, words", [(37, "Yes"), (44, "too many"), (10, "bits more"), (99, "0 to 64"),
                                           (1.5, "0 to 64"), (None, "Type"), ("x", "number")])
def test_the_longest_hash(answer, words):
    assert words in hashing.longest_key(answer, eve_bits=20).value


def test_the_length_of_a_real_key_is_the_proof_s():
    source = qkdlab.SourceSettings((0.5, 0.15, 0.001), (0.5, 0.25, 0.25), 0.7, clock_hz=100e6)
    report = {"leak_bits": 29902, "counts": {
        "sent": [[33856298, 14508999], [16928151, 7254500], [16928151, 7254500]],
        "clicks": [[298946, 14370], [45107, 2191], [340, 16]], "errors": [[3101, 161], [495, 24], [27, 0]]}}
    assert "Yes: 17,17" in hashing.safe_length(17_200, source, report).value
    assert "small print" in hashing.safe_length(30_000, source, report).value


def test_a_tag_knows_every_letter():
    box, words = hashing.tag_of("meet me").children
    assert "accepted" in words.value
    box.value = "meet Eve"
    assert "refused" in words.value
    box.value = ""
    assert "refused" in words.value
    box.value = "meet me"
    assert "accepted" in words.value


def test_forgeries_pass_as_often_as_chance():
    differ = hashing._agreements()
    for bits in (1, 4, 8):
        share = np.count_nonzero(differ % (1 << bits) == 0) / len(differ)
        assert share == pytest.approx(2.0**-bits, rel=0.35)
    panel = hashing.forgeries(6)
    panel.children[0].value = 10
    assert "one forged message in 1,024" in panel.children[1].value
    panel.children[-1].close()


@pytest.mark.parametrize("answer, words", [(62, "Yes"), (61, "more bits"), (80, "fewer"), (200, "1 to 128"), (None, "Type")])
def test_the_tags_needed(answer, words):
    assert words in hashing.tags_needed(answer).value
