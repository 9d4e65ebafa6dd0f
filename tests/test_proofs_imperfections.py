"""Imperfections: none of them reproduces the plain bound, more of them never gives more key, and the worst case is met."""

import itertools
import json
import math

import numpy as np
import pytest
from links import EXAMPLE_A, EXAMPLE_B, SOURCES, Link

from qkdlab import proofs
from qkdlab.datatypes import DecoyCounts, as_table
from qkdlab.errors import BadInput
from qkdlab.proofs import assumptions, imperfections, lim2014
from qkdlab.proofs.counts import from_document
from qkdlab.proofs.crossing import last_positive
from qkdlab.proofs.imperfections import Intervals, mismatch
from qkdlab.proofs.photons import binary_entropy

EXAMPLES = {"lim2014": EXAMPLE_A, "rusca2018": EXAMPLE_B, "wiesemann2024": {**EXAMPLE_B, "proof": "wiesemann2024"}}


def parts(proof, **changes):
    return from_document({**EXAMPLES[proof], **changes})[1:4]


def plain(proof, **changes):
    counts, source, security = parts(proof, **changes)
    return proofs._proof(proof).bound(counts, source, security)


def within_intervals(proof, relative, absolute=0.0, **changes):
    counts, source, security = parts(proof, **changes)
    intervals = Intervals.around(source.intensities, relative, absolute)
    return imperfections.intensity_intervals(counts, source, security, intervals, proof)


def falls(lengths):
    assert lengths[0] > 0 and lengths == sorted(lengths, reverse=True), lengths
    return lengths


# ----------------------------------------------------------------------------------------------------------- intensities


@pytest.mark.parametrize("tails, sampling, clamp", [("hoeffding", "serfling", True), ("chernoff", "hypergeometric", True),
                                                    ("hoeffding", "gamma", False)])
@pytest.mark.parametrize("proof", EXAMPLES)
def test_intervals_of_no_width_are_the_plain_bound(proof, tails, sampling, clamp):
    options = {"tails": tails, "sampling": sampling, "clamp": clamp}
    wide, narrow = within_intervals(proof, 0.0, **options), plain(proof, **options)
    assert wide.length == narrow.length > 0 and wide.epsilons == narrow.epsilons
    assert wide.details["pa_bits"] == narrow.details["pa_bits"]
    for name in ("s0", "s1", "s0_test", "s1_test", "v1_test", "phase_error", "signed_length"):
        assert getattr(wide, name) == pytest.approx(getattr(narrow, name), rel=1e-11, abs=1e-6), name


def test_intervals_of_no_width_with_three_intensities_above_zero():
    changes = {"intensities": [0.6, 0.2, 0.01],
               "key": {"n": [20_000_000, 2_900_000, 150_000], "m": [400_000, 70_000, 28_000]},
               "test": {"n": [2_000_000, 290_000, 15_000], "m": [40_000, 7_000, 2_800]}}
    assert within_intervals("lim2014", 0.0, **changes).length == plain("lim2014", **changes).length > 0


@pytest.mark.parametrize("proof", EXAMPLES)
def test_wider_intervals_never_give_more_key(proof):
    lengths = falls([within_intervals(proof, x).length for x in (0, 1e-6, 1e-3, 0.003, 0.01, 0.02, 0.04)])
    assert lengths[-1] < lengths[0] * 0.99
    falls([within_intervals(proof, 0, x).length for x in (0, 1e-5, 1e-4, 1e-3)])
    hopeless = within_intervals(proof, 0.5)
    assert hopeless.length == 0 and hopeless.reason


