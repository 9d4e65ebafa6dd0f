"""Alice, Bob and Eve at three pages; and the tutorials whose figures are moved by buttons and keys."""

import pytest
from browser_pages import run_all, wait_for_rows

pytestmark = pytest.mark.browser


@pytest.fixture
def three(chromium, page):
    """Pages of Alice, Bob and Eve; errors of the first one fail the test, those of the others show in what they say."""
    others = [chromium.new_page(viewport={"width": 1280, "height": 720}) for _ in range(2)]
    yield page, *others
    for other in others:
        other.close()


def test_three_pages_and_one_link(lab, three):
    alice, bob, eve = three
    for page, name in zip((bob, alice, eve), ("bob", "alice", "eve"), strict=True):
        run_all(page, lab.url(f"classroom/{name}"))
    bob.wait_for_selector(".qk-listen")
    alice.wait_for_selector("[role=status] >> text=/I am at/")
    bob.locator(".qk-listen").click()
    bob.wait_for_selector("[role=status] >> text=/secret bits/")
    alice.wait_for_selector("[role=status] >> text=/My newest key/")
    key = bob.locator("[role=status] b").nth(1).inner_text()
    assert len(key) == 16 and key in alice.locator("[role=status]").first.inner_text()
    eve.locator(".qk-tap-the-line").click()
    eve.wait_for_selector("[role=status] >> text=/I am at the line/")
    handle = eve.locator(".qk-slider .noUi-handle").first
    handle.focus()
    handle.press("End")
    alice.wait_for_selector("[role=status] >> text=/There: Eve/")
    bob.locator(".qk-listen").click()
    bob.wait_for_selector("[role=status] >> text=/No key:/")
    alice.wait_for_selector("text=/There is no key/")
    wait_for_rows(eve, "eve", more_than=3)
    eve.wait_for_selector("text=/Did they notice me/")


def test_cascade_steps_by_buttons(lab, page):
    run_all(page, lab.url("tutorials/07-cascade"))
    wait_for_rows(page, "cascade_leak", more_than=0)
    for _ in range(3):
        page.locator(".qk-next-step").first.click()
    page.wait_for_selector("text=/Round 3 of/")
    wait_for_rows(page, "cascade_leak", more_than=3)
