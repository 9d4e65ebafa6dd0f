import time

import pytest

from qkdlab.widgets import classroom_pages

LINK = classroom_pages.school_link(5.0)
FREE = "127.0.0.1:0"


@pytest.fixture(autouse=True)
def closed_in_the_end():
    yield
    for role in ("alice", "bob", "eve"):
        classroom_pages._first_close(role)


def until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    assert condition()


def address(page):
    return page.children[0].value.partition("I am at <b>")[2].partition("</b>")[0]


def test_three_pages_play_together():
    alice = classroom_pages.alice(LINK, FREE)
    bob, eve = classroom_pages.bob(address(alice), seconds=0.5), classroom_pages.eve(address(alice))
    (_, listen, stop), status = bob.children[0].children, bob.children[2]
    listen.click()
    until(lambda: "secret bits" in status.value or "No key" in status.value)
    until(lambda: not listen.disabled and stop.disabled)
    shown = status.value.partition("Fingerprint <b>")[2].partition("</b>")[0]
    assert len(shown) == 16
    until(lambda: shown in alice.children[0].value)
    until(lambda: not classroom_pages._open["alice"].present)          # Bob has put down his lines
    eve.children[0].children[1].click()
    assert "I am at the line" in eve.children[3].value
    eve.children[1].value = 100
    listen.click()
    until(lambda: "<b>No key:</b>" in status.value)
    until(lambda: "Did they notice me?" in eve.children[5].value)
    until(lambda: len(eve.children[4]._layout.select_one({"name": "eve"}).data["t"]) > 2)
    eve.children[0].children[2].click()
    until(lambda: "no longer at the line" in eve.children[3].value)


def test_pages_without_alice_say_so():
    alice = classroom_pages.alice(LINK, FREE)
    gone = address(alice)
    classroom_pages._first_close("alice")
    bob, eve = classroom_pages.bob(gone), classroom_pages.eve(gone)
    bob.children[0].children[1].click()
    until(lambda: "nobody answers" in bob.children[2].value)
    until(lambda: not bob.children[0].children[1].disabled)
    bob.children[0].children[0].value = "nonsense:x"
    bob.children[0].children[1].click()
    until(lambda: "an address such as" in bob.children[2].value)
    eve.children[1].value = 50                                 # dragged before she is there: nothing
    eve.children[0].children[1].click()
    assert "nobody answers" in eve.children[3].value


def test_a_cell_that_runs_again_starts_anew():
    first = classroom_pages.alice(LINK, FREE)
    where = address(first)
    second = classroom_pages.alice(LINK, where)
    assert address(second) == where, "the first desk was closed"
    classroom_pages._open.pop("alice").close()
    from qkdlab.classroom import AliceDesk
    with AliceDesk(LINK, where):
        assert "another Alice" in classroom_pages.alice(LINK, where).children[0].value


def test_alice_goes_while_eve_is_at_the_line():
    alice = classroom_pages.alice(LINK, FREE)
    eve = classroom_pages.eve(address(alice))
    eve.children[0].children[1].click()
    classroom_pages._first_close("alice")
    until(lambda: "no longer at the line" in eve.children[3].value)
    eve.children[2].value = 30
    assert not eve.children[0].children[1].disabled


@pytest.mark.parametrize("answer, words", [(900_000, "Yes"), (12, "exp"), (None, "Type"), ("many", "number")])
def test_pulses_of_several_photons(answer, words):
    exact = 20e6 * (0.5 * 0.090204 + 0.25 * 0.010186 + 0.25 * 5e-7)
    assert words in classroom_pages.several_photons(exact if answer == 900_000 else answer, LINK).value


@pytest.mark.parametrize("answer, words", [(11, "Yes"), (40, "A quarter"), (float("nan"), "number")])
def test_what_bob_sees(answer, words):
    assert words in classroom_pages.seen_by_bob(answer, LINK).value


@pytest.mark.parametrize("answer, words", [(60, "no key"), (-1, "0 to 100"), (None, "Type")])
def test_how_greedy_eve_may_be(answer, words):
    assert words in classroom_pages.unnoticed(answer, classroom_pages.school_link(10.0), seconds=0.2).value