@pytest.mark.parametrize("proof", EXAMPLES)
def test_intervals_hold_for_every_intensity_inside(proof):
    """Counts of an endless run with each intensity anywhere in its interval, or hopping between its ends with the pulse."""
    mu, p = SOURCES[proof]
    intervals = Intervals.around(mu, 0.03, 1e-4)
    corners = [np.array(c) for c in itertools.product(*zip(intervals.low, intervals.high, strict=True))]
    source, pulses = proofs.Source(mu, p), 10**17
    for used in [[c] for c in corners] + [[corners[0], corners[-1]], [corners[1], corners[2]]]:
        links = [Link(c, p, loss_db=10, y0=1e-5, key_basis=0.7) for c in used]
        counts = sum_of(link.counts(pulses // len(links)) for link in links)
        truth = [sum(x) for x in zip(*(link.truth(pulses / len(links), k)[0] for link in links for k in [1]), strict=True)]
        vacuum = [sum(x) for x in zip(*(link.truth(pulses / len(links), 0)[0] for link in links), strict=True)]
        errors = sum(link.truth(pulses / len(links), 1)[1][1] for link in links)
        bound = imperfections.intensity_intervals(counts, source, proofs.Security(1e-9, 1e-15, f_ec=1.1), intervals, proof)
        assert 0 < bound.s1 <= truth[0] and 0 < bound.s1_test <= truth[1] and bound.s0 <= vacuum[0]
        assert bound.v1_test >= errors
        assert bound.length > 0
    # and the plain bound, for which nothing of the kind was promised, does fail somewhere
    failed = []
    for c in corners:
        link = Link(c, p, loss_db=10, y0=1e-5, key_basis=0.7)
        bound = proofs.bound(link.counts(pulses), source, proof=proof, eps_sec=1e-9, eps_cor=1e-15, f_ec=1.1)
        failed.append(bound.s1 > link.truth(pulses, 1)[0][0] or bound.v1_test < link.truth(pulses, 1)[1][1])
    assert any(failed)


def sum_of(counts):
    counts = list(counts)
    total = DecoyCounts.zeros(len(counts[0].clicks))
    for c in counts:
        total = total + c
    return total


def test_photon_number_splitting_within_the_intervals_gives_no_key():
    mu, p = SOURCES["lim2014"]
    multi = -np.expm1(-np.array(mu)) - np.array(mu) * np.exp(-np.array(mu))
    sent = 10**11 * np.outer(p, (0.81, 0.01))
    n = np.rint(sent * (1e-6 + 0.3 * multi)[:, None]).astype(np.int64)
    security = proofs.Security(1e-9, 1e-15, f_ec=1.1)
    for width in (0, 0.02):
        bound = imperfections.intensity_intervals(DecoyCounts(np.rint(sent), n, np.rint(n * 0)), proofs.Source(mu, p),
                                                  security, Intervals.around(mu, width))
        assert bound.length == 0 and bound.reason


def test_words_about_the_intensities_are_replaced():
    bound = within_intervals("rusca2018", 0.02)
    assert assumptions.EXACT_INTENSITIES in plain("rusca2018").assumptions
    assert assumptions.EXACT_INTENSITIES not in bound.assumptions
    assert any("[0.49, 0.51]" in words and "Wang" in words for words in bound.assumptions)
    assert any("error correction" in words for words in within_intervals("wiesemann2024", 0.02).assumptions)
    json.dumps(as_table(bound), allow_nan=False)


@pytest.mark.parametrize("low, high, field", [
    ((0.5, 0.1), (0.5, 0.2), "intervals"), ((0.5, 0.2, 0), (0.4, 0.2, 0), "low"), ((0.5, 0.1, 0), (0.5, 0.1), "high"),
    ((0.5, 0.1, 0), (0.5, 0.6, 0), "high"), ((0.5, 0.1, -0.1), (0.5, 0.1, 0), "low"),
    ((0.4, 0.1, 0), (0.45, 0.1, 0), "intervals")])
def test_bad_intervals(low, high, field):
    counts, source, security = parts("lim2014")
    with pytest.raises(BadInput) as caught:
        imperfections.intensity_intervals(counts, source, security, Intervals(low, high))
    assert caught.value.field == field


def test_bad_choices():
    counts, source, security = parts("lim2014")
    with pytest.raises(BadInput, match="proof"):
        imperfections.intensity_intervals(counts, source, security, Intervals.around(source.intensities), "ma2005")
    with pytest.raises(BadInput, match="intensities"):
        imperfections.intensity_intervals(counts, source, security, Intervals.around(source.intensities), "rusca2018")
    with pytest.raises(BadInput, match="relative"):
        Intervals.around((0.5, 0.1), 1.0)


# -------------------------------------------------------------------------------------------------- efficiency mismatch


@pytest.mark.parametrize("proof", EXAMPLES)
def test_equal_detectors_are_the_plain_bound(proof):
    bound = plain(proof)
    same = imperfections.efficiency_mismatch(bound, 1.0, dark_probability=1e-6)
    assert (same.length, same.phase_error, same.signed_length) == (bound.length, bound.phase_error, bound.signed_length)
    assert assumptions.EQUAL_DETECTION not in same.assumptions and any("Tupkary" in w for w in same.assumptions)


def test_larger_mismatch_never_gives_more_key():
    bound = plain("lim2014")
    for options in ({}, {"swapped": True}, {"dark_probability": 1e-6}):
        lengths = falls([imperfections.efficiency_mismatch(bound, r, **options).length
                         for r in (1, 0.999999, 0.999, 0.99, 0.97, 0.95, 0.9, 0.5, 0.0)])
        assert lengths[-1] == 0
    falls([imperfections.efficiency_mismatch(bound, 0.99, dark_probability=1e-6, dark_spread=s).length
           for s in (0, 0.001, 0.01, 0.05)])
    swapped, not_swapped = (imperfections.efficiency_mismatch(bound, 0.95, swapped=s).length for s in (True, False))
    assert swapped > not_swapped


def test_mismatch_formulas():
    """Figures of the authors' published program, by hand: r = (1 - 0.05)/(1 + 0.05), dark counts 1e-6 +- 5 %."""
    r = 0.95 / 1.05
    d1, d2 = mismatch.deltas(r, 1e-6, 0.0)
    t = (1 - 1e-6) ** 2 * (1 - r)
    assert d1 == pytest.approx(4 * (1 - math.sqrt(1 - t)), rel=1e-12) and d2 == pytest.approx(t, rel=1e-12)
    least, most = 0.95e-6, 1.05e-6
    lost = 1 - (1 - (1 - least) ** 2) / (1 - (1 - most) ** 2)
    d1, d2 = mismatch.deltas(1.0, 1e-6, 0.05)
    assert d2 == pytest.approx(lost, rel=1e-9) and d2 == pytest.approx(2 * 0.05 / 1.05, rel=1e-5)
    assert d1 == pytest.approx(lost * most * (2 - least) / (1 - (1 - least) ** 2), rel=1e-9)
    assert mismatch.deltas(1.0) == (0, 0) and mismatch.deltas(1.0, 0.0, 0.5) == (0, 0)
    assert mismatch.deltas(0.9, swapped=True)[1] == pytest.approx(0.005)
    assert mismatch.deltas(1.0, 1e-6, 1.0)[0] == math.inf


def test_binomial_deviation_bounds_the_tail():
    from scipy.stats import binom

    for n, p, eps in ((1000, 0.01, 1e-3), (10_000, 0.3, 1e-5), (50, 0.1, 1e-2)):
        x = mismatch._strays(p, n, eps)
        assert binom.sf(math.ceil(n * x) - 1, n, p) <= eps**2
        assert x <= p + math.sqrt(-math.log(eps) / n)               # Hoeffding's is never better
    assert mismatch._strays(0, 100, 0.1) == 0 and mismatch._strays(1, 100, 0.1) == 1


def test_mismatch_without_an_estimate_stays_without_key():
    empty = plain("lim2014", key={"n": [0, 0, 0], "m": [0, 0, 0]})
    bound = imperfections.efficiency_mismatch(empty, 0.9)
    assert bound.length == 0 and bound.reason == empty.reason and bound.phase_error is None


def test_equalising():
    keep = imperfections.equalising([0.2, 0.25, 0.2, 0.4])
    assert keep.tolist() == pytest.approx([1, 0.8, 1, 0.5])
    assert imperfections.equalising([0.3] * 4).tolist() == [1] * 4
    for bad in ([], [0.1, 0.0], [0.1, 1.1], 0.3):
        with pytest.raises(BadInput):
            imperfections.equalising(bad)
    with pytest.raises(BadInput, match="ratio"):
        imperfections.efficiency_mismatch(plain("lim2014"), 1.2)


def test_time_shift_attack():
    """Eve who shifts pulses so that one detector is r times as good as the other knows 1 - h(1/(1 + r)) of each bit and
    makes no error; the bound leaves less than what she does not know, and r = 1 leaves all."""
    for r in (0.99, 0.9, 0.8):
        known = 1 - binary_entropy(1 / (1 + r))
        d1, d2 = mismatch.deltas(r)
        assert 1 - binary_entropy(min(d1 / (1 - d2), 0.5)) <= 1 - known


# --------------------------------------------------------------------------------------------------------- Trojan horse


def lucamarini(km, photons, decoy):
    """The paper's simulation: 0.2 dB/km, detection 12.5 %, errors 1 %, dark counts 1e-5, f = 1.2, signal 0.5."""
    eta = 0.125 * 10 ** (-0.02 * np.asarray(km))
    y, y0 = eta + 1e-5, 1e-5
    e = (y0 / 2 + 0.01 * eta) / y
    private = 1 - binary_entropy(imperfections.trojan_phase_error(e, photons, y))
    if not decoy:
        return y * (private - 1.2 * binary_entropy(e))
    gain, wrong = y0 - np.expm1(-eta / 2), y0 / 2 - 0.01 * np.expm1(-eta / 2)
    return y * 0.5 * math.exp(-0.5) * private - gain * 1.2 * binary_entropy(wrong / gain)


@pytest.mark.parametrize("decoy, photons, published_km", [(False, 0, 170), (True, 0, 146), (True, 1e-6, 140),
                                                          (False, 1e-2, 9)])
def test_published_reaches(decoy, photons, published_km):
    reach = last_positive(lambda km: lucamarini(km, photons, decoy), 0, 300)
    assert reach == pytest.approx(published_km, abs=1.5)


@pytest.mark.parametrize("decoy, published", [(False, 0.015), (True, 0.012)])
def test_published_largest_leak(decoy, published):
    assert last_positive(lambda m: lucamarini(0.0, m, decoy), 0, 0.1) == pytest.approx(published, abs=5e-4)


def test_coin_imbalance():
    m = np.array([0, 1e-12, 1e-6, 0.01, 0.1, 1.0])
    found = imperfections.coin_imbalance(m)
    assert found[3:] == pytest.approx((1 - np.exp(-m[3:]) * np.cos(m[3:])) / 2, rel=1e-9)
    assert found[:3] == pytest.approx(m[:3] / 2, rel=1e-6) and found[0] == 0
    with pytest.raises(BadInput):
        imperfections.coin_imbalance(-1e-9)


def test_trojan_phase_error():
    e = np.array([0.0, 0.01, 0.1, 0.4])
    assert (imperfections.trojan_phase_error(e, 0.0, 0.01) == e).all()
    assert imperfections.trojan_phase_error(0.01, 0.0, 0.0) == 0.01
    grown = np.array([imperfections.trojan_phase_error(e, m, 0.01) for m in (0, 1e-9, 1e-7, 1e-5, 1e-3, 0.1, 1.0)])
    assert (np.diff(grown, axis=0) >= 0).all() and (grown[-1] == 0.5).all()
    # the sum of two angles
    d = imperfections.coin_imbalance(1e-5) / 0.01
    angle = np.arcsin(np.sqrt(e[:3])) + 2 * np.arcsin(np.sqrt(d))
    assert grown[3][:3] == pytest.approx(np.sin(angle) ** 2, rel=1e-9)


@pytest.mark.parametrize("proof", EXAMPLES)
def test_more_escaping_light_never_gives_more_key(proof):
    bound = plain(proof)
    none = imperfections.trojan_horse(bound, 0.0, 1e-3)
    assert (none.length, none.signed_length, none.phase_error) == (bound.length, bound.signed_length, bound.phase_error)
    lengths = falls([imperfections.trojan_horse(bound, m, 1e-3).length for m in (0, 1e-10, 1e-8, 1e-6, 1e-5, 1e-4, 1e-2)])
    assert lengths[-1] == 0
    falls([imperfections.trojan_horse(bound, 1e-7, y).length for y in (1, 0.1, 0.01, 1e-3, 1e-4, 1e-6)])
    blocked = imperfections.trojan_horse(bound, 1e-2, 1e-3)
    assert "phase error" in blocked.reason and assumptions.NO_SIDE_CHANNEL not in blocked.assumptions
    assert any("Lucamarini" in words for words in blocked.assumptions)


def test_effects_add_up():
    counts, source, security = parts("lim2014")
    bound = imperfections.intensity_intervals(counts, source, security, Intervals.around(source.intensities, 0.005))
    both = imperfections.trojan_horse(imperfections.efficiency_mismatch(bound, 0.999), 1e-8, 1e-2)
    assert 0 < both.length < bound.length < lim2014.bound(counts, source, security).length
    json.dumps(as_table(both), allow_nan=False)


# --------------------------------------------------------------------------------------------- dead time, afterpulsing


def test_dead_time_corrections():
    rate = np.array([0.0, 1e3, 1e5, 1e6, 5e6])
    for paralysable in (False, True):
        seen = imperfections.observed_rate(rate, 50_000, paralysable=paralysable)
        assert (seen <= rate).all() and imperfections.true_rate(seen, 50_000, paralysable=paralysable) == pytest.approx(rate)
        assert (imperfections.observed_rate(rate, 0, paralysable=paralysable) == rate).all()
        assert (imperfections.true_rate(rate, 0, paralysable=paralysable) == rate).all()
    assert imperfections.observed_rate(1e6, 1e6) == pytest.approx(5e5)
    assert imperfections.observed_rate(1e6, 1e6, paralysable=True) == pytest.approx(1e6 / math.e)
    for observed, paralysable in ((2e7, False), (2.1e7, False), (8e6, True)):
        with pytest.raises(BadInput, match="dead time"):
            imperfections.true_rate(observed, 50_000, paralysable=paralysable)


def test_dead_time_correction_against_a_simulated_detector():
    rng = np.random.default_rng(4)
    gaps = rng.exponential(1e6, 200_000)                    # 1 MHz in ps
    seen, last = 0, -np.inf
    for t in np.cumsum(gaps):
        if t - last >= 400_000:
            seen, last = seen + 1, t
    found = seen / (gaps.sum() * 1e-12)
    assert imperfections.true_rate(found, 400_000) == pytest.approx(1e6, rel=0.01)


def test_all_ready():
    times = [0, 10, 100, 140, 150, 151, 300]
    assert imperfections.all_ready(times, 40).tolist() == [True, False, True, True, False, False, True]
    assert imperfections.all_ready(times, 0).all() and imperfections.all_ready([], 40).tolist() == []
    with pytest.raises(BadInput, match="time order"):
        imperfections.all_ready([5, 3], 1)
    rng = np.random.default_rng(1)
    clicks = np.cumsum(rng.exponential(1e6, 100_000)).astype(np.int64)
    kept = imperfections.all_ready(clicks, 200_000).mean()
    assert kept == pytest.approx(imperfections.share_kept(1e6, 200_000), abs=0.005)
    assert imperfections.share_kept(1e6, 0) == 1


def test_afterpulses():
    click, error = np.array([0.1, 0.01, 0.0]), np.array([0.001, 0.0005, 0.0])
    assert [x.tolist() for x in imperfections.with_afterpulses(click, error, 0)] == [click.tolist(), error.tolist()]
    more, wrong = imperfections.with_afterpulses(click, error, 0.04)
    assert more == pytest.approx(1.04 * click) and wrong == pytest.approx(error + 0.02 * click)
    full, half = imperfections.with_afterpulses(1.0, 0.0, 0.5)
    assert full == 1 and half == 0.25
    with pytest.raises(BadInput):
        imperfections.with_afterpulses(0.1, 0.0, -0.1)


@pytest.mark.parametrize("proof", EXAMPLES)
def test_more_afterpulses_never_give_more_key(proof):
    mu, p = SOURCES[proof]
    link = Link(mu, p, loss_db=10, e_mis=0.01)
    sent = 3e10 * np.outer(p, link.bases)
    lengths = []
    for probability in (0, 1e-4, 1e-3, 0.01, 0.03, 0.1, 0.3):
        click, error = imperfections.with_afterpulses(*link.gains(), probability)
        counts = DecoyCounts(*(np.rint(a).astype(np.int64) for a in (sent, sent * click[:, None], sent * error[:, None])))
        lengths.append(proofs.bound(counts, intensities=mu, probabilities=p, proof=proof, eps_sec=1e-9, eps_cor=1e-15,
                                    f_ec=1.16).length)
    assert falls(lengths)[0] == proofs.bound(link.counts(3 * 10**10), intensities=mu, probabilities=p, proof=proof,
                                             eps_sec=1e-9, eps_cor=1e-15, f_ec=1.16).length
