import re

import numpy as np
import pytest
from pretend_session import BLOCK, CLOCK, NOTHING

from qkdlab.datatypes import Event
from qkdlab.widgets.readout import Readout


@pytest.fixture
def readout():
    out = Readout(abort_qber=0.11, block_key_bits=4000)
    out.tell = lambda step, **values: out.take(Event(step, 0, values))
    out.card = lambda key: re.search(f"qk-card-{key}.*?</div></div>", out.cards).group()
    return out


def test_before_anything_happened(readout):
    assert "Ready" in readout.status and 'role="status"' in readout.status and readout.cards.count("\u2013") >= 5


def test_a_run(readout):
    readout.tell("start", title="x", simulated=True)
    assert readout.state == "running"
    readout.tell("clock", **CLOCK, offset_ppm=-1.5, jitter_ps=61.2)
    readout.tell("block", **BLOCK)
    assert readout.fraction == 0.25
    assert "2.00 %" in readout.card("qber") and "1.00\u20133.00" in readout.card("qber")
    assert "250 bits short" in readout.card("key") and "220 k/s" in readout.card("rate")
    assert "1 kbit" in readout.card("sifted") and "locked" in readout.card("clock")
    readout.tell("block", **BLOCK | {"rates_hz": [0.0] * 4})
    assert "220 k/s" in readout.card("rate"), "told at the end of a run; covers no time"
    readout.tell("block", **BLOCK | {"key_length": 5000, "time_s": 1.0})
    assert "5,000 bits" in readout.card("key") and "5 kbit/s" in readout.card("key")
    readout.tell("amplify", secret_bits=70, reason=None)
    readout.tell("block", **BLOCK | {"time_s": 1.1})
    assert "250 bits short" in readout.card("key") and "70 bits" in readout.card("made")
    readout.tell("block", **BLOCK | {"key_length": 20, "time_s": 1.2})
    assert "20 bits" in readout.card("key") and "of this block" in readout.card("key")
    readout.tell("end", report={"secret_bits": 90})
    assert "reached" in readout.card("first")
    assert "90 bits" in readout.card("key") and readout.fraction == 1 and readout.state == "ended"


def test_alarms_carry_a_sign_and_words(readout):
    readout.tell("clock", locked=False, offset_ppm=None, jitter_ps=None)
    readout.tell("block", **BLOCK | {"qber_test": 0.25})
    assert "&#9650;" in readout.card("qber") and "above 11 %" in readout.card("qber")
    assert "&#9650;" in readout.card("clock") and "not locked" in readout.card("clock")
    readout.tell("end", report={"secret_bits": 0})
    assert "&#9650;" in readout.card("key")


def test_nothing_defined_is_a_dash_not_a_number(readout):
    readout.tell("block", **NOTHING)
    assert "\u2013" in readout.card("qber") and "nan" not in readout.cards.lower() and "None" not in readout.cards


def test_an_error_is_told_as_text(readout):
    readout.tell("error", message="<i>broken</i>")
    assert "&lt;i&gt;broken" in readout.status and readout.state == "ended"


def test_progress_by_link_time():
    readout = Readout(seconds=2.0)
    readout.take(Event("block", 0, BLOCK))
    assert readout.fraction == 0.25


def test_progress_by_records():
    readout = Readout(block_key_bits=1000)
    readout.take(Event("start", 0, {"title": "a.ptu", "simulated": False, "records": 600_000}))
    readout.take(Event("block", 0, BLOCK))
    assert readout.fraction == BLOCK["tags"] / 600_000


def test_the_countdown_to_the_first_key(readout):
    bits, rate = 2000 + 100 * np.arange(20), 400.0         # sifted bits, and how many come in a second

    def tell(n):
        signed = 0.5 * n - 30 * np.sqrt(n)                 # zero at n = 3600
        readout.tell("block", **BLOCK | {"time_s": n / rate, "sifted_key_bits": int(n), "signed_length": signed,
                                         "key_length": max(0, int(signed))})

    assert "too early" in readout.card("first")
    for n in bits[:10]:
        tell(n)
    assert readout.countdown_s == pytest.approx((3600 - 2900) / rate, rel=1e-6) and "in about 1." in readout.card("first")
    for n in bits[10:]:
        tell(n)
    assert "reached" in readout.card("first") and "after 9.2 s" in readout.card("first")


def test_no_first_key_in_sight(readout):
    for k in range(1, 9):
        readout.tell("block", **BLOCK | {"time_s": k, "sifted_key_bits": 100 * k, "signed_length": -10.0 * k})
    assert readout.countdown_s == np.inf and "not within this block" in readout.card("first")
    readout.tell("end", report={"secret_bits": 0})
    assert "not in this run" in readout.card("first")
