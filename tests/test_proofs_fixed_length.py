"""Announced before the run: accept with that very length, or abort with the reason."""

import dataclasses
import json

import pytest
from links import EXAMPLE_A, SOURCES, Link

from qkdlab import proofs
from qkdlab.datatypes import as_table
from qkdlab.errors import BadInput
from qkdlab.proofs import assumptions, fixed_length
from qkdlab.settings import from_table, to_table

PROOFS = [p for p in SOURCES if p != "ma2005"]


def block(proof, pulses=3 * 10**10, **link):
    mu, p = SOURCES[proof]
    counts = Link(mu, p, **{"loss_db": 10, **link}).counts(pulses)
    return proofs.bound(counts, intensities=mu, probabilities=p, proof=proof, eps_sec=1e-9, eps_cor=1e-15, f_ec=1.16)


@pytest.mark.parametrize("proof", PROOFS)
def test_an_honest_run_gives_the_announced_length(proof):
    expected = block(proof)
    declared = fixed_length.declare(expected, margin=0.02)
    assert 0 < declared.length < expected.length
    result = fixed_length.accept(expected, declared)
    assert result.length == declared.length and result.reason is None
    assert result.details["length_kind"] == "fixed" and result.details["variable_length"] == expected.length
    assert result.assumptions[1].startswith("fixed length") and assumptions.VARIABLE_LENGTH not in result.assumptions
    json.dumps(as_table(result), allow_nan=False)


@pytest.mark.parametrize("proof", PROOFS)
def test_no_margin_gives_what_is_expected(proof):
    expected = block(proof)
    assert expected.length - 1 <= fixed_length.declare(expected, margin=0.0).length <= expected.length


def test_a_better_run_gives_no_more():
    declared = fixed_length.declare(block("lim2014"))
    better = block("lim2014", pulses=6 * 10**10, loss_db=9)
    result = fixed_length.accept(dataclasses.replace(better, leak_bits=declared.leak_bits), declared)
    assert better.length > 2 * declared.length == 2 * result.length


@pytest.mark.parametrize("link, word", [({"loss_db": 11}, "s1"), ({"e_mis": 0.014}, "phase_error"),
                                        ({"e_mis": 0.25}, "phase_error")])
def test_a_worse_run_aborts_though_its_own_counts_give_key(link, word):
    declared = fixed_length.declare(block("lim2014"), margin=0.05)
    result = fixed_length.accept(block("lim2014", **link), declared)
    assert result.length == 0 and result.reason.startswith(f"aborted: {word}")


def test_each_threshold_is_kept():
    bound = block("lim2014")
    declared = fixed_length.declare(bound, margin=0.0)
    assert fixed_length.accept(bound, declared).length == declared.length
    worse = {"s1": bound.s1 - 1, "phase_error": bound.phase_error + 1e-9, "leak_bits": bound.leak_bits + 1}
    for field, value in worse.items():
        result = fixed_length.accept(dataclasses.replace(bound, **{field: value}), declared)
        assert result.length == 0 and field in result.reason
    less_vacuum = dataclasses.replace(bound, details={**bound.details, "vacuum_bits": bound.s0 - 1})
    assert "s0" in fixed_length.accept(less_vacuum, declared).reason


def test_inconsistent_counts_abort():
    declared = fixed_length.declare(proofs.bound(*arguments(EXAMPLE_A), **options(EXAMPLE_A)))
    guarded = {**EXAMPLE_A, "key": {**EXAMPLE_A["key"], "n": [20_000_000, 4_000_000, 60_000]}}
    result = fixed_length.accept(proofs.bound(*arguments(guarded), **options(guarded)), declared)
    assert result.length == 0 and result.reason.startswith("aborted: inconsistent counts")


def arguments(document):
    return proofs.from_document(document)[1:3]


def options(document):
    return {"eps_sec": document["eps_sec"], "eps_cor": document["eps_cor"], "f_ec": document["f_ec"]}


def test_the_announcement_is_a_document():
    declared = fixed_length.declare(block("lim2014"))
    again = from_table(fixed_length.FixedLength, json.loads(json.dumps(to_table(declared))))
    assert again == declared
    found = fixed_length.accept(block("lim2014"), again).details
    assert found["announced"] == to_table(declared) and len(found["announced_sha256"]) == 64


def test_what_was_not_announced_is_refused():
    declared = fixed_length.declare(block("lim2014"))
    other = proofs.bound(Link(*SOURCES["lim2014"], loss_db=10).counts(3 * 10**10), intensities=SOURCES["lim2014"][0],
                         probabilities=SOURCES["lim2014"][1], eps_sec=1e-10, eps_cor=1e-15, f_ec=1.16)
    with pytest.raises(BadInput, match="eps_sec"):
        fixed_length.accept(other, declared)
    with pytest.raises(BadInput, match="proof"):
        fixed_length.accept(block("rusca2018"), declared)


def test_nothing_to_announce():
    with pytest.raises(BadInput, match="asymptotic"):
        fixed_length.declare(block("ma2005"))
    with pytest.raises(BadInput, match="no finite-size key"):
        fixed_length.declare(block("lim2014", loss_db=60))
    with pytest.raises(BadInput, match="margin"):
        fixed_length.declare(block("lim2014"), margin=0.9)
    with pytest.raises(BadInput, match="margin"):
        fixed_length.declare(block("lim2014"), margin=-0.1)


def test_every_bound_says_what_kind_of_length_it_has():
    for proof in SOURCES:
        bound = block(proof)
        kind = bound.details["length_kind"]
        assert kind == ("asymptotic" if proof == "ma2005" else "variable")
        assert any(kind in words.lower() for words in bound.assumptions)
