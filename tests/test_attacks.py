"""Attacks in closed form: what Eve's strategy does to the counts, and that no analysis leaves her a key to know."""

import math

import numpy as np
import pytest
from links import SOURCES, Link

from qkdlab import proofs
from qkdlab.datatypes import DecoyCounts
from qkdlab.proofs import bbm92, ma2005
from qkdlab.proofs.photons import binary_entropy

PROOFS = proofs.proofs.names()
PULSES = 3 * 10**11


def length(proof, counts, **options):
    mu, p = SOURCES[proof]
    return proofs.bound(counts, intensities=mu, probabilities=p, proof=proof, f_ec=1.16, eps_sec=1e-9, eps_cor=1e-15,
                        **options).length


def poisson(mu, photons):
    mu = np.asarray(mu, dtype=float)[..., None]
    return np.exp(-mu) * mu**photons / np.array([math.factorial(n) for n in photons], dtype=float)


def counts(link, gain, wrong):
    sent = PULSES * np.outer(link.p, link.bases)
    return DecoyCounts(*(np.rint(a).astype(np.int64) for a in (sent, sent * gain[:, None], sent * wrong[:, None])))


# ------------------------------------------------------------------------------------------------- intercept and resend


def intercepted(proof, share):
    """Eve measures a share of the pulses in a basis at random and resends: a quarter of these bits come out wrong."""
    mu, p = SOURCES[proof]
    link = Link(mu, p, loss_db=10, e_mis=0.005)
    gain, wrong = link.gains()
    signal = -np.expm1(-link.eta * link.mu)
    return counts(link, gain, wrong + share / 4 * (1 - 2 * link.e_mis) * signal)


@pytest.mark.parametrize("proof", PROOFS)
def test_intercept_resend(proof):
    lengths = [length(proof, intercepted(proof, share)) for share in (0, 0.01, 0.05, 0.1, 0.2, 0.5, 1.0)]
    assert lengths[0] > 0 == lengths[-1] == lengths[-2] and lengths == sorted(lengths, reverse=True)
    for tails in ("hoeffding", "chernoff"):
        for sampling in ("serfling", "hypergeometric", "gamma", "yin"):
            assert length(proof, intercepted(proof, 1.0), tails=tails, sampling=sampling) == 0


def test_what_the_interceptor_knows_is_never_sold():
    """She knows half of the intercepted bits for certain, and more of them in the Breidbart basis by probability."""
    share = np.linspace(0, 1, 101)
    left = bbm92.secret_fraction(0, share / 4)                      # without the cost of correction
    assert (left <= 1 - share / 2 + 1e-12).all()
    breidbart = math.sin(math.pi / 8) ** 2
    assert breidbart == pytest.approx(0.146, abs=5e-4)
    assert (left <= 1 - share * (1 - binary_entropy(breidbart)) + 1e-12).all()
    assert 2 * breidbart * (1 - breidbart) == pytest.approx(0.25)   # and she makes as many errors


# --------------------------------------------------------------------------------------------- photon-number splitting


def split(mu, loss_db):
    """Yields by photon number of an Eve who keeps one photon of each multi-photon pulse, and the signal's gain as it
    was; single photons pass only as far as the others do not suffice."""
    photons = np.arange(40)
    p = poisson(mu[0], photons)
    honest = -np.expm1(-mu[0] * 10 ** (-loss_db / 10))
    multi = p[2:].sum()
    yields = np.full(40, min(honest / multi, 1.0))
    yields[0], yields[1] = 0, max(honest - multi, 0) / p[1]
    return photons, yields


@pytest.mark.parametrize("loss_db, ratio", [(5, 0.688), (7, 0.309), (10, 0.254), (20, 0.259)])
def test_gains_of_photon_number_splitting(loss_db, ratio):
    """The signal's gain stays, the decoy's collapses."""
    mu = np.array([0.5, 0.1])
    photons, yields = split(mu, loss_db)
    gain = (poisson(mu, photons) * yields).sum(axis=1)
    honest = -np.expm1(-mu * 10 ** (-loss_db / 10))
    assert gain[0] == pytest.approx(honest[0], rel=1e-12)
    assert gain[1] / honest[1] == pytest.approx(ratio, abs=6e-4)


