import pytest
from pretend_session import BLOCK, CLOCK, NOTHING

from qkdlab.datatypes import Event
from qkdlab.widgets.logbook import Logbook, amount, si

CLOCK = CLOCK | {"rate_hz": 1e8, "offset_ppm": 2.0, "jitter_ps": 60.0, "visibility": 0.9, "reason": None}
REPORT = {"secret_bits": 12345, "alice_key_sha256": "ab" * 32, "bob_key_sha256": "ab" * 32, "reason": None}


@pytest.fixture
def told():
    book = Logbook(0.11)

    def tell(step, **values):
        return book.take(Event(step, 0, values))

    tell.book = book
    return tell


def test_a_run_in_sentences(told):
    assert "for study" in told("start", title="a link", simulated=True)
    assert "100 MHz" in told("clock", **CLOCK) and told("clock", **CLOCK) is None
    assert "12 bits short" in told("block", **BLOCK | {"reason": "12 bits short"})
    assert told("block", **BLOCK | {"reason": "9 bits short"}) is None, "the same reason with other numbers is no news"
    said = told("block", **BLOCK | {"reason": "another reason"})
    assert said == "No key yet: another reason.", "the same advice is not repeated"
    assert "enough" in told("block", **BLOCK | {"reason": None})
    assert told("reconcile", rounds=7, leak_bits=1234) is None
    said = told("amplify", secret_bits=500, reason=None)
    assert "7 rounds" in said and "1,234 parities" in said and "500 secret bits" in said
    assert "12,345 bits, equal on both sides" in told("end", report=REPORT)


@pytest.mark.parametrize("change, words", [
    ({"rates_hz": [0.0] * 4}, "shutter"),
    ({"qber_low": 0.2, "qber_high": 0.3, "qber_test": 0.25}, "Eve"),
    ({}, "finite-size"),
])
def test_no_key_says_what_to_check(told, change, words):
    said = told("block", **NOTHING | {"rates_hz": [1.0] * 4, "reason": "too little"} | change)
    assert "too little." in said and words in said


def test_ends_without_a_key(told):
    assert "gives no key: error rate too high." in told("amplify", secret_bits=0, reason="error rate too high")
    assert "No key: too short." in told("end", report=REPORT | {"secret_bits": 0, "reason": "too short"})
    assert "differ" in told("end", report=REPORT | {"bob_key_sha256": "cd" * 32})
    told("end", report=REPORT | {"warnings": ["the file was cut short"]})
    assert "The file was cut short." in told.book.lines
    assert "Started: demo/bob.ptu." in told("start", title="/a/b/demo/bob.ptu", simulated=False)
    assert "disk full" in told("error", message="disk full")
    assert "not locked" in told("clock", **CLOCK | {"locked": False, "reason": "no period found"})


def test_the_page_gets_text_not_markup(told):
    book = Logbook(entries=3)
    for k in range(5):
        book.write(f"<b>{k}</b>")
    assert book.lines == ["<b>2</b>", "<b>3</b>", "<b>4</b>"]
    page = book.html()
    assert "<b>" not in page and 'role="log"' in page and page.index("4&lt;") < page.index("3&lt;")


def test_numbers():
    assert amount(1234567) == "1,234,567"
    assert [si(x, "Hz") for x in (1.23e9, 45600, 7)] == ["1.23 GHz", "45.6 kHz", "7 Hz"]
