"""Lim et al. 2014: the worked example, and three other ways to the same numbers."""

from decimal import Decimal, getcontext

import numpy as np
import pytest
from links import EXAMPLE_A, SOURCES, Link
from scipy.optimize import linprog

from qkdlab import proofs
from qkdlab.errors import BadInput

PUBLISHED = {
    "tau0": 0.740127750337, "tau1": 0.204580133365, "s0": 216_614.134, "s1": 12_707_853.066, "s0_test": 4_484.936,
    "s1_test": 1_168_732.314, "v1_test": 25_971.0153, "leak_bits": 3_860_023.368, "pa_bits": 205.738021661,
    "cor_bits": 50.8289214233,
}


@pytest.mark.parametrize("clamp", [True, False])
@pytest.mark.parametrize("sampling, phi, length", [("gamma", 0.0234799779781, 7_023_849),
                                                   ("serfling", 0.02693392707, 6_792_347)])
def test_worked_example_a(sampling, phi, length, clamp):
    result = proofs.keylength({**EXAMPLE_A, "sampling": sampling, "clamp": clamp})
    for name, value in PUBLISHED.items():
        digits = len(str(value).replace(".", "").lstrip("0"))
        assert result[name] == pytest.approx(value, rel=max(1e-9, 0.6 * 10.0 ** (1 - digits))), name
    assert result["phase_error"] == pytest.approx(phi, rel=1e-9)
    assert result["length"] == length and result["reason"] is None
    assert length <= result["signed_length"] < length + 1
    assert result["phase_error"] == result["single_photon_error"] + result["sampling_deviation"]


def by_hand(document, s0_uses_upper=True):
    """The paper's formulas once more, in 60-digit decimals and without any array."""
    getcontext().prec = 60
    one = Decimal(1)
    mu, p = ([Decimal(str(x)) for x in document[name]] for name in ("intensities", "probabilities"))
    eps = Decimal(str(document["eps_sec"])) / 21

    def shifted(counts, k, sign):
        deviation = (Decimal(sum(counts)) / 2 * (one / eps).ln()).sqrt()
        return mu[k].exp() / p[k] * (counts[k] + sign * deviation)

    tau0, tau1 = sum(q * (-k).exp() for q, k in zip(p, mu, strict=True)), sum(
        q * (-k).exp() * k for q, k in zip(p, mu, strict=True))

    def photons(n):
        s0 = tau0 * (mu[1] * shifted(n, 2, -1) - mu[2] * shifted(n, 1, 1 if s0_uses_upper else -1)) / (mu[1] - mu[2])
        s0 = max(s0, Decimal(0))
        s1 = tau1 * mu[0] * (shifted(n, 1, -1) - shifted(n, 2, 1)
                             - (mu[1] ** 2 - mu[2] ** 2) / mu[0] ** 2 * (shifted(n, 0, 1) - s0 / tau0))
        return s0, s1 / (mu[0] * (mu[1] - mu[2]) - mu[1] ** 2 + mu[2] ** 2)

    s0, s1 = photons(document["key"]["n"])
    t0, t1 = photons(document["test"]["n"])
    m = document["test"]["m"]
    v1 = tau1 * (shifted(m, 1, 1) - shifted(m, 2, -1)) / (mu[1] - mu[2])

    def h(x):
        return -(x * x.ln() + (1 - x) * (1 - x).ln()) / Decimal(2).ln()

    phi = v1 / t1 + ((s1 + t1) * (t1 + 1) / (s1 * t1 * t1) * (one / eps).ln()).sqrt()
    n = sum(document["key"]["n"])
    leak = n * Decimal(str(document["f_ec"])) * h(Decimal(sum(document["key"]["m"])) / n)
    log2 = Decimal(2).ln()
    cost = 6 * (one / eps).ln() / log2 + (2 / Decimal(str(document["eps_cor"]))).ln() / log2
    return {"s0": s0, "s1": s1, "s0_test": t0, "s1_test": t1, "v1_test": v1, "phase_error": phi,
            "signed_length": s0 + s1 * (1 - h(phi)) - leak - cost}


