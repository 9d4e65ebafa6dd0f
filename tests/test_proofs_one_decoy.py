"""Rusca et al. 2018 and Wiesemann et al. 2024: one decoy."""

import math

import numpy as np
import pytest
from links import EXAMPLE_B, SOURCES, Link
from scipy.optimize import linprog

from qkdlab import proofs
from qkdlab.datatypes import DecoyCounts
from qkdlab.errors import BadInput
from qkdlab.proofs import tails as concentration

PUBLISHED = {"s0_upper": 189_473.676, "s1": 13_173_244.038, "s1_test": 1_254_274.849, "v1_test": 28_327.4225,
             "leak_bits": 2_133_438.042}


@pytest.mark.parametrize("clamp, s0, length", [(True, 0, 8_901_414), (False, -4_035_795.35194, 4_865_619)])
def test_worked_example_b(clamp, s0, length):
    """The published numbers are the clamped ones: as printed, the vacuum bound is negative and is subtracted."""
    result = proofs.keylength({**EXAMPLE_B, "sampling": "gamma", "clamp": clamp})
    for name, value in PUBLISHED.items():
        digits = len(str(value).replace(".", ""))
        assert result[name] == pytest.approx(value, rel=max(1e-9, 0.6 * 10.0 ** (1 - digits))), name
    assert result["phase_error"] == pytest.approx(0.0238063092408, rel=1e-9)
    assert result["s0"] == pytest.approx(s0, rel=1e-9)
    assert result["length"] == length
    assert math.isclose(sum(result["epsilons"]["eps_sec_parts"].values()), 1e-9, rel_tol=1e-12)


def wiesemann_by_hand(d):
    """Section 2.4 of our notes in plain floats: all counts cut to [0, total], the better of both vacuum bounds."""
    (mu1, mu2), p, eps = d["intensities"], d["probabilities"], d["eps_sec"] / 15
    tau0 = p[0] * math.exp(-mu1) + p[1] * math.exp(-mu2)
    tau1 = p[0] * math.exp(-mu1) * mu1 + p[1] * math.exp(-mu2) * mu2

    def delta(total):
        return math.sqrt(total * math.log(1 / eps) / 2)

    def cut(x, total):
        return max(0, min(total, x))

    def e(k):
        return math.exp((mu1, mu2)[k]) / p[k]

    def photons(n, m):
        n_all, m_all = sum(n), sum(m)
        up = min(2 * (tau0 * e(k) * cut(m[k] + delta(m_all), m_all) + delta(n_all)) for k in (0, 1))
        low = e(1) * cut(n[1] - delta(n_all), n_all)
        high = e(0) * cut(n[0] + delta(n_all), n_all)
        return mu1 * tau1 / (mu2 * (mu1 - mu2)) * (
            low - (mu2 / mu1) ** 2 * high - (mu1**2 - mu2**2) / (mu1**2 * tau0) * cut(up, n_all))

    s1, t1 = photons(d["key"]["n"], d["key"]["m"]), photons(d["test"]["n"], d["test"]["m"])
    m = d["test"]["m"]
    v1 = tau1 / (mu1 - mu2) * (e(0) * cut(m[0] + delta(sum(m)), sum(m)) - e(1) * cut(m[1] - delta(sum(m)), sum(m)))
    phi = v1 / t1 + math.sqrt((s1 + t1) * (t1 + 1) / (s1 * t1**2) * math.log(1 / eps))

    def h(x):
        return -x * math.log2(x) - (1 - x) * math.log2(1 - x)

    n = sum(d["key"]["n"])
    return s1, t1, v1, phi, (s1 * (1 - h(phi)) - n * d["f_ec"] * h(sum(d["key"]["m"]) / n)
                             - math.log2(2 / d["eps_cor"]) - 4 * math.log2(15 / (d["eps_sec"] * 2**0.25)))


@pytest.mark.parametrize("scale", [1, 0.05, 0.01])
def test_wiesemann_by_hand(scale):
    small = {basis: {name: [int(x * scale) for x in values] for name, values in EXAMPLE_B[basis].items()}
             for basis in ("key", "test")}
    document = {**EXAMPLE_B, **small, "proof": "wiesemann2024"}
    result = proofs.keylength(document)
    ours = [result[name] for name in ("s1", "s1_test", "v1_test", "phase_error", "signed_length")]
    assert ours == pytest.approx(wiesemann_by_hand(document), rel=1e-11)
    assert math.isclose(sum(result["epsilons"]["eps_sec_parts"].values()), 1e-9, rel_tol=1e-12)


def test_vacuum_makes_no_key_for_wiesemann():
    document = {**EXAMPLE_B, "proof": "wiesemann2024", "clamp": False}
    result = proofs.keylength(document)
    assert result["s0"] < 0
    assert result["length"] == proofs.keylength({**document, "clamp": True})["length"]


def test_both_vacuum_bounds_cost_nothing_with_hoeffding():
    """The expectations of two intensities add up to the total: one fails above exactly when the other fails below."""
    m = np.array([200_000, 28_000])
    lower, upper = concentration.hoeffding(m, m.sum(), 1e-10)
    assert upper[0] + lower[1] == pytest.approx(m.sum()) == upper[1] + lower[0]
    lower, upper = concentration.chernoff(m, m.sum(), 1e-10)
    assert upper[0] + lower[1] != pytest.approx(m.sum(), rel=1e-6)


