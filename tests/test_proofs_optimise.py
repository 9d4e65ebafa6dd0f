"""The optimiser: published rates, random search, neighbours, and the analysis itself as judges."""

import numpy as np
import pytest

from qkdlab import proofs
from qkdlab.errors import BadInput
from qkdlab.proofs.optimise import evaluate, optimise, optimise_per_bit, rate_curve
from qkdlab.proofs.search import Plan, Search
from qkdlab.simulation import LIM2014, LinkModel, expected_counts

PRINTED = {"eps_sec": 1e-9, "eps_cor": 1e-15, "f_ec": 1.16, "sampling": "gamma", "clamp": False}
# Bits per pulse at the optimum with Lim et al.'s formulas as printed, by another program; n_key 1e4 to 1e9.
RATES = {50: (2.518e-5, 1.334e-4, 3.099e-4, 5.102e-4, 7.007e-4, 8.708e-4),
         100: (1.536e-6, 1.135e-5, 2.806e-5, 4.733e-5, 6.627e-5, 8.348e-5)}


def at_km(distance):
    return LIM2014.over(0.2 * distance)


@pytest.mark.parametrize("distance", RATES)
def test_rates_of_another_program(distance):
    for n_key, rate in zip(10.0 ** np.arange(4, 10), RATES[distance], strict=True):
        best = optimise(at_km(distance), n_key=n_key, **PRINTED)
        assert best.rate_per_pulse == pytest.approx(rate, rel=5e-3), n_key


def test_figure_1_of_lim_et_al():
    """Blocks of 1e4 bits reach 135 km; blocks of 1e9 give 1.76 times the rate of 1e7 at 100 km."""
    rates = [optimise(at_km(100), n_key=n, **PRINTED).rate_per_pulse for n in (1e9, 1e7)]
    assert rates[0] / rates[1] == pytest.approx(1.764, abs=0.002)
    reach = [optimise(at_km(km), n_key=1e4, **PRINTED) for km in (134, 135, 136, 137)]
    # At 136 km 20 bits are left for 5e11 pulses, below any axis.
    assert reach[0].rate_per_pulse > reach[1].rate_per_pulse > 1e-10 > reach[2].rate_per_pulse
    assert reach[3].length == 0 and reach[3].bound.reason


def test_figure_1_as_its_text_says():
    """With eps_sec = 1e-15 times the length: 1.79 times, and 129 km."""
    printed = {name: value for name, value in PRINTED.items() if name != "eps_sec"}
    rates = [optimise_per_bit(at_km(100), n_key=n, **printed) for n in (1e9, 1e7)]
    assert rates[0].rate_per_pulse / rates[1].rate_per_pulse == pytest.approx(1.79, abs=0.005)
    for best in rates:
        assert best.bound.epsilons["eps_sec"] == pytest.approx(1e-15 * best.length, rel=1e-4)
    reach = [optimise_per_bit(at_km(km), n_key=1e4, **printed).rate_per_pulse for km in (129, 130)]
    assert reach[0] > 1e-10 > reach[1]


def random_settings(n, rng, weakest=2e-4):
    mu1 = rng.uniform(0.02, 1, n)
    mu2 = weakest + (mu1 - 2 * weakest) * rng.uniform(0.001, 0.999, n)
    return np.column_stack([mu1, mu2, np.full(n, weakest), rng.dirichlet([1, 1, 1], n), rng.uniform(0.02, 0.999, n)])


LINKS = [
    (LIM2014.over(10), {"n_key": 1e5}), (LIM2014.over(20), {"n_key": 1e7, "clamp": False}),
    (LIM2014.over(20), {"n_key": 1e4}),
    (LinkModel(0.2, 1e-5, 0.03, 0.01, 50.0), {"n_pulses": 1e9}), (LinkModel(1e-3, 1e-7, 0.01), {"n_pulses": 1e11}),
    (LinkModel(0.01, 1e-6, 0.02, 0.02, 0, True, 0.5), {"n_pulses": 1e10, "tails": "chernoff"}),
    (LinkModel(3e-4, 1e-7, 0.005, 0, 0, True), {"n_pulses": 1e12, "sampling": "gamma"}),
    (LinkModel(0.9, 1e-8), {"n_pulses": 1e13, "tails": "chernoff", "sampling": "gamma"}),
]


