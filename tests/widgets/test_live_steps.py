import numpy as np
import pytest
from pretend_session import BLOCK, CLOCK
from pretend_session import shown_by as show

from qkdlab.proofs.photons import binary_entropy
from qkdlab.widgets import live_steps as steps

LOCKED = CLOCK | {"offset_ppm": -4.7, "jitter_ps": 60.4}
PAID = {"sifted_key_bits": 1000, "s1": 600.0, "phase_error": 0.05, "leak_bits": 100.0, "cor_bits": 20.0,
        "signed_length": 200.0}


def test_the_clock_is_shown_at_the_time_of_its_stretch():
    plot = steps.clock()
    columns = show(plot, ("block", BLOCK), ("clock", LOCKED), ("block", BLOCK), ("block", BLOCK | {"time_s": 0.7}))["clock"]
    assert columns["t"].tolist() == [0.5, 0.7] and columns["offset"].tolist() == [-4.7, -4.7]
    show(plot, ("clock", LOCKED | {"locked": False}), ("block", BLOCK | {"time_s": 0.9}))
    assert np.isnan(show(plot)["clock"]["offset"][-1]), "a clock that is not locked is a gap"


def test_a_large_jitter_widens_its_axis_in_steps():
    plot = steps.clock()
    show(plot, ("clock", LOCKED | {"jitter_ps": 140.0}))
    assert plot.figure.extra_y_ranges["jitter"].end == 200


def test_cascade_beside_the_least_possible():
    plot = steps.cascade()
    said = [("reconcile", {"rounds": k, "leak_bits": 50 * k}) for k in (1, 2, 3)]
    columns = show(plot, ("block", BLOCK), *said)
    assert columns["cascade"]["parities"].tolist() == [50, 100, 150]
    assert columns["cascade_limit"]["least"] == pytest.approx([1000 * binary_entropy(0.02)] * 2)
    columns = show(plot, ("amplify", {"secret_bits": 7, "reason": None, "qber_key": 0.01}))
    assert columns["cascade_limit"]["least"] == pytest.approx([1000 * binary_entropy(0.01)] * 2), "the rate that was found"
    columns = show(plot, ("reconcile", {"rounds": 1, "leak_bits": 9}))
    assert columns["cascade"]["parities"].tolist() == [9], "another block begins anew"


def test_the_accounts_add_up_to_the_sifted_bits():
    bits = steps.spent(PAID)
    assert sum(bits) == pytest.approx(1000) and bits[0] == 400 and bits[-1] == 200
    assert bits[1] == pytest.approx(600 * binary_entropy(0.05))


@pytest.mark.parametrize("missing", ["s1", "phase_error", "signed_length", "sifted_key_bits"])
def test_no_accounts_without_a_bound(missing):
    assert steps.spent(PAID | {missing: None}) is None


def test_the_ledger_ends_where_the_key_begins():
    plot = steps.ledger()
    columns = show(plot, ("block", PAID))
    assert columns["ledger"]["to"][0] == 100 and columns["ledger"]["from"][-1] == pytest.approx(20)
    assert columns["ledger_key"]["to"] == [20]
    assert plot.figure.select_one({"name": "ledger_5"}).text == "200"
    columns = show(plot, ("block", PAID | {"signed_length": -3000.0}))
    assert columns["ledger_key"]["to"] == [0] and plot.figure.select_one({"name": "ledger_5"}).text == "\u22123 k"
    assert min(columns["ledger"]["from"]) >= 0


def test_the_ledger_of_a_finished_run():
    bound = {name: PAID[name] for name in ("s1", "phase_error", "signed_length")}
    report = {"blocks": [{"reconciliation": {"leak_bits": 100}, "bound": bound, "sifted_key_bits": 1000}],
              "ledger": {"blocks": [{"costs": {"leak_bits": 150.0, "cor_bits": 20.0, "pa_bits": 60.0}}]}}
    plot = steps.ledger()
    show(plot, ("end", {"report": report}))
    assert plot.figure.select_one({"name": "ledger_2"}).text == "150"
    show(plot, ("end", {"report": {"secret_bits": 0, "blocks": [{"reconciliation": None}], "ledger": {"blocks": [{}]}}}))
    assert plot.figure.select_one({"name": "ledger_2"}).text == "150", "a block without a key leaves the last accounts"
