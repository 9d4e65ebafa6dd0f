"""Ma et al. 2005 on the GYS link: the numbers that the paper prints (read second-hand; tolerances in the reference)."""

import numpy as np
import pytest
from links import EXAMPLE_A, Link

from qkdlab import proofs
from qkdlab.datatypes import DecoyCounts
from qkdlab.errors import BadInput
from qkdlab.proofs import ma2005
from qkdlab.proofs.crossing import last_positive

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


# --------------------------------------------------------------------------------------------- infinitely many decoys


def gys_eta(km):
    return 0.045 * 10 ** (-0.021 * km)


def test_optimal_intensity():
    """Published: 0.48 for f = 1.22, 0.54 for f = 1."""
    best = ma2005.optimal_intensity(0.033, [1.22, 1.0])
    assert best == pytest.approx([0.479, 0.544], abs=5e-4)
    mu = np.linspace(0.3, 0.8, 501)
    found = mu[ma2005.infinite_decoys(mu, 1e-4, 0, 0.033, f_ec=1.22).argmax()]
    assert found == pytest.approx(best[0], abs=1e-3)
    assert ma2005.optimal_intensity(0.0) == 1 and ma2005.optimal_intensity([0.2, 0.5]).tolist() == [0, 0]


def test_reach_of_infinite_decoys():
    """Published: 142.05 km; a vacuum and a weak decoy come within 1.5 km of it."""
    reach = last_positive(lambda km: ma2005.infinite_decoys(0.48, gys_eta(km), 1.7e-6, 0.033, f_ec=1.22), 0, 300)
    assert reach == pytest.approx(142.05, abs=0.2)
    assert reach > 140.75


def test_two_decoys_are_below_infinitely_many():
    for km in (0, 40, 100, 135):
        link, bound = gys(km, 0.05)
        signals = 1e16 * link.p[0] * link.bases[0]
        many = ma2005.infinite_decoys(0.48, link.eta, link.y0, link.e_mis, f_ec=1.22, q=1)
        assert 0 < bound.length / signals < many * (1 + 1e-9)


def test_infinite_decoys_broadcast_and_refuse():
    rates = ma2005.infinite_decoys([[0.3], [0.6]], [0.1, 0.01, 0.001, 0], 1e-6, 0.01)
    assert rates.shape == (2, 4) and (np.diff(rates) < 0).all() and (rates[:, -1] == 0).all()
    assert ma2005.infinite_decoys(0.5, 0, 0, 0.01) == 0
    assert ma2005.infinite_decoys(0.5, 0.1, 0, 0.01, q=1) == 2 * ma2005.infinite_decoys(0.5, 0.1, 0, 0.01)
    for field, change in (("mu", -1), ("eta", 1.1), ("y0", np.nan), ("e_det", 0.6), ("f_ec", 0.5), ("q", 2)):
        with pytest.raises(BadInput) as caught:
            ma2005.infinite_decoys(**{"mu": 0.5, "eta": 0.1, "y0": 0, "e_det": 0.01, field: change})
        assert caught.value.field == field


def test_without_decoys():
    """On the GYS link weak pulses alone reach less than a third as far as with decoys."""
    mu = np.geomspace(1e-6, 0.5, 2000)
    reach = last_positive(lambda km: ma2005.without_decoys(mu, gys_eta(km), 1.7e-6, 0.033, f_ec=1.22).max(), 0, 300)
    assert 10 < reach < 140 / 3
    eta = 10 ** -np.linspace(0, 4, 41)[:, None]
    best = ma2005.without_decoys(mu, eta, 0, 0.01).max(axis=1)
    assert (ma2005.without_decoys(mu, eta, 1e-6, 0.01) <= ma2005.infinite_decoys(mu, eta, 1e-6, 0.01) + 1e-15).all()
    assert best[-1] / best[-11] == pytest.approx(0.01, rel=0.01)         # the square of the light that arrives
    assert ma2005.without_decoys(0.5, 0.01, 0, 0) == 0                   # fewer detections than pulses of several photons
    with pytest.raises(BadInput):
        ma2005.without_decoys(0.5, 2, 0, 0)
