"""Linear programs: never below the formulas, sound by construction, and right where the truth is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from links import EXAMPLE_A, EXAMPLE_B, SOURCES, Link

from qkdlab import proofs
from qkdlab.datatypes import DecoyCounts
from qkdlab.errors import BadInput
from qkdlab.proofs import linear

SECURITY = {"eps_sec": 1e-9, "eps_cor": 1e-15, "f_ec": 1.16}


@st.composite
def blocks(draw):
    k = draw(st.integers(2, 3))
    signal = draw(st.floats(0.2, 0.9))
    mu = [signal, signal * draw(st.floats(0.05, 0.45))]
    if k == 3:
        mu.append(mu[1] * draw(st.sampled_from([0, 0.001, 0.1, 0.4])))
    weights = [draw(st.floats(0.05, 1)) for _ in range(k)]
    p = [w / sum(weights) for w in weights]
    link = Link(mu, p, loss_db=draw(st.floats(0.5, 40)), y0=10 ** -draw(st.floats(4, 8)), e_mis=draw(st.floats(0, 0.05)),
                key_basis=draw(st.floats(0.5, 0.95)))
    counts = link.counts(10 ** draw(st.floats(8, 15)))
    return link, counts, draw(st.sampled_from(["hoeffding", "chernoff"])), draw(st.booleans())


@settings(max_examples=40, deadline=None, derandomize=True)
@given(blocks())
def test_never_below_the_formulas(block):
    link, counts, tails, clamp = block
    options = {**SECURITY, "intensities": link.mu, "probabilities": link.p, "tails": tails, "clamp": clamp}
    program, formula = (proofs.bound(counts, proof=name, **options)
                        for name in ("linear", "lim2014" if len(link.mu) == 3 else "rusca2018"))
    for name in ("s0", "s1", "s0_test", "s1_test"):
        assert getattr(program, name) >= getattr(formula, name) * (1 - 1e-9) - 1e-6, name
    assert program.v1_test <= formula.v1_test * (1 + 1e-9) + 1e-6
    assert program.length >= formula.length - 1
    # Nor above the truth, which lies inside all bounds of an expected block.
    for basis, s0, s1 in ((0, program.s0, program.s1), (1, program.s0_test, program.s1_test)):
        truth = [link.truth(counts.sent.sum() / link.bases.sum(), k)[0][basis] for k in (0, 1)]
        assert s0 <= truth[0] * (1 + 1e-6) + 1 and s1 <= truth[1] * (1 + 1e-6) + 1


@pytest.mark.parametrize("intensities", [(0.5, 0.1, 0.0), (0.5, 0.1, 2e-4), (0.48, 0.05, 0.0)])
@pytest.mark.parametrize("loss_db", [10, 20, 30])
def test_equal_for_good_decoys(intensities, loss_db):
    link = Link(intensities, (0.6, 0.25, 0.15), loss_db=loss_db)
    options = {**SECURITY, "intensities": intensities, "probabilities": (0.6, 0.25, 0.15)}
    program, formula = (proofs.bound(link.counts(10**14), proof=name, **options) for name in ("linear", "lim2014"))
    for name in ("s0", "s1", "s0_test", "s1_test", "v1_test", "phase_error", "signed_length"):
        assert getattr(program, name) == pytest.approx(getattr(formula, name), rel=1e-3), name


def test_worked_examples():
    for example in (EXAMPLE_A, EXAMPLE_B):
        formula, program = (proofs.keylength({**example, "proof": proof}) for proof in (example["proof"], "linear"))
        assert program["length"] >= formula["length"] and program["s1"] == pytest.approx(formula["s1"], rel=2e-3)
        assert sum(program["epsilons"]["eps_sec_parts"].values()) == pytest.approx(1e-9)
        assert program["tau1"] == formula["tau1"] and program["pa_bits"] == formula["pa_bits"]


def test_more_decoys_come_closer_to_the_truth():
    """Per signal of a very long block: three intensities, then four, then five."""
    lost = []
    for mu in ((0.5, 0.2, 0.0), (0.5, 0.25, 0.08, 0.0), (0.5, 0.3, 0.15, 0.05, 0.0)):
        p = np.full(len(mu), 1 / len(mu))
        link = Link(mu, p, loss_db=3)
        bound = proofs.bound(link.counts(10**15), intensities=mu, probabilities=p, proof="linear", **SECURITY)
        lost.append(1 - bound.s1 / link.truth(10**15, 1)[0][0])
    assert lost[0] > 3 * lost[1] > 3 * lost[2] > 0


@pytest.mark.parametrize("tails", ["hoeffding", "chernoff"])
def test_bounds_hold_in_simulated_runs(tails):
    mu, p = SOURCES["linear"]
    link, rng, runs, failed = Link(mu, p, loss_db=15, y0=1e-4), np.random.default_rng(3), 60, np.zeros(5)
    for _ in range(runs):
        n, m = link.sample(3_000_000, rng)
        b = proofs.bound(DecoyCounts(np.zeros((4, 2)), n.sum(axis=2), m.sum(axis=2)), intensities=mu, probabilities=p,
                         proof="linear", eps_sec=0.9, eps_cor=0.1, f_ec=1.1, tails=tails)
        truth = n.sum(axis=0)
        failed += [b.s0 > truth[0, 0], b.s1 > truth[0, 1], b.s0_test > truth[1, 0], b.s1_test > truth[1, 1],
                   b.v1_test < m.sum(axis=0)[1, 1]]
    allowed = 0.9 / 27 * np.array([7, 7, 7, 7, 4])
    assert (failed / runs <= allowed + 3 * np.sqrt(allowed / runs)).all()


def test_weights_of_a_poor_solver_are_made_allowed(monkeypatch):
    """Whatever weights come from outside, what is made of them stays below every world that fits."""
    rng = np.random.default_rng(5)
    mu = np.array([0.5, 0.2, 0.03, 0.0])
    power = (mu / mu[0])[:, None] ** np.arange(30)
    bounds = []
    for _ in range(200):
        world = rng.exponential(size=30) * 0.5 ** np.arange(30)
        counts = power @ world
        noise = rng.normal(size=10) * rng.choice([1e-6, 0.1, 10])
        monkeypatch.setattr(linear, "_dual", lambda *task, noise=noise: np.maximum(noise[:len(task[-1])], 0))
        for photons, cost in ((0, 1.0), (1, 0.7), (1, -0.7)):
            found = linear.least(photons, cost, mu, counts * 0.99, counts * 1.01)
            assert found <= cost * world[photons] + 1e-9
            bounds.append(found)
    assert min(bounds) < 0 < max(bounds)


def test_budget():
    assert sum(linear.shares(3).values()) == 21 and sum(linear.shares(2).values()) == 19
    assert linear.shares(5) == {"smoothing": 8, "privacy_amplification": 1, "key_detections": 9, "test_detections": 9,
                                "test_errors": 6}


def test_contradictions_give_no_key():
    more = {**EXAMPLE_A, "proof": "linear", "key": {"n": [20_000_000, 4_000_000, 60_000], "m": EXAMPLE_A["key"]["m"]}}
    assert proofs.keylength(more)["length"] == 0 and "inconsistent" in proofs.keylength(more)["reason"]
    # Gains rise with the intensity, but no photon numbers make them do so in this way.
    bent = {"proof": "linear", "intensities": [0.5, 0.4, 0.1, 0], "probabilities": [0.25] * 4,
            "key": {"n": [10**9, 10**9 - 10**6, 10**6, 10], "m": [10**6] * 3 + [5]},
            "test": {"n": [10**9, 10**9 - 10**6, 10**6, 10], "m": [10**6] * 3 + [5]}, **SECURITY}
    result = proofs.keylength(bent)
    assert result["length"] == 0 and "no numbers of photons fit" in result["reason"]
    empty = {**EXAMPLE_A, "proof": "linear", "test": {"n": [0] * 3, "m": [0] * 3}}
    assert proofs.keylength(empty)["reason"] == "no detections in the test basis"


@pytest.mark.parametrize("intensities", [(0.5,), (0.5, 0.0)])
def test_sources_that_are_refused(intensities):
    with pytest.raises(BadInput) as caught:
        proofs.check(proofs.Source(intensities, [1 / len(intensities)] * len(intensities)), "linear")
    assert caught.value.field == "intensities"
    proofs.check(proofs.Source((0.5, 0.4, 0.3, 0.2, 0.1), (0.2,) * 5), "linear")
