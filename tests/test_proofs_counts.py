"""The contract of `qkdlab keylength`: what it takes, what it refuses, what it answers."""

import copy
import json

import numpy as np
import pytest
from links import EXAMPLE_A, EXAMPLE_B

from qkdlab import proofs
from qkdlab.datatypes import DecoyCounts, SourceSettings
from qkdlab.errors import BadInput

REQUIRED = ("proof", "intensities", "probabilities", "key", "test", "eps_sec", "eps_cor")
ANSWER = {"length", "s0", "s1", "s0_test", "s1_test", "v1_test", "phase_error", "leak_bits", "signed_length", "reason",
          "epsilons"}
EPS = {"eps_sec": 1e-9, "eps_cor": 1e-15}


def changed(document, path, value):
    document = copy.deepcopy(document)
    inner = document
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    return document


@pytest.mark.parametrize("path, value, field", [
    (("key", "n"), [20_000_000, -1, 60_000], "key.n"),
    (("key", "n"), [20_000_000, 1.5, 60_000], "key.n"),
    (("key", "n"), [20_000_000, float("nan"), 60_000], "key.n"),
    (("key", "n"), [20_000_000, float("inf"), 60_000], "key.n"),
    (("key", "n"), [20_000_000, "5", 60_000], "key.n"),
    (("key", "n"), [20_000_000, None, 60_000], "key.n"),
    (("key", "n"), [20_000_000, True, 60_000], "key.n"),
    (("key", "n"), [20_000_000, 10**400, 60_000], "key.n"),
    (("key", "n"), [20_000_000, [1], 60_000], "key.n"),
    (("key", "n"), [20_000_000, 1_750_000], "key.n"),
    (("key", "n"), 5, "key.n"),
    (("key", "n"), {"signal": 5}, "key.n"),
    (("test", "m"), [40_000, 5_200], "test.m"),
    (("test", "m"), [2_000_001, 5_200, 2_800], "test.m"),
    (("key", "m"), [400_000, 52_000, -28_000], "key.m"),
    (("key", "k"), [1, 2, 3], "key.k"),
    (("key",), [1, 2, 3], "key"),
    (("key",), None, "key"),
    (("test",), {"n": [1, 2, 3]}, "test.m"),
    (("intensities",), [0.1, 0.5, 0], "intensities"),
    (("intensities",), [0.5, 0.5, 0], "intensities"),
    (("intensities",), [0.5, 0.1, 0.1], "intensities"),
    (("intensities",), [0.5, 0.1, -0.1], "intensities"),
    (("intensities",), [0.5, 0.4, 0.1], "intensities"),
    (("intensities",), [0.5, 0.4, 0.2], "intensities"),
    (("intensities",), [0.5, 0.1], "probabilities"),
    (("intensities",), [50, 0.1, 0], "intensities"),
    (("intensities",), [], "intensities"),
    (("intensities",), ["a", 0.1, 0], "intensities"),
    (("probabilities",), [0.6, 0.25, 0.14], "probabilities"),
    (("probabilities",), [0.6, 0.4, 0.0], "probabilities"),
    (("probabilities",), [1.2, -0.1, -0.1], "probabilities"),
    (("probabilities",), [0.6, 0.4], "probabilities"),
    (("probabilities",), 1, "probabilities"),
    (("eps_sec",), 0, "eps_sec"), (("eps_sec",), 1, "eps_sec"), (("eps_sec",), -1e-9, "eps_sec"),
    (("eps_sec",), 2, "eps_sec"), (("eps_sec",), "1e-9", "eps_sec"), (("eps_sec",), None, "eps_sec"),
    (("eps_cor",), 0, "eps_cor"), (("eps_cor",), 1, "eps_cor"), (("eps_cor",), float("nan"), "eps_cor"),
    (("f_ec",), 0.9, "f_ec"), (("f_ec",), float("inf"), "f_ec"), (("f_ec",), None, "f_ec"),
    (("leak_bits",), -1, "leak_bits"),
    (("tails",), "gauss", "tails"), (("sampling",), "serflin", "sampling"), (("clamp",), "yes", "clamp"),
    (("proof",), "lim2013", "proof"), (("proof",), 3, "proof"), (("proof",), "counts", "proof"),
    (("proof",), "rusca2018", "intensities"), (("proof",), "wiesemann2024", "intensities"),
    (("sent",), {"key": [1, 2, 3], "test": [1, 2, 3]}, "sent.key"),
    (("sent",), {"key": [10**9] * 3, "test": [10**9] * 2}, "sent.test"),
    (("sent",), {"key": [10**9] * 3}, "sent.test"),
    (("pulses",), 0, "pulses"),
])
def test_bad_input_names_the_field(path, value, field):
    with pytest.raises(BadInput) as caught:
        proofs.keylength(changed(EXAMPLE_A, path, value), where="counts.json")
    assert caught.value.field == field, str(caught.value)
    assert caught.value.where == "counts.json" and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [*REQUIRED, "f_ec"])
def test_missing_fields_are_named(name):
    document = {k: v for k, v in EXAMPLE_A.items() if k != name}
    with pytest.raises(BadInput, match="missing") as caught:
        proofs.keylength(document)
    assert caught.value.field == name


def test_unknown_fields_name_the_nearest():
    with pytest.raises(BadInput, match="did you mean 'sampling'"):
        proofs.keylength({**EXAMPLE_A, "samplin": "serfling"})
    with pytest.raises(BadInput, match="did you mean 'probabilities'"):
        proofs.keylength({**EXAMPLE_A, "probabilites": [1]})


