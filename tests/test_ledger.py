"""The ledger: nothing said aloud is missing, the epsilons add up, what the data broke is named."""

import json
import pathlib

import numpy as np
import pytest
from links import SOURCES, Link

import qkdlab
from qkdlab import datasets, proofs
from qkdlab.classical_channel import LocalChannel
from qkdlab.datatypes import DecoyCounts
from qkdlab.ledger import ANNOUNCED_EARLY, SIMULATED, block_entry, run_ledger
from qkdlab.parties import BlockReport
from qkdlab.proofs import assumptions
from qkdlab.report import ledger_text

DEMO = pathlib.Path(datasets.__file__).with_name("demo")


@pytest.fixture(scope="module")
def report():
    return qkdlab.Session(qkdlab.open(DEMO)).run()


@pytest.fixture(scope="module")
def entry(report):
    return report["ledger"]["blocks"][0]


def bits(entry):
    return {line["what"]: line["bits"] for line in entry["said"]}


def standing(entry):
    return {a["assumption"]: (a["standing"], a["why"]) for a in entry["assumptions"]}


def test_every_bit_that_was_said_is_there(report, entry):
    ledger, said = report["ledger"], bits(entry)
    assert said["test-basis bits"] == ledger["test_bits"] == sum(row[1] for row in report["counts"]["clicks"])
    assert said["parities of the key"] == ledger["parities_bits"] == report["leak_bits"] == entry["costs"]["leak_bits"]
    assert said["verification hash"] == ledger["verification_bits"] <= entry["costs"]["cor_bits"]
    assert said["authentication"] == ledger["authentication_bits"] == 0
    key = [row[0] for row in report["counts"]["clicks"]]
    assert 0 < said["numbers of errors, by intensity"] == int(np.ceil(np.log2(np.array(key) + 1.0).sum()))
    assert sum(ledger["key_bits_said"].values()) == ledger["parities_bits"] + ledger["verification_bits"]
    assert ledger["transcript_bits"] > 0 and ledger["said_by_bob_bytes"] and ledger["said_by_alice_bytes"]


def test_the_length_is_what_the_costs_leave(report, entry):
    bound, costs = report["bound"], entry["costs"]
    private = bound["s0"] + bound["s1"] * (1 - float(proofs.photons.binary_entropy(bound["phase_error"])))
    assert int(private - sum(costs.values())) == entry["secret_bits"] == report["secret_bits"] > 0


def test_epsilons_add_up(report, entry):
    eps = entry["epsilons"]
    assert sum(eps["parts"].values()) == pytest.approx(eps["eps_sec"], rel=1e-12)
    assert eps["total"] == eps["eps_sec"] + eps["eps_cor"] and eps["eps_auth"] is None
    run = dict(report["ledger"]["epsilons"])
    assert run.pop("keys") == 1 and run == {name: eps[name] for name in ("eps_sec", "eps_cor", "total", "eps_auth")}


def test_keys_of_several_blocks_fail_together():
    bounds = [lim(Link(*SOURCES["lim2014"], loss_db=db).counts(10**10)) for db in (10, 12, 60)]
    stats = {"leak_bits": 1000, "transcript_bits": 5000}
    ledger = run_ledger([block(b, reconciliation=stats) for b in bounds], LocalChannel.pair()[0])
    assert [bool(b["key_id"]) for b in ledger["blocks"]] == [True, True, False]
    assert ledger["epsilons"]["keys"] == 2 and ledger["epsilons"]["total"] == pytest.approx(2 * (1e-9 + 1e-15))
    assert ledger["parities_bits"] == 3000 and ledger["transcript_bits"] == 15_000


def test_standing_of_a_replay(report, entry):
    found = standing(entry)
    assert set(assumptions.ASSUMPTIONS) <= set(found) and entry["broken"] == []
    assert found[assumptions.AUTHENTICATED][0] == "open" and found[assumptions.LEAK][0] == "checked"
    assert f"{report['leak_bits']:,}" in found[assumptions.LEAK][1]
    assert found[assumptions.LATE_ANNOUNCEMENT][0] == "assumed" and found[SIMULATED][0] == "open"
    assert assumptions.COHERENT not in found


def test_in_words(report, entry):
    text = ledger_text(report["ledger"])
    assert max(map(len, text.splitlines())) <= 120
    for word in (f"{report['secret_bits']:,} secret bits, variable length, composable", f"{report['leak_bits']:,}",
                 "privacy_amplification", "authentication", "checked", "assumed", "open", "ALL KEYS (1)"):
        assert word in text, word
    json.dumps(report["ledger"], allow_nan=False)


