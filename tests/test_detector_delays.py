import numpy as np
import pytest

from qkdlab import preamble
from qkdlab.datatypes import SourceSettings, SynchronisationSettings
from qkdlab.postprocessing.detector_delays import delay_scores, place
from qkdlab.postprocessing.detector_order import fits, swapped

SYNC = SynchronisationSettings(frame_slots=1 << 14, header_slots=1 << 11, string_seed=5)
SOURCE = SourceSettings()


def header_clicks(n, *, noise=0, seed=1, frames=1000):
    """Clicks of one detector where the string is on, in order."""
    rng = np.random.default_rng(seed)
    slot = rng.integers(0, frames, 4 * n + 8) * SYNC.frame_slots + rng.integers(0, SYNC.header_slots, 4 * n + 8)
    slot = slot[preamble.is_on(SYNC, slot)][:n]
    return np.sort(np.concatenate([slot, rng.integers(0, frames * SYNC.frame_slots, noise)]))


@pytest.mark.parametrize("shift", [-150, -1, 0, 3, 200])
def test_a_few_dozen_clicks_place_a_detector(shift):
    assert place(SYNC, header_clicks(45) - shift, 200, 1.0, False) == (shift, False)


def test_score_is_that_of_the_string():
    slot = header_clicks(60)
    score, used = delay_scores(SYNC, slot, 5)
    assert used[5] == 60 and score[5] == pytest.approx(np.sqrt(60))
    on = preamble.is_on(SYNC, slot + 2) if preamble.is_header(SYNC, slot + 2).all() else None
    assert on is None or score[7] == pytest.approx((2 * on.sum() - 60) / np.sqrt(60))
    assert np.abs(np.delete(score, 5)).max() < 4.5


def test_too_few_clicks_are_waited_for_and_never_guessed():
    assert place(SYNC, header_clicks(8), 200, 1.0, False) == (None, True)
    assert place(SYNC, header_clicks(8) - 40, 200, 1.0, True) == (None, False)
    assert place(SYNC, np.empty(0, np.int64), 200, 1.0, True) == (None, False)


def test_at_the_end_a_detector_without_delay_is_believed_sooner():
    assert place(SYNC, header_clicks(14), 200, 1.0, False)[1] and place(SYNC, header_clicks(14), 200, 1.0, True)[0] == 0


def test_noise_is_not_waited_for_forever():
    noise = header_clicks(0, noise=4000)
    assert place(SYNC, noise, 50, 1.0, False) == (0, False)
    assert place(SYNC, noise[:400], 50, 1.0, False) == (None, True)


def test_noise_is_rarely_placed():
    wrong = sum(place(SYNC, header_clicks(0, noise=300, seed=s), 200, 1.0, False)[0] is not None for s in range(60))
    assert wrong <= 1


# ------------------------------------------------------------------------------------------------- swapped detectors


def public_clicks(n, order, *, error=0.02, seed=1):
    """Clicks in public slots: the detectors that light belongs to, and the inputs `order` they are plugged into."""
    rng = np.random.default_rng(seed)
    slot = np.unique(rng.integers(0, 100, n) * SYNC.frame_slots + rng.integers(0, SYNC.header_slots, n))
    symbols = preamble.header_symbols(SOURCE, SYNC, slot)
    slot, symbols = slot[symbols < 4], symbols[symbols < 4]
    basis = np.where(rng.random(len(slot)) < 0.5, symbols >> 1, rng.integers(0, 2, len(slot)))
    bit = np.where(basis == symbols >> 1, (symbols & 1) ^ (rng.random(len(slot)) < error), rng.integers(0, 2, len(slot)))
    return slot, np.array(order, np.uint8)[2 * basis + bit]


def test_fits():
    slot, detector = public_clicks(4000, (0, 1, 2, 3))
    fit = fits(SOURCE, SYNC, slot, detector)
    assert (np.diag(fit) > 10).all() and np.abs(fit[:2, 2:]).max() < 4
    secret = np.arange(SYNC.header_slots, SYNC.header_slots + 500)
    assert not fits(SOURCE, SYNC, secret, np.zeros(500, np.uint8)).any()


def test_detectors_in_their_places_are_not_accused():
    for seed in range(20):
        assert not swapped(SOURCE, SYNC, *public_clicks(3000, (0, 1, 2, 3), seed=seed))
        assert not swapped(SOURCE, SYNC, *public_clicks(3000, (0, 1, 2, 3), error=0.4, seed=seed))
    assert not swapped(SOURCE, SYNC, *public_clicks(30, (1, 0, 2, 3)))


@pytest.mark.parametrize(("order", "words"), [
    ((1, 0, 2, 3), ["key-basis bit 0 sees what belongs to key-basis bit 1", "key-basis bit 1 sees"]),
    ((2, 1, 0, 3), ["key-basis bit 0 sees what belongs to test-basis bit 0", "test-basis bit 0 sees"]),
    ((2, 3, 0, 1), ["key-basis bit 0 sees", "key-basis bit 1 sees", "test-basis bit 0 sees", "test-basis bit 1 sees"])])
def test_swapped_detectors_are_named(order, words):
    told = swapped(SOURCE, SYNC, *public_clicks(3000, order))
    assert len(told) == len(words) and all(any(w in t for t in told) for w in words)