@pytest.mark.parametrize("document", [None, [], "lim2014", 3])
def test_not_an_object(document):
    with pytest.raises(BadInput):
        proofs.keylength(document)


@pytest.mark.parametrize("document", [EXAMPLE_A, EXAMPLE_B, {**EXAMPLE_A, "proof": "ma2005"},
                                      {**EXAMPLE_B, "proof": "wiesemann2024"},
                                      {**EXAMPLE_A, "key": {"n": [0] * 3, "m": [0] * 3}}])
def test_answer_is_plain_json(document):
    before = copy.deepcopy(document)
    result = proofs.keylength(document)
    assert document == before
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert set(result) >= ANSWER and isinstance(result["length"], int)
    assert (result["length"] > 0) == (result["reason"] is None)


def test_whole_floats_and_numbers_of_a_round_trip_are_counts():
    document = json.loads(json.dumps(changed(EXAMPLE_A, ("key", "n"), [2e7, 1.75e6, 6e4])))
    assert proofs.keylength(document) == proofs.keylength(EXAMPLE_A)


def test_leak_bits_are_used_as_they_are():
    document = {k: v for k, v in EXAMPLE_A.items() if k != "f_ec"}
    result, modelled = proofs.keylength({**document, "leak_bits": 4_000_000}), proofs.keylength(EXAMPLE_A)
    assert result["leak_bits"] == 4_000_000
    assert result["signed_length"] == pytest.approx(modelled["signed_length"] + modelled["leak_bits"] - 4_000_000)
    assert result["f_ec"] == pytest.approx(1.16 * 4_000_000 / modelled["leak_bits"])
    assert proofs.keylength({**EXAMPLE_A, "leak_bits": 4_000_000})["length"] == result["length"]
    assert any("model" in words for words in modelled["assumptions"])
    assert not any("model" in words for words in result["assumptions"])


def test_rate_where_the_pulses_are_known():
    result = proofs.keylength({**EXAMPLE_A, "pulses": 10**11})
    assert result["rate_per_pulse"] == result["length"] / 10**11


@pytest.mark.parametrize("proof, shares", [("lim2014", 21), ("rusca2018", 19), ("wiesemann2024", 15)])
def test_epsilons_add_up(proof, shares):
    example = EXAMPLE_A if proof == "lim2014" else EXAMPLE_B
    result = proofs.keylength({**example, "proof": proof})
    parts = result["epsilons"]["eps_sec_parts"]
    assert sum(parts.values()) == pytest.approx(result["epsilons"]["eps_sec"], rel=1e-12) == 1e-9
    assert all(round(part / 1e-9 * shares) == pytest.approx(part / 1e-9 * shares) for part in parts.values())
    assert result["epsilons"]["eps_cor"] == 1e-15
    assert any(words.startswith("variable length") for words in result["assumptions"])


def test_published_approximations_are_labelled():
    for sampling in ("gamma", "yin"):
        result = proofs.keylength({**EXAMPLE_A, "sampling": sampling})
        assert any("not a proven bound" in w for w in result["assumptions"]) and result["composable"] is False
    assert not any("not a proven" in w for w in proofs.keylength(EXAMPLE_A)["assumptions"])


def columns(document):
    n, m = (np.array([document[basis][name] for basis in ("key", "test")]).T for name in ("n", "m"))
    return DecoyCounts(np.zeros_like(n), n, m)


def test_bound_and_keylength_say_the_same():
    bound = proofs.bound(columns(EXAMPLE_A), intensities=(0.5, 0.1, 0), probabilities=(0.6, 0.25, 0.15), f_ec=1.16,
                         **EPS)
    result = proofs.keylength(EXAMPLE_A)
    assert bound.length == result["length"] and bound.details["pa_bits"] == result["pa_bits"]


def test_probabilities_as_drawn_are_used():
    settings = SourceSettings(intensities=(0.5, 0.1, 0.0), probabilities=(0.60001, 0.25, 0.14999))
    bound = proofs.bound(columns(EXAMPLE_A), settings, f_ec=1.16, **EPS)
    assert settings.achieved_probabilities != settings.probabilities
    drawn = proofs.bound(columns(EXAMPLE_A), intensities=settings.intensities,
                         probabilities=settings.achieved_probabilities, f_ec=1.16, **EPS)
    assert bound == drawn


def test_bound_refuses_what_cannot_be():
    counts = columns(EXAMPLE_A)
    source = {"intensities": (0.5, 0.1, 0), "probabilities": (0.6, 0.25, 0.15)}
    for bad in ({"eps_sec": 1.0}, {"leak_bits": None, "f_ec": None}, {"proof": "lim"}, {"tails": "gauss"},
                {"intensities": None}, {"intensities": (0.5, 0.1), "probabilities": (0.5, 0.5)}):
        with pytest.raises(BadInput):
            proofs.bound(counts, **{**EPS, **source, "f_ec": 1.16, **bad})
    with pytest.raises(BadInput, match="key.m"):
        proofs.bound(DecoyCounts(counts.sent, counts.clicks, counts.clicks + 1), **source, **EPS, f_ec=1.16)
    with pytest.raises(BadInput, match="key.n"):
        proofs.bound(DecoyCounts(counts.sent, -counts.clicks, counts.errors), **source, **EPS, f_ec=1.16)


def test_menu():
    assert proofs.proofs.names() == ["lim2014", "linear", "ma2005", "rusca2018", "wiesemann2024"]
    for name in proofs.proofs.names():
        assert callable(proofs.proofs.get(name).check)