# ------------------------------------------------------------------------------------------------------ made by hand


def block(bound, counts=None, reconciliation=None):
    counts = counts or DecoyCounts.zeros(3)
    return BlockReport(0, counts, bound, reconciliation, 0, "id" if bound.length else None, {})


def lim(counts, **options):
    mu, p = SOURCES["lim2014"]
    return proofs.bound(counts, intensities=mu, probabilities=p, eps_sec=1e-9, eps_cor=1e-15, f_ec=1.1, **options)


def test_counts_that_contradict_each_other_break_an_assumption():
    link = Link(*SOURCES["lim2014"], loss_db=10)
    counts = link.counts(10**10)
    clicks = counts.clicks.copy()
    clicks[1] = clicks[0]
    bound = lim(DecoyCounts(counts.sent, clicks, counts.errors))
    found = block_entry(block(bound))
    assert found["broken"] == [assumptions.EXACT_INTENSITIES] and found["secret_bits"] == 0
    assert standing(found)[assumptions.EXACT_INTENSITIES] == ("broken", bound.reason)
    assert "no key" in ledger_text({"blocks": [found], "epsilons": {"keys": 0}})
    assert "broken   the intensities" in ledger_text({"blocks": [found], "epsilons": {"keys": 0}})


def test_too_little_light_breaks_nothing():
    bound = lim(Link(*SOURCES["lim2014"], loss_db=60).counts(10**8))
    found = block_entry(block(bound))
    assert bound.length == 0 and found["broken"] == [] and "broken" not in {a["standing"] for a in found["assumptions"]}


def test_what_broke_an_assumption_gives_no_key():
    """Whatever the counts, an entry with a broken assumption has no bits."""
    rng = np.random.default_rng(6)
    seen = 0
    for _ in range(60):
        clicks = np.sort(rng.integers(0, 10**6, (3, 2)), axis=0)[:: rng.choice([-1, 1])]
        errors = rng.binomial(clicks, 0.01)
        found = block_entry(block(lim(DecoyCounts(np.zeros((3, 2)), clicks, errors))))
        seen += bool(found["broken"])
        assert not (found["broken"] and found["secret_bits"])
    assert seen > 5


def test_a_repeating_pattern_is_named():
    from qkdlab.accounting import no_key
    from qkdlab.proofs.assumptions import Contradiction

    class Agreement:
        distill = qkdlab.DistillSettings()

    reason = Contradiction("the sender's pattern repeats", assumptions.RANDOM_CHOICES)
    found = block_entry(block(no_key(Agreement, None, reason)))
    assert found["broken"] == [assumptions.RANDOM_CHOICES] and found["epsilons"]["total"] is None
    json.dumps(found, allow_nan=False)


def test_what_a_run_does_not_meet_is_open():
    import dataclasses

    bound = lim(Link(*SOURCES["lim2014"], loss_db=10).counts(10**10))
    bound = dataclasses.replace(bound, assumptions=(*bound.assumptions, ANNOUNCED_EARLY))
    found = standing(block_entry(block(bound), stopped=True, lost_tags=1234))
    assert found[assumptions.LATE_ANNOUNCEMENT] == ("open", ANNOUNCED_EARLY)
    assert found[assumptions.ONCE][0] == "open" and "stopped by hand" in found[assumptions.ONCE][1]
    assert found[assumptions.EQUAL_DETECTION][0] == "open" and "1,234" in found[assumptions.EQUAL_DETECTION][1]
    assert found[assumptions.LEAK][0] == "assumed"               # planned with f_ec: nothing was counted
    plain = standing(block_entry(block(lim(Link(*SOURCES["lim2014"], loss_db=10).counts(10**10)))))
    assert plain[assumptions.ONCE][0] == plain[assumptions.EQUAL_DETECTION][0] == "assumed"


def test_an_unproven_sampling_bound_is_not_composable():
    found = block_entry(block(lim(Link(*SOURCES["lim2014"], loss_db=10).counts(10**10), sampling="gamma")))
    assert found["composable"] is False
    assert "NOT composable" in ledger_text({"blocks": [found], "epsilons": {"keys": 0}})


def test_a_stopped_session_says_so():
    from test_session import make_link

    session = qkdlab.Session(make_link(), block_seconds=0.01)
    session.subscribe(lambda event: session.stop() if event.step == "block" else None)
    ledger = session.run(seconds=1.0)["ledger"]
    found = standing(ledger["blocks"][-1])
    assert len(ledger["blocks"]) == 1 and ledger["parities_bits"] > 0
    assert found[assumptions.ONCE][0] == "open" and found[assumptions.LATE_ANNOUNCEMENT][0] == "open"