@pytest.mark.parametrize("proof", PROOFS)
@pytest.mark.parametrize("loss_db", [7.5, 10, 20])
def test_photon_number_splitting(proof, loss_db):
    mu, p = SOURCES[proof]
    link = Link(mu, p, loss_db=loss_db, y0=1e-6)
    photons, yields = split(link.mu, loss_db)
    assert yields[1] == 0
    gain = (poisson(link.mu, photons) * yields).sum(axis=1)
    attacked = counts(link, gain + link.y0, np.full(len(mu), link.y0 / 2))
    for tails in ("hoeffding", "chernoff"):
        for clamp in (True, False):
            assert length(proof, attacked, tails=tails, clamp=clamp) == 0
    assert length(proof, link.counts(PULSES)) > 0


# ----------------------------------------------------------------------------------- unambiguous state discrimination


def discriminated(n):
    """Probability to tell the four BB84 states apart for certain, given n photons: 0, 0, 0, 1/2, 1/2, 3/4, 3/4, ..."""
    return 0.0 if n < 3 else 1 - 2.0 ** ((1 - n) / 2 if n % 2 else 1 - n / 2)


def test_share_of_pulses_that_can_be_told_apart():
    photons = np.arange(60)
    known = np.array([discriminated(n) for n in photons])
    assert known[:7].tolist() == [0, 0, 0, 0.5, 0.5, 0.75, 0.75]
    for mu in (0.1, 0.5, 1.0):
        x = mu / math.sqrt(2)
        closed = 1 - math.exp(-mu) * (math.sqrt(2) * math.sinh(x) + 2 * math.cosh(x) - 1)
        assert (poisson(mu, photons) * known).sum() == pytest.approx(closed, rel=1e-10)
    assert (poisson(0.5, photons) * known).sum() == pytest.approx(0.0072, abs=5e-5)


@pytest.mark.parametrize("proof", PROOFS)
@pytest.mark.parametrize("loss_db", [19, 25])
def test_unambiguous_state_discrimination(proof, loss_db):
    """Eve resends what she is sure of, often enough that the signal's gain does not change. No error is made."""
    mu, p = SOURCES[proof]
    link = Link(mu, p, loss_db=loss_db, y0=1e-7)
    photons = np.arange(40)
    known = poisson(link.mu, photons) @ np.array([discriminated(n) for n in photons])
    honest = -np.expm1(-link.eta * link.mu)
    assert honest[0] < known[0]
    attacked = counts(link, known * honest[0] / known[0] + link.y0, np.full(len(mu), link.y0 / 2))
    assert length(proof, attacked) == 0 < length(proof, link.counts(PULSES))


# ----------------------------------------------------------------------------------------------------- beam splitting


@pytest.mark.parametrize("proof", PROOFS)
def test_beam_splitting_changes_nothing(proof):
    """Eve takes the photons that the fibre would have lost: photon by photon, pulses arrive as in the honest link."""
    mu, p = SOURCES[proof]
    link = Link(mu, p, loss_db=10)
    photons = np.arange(60)
    arrive = np.array([[math.comb(n, j) * link.eta**j * (1 - link.eta) ** (n - j) if j <= n else 0.0
                        for j in photons.tolist()] for n in photons.tolist()])
    reaching = poisson(link.mu, photons) @ arrive
    assert reaching == pytest.approx(poisson(link.mu * link.eta, photons), abs=1e-15)
    signal = 1 - reaching[:, 0]
    dark = link.y0 * reaching[:, 0]
    attacked = counts(link, signal + dark, link.e_mis * signal + dark / 2)
    honest = link.counts(PULSES)
    assert all((getattr(attacked, x) == getattr(honest, x)).all() for x in ("sent", "clicks", "errors"))
    assert length(proof, attacked) == length(proof, honest) > 0


@pytest.mark.parametrize("proof", [p for p in PROOFS if p != "ma2005"])
def test_beam_splitting_is_charged_already(proof):
    """She has a copy of a bit with probability 1 - e^(-mu (1 - eta)); no more is sold than the bits without one."""
    mu, p = SOURCES[proof]
    for loss_db in (1, 5, 10, 20):
        link = Link(mu, p, loss_db=loss_db, y0=0, e_mis=0)
        gain, _ = link.gains()
        no_copy = PULSES * link.bases[0] * (link.p * gain * np.exp(-link.mu * (1 - link.eta))).sum()
        assert length(proof, link.counts(PULSES)) < no_copy
    eta = 10 ** (-np.linspace(0, 30, 31) / 10)
    for signal in (0.1, 0.5, 1.0):
        left = -np.expm1(-eta * signal) * np.exp(-signal * (1 - eta))
        assert (ma2005.infinite_decoys(signal, eta, 0, 0, q=1) <= left * (1 + 1e-12)).all()