@pytest.mark.parametrize("intensities", [[0.5, 0.1, 0], [0.48, 0.13, 0.0123]])
def test_sixty_digits(intensities):
    document = {**EXAMPLE_A, "intensities": intensities, "clamp": False}
    result = proofs.keylength(document)
    for name, value in by_hand(document).items():
        assert result[name] == pytest.approx(float(value), rel=1e-11), name


def test_vacuum_takes_the_upper_bound_of_the_decoy():
    """A peer subtracts the lower one, which promises more vacuum detections than are certain if mu3 > 0."""
    document = {**EXAMPLE_A, "intensities": [0.5, 0.1, 0.0005], "clamp": False}
    s0 = proofs.keylength(document)["s0"]
    assert s0 == pytest.approx(float(by_hand(document)["s0"]))
    assert 0 < s0 < float(by_hand(document, False)["s0"]) - 10


def test_leak_counts_the_errors_of_every_intensity():
    """A peer leaves out those of the weakest."""
    n, m = sum(EXAMPLE_A["key"]["n"]), EXAMPLE_A["key"]["m"]
    q = sum(m) / n
    shannon = n * -(q * np.log2(q) + (1 - q) * np.log2(1 - q))
    assert proofs.keylength(EXAMPLE_A)["leak_bits"] == pytest.approx(1.16 * shannon, rel=1e-12)


def linear_program(minus, plus, mu, p, photons, goal, highest=16):
    """Least (goal 1) or most (goal -1) detections of `photons` photons over all worlds that fit the intensities.

    A world is the number x_n of detections of each photon number. Of the n-photon ones a fraction
    ``p_k e^-k k^n / (n! tau_n)`` has intensity k, so that ``minus_k <= sum_n k^n / (n! tau_n) x_n <= plus_k``.
    """
    mu, p, n = np.array(mu)[:, None], np.array(p)[:, None], np.arange(highest)
    power = mu**n / np.cumprod(np.maximum(n, 1), dtype=float)
    tau = (p * np.exp(-mu) * power).sum(axis=0)
    scale = plus.max()                                     # unknowns x_n / (tau_n scale): of order one
    result = linprog(goal * np.eye(highest)[photons], A_ub=np.vstack([power, -power]),
                     b_ub=np.append(plus, -minus) / scale, bounds=(0, None), method="highs")
    assert result.status == 0
    return result.x[photons] * tau[photons] * scale


@pytest.mark.parametrize("intensities", [(0.5, 0.1, 0.0), (0.6, 0.2, 0.01)])
@pytest.mark.parametrize("loss_db", [5, 20, 35])
def test_bounds_are_implied_by_the_counts(intensities, loss_db):
    """No photon-number counts that fit the intensities have fewer vacuum or single photons, or more errors.

    The linear program knows nothing of the paper's algebra. It may only be tighter.
    """
    link = Link(intensities, (0.6, 0.25, 0.15), loss_db=loss_db)
    bound = proofs.bound(link.counts(10**11), intensities=intensities, probabilities=(0.6, 0.25, 0.15), eps_sec=1e-9,
                         eps_cor=1e-15, f_ec=1.16)
    for basis, s0, s1 in (("key", bound.s0, bound.s1), ("test", bound.s0_test, bound.s1_test)):
        edges = [np.array(bound.details[basis][f"n_{side}"]) for side in ("minus", "plus")]
        least = [linear_program(*edges, link.mu, link.p, k, 1) for k in (0, 1)]
        assert s0 <= least[0] * (1 + 1e-6) + 1e-6
        assert 0 < s1 <= least[1] * (1 + 1e-6)
        assert s1 > 0.9 * least[1]
    edges = [np.array(bound.details["test"][f"m_{side}"]) for side in ("minus", "plus")]
    assert bound.v1_test >= linear_program(*edges, link.mu, link.p, 1, -1) * (1 - 1e-6)


