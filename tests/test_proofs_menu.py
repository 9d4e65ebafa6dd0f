"""What every analysis on the menu must keep to: more loss, more errors or a smaller epsilon never give more key."""

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from links import SOURCES, Link

from qkdlab import proofs
from qkdlab.datatypes import DecoyCounts
from qkdlab.errors import BadInput
from qkdlab.proofs.sampling import SAMPLING
from qkdlab.proofs.tails import TAILS

PROOFS = proofs.proofs.names()
FINITE = [p for p in PROOFS if p != "ma2005"]
CHOICES = list(itertools.product(TAILS, SAMPLING))


def length(proof, counts, *, eps_sec=1e-9, eps_cor=1e-15, **options):
    mu, p = SOURCES[proof]
    return proofs.bound(counts, intensities=mu, probabilities=p, proof=proof, f_ec=1.16, eps_sec=eps_sec,
                        eps_cor=eps_cor, **options).length


def falls(values):
    assert values[0] > 0, "a test of nothing"
    assert values == sorted(values, reverse=True), values


@pytest.mark.parametrize("tails, sampling", CHOICES)
@pytest.mark.parametrize("proof", PROOFS)
def test_more_loss_never_gives_more_key(proof, tails, sampling):
    falls([length(proof, Link(*SOURCES[proof], loss_db=db).counts(3 * 10**10), tails=tails, sampling=sampling)
           for db in (6, 8, 12, 16, 20, 24, 28, 34, 40, 60)])


@pytest.mark.parametrize("tails, sampling", CHOICES)
@pytest.mark.parametrize("proof", PROOFS)
def test_more_errors_never_give_more_key(proof, tails, sampling):
    options = {"tails": tails, "sampling": sampling}
    falls([length(proof, Link(*SOURCES[proof], e_mis=e).counts(3 * 10**10), **options)
           for e in (0, 0.001, 0.003, 0.01, 0.03, 0.05, 0.08, 0.15, 0.25, 0.5, 0.9)])
    falls([length(proof, Link(*SOURCES[proof], y0=y0).counts(3 * 10**10), **options)
           for y0 in (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3)])


@pytest.mark.parametrize("tails, sampling", CHOICES)
@pytest.mark.parametrize("proof", FINITE)
def test_smaller_epsilons_never_give_more_key(proof, tails, sampling):
    counts = Link(*SOURCES[proof]).counts(3 * 10**10)
    options = {"tails": tails, "sampling": sampling}
    falls([length(proof, counts, eps_sec=eps, **options) for eps in (0.5, 1e-3, 1e-6, 1e-9, 1e-12, 1e-20, 1e-100)])
    falls([length(proof, counts, eps_cor=eps, **options) for eps in (0.5, 1e-6, 1e-15, 1e-100)])


@pytest.mark.parametrize("proof", PROOFS)
def test_intercept_resend_gives_no_key(proof):
    """Eve measures every pulse and sends on what she found: one bit in four is wrong."""
    for tails, sampling in CHOICES:
        link = Link(*SOURCES[proof], loss_db=10, e_mis=0.25)
        assert length(proof, link.counts(10**11), tails=tails, sampling=sampling) == 0


@pytest.mark.parametrize("proof", PROOFS)
@pytest.mark.parametrize("loss_db", [10, 20])
def test_photon_number_splitting_gives_no_key(proof, loss_db):
    """Eve stops single photons and lets the others through so often that the signal's gain does not change."""
    mu, p = SOURCES[proof]
    link = Link(mu, p, loss_db=loss_db)
    multi = -np.expm1(-link.mu) - link.mu * np.exp(-link.mu)
    passed = (link.gains()[0][0] - link.y0) / multi[0]
    assert passed < 1
    sent = 10**11 * np.outer(link.p, link.bases)
    n = np.rint(sent * (link.y0 + passed * multi)[:, None]).astype(np.int64)
    m = np.rint(sent * link.y0 / 2).astype(np.int64)
    for tails, sampling in CHOICES:
        assert length(proof, DecoyCounts(np.rint(sent), n, m), tails=tails, sampling=sampling) == 0
    assert length(proof, link.counts(10**11)) > 0


@pytest.mark.parametrize("proof", FINITE)
def test_finite_is_below_asymptotic_and_comes_close(proof):
    """Per signal of an endless block the finite length approaches what perfectly known yields give."""
    mu, p = SOURCES[proof]
    link = Link(mu, p, loss_db=15)
    rates = [length(proof, link.counts(n)) / n for n in (10**10, 10**12, 10**15)]
    (found, wrong), everything = link.truth(1, 1), link.counts(10**15)
    e1, n, m = wrong[1] / found[1], everything.clicks[:, 0].sum() / 1e15, everything.errors[:, 0].sum() / 1e15

    def h(x):
        return -x * math.log2(x) - (1 - x) * math.log2(1 - x)

    limit = link.truth(1, 0)[0][0] + found[0] * (1 - h(e1)) - 1.16 * n * h(m / n)
    assert 0 < rates[0] < rates[1] < rates[2] < limit
    assert rates[2] > 0.75 * limit


counts_up_to = st.one_of(st.integers(0, 30), st.integers(0, 10**5), st.integers(0, 10**10), st.integers(0, 2**50))


@st.composite
def documents(draw):
    k = draw(st.integers(2, 3))
    mu = sorted((draw(st.floats(0, 1.5)) for _ in range(k)), reverse=True)
    weights = [draw(st.floats(1e-6, 1)) for _ in range(k)]
    bases = {}
    for basis in ("key", "test"):
        n = [draw(counts_up_to) for _ in range(k)]
        n = sorted(n, reverse=True) if draw(st.booleans()) else n
        wrong = draw(st.sampled_from([0, 0.02, 0.3, 1]))
        bases[basis] = {"n": n, "m": [draw(st.integers(0, int(x * wrong))) for x in n]}
    leak = draw(st.sampled_from([{"f_ec": 1.16}, {"leak_bits": 0}, {"leak_bits": 10**6}]))
    return {"proof": draw(st.sampled_from([p for p in PROOFS if len(SOURCES[p][0]) == k])), "intensities": mu,
            "probabilities": [w / sum(weights) for w in weights], **bases, **leak,
            "eps_sec": draw(st.sampled_from([0.999, 1e-3, 1e-9, 1e-50, 1e-300])), "eps_cor": 1e-15,
            "tails": draw(st.sampled_from(list(TAILS))), "sampling": draw(st.sampled_from(list(SAMPLING))),
            "clamp": draw(st.booleans())}


@settings(max_examples=400, deadline=None, derandomize=True)
@given(documents())
def test_any_counts_give_a_length_or_a_reason(document):
    try:
        result = proofs.keylength(document)
    except BadInput:
        return
    json.dumps(result, allow_nan=False)
    n = sum(document["key"]["n"])
    assert isinstance(result["length"], int) and 0 <= result["length"] <= n
    assert (result["reason"] is None) == (result["length"] > 0)
    if result["length"]:
        assert max(result["s0"], 0) + result["s1"] <= n and 0 < result["phase_error"] < 0.5
        assert result["length"] <= result["signed_length"] < result["length"] + 1
    if document["clamp"]:
        assert min(result[name] for name in ("s0", "s0_test", "v1_test")) >= 0
