"""Ma et al. 2005 on the GYS link: the numbers that the paper prints (read second-hand; tolerances in the reference)."""

import numpy as np
import pytest
from links import EXAMPLE_A, Link

from qkdlab import proofs
from qkdlab.datatypes import DecoyCounts

P = (0.6, 0.3, 0.1)


def gys(km, nu):
    """0.21 dB/km, Bob 4.5 %, Y0 1.7e-6, e_det 3.3 %; the paper's Y_n = Y0 + eta_n, so Q = Y0 + 1 - e^(-eta mu)."""
    link = Link((0.48, nu, 0.0), P, loss_db=0.21 * km - 10 * np.log10(0.045), y0=1.7e-6, e_mis=0.033)
    gain = link.y0 - np.expm1(-link.eta * link.mu)
    wrong = link.y0 / 2 - link.e_mis * np.expm1(-link.eta * link.mu)
    sent = 10**16 * np.outer(link.p, link.bases)
    counts = DecoyCounts(*(np.rint(a).astype(np.int64) for a in (sent, sent * gain[:, None], sent * wrong[:, None])))
    return link, proofs.bound(counts, intensities=link.mu, probabilities=P, proof="ma2005", eps_sec=1e-9,
                              eps_cor=1e-15, f_ec=1.22)


def test_reach_of_vacuum_and_weak_decoy():
    """Published: 140.55 km."""
    assert gys(140.4, 0.05)[1].length > 0
    assert gys(140.75, 0.05)[1].length == 0


def test_deviation_at_40_km():
    """Published for nu/mu = 25 %: the bounds are 3.5 % and 16.8 % off."""
    link, bound = gys(40, 0.12)
    signals = 10**16 * link.p[0] * link.bases * np.exp(-link.mu[0])
    y1 = bound.s1 / (signals[0] * link.mu[0])
    assert 100 * (1 - y1 / (link.y0 + link.eta)) == pytest.approx(3.51, abs=0.05)
    e1 = (link.y0 / 2 + link.e_mis * link.eta) / (link.y0 + link.eta)
    assert 100 * (bound.phase_error / e1 - 1) == pytest.approx(16.78, abs=0.05)


def test_equations_34_and_37():
    """With a vacuum state whose errors are one half, the general forms are the printed ones."""
    result = proofs.keylength({**EXAMPLE_A, "proof": "ma2005", "test": {"n": [2_000_000, 175_000, 6_000],
                                                                        "m": [40_000, 5_200, 3_000]}})
    mu, nu, _ = EXAMPLE_A["intensities"]
    n, m, p = np.array([2_000_000, 175_000, 6_000]), np.array([40_000, 5_200, 3_000]), EXAMPLE_A["probabilities"]
    q, eq = n / p, m / p
    y1 = mu / (mu * nu - nu**2) * (
        q[1] * np.exp(nu) - q[0] * np.exp(mu) * nu**2 / mu**2 - (mu**2 - nu**2) / mu**2 * q[2])
    e1 = (eq[1] * np.exp(nu) - 0.5 * q[2]) / (y1 * nu)
    assert result["s1_test"] == pytest.approx(p[0] * mu * np.exp(-mu) * y1, rel=1e-12)
    assert result["phase_error"] == pytest.approx(e1, rel=1e-12)


def test_pulses_counted_or_not_give_the_same_length():
    sent = [round(1e11 * p) for p in EXAMPLE_A["probabilities"]]
    document = {**EXAMPLE_A, "proof": "ma2005"}
    counted = proofs.keylength({**document, "sent": {"key": sent, "test": [x // 10 for x in sent]}})
    assert counted["length"] == proofs.keylength(document)["length"] > 0
    skewed = proofs.keylength({**document, "sent": {"key": [sent[0], sent[1] * 11 // 10, sent[2]], "test": sent}})
    assert skewed["length"] < counted["length"]


def test_says_that_it_is_asymptotic():
    result = proofs.keylength({**EXAMPLE_A, "proof": "ma2005"})
    assert result["composable"] is False and result["epsilons"] == {}
    assert result["assumptions"][0].startswith("ASYMPTOTIC")
    assert proofs.keylength(EXAMPLE_A)["composable"] is True


def test_no_error_seen_is_not_none():
    document = {**EXAMPLE_A, "proof": "ma2005", "test": {"n": [2_000_000, 175_000, 6_000], "m": [0, 0, 0]}}
    assert proofs.keylength(document)["phase_error"] > 0
