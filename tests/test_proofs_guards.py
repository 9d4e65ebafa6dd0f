"""Counts that contradict each other, or say nothing, give no key and say why."""

import dataclasses
import math

import numpy as np
import pytest
from links import EXAMPLE_A, EXAMPLE_B

from qkdlab import proofs
from qkdlab.proofs.guards import inconsistency
from qkdlab.proofs.photons import Estimate

EXAMPLES = {"lim2014": EXAMPLE_A, "ma2005": {**EXAMPLE_A, "proof": "ma2005"}, "rusca2018": EXAMPLE_B,
            "wiesemann2024": {**EXAMPLE_B, "proof": "wiesemann2024"}}


def with_counts(proof, basis, **lists):
    example = EXAMPLES[proof]
    return {**example, basis: {**example[basis], **lists}}


def refused(document, word):
    result = proofs.keylength(document)
    assert result["length"] == 0 and word in result["reason"], result["reason"]
    return result


@pytest.mark.parametrize("clamp", [True, False])
def test_worked_example_c(clamp):
    """4 000 000 decoy detections: more single photons than detections."""
    result = refused({**with_counts("lim2014", "key", n=[20_000_000, 4_000_000, 60_000]), "clamp": clamp},
                     "inconsistent")
    assert result["s0"] + result["s1"] > result["n_key"]
    assert result["signed_length"] is None and result["phase_error"] is None


@pytest.mark.parametrize("proof", EXAMPLES)
@pytest.mark.parametrize("basis, size", [("key", 20_000_000), ("test", 2_000_000)])
def test_more_single_photons_than_detections(proof, basis, size):
    decoy = {"lim2014": 0.2, "ma2005": 0.2, "rusca2018": 0.25, "wiesemann2024": 0.25}[proof]
    n = [size, int(size * decoy), *([size // 300] if len(EXAMPLES[proof]["intensities"]) == 3 else [])]
    refused(with_counts(proof, basis, n=n), f"inconsistent counts in the {basis} basis")


@pytest.mark.parametrize("proof", EXAMPLES)
@pytest.mark.parametrize("basis", ["key", "test"])
def test_weak_pulses_detected_more_often_than_strong_ones(proof, basis):
    n = list(EXAMPLES[proof][basis]["n"])
    refused(with_counts(proof, basis, n=[n[0], n[0], *n[2:]]), "mixed up")
    refused(with_counts(proof, basis, n=n[::-1], m=[0] * len(n)), "mixed up")


@pytest.mark.parametrize("proof", EXAMPLES)
def test_gains_may_differ_by_chance(proof):
    """Vacuum and decoy alike, up to chance: too noisy for key, but no contradiction."""
    n = [60_000, 20_100, 12_100] if len(EXAMPLES[proof]["intensities"]) == 3 else [60_000, 25_800]
    result = proofs.keylength(with_counts(proof, "key", n=n, m=[0] * len(n)))
    assert result["length"] == 0
    assert proof == "ma2005" or "mixed up" not in result["reason"]


def test_vacuum_bounds_that_cross():
    source = proofs.Source((0.5, 0.15), (0.7, 0.3))
    minus, plus = np.array([90.0, 30.0]), np.array([110.0, 50.0])
    good = Estimate(200, minus, plus, s0=5.0, s1=100.0, s0_upper=6.0)
    assert inconsistency(source, good, good) is None
    crossed = dataclasses.replace(good, s0_upper=4.0)
    assert "vacuum" in inconsistency(source, crossed, good) and "key basis" in inconsistency(source, crossed, good)
    assert "test basis" in inconsistency(source, good, crossed)


@pytest.mark.parametrize("proof", EXAMPLES)
@pytest.mark.parametrize("basis", ["key", "test"])
def test_no_detections(proof, basis):
    zero = [0] * len(EXAMPLES[proof]["intensities"])
    result = refused(with_counts(proof, basis, n=zero, m=zero), f"no detections in the {basis} basis")
    assert result["signed_length"] is None and not any(
        isinstance(v, float) and math.isnan(v) for v in result.values())


@pytest.mark.parametrize("proof", EXAMPLES)
@pytest.mark.parametrize("sampling", ["serfling", "hypergeometric", "gamma", "yin"])
def test_no_error_seen_still_bounds_the_phase_error(proof, sampling):
    """A public program gives NaN here, gamma alone gives 0."""
    zero = [0] * len(EXAMPLES[proof]["intensities"])
    result = proofs.keylength({**with_counts(proof, "test", m=zero), "sampling": sampling})
    assert result["v1_test"] == 0 < result["phase_error"] < 0.01
    assert result["length"] > 0
    small = {name: [x // 500 for x in EXAMPLES[proof]["test"][name]] for name in ("n", "m")}
    few = proofs.keylength({**with_counts(proof, "test", n=small["n"], m=zero), "sampling": sampling})
    assert few["phase_error"] is None or few["phase_error"] > result["phase_error"]


def test_negative_single_photon_errors_count_as_none():
    """All errors on vacuum pulses: the subtraction goes below 0."""
    result = proofs.keylength(with_counts("lim2014", "test", m=[0, 0, 3_000]))
    assert result["v1_test"] == 0 < result["phase_error"] < 0.01


@pytest.mark.parametrize("proof", ["lim2014", "ma2005"])
def test_phase_error_of_one_half(proof):
    n = EXAMPLES[proof]["test"]["n"]
    result = refused(with_counts(proof, "test", m=[x // 2 for x in n]), "phase error")
    assert result["phase_error"] >= 0.5 and result["signed_length"] < 0


@pytest.mark.parametrize("proof", ["rusca2018", "wiesemann2024"])
def test_errors_of_one_half_could_all_be_vacuum(proof):
    """With one decoy the errors bound the vacuum, so half of the bits wrong leave no single photon."""
    n = EXAMPLES[proof]["test"]["n"]
    refused(with_counts(proof, "test", m=[x // 2 for x in n]), "not one single-photon detection")
    refused(with_counts(proof, "test", m=[n[0] // 3, n[1] // 80]), "phase error")


@pytest.mark.parametrize("proof", EXAMPLES)
def test_all_bits_wrong_costs_all(proof):
    """The entropy of 100 % errors is 0, but they leak no less than 50 %."""
    n = EXAMPLES[proof]["key"]["n"]
    result = proofs.keylength(with_counts(proof, "key", m=n))
    assert result["length"] == 0
    used = n[0] if proof == "ma2005" else sum(n)
    assert result["leak_bits"] == pytest.approx(1.16 * used)


@pytest.mark.parametrize("proof", ["lim2014", "rusca2018", "wiesemann2024"])
def test_leak_larger_than_the_key(proof):
    result = refused({**EXAMPLES[proof], "leak_bits": 30_000_000}, "cost")
    assert result["signed_length"] < 0