@pytest.mark.parametrize("link, plan", LINKS)
def test_no_random_settings_and_no_random_start_are_better(link, plan):
    rng = np.random.default_rng(7)
    best = optimise(link, **plan)
    search = Search.of([[link]], None, [plan.get("n_key") or plan["n_pulses"]], Plan(**plan))
    tried = random_settings(20_000, rng)
    worth = search.worth(tried)
    height = search.worth(np.array([[*best.intensities, *best.probabilities, best.key_basis_probability]]))[0]
    assert height > worth.max() * 0.999 > 0
    search.cold(0, tried[np.argsort(-worth)[:100:10]])
    search.cold(0, tried[:10])
    search.polish()
    assert height > search.best[0] * 0.999


@pytest.mark.parametrize("link, plan", LINKS)
def test_result_is_the_analysis_of_expected_counts(link, plan):
    best = optimise(link, **plan)
    counts = expected_counts([link], [1.0], best.intensities, best.probabilities, best.key_basis_probability, best.n_pulses)
    options = {name: plan[name] for name in ("tails", "sampling", "clamp") if name in plan}
    bound = proofs.bound(counts, intensities=best.intensities, probabilities=best.probabilities, eps_sec=1e-9, eps_cor=1e-15,
                         f_ec=1.16, **options)
    assert bound == best.bound and best.length == bound.length > 0
    assert best.rate_per_pulse == best.length / best.n_pulses
    if "n_key" in plan:
        assert counts.clicks[:, 0].sum() == pytest.approx(plan["n_key"], abs=2)
    search = Search.of([[link]], None, [plan.get("n_key") or plan["n_pulses"]], Plan(**plan))
    row = np.array([*best.intensities, *best.probabilities, best.key_basis_probability])
    # Rounding to whole counts moves the length by some bits: weak pulses stand for many.
    assert search.worth(row[None])[0] * best.n_pulses == pytest.approx(best.length, rel=2e-3, abs=20)


def test_more_loss_noise_or_fewer_pulses_never_give_more():
    loss = np.arange(0, 40, 2.0)
    curve = rate_curve(LIM2014, loss, n_key=[1e5, 1e7])
    assert (np.diff(curve.rate_per_pulse, axis=1) <= 0).all() and (curve.rate_per_pulse[:, 0] > 0).all()
    assert (curve.rate_per_pulse[0] <= curve.rate_per_pulse[1]).all() and curve.rate_per_pulse[:, -1].max() == 0
    for field, values in (("dark_probability", 10.0 ** np.arange(-8, -3)), ("misalignment", (0, 0.01, 0.03, 0.06))):
        rates = [optimise(LIM2014.over(15).replace(**{field: v}), n_pulses=1e11).rate_per_pulse for v in values]
        assert (np.diff(rates) < 0).all() and rates[0] > 0
    rates = [optimise(LIM2014.over(15), n_pulses=n).rate_per_pulse for n in (1e9, 1e10, 1e12, 1e14)]
    assert (np.diff(rates) > 0).all()


def test_a_curve_is_its_points():
    loss = np.array([0, 7.0, 21.0, 27.0])
    curve = rate_curve(LIM2014, loss, n_key=[1e4, 1e8])
    assert curve.rate_per_pulse.shape == curve.length.shape == (2, 4) and curve.settings.shape == (2, 4, 7)
    for i, n in enumerate(curve.blocks):
        for j, db in enumerate(loss):
            alone = optimise(LIM2014.over(db), n_key=n)
            assert curve.rate_per_pulse[i, j] == pytest.approx(alone.rate_per_pulse, rel=2e-3)