@pytest.mark.parametrize("tails", ["hoeffding", "chernoff"])
@pytest.mark.parametrize("loss_db, y0", [(3, 1e-6), (20, 1e-6), (40, 1e-6), (20, 1e-4)])
def test_bounds_close_on_the_truth_in_an_endless_block(tails, loss_db, y0):
    mu, p = (0.5, 0.05, 0.0), (0.5, 0.3, 0.2)
    link, pulses = Link(mu, p, loss_db=loss_db, y0=y0), 10**17
    bound = proofs.bound(link.counts(pulses), intensities=mu, probabilities=p, eps_sec=1e-9, eps_cor=1e-15, f_ec=1.0,
                         tails=tails)
    for basis, s0, s1 in ((0, bound.s0, bound.s1), (1, bound.s0_test, bound.s1_test)):
        vacuum, single = (link.truth(pulses, k)[0][basis] for k in (0, 1))
        assert 0.7 * vacuum < s0 < vacuum
        assert 0.95 * single < s1 < single
    wrong = link.truth(pulses, 1)[1][1]
    assert wrong < bound.v1_test < 1.3 * wrong
    assert bound.phase_error > link.yields(1)[1] / link.yields(1)[0]


@pytest.mark.parametrize("tails", ["hoeffding", "chernoff"])
def test_bounds_hold_in_simulated_runs(tails):
    """Photon numbers, counts and errors drawn at random: each bound fails no more often than its shares allow."""
    from qkdlab.datatypes import DecoyCounts

    mu, p = SOURCES["lim2014"]
    link, rng, runs, failed = Link(mu, p, loss_db=15, y0=1e-4), np.random.default_rng(3), 300, np.zeros(5)
    for _ in range(runs):
        n, m = link.sample(3_000_000, rng)
        b = proofs.bound(DecoyCounts(np.zeros((3, 2)), n.sum(axis=2), m.sum(axis=2)), intensities=mu, probabilities=p,
                         eps_sec=0.9, eps_cor=0.1, f_ec=1.1, tails=tails)
        truth = n.sum(axis=0)
        failed += [b.s0 > truth[0, 0], b.s1 > truth[0, 1], b.s0_test > truth[1, 0], b.s1_test > truth[1, 1],
                   b.v1_test < m.sum(axis=0)[1, 1]]
    # The share 0.9/21 times the number of one-sided bounds that each result uses, and three standard deviations.
    allowed = 0.9 / 21 * np.array([2, 5, 2, 5, 2])
    assert (failed / runs <= allowed + 3 * np.sqrt(allowed / runs)).all()


@pytest.mark.parametrize("intensities", [(0.5, 0.1), (0.3, 0.2, 0.1), (0.3, 0.2, 0.11), (0.5, 0.2, 0.1, 0.0)])
def test_condition_of_the_paper(intensities):
    probabilities = [1 / len(intensities)] * len(intensities)
    with pytest.raises(BadInput) as caught:
        proofs.check(proofs.Source(intensities, probabilities), "lim2014")
    assert caught.value.field == "intensities"


def test_clamp_matters_for_small_blocks():
    """Few errors of vacuum pulses: a negative lower bound, put in as it is, costs all the key."""
    mu, p = (0.5, 0.1, 0.0), (0.6, 0.25, 0.15)
    common = {"intensities": mu, "probabilities": p, "eps_sec": 1e-9, "eps_cor": 1e-15, "f_ec": 1.16}
    counts = Link(mu, p, y0=1e-7, key_basis=0.8).counts(4.5 * 10**8)
    clamped, printed = (proofs.bound(counts, **common, clamp=clamp) for clamp in (True, False))
    assert clamped.s0 == printed.s0 == 0, "a number of detections is not negative, clamp or not"
    assert clamped.v1_test < 0.6 * printed.v1_test and clamped.length > 9 * printed.length > 0
    smaller = Link(mu, p, y0=1e-7, key_basis=0.8).counts(4 * 10**8)
    assert proofs.bound(smaller, **common).length > 60_000 and not proofs.bound(smaller, **common, clamp=False).length
