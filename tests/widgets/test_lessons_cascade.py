import re

import numpy as np
import pytest

import qkdlab
from qkdlab.widgets.lessons import cascade


@pytest.fixture(scope="module")
def key():
    return cascade.small_key()


def test_the_trace_is_the_library_s_dialogue(key):
    alice, bob = key
    rounds, done = cascade.trace(alice, bob, 0.05, seed=1), qkdlab.reconcile(alice, bob, 0.05, seed=1)
    assert len(rounds) == done.rounds and rounds[-1].leak_bits == done.leak_bits == sum(len(r.odd) for r in rounds)
    assert np.array_equal(rounds[-1].bits, alice.to_numpy()) and done.verified


def test_each_parity_covers_the_bits_that_it_is_said_to(key):
    """Odd where the members hold an odd number of errors: true of the real sets only."""
    alice, bob = (bits.to_numpy() for bits in key)
    before = bob
    for step in cascade.trace(*key, 0.05, seed=1):
        errors = (before ^ alice).astype(bool)
        assert np.array_equal((step.members & errors).sum(axis=1) % 2 == 1, step.odd)
        before = step.bits
    first = cascade.trace(*key, 0.05)[0].members
    assert np.array_equal(first, np.kron(np.eye(8), np.ones(16)).astype(bool)), "first the rows of the picture"


def test_the_animation_goes_there_and_back(key):
    page = cascade.steps(*key, 0.05)
    forward, back, end, again, truth = page.children[0].children
    words, picture = page.children[1], page.children[2]
    assert back.disabled and not forward.disabled
    assert picture.value.count("qk-wrong") == 1                # in the style sheet only
    truth.value = True
    assert picture.value.count("qk-wrong") == 1 + 7
    forward.click()
    assert "Round 1 of" in words.value and "8 parities of 16 bits" in words.value
    after_one = picture.value
    forward.click()
    back.click()
    assert picture.value == after_one
    end.click()
    assert forward.disabled and "0 errors left" in words.value and picture.value.count("qk-wrong") == 1
    assert "A mended bit has turned other blocks odd" not in words.value
    forward.click()                                            # beyond the end: nothing
    again.click()
    assert "Press <b>Next step</b>" in words.value
    page.children[3].close()


def test_the_stages_are_told(key):
    page = cascade.steps(*key, 0.05)
    said = ""
    while not page.children[0].children[0].disabled:
        page.children[0].children[0].click()
        said += page.children[1].value
    for stage in ("First pass", "halved", "Next pass", "A mended bit has turned", "Last checks"):
        assert stage in said, stage
    page.children[3].close()


def test_costs_follow_the_slider():
    panel = cascade.costs(100_000)
    factors = []
    for bits in (1e5, 1e3):
        panel.children[0].value = bits
        factors.append(float(re.search(r"says ([.0-9]+) times", panel.children[1].value).group(1)))
    assert 1.0 < factors[0] < 1.06 < factors[1]
    panel.children[-1].close()


@pytest.mark.parametrize("answer, words", [(4, "Yes"), (0, "Tick"), (None, "Type"), ("four", "number")])
def test_the_hidden_errors(key, answer, words):
    assert words in cascade.hidden_errors(answer, *key, qber=0.05).value


@pytest.mark.parametrize("answer, words", [(19_500, "Yes"), (20_500, "Yes"), (3000, "h(q)"), (float("nan"), "number")])
def test_what_is_said_aloud(answer, words):
    assert words in cascade.said_aloud(answer).value


@pytest.mark.parametrize("answer, words", [(4000, "Yes"), (500, "longer"), (200_000, "shorter"), (10.5, "whole"),
                                           (-1, "whole")])
def test_how_long_a_key_must_be(answer, words):
    assert words in cascade.worth_it(answer).value