@pytest.mark.parametrize("tails", ["hoeffding", "chernoff"])
def test_vacuum_bound_is_chosen_as_the_budget_allows(tails):
    """A rare decoy: the signal's errors bound the vacuum better. Only Hoeffding's bound may take the better one."""
    document = {**EXAMPLE_B, "probabilities": [0.99, 0.01], "tails": tails,
                "key": {"n": [20_000_000, 61_000], "m": [2_000, 40]}, "test": {"n": [2_000_000, 6_100], "m": [200, 4]}}
    result = proofs.keylength(document)
    wrong = (result["s0_upper"] / 2 - concentration.hoeffding(0.0, 20_061_000, 1e-9 / 19)[1]) / result["tau0"]
    signal, decoy = result["key"]["m_plus"]
    assert signal < decoy
    assert wrong == pytest.approx(signal if tails == "hoeffding" else decoy, rel=1e-6)


def least_single_photons(estimate, s0_upper, mu, p, highest=16):
    """Fewest single-photon detections of any world with at most `s0_upper` vacuum ones (a linear program)."""
    n, column = np.arange(highest), np.array(mu)[:, None]
    power = column**n / np.cumprod(np.maximum(n, 1), dtype=float)
    tau = (np.array(p)[:, None] * np.exp(-column) * power).sum(axis=0)
    minus, plus = (np.array(estimate[f"n_{side}"]) for side in ("minus", "plus"))
    scale = plus.max()
    result = linprog(np.eye(highest)[1], A_ub=np.vstack([power, -power]), b_ub=np.append(plus, -minus) / scale,
                     bounds=[(0, s0_upper / tau[0] / scale), *[(0, None)] * (highest - 1)], method="highs")
    assert result.status == 0
    return result.x[1] * tau[1] * scale


@pytest.mark.parametrize("loss_db", [5, 20, 30])
def test_bounds_are_implied_by_the_counts(loss_db):
    mu, p = SOURCES["rusca2018"]
    bound = proofs.bound(Link(mu, p, loss_db=loss_db).counts(10**11), intensities=mu, probabilities=p, eps_sec=1e-9,
                         eps_cor=1e-15, f_ec=1.16, proof="rusca2018")
    for basis, s1, upper in (("key", bound.s1, "s0_upper"), ("test", bound.s1_test, "s0_test_upper")):
        least = least_single_photons(bound.details[basis], bound.details[upper], mu, p)
        assert 0.9 * least < s1 <= least * (1 + 1e-6)


@pytest.mark.parametrize("proof", ["rusca2018", "wiesemann2024"])
@pytest.mark.parametrize("loss_db, y0", [(5, 1e-6), (20, 1e-6), (20, 1e-4)])
def test_bounds_bracket_the_truth_in_an_endless_block(proof, loss_db, y0):
    mu, p = (0.5, 0.1), (0.7, 0.3)
    link, pulses = Link(mu, p, loss_db=loss_db, y0=y0, e_mis=0.001), 10**17
    b = proofs.bound(link.counts(pulses), intensities=mu, probabilities=p, eps_sec=1e-9, eps_cor=1e-15, f_ec=1.0,
                     proof=proof)
    for basis, s0, s1, up in ((0, b.s0, b.s1, b.details["s0_upper"]),
                              (1, b.s0_test, b.s1_test, b.details["s0_test_upper"])):
        vacuum, single = (link.truth(pulses, k)[0][basis] for k in (0, 1))
        assert s0 < vacuum < up
        assert 0.93 * single < s1 < single
    assert link.truth(pulses, 1)[1][1] < b.v1_test


@pytest.mark.parametrize("tails", ["hoeffding", "chernoff"])
def test_bounds_hold_in_simulated_runs(tails):
    mu, p = SOURCES["rusca2018"]
    link, rng, runs, failed = Link(mu, p, loss_db=15, y0=1e-4), np.random.default_rng(4), 300, np.zeros(5)
    for _ in range(runs):
        n, m = link.sample(3_000_000, rng)
        b = proofs.bound(DecoyCounts(np.zeros((2, 2)), n.sum(axis=2), m.sum(axis=2)), intensities=mu, probabilities=p,
                         eps_sec=0.9, eps_cor=0.1, f_ec=1.1, tails=tails, proof="rusca2018")
        truth = n.sum(axis=0)
        failed += [b.s0 > truth[0, 0], b.s1 > truth[0, 1], b.s1_test > truth[1, 1],
                   b.details["s0_upper"] < truth[0, 0], b.v1_test < m.sum(axis=0)[1, 1]]
    allowed = 0.9 / 19 * np.array([2, 4, 4, 2, 2])
    assert (failed / runs <= allowed + 3 * np.sqrt(allowed / runs)).all()


@pytest.mark.parametrize("proof", ["rusca2018", "wiesemann2024"])
@pytest.mark.parametrize("intensities", [(0.5, 0.1, 0.0), (0.5, 0.0), (0.5,)])
def test_condition_of_the_papers(proof, intensities):
    with pytest.raises(BadInput) as caught:
        proofs.check(proofs.Source(intensities, [1 / len(intensities)] * len(intensities)), proof)
    assert caught.value.field == "intensities"