def test_a_map_of_the_surface():
    link, plan = LIM2014.over(15), {"n_key": 1e7}
    best = optimise(link, **plan)
    at = np.tile([*best.intensities, *best.probabilities, best.key_basis_probability], (9, 1))
    at[:, 0] *= np.linspace(0.6, 1.4, 9)
    found = evaluate(link, at, **plan)
    assert np.argmax(found.rate_per_pulse) == 4 and (np.diff(np.sign(np.diff(found.rate_per_pulse))) <= 0).all()
    middle = {name: column[4] for name, column in found._asdict().items()}
    for name in ("s1", "s1_test", "v1_test", "phase_error", "leak_bits", "signed_length"):
        assert middle[name] == pytest.approx(getattr(best.bound, name), rel=1e-3), name
    assert middle["n_pulses"] == pytest.approx(best.n_pulses) and middle["n_key"] == pytest.approx(1e7)
    assert middle["rate_per_pulse"] * middle["n_pulses"] == pytest.approx(middle["signed_length"])
    dark = evaluate(link.over(60), at, **plan)
    assert (dark.rate_per_pulse == 0).all() and not np.isnan(np.array(dark)).any()
    for row, wrong in ((2, 0.2), (0, 0.1), (4, 0.9), (6, 1.0), (1, np.nan)):
        bad = at.copy()
        bad[3, row] = wrong
        with pytest.raises(BadInput, match="row 3"):
            evaluate(link, bad, **plan)
    with pytest.raises(BadInput, match="settings"):
        evaluate(link, at[:, :6], **plan)


def test_what_is_held_is_kept():
    free = optimise(LIM2014.over(12), n_pulses=1e11)
    held = optimise(LIM2014.over(12), n_pulses=1e11, intensities=(0.55, 0.1, 1e-3), key_basis_probability=0.9)
    assert held.intensities == pytest.approx((0.55, 0.1, 1e-3), rel=1e-12)
    assert held.key_basis_probability == pytest.approx(0.9)
    assert 0 < held.length < free.length
    assert free.intensities[2] == 2e-4 and sum(free.probabilities) == pytest.approx(1, abs=1e-12)
    source = free.source(1e9)
    assert source.clock_hz == 1e9 and source.intensities == free.intensities


def test_no_key_comes_with_a_reason():
    noisy = optimise(LinkModel(1e-6, 1e-3, 0.1), n_pulses=1e9)
    assert noisy.length == 0 == noisy.rate_per_pulse and noisy.bound.reason
    nothing = optimise(LinkModel(0.0), n_key=1e6)
    assert nothing.length == 0 == nothing.rate_per_pulse and "no detections" in nothing.bound.reason
    assert optimise(LIM2014, n_pulses=1).length == 0


def test_exact_sampling_is_planned_with_gamma_and_answered_exactly():
    few = {"n_pulses": 3e8, "clamp": True}
    exact, serfling = (optimise(LIM2014.over(3), sampling=s, **few) for s in ("hypergeometric", "serfling"))
    assert exact.bound.details["sampling"] == "hypergeometric" and exact.length > serfling.length > 0


@pytest.mark.parametrize("changes, field", [
    ({"n_key": None}, "n_key"), ({"n_pulses": 1e9}, "n_pulses"), ({"n_key": 0}, "n_key"), ({"n_key": float("nan")}, "n_key"),
    ({"eps_sec": 0}, "eps_sec"), ({"eps_cor": 1}, "eps_cor"), ({"f_ec": 0.9}, "f_ec"), ({"tails": "kato"}, "tails"),
    ({"intensities": (0.5, 0.1)}, "intensities"), ({"intensities": (0.5, 0.3, 0.2)}, "intensities"),
    ({"weakest_intensity": 1}, "weakest_intensity"), ({"shares": [0.5]}, "shares"),
])
def test_bad_plans(changes, field):
    with pytest.raises(BadInput) as caught:
        optimise(LIM2014, **{"n_key": 1e6, **changes})
    assert caught.value.field == field


def test_bad_links():
    for link in ([], [LIM2014, LIM2014.replace(misalignment=0.1)], 3.0):
        with pytest.raises((BadInput, TypeError)):
            optimise(link, n_key=1e6)
    with pytest.raises(TypeError, match="n_keys"):
        optimise(LIM2014, n_keys=1e6)
    with pytest.raises(BadInput, match="n_pulses"):
        rate_curve(LIM2014, [1], n_key=[1e6], n_pulses=[1e9])
