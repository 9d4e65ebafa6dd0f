import numpy as np
import pytest
from lesson_answers import LINK, OPEN, RIGHT, WRONG, data

from qkdlab.datatypes import SourceSettings
from qkdlab.widgets import lessons
from qkdlab.widgets.lessons.finite import spending

SOURCE = SourceSettings(intensities=(0.5, 0.1, 0.0002), probabilities=(0.7, 0.2, 0.1), key_basis_probability=0.8)


@pytest.mark.parametrize("pulses", [1e9, 1e11, 1e15])
def test_what_is_spent_adds_up(pulses):
    bound = lessons.block_bound(LINK, SOURCE, pulses)
    assert bound.length > 0 and sum(spending(bound).values()) == pytest.approx(1, abs=2 / bound.details["n_key"])


@pytest.mark.parametrize("pulses, km", [(1, 50), (1e6, 50), (1e9, 1000)])
def test_without_a_key_more_would_be_spent_than_there_is(pulses, km):
    bound = lessons.block_bound(LINK, SOURCE, pulses, km)
    assert bound.length == 0 == spending(bound)["KEY"] and sum(spending(bound).values()) >= 1


def test_larger_and_riskier_blocks_give_more():
    lengths = [lessons.block_bound(LINK, SOURCE, n).length / n for n in (1e7, 1e8, 1e9, 1e12, 1e15)]
    assert lengths[0] == 0 and lengths == sorted(lengths)
    assert lessons.block_bound(LINK, SOURCE, 1e9, eps_sec=1e-3).length > lessons.block_bound(LINK, SOURCE, 1e9).length


def test_the_figure_follows_its_sliders():
    panel = lessons.block_sizes(LINK, SOURCE)
    block, eps, km, words, live = panel.children
    curve = data(live, "block_sizes")
    assert (curve["rate"] <= curve["endless"]).all() and curve["rate"][0] == 0
    assert f"{lessons.block_bound(LINK, SOURCE, 1e9).length:,} secret bits" in words.value
    block.value = 1e6
    assert "no key" in words.value and data(live, "block_here")["rate"].tolist() == [0]
    for km.value, eps.value, block.value in ((150, 1e-15, 1e13), (0, 1e-3, 1e6), (150, 1e-3, 1e6)):
        assert np.isfinite(data(live, "spending")["here"]).all()
    live.close()


def test_small_samples_say_little():
    panel = lessons.guess_from_sample(0.02)
    rate, words, live = panel.children
    for rate.value in (0.0, 2.0, 10.0):
        bounds = data(live, "sample")
        assert (np.diff(bounds["exact"][8:]) < 0).all() and (bounds["exact"] <= bounds["serfling"] + 1e-9).all()
        assert (bounds["exact"] > bounds["seen"]).all()
    assert "of 1,000 tested" in words.value
    live.close()


@pytest.mark.parametrize("answer, words", [(None, "Type"), (1e8, "Yes"), (1e7, "larger block"), (1e12, "go smaller"),
                                           (0, "Between"), (1e40, "Between"), ("1e8", "number")])
def test_smallest_block(answer, words):
    assert words in lessons.smallest_block(LINK, SOURCE, answer).value


@pytest.mark.parametrize("answer, sign", [(None, OPEN), (6.8, RIGHT), (20, WRONG), (0, WRONG)])
def test_price_of_safety(answer, sign):
    assert sign in lessons.price_of_safety(LINK, SOURCE, answer).value


@pytest.mark.parametrize("answer, sign", [(None, OPEN), (4.2, RIGHT), (1, WRONG), (10, WRONG)])
def test_one_long_block(answer, sign):
    assert sign in lessons.one_long_block(LINK, SOURCE, answer).value


def test_a_link_too_long_to_compare_is_told():
    assert "no key" in lessons.one_long_block(LINK, SOURCE, 3, km=200).value
