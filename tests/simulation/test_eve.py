import numpy as np
import pytest

from qkdlab.simulation.eve import Interceptor

SLOTS = np.arange(200_000)
ALICE = np.random.default_rng(2).integers(0, 12, len(SLOTS)).astype(np.uint8)


@pytest.mark.parametrize("fraction", [0.0, 0.3, 1.0])
def test_half_of_what_she_intercepts_changes_basis_and_its_bit_is_random(fraction):
    sent = Interceptor(bytes(32)).resend(SLOTS, ALICE, fraction)
    assert np.array_equal(sent >> 2, ALICE >> 2)
    turned = (sent ^ ALICE) & 2 != 0
    assert np.array_equal(sent[~turned], ALICE[~turned])
    n = len(SLOTS)
    assert abs(turned.sum() - fraction / 2 * n) < 5 * np.sqrt(n / 4)
    if fraction:
        assert abs(np.mean((sent ^ ALICE)[turned] & 1) - 0.5) < 5 * 0.5 / np.sqrt(turned.sum())
    else:
        assert sent is ALICE


def test_all_photons_of_a_slot_meet_the_same_eve():
    eve = Interceptor(b"e" * 32)
    slots = np.random.default_rng(3).permutation(np.repeat(SLOTS[:500], 3))
    again = eve.resend(slots, ALICE[slots], 0.5)
    assert np.array_equal(again, eve.resend(SLOTS, ALICE, 0.5)[slots])
