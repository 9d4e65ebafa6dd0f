from fractions import Fraction

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from qkdlab.datasets.ticks import Unwrap, exact_tick, from_ps, most_ticks, to_ps
from qkdlab.errors import BadInput

UNITS = [Fraction(1), Fraction(4), Fraction(1, 2), Fraction(125, 32), Fraction(809_553, 10_000), Fraction(625, 8)]


@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(unit=st.sampled_from(UNITS), fractions=st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_exact_and_back(unit, fractions):
    most = most_ticks(unit)
    ticks = [int(most * Fraction(f)) for f in [*fractions, 0, 1]]
    times = to_ps(np.array(ticks), unit)
    assert times.tolist() == [int(t * unit // 1) for t in ticks]
    if unit >= 1:
        assert from_ps(times, unit, "here").tolist() == ticks


def test_what_is_no_multiple():
    with pytest.raises(BadInput, match=r"here: time_ps: not a multiple of the tick of 3.90625 ps \(got 4\)"):
        from_ps(np.array([3, 7, 4]), Fraction(125, 32), "here")
    with pytest.raises(BadInput, match="tick of 4 ps"):
        from_ps(np.array([6]), Fraction(4), "here")


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "x", None, 1e10, 1e-4, 1 / 3])
def test_no_tick(value):
    with pytest.raises(BadInput, match="tick_ps"):
        exact_tick(value)


def test_ticks_as_they_are_written():
    assert exact_tick(78.125) == Fraction(625, 8) and exact_tick(81) == 81 and exact_tick(80.9553) == UNITS[4]


@pytest.mark.parametrize("block", [1, 2, 7, 1000])
def test_unwrap(block):
    """Times of random gaps below a wrap, with events out of order, also over a wrap."""
    rng = np.random.default_rng(1)
    times = np.cumsum(rng.integers(0, 2**16 - 2**12, 500))
    times[::17] -= rng.integers(0, 2**9, len(times[::17]))
    times += 2**12
    unwrap, found = Unwrap(16, 2**62), []
    for at in range(0, 500, block):
        going_on, used = unwrap(times[at : at + block] % 2**16)
        assert used == len(going_on)
        found += going_on.tolist()
    assert found == (times - times[0] // 2**16 * 2**16).tolist()


@pytest.mark.parametrize("block", [1, 100])
def test_unwrap_ends_where_the_count_would_be_too_large(block):
    counts, unwrap, used = np.tile([0, 40, 200], 30), Unwrap(8, 2**11 - 1), 0
    for at in range(0, 90, block):
        got, fine = unwrap(counts[at : at + block])
        assert (got[:fine] < 2**11).all()
        used += fine
    assert used == 8 * 3
