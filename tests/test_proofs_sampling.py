import math
from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import hypergeom

from qkdlab.errors import BadInput
from qkdlab.proofs import sampling

EPS = 1e-9 / 21


def failure(bound, n_test, n_key, all_errors, eps):
    """Exact probability that the key holds more errors than the bound says, with `all_errors` anywhere."""
    seen = np.arange(max(0, all_errors - n_key), min(all_errors, n_test) + 1)
    said = np.array([bound(int(v), n_test, n_key, eps) for v in seen])
    return hypergeom.pmf(seen, n_test + n_key, all_errors, n_test)[said * n_key < all_errors - seen - 1e-9].sum()


@pytest.mark.parametrize("name", sorted(sampling.PROVEN))
@pytest.mark.parametrize("n_test, n_key", [(60, 80), (40, 400), (300, 50)])
def test_proven_bounds_fail_no_more_often_than_eps_squared(name, n_test, n_key):
    eps = 0.2
    step = max(1, (n_test + n_key) // 60)
    worst = max(failure(sampling.SAMPLING[name], n_test, n_key, k, eps) for k in range(0, n_test + n_key, step))
    assert worst <= eps**2
    if name == "hypergeometric":
        assert worst > eps**2 / 8          # and not needlessly rarely


def test_gamma_is_not_a_bound():
    """1000 tested, 1000 key bits: where few errors are seen it fails some 10^5 times too often."""
    worst = max(failure(sampling.gamma, 1000, 1000, k, EPS) for k in range(1, 60))
    assert worst > 1e4 * EPS
    assert sampling.gamma(0, 1000, 1000, EPS) == 0
    assert max(failure(sampling.hypergeometric, 1000, 1000, k, EPS) for k in range(1, 200, 7)) <= EPS**2


def test_zero_errors_among_a_thousand():
    """security.md: tail 1e-9/21, 1000 tested and 1000 key bits, no error seen: at most 34 in the key."""
    assert sampling.hypergeometric(0, 1000, 1000, math.sqrt(EPS)) == 0.034


def exact_tail(v, k, j, n):
    every = math.comb(n + k, k)
    return sum(Fraction(math.comb(v + j, x) * math.comb(n + k - v - j, k - x), every) for x in range(v + 1))


@pytest.mark.parametrize("v, k, j, n", [(0, 5, 3, 7), (2, 30, 20, 40), (9, 200, 90, 300), (40, 500, 200, 700),
                                        (300, 2000, 700, 3000), (700, 3000, 1000, 3100), (3, 10, 7, 7)])
def test_tail_against_whole_numbers(v, k, j, n):
    exact = exact_tail(v, k, j, n)
    exact = math.log(exact.numerator) - math.log(exact.denominator)
    ours = sampling.hypergeometric_tail(v, k, j, n)
    assert exact - 1e-12 <= ours <= min(0, exact + 1e-9)


def test_tail_is_never_below_the_truth_and_close_to_it_for_many_errors():
    v, k, n = 25_971, 1_168_732, 12_707_854
    for j in (285_000, 296_000, 299_000):
        exact = hypergeom.logcdf(v, n + k, v + j, k)
        assert exact - 1e-4 < sampling.hypergeometric_tail(v, k, j, n) < exact + 2e-2


def test_inversion_finds_the_first_excluded_number():
    for v, k, n in ((0, 50, 60), (3, 200, 100), (10, 400, 1000)):
        j = round(sampling.hypergeometric(v, k, n, 1e-3) * n)
        assert exact_tail(v, k, j, n) <= 1e-6 < exact_tail(v, k, j - 1, n)


def test_fractions_are_rounded_to_the_safe_side():
    at = sampling.hypergeometric(5, 1000, 2000, EPS)
    assert sampling.hypergeometric(4.2, 1000.9, 2000, EPS) == at
    assert sampling.hypergeometric(5, 1000, 1999.5, EPS) >= at
    assert sampling.hypergeometric(5, 0.5, 2000, EPS) == sampling.hypergeometric(1001, 1000, 2000, EPS) == 1
    assert sampling.hypergeometric(1, 3, 2000, EPS) == 1                 # so few tested exclude nothing


def test_serfling_of_example_a_and_its_tail():
    v, k, n = 25_971.015344198, 1_168_732.31411760, 12_707_853.0657555
    phi = sampling.serfling(v, k, n, EPS)
    assert phi == pytest.approx(0.02693392707, rel=1e-9)
    # The tail of the docstring, solved for the deviation, must give eps^2 back.
    assert -2 * (phi - v / k) ** 2 * n * k * k / ((n + k) * (k + 1)) == pytest.approx(2 * math.log(EPS), rel=1e-9)


@pytest.mark.parametrize("name", sampling.SAMPLING)
def test_monotone(name):
    def phi(v, k, n, eps=EPS):
        return sampling.phase_error(name, v, k, n, eps)

    errors = [0, 1e-9, 0.5, 1, 2, 7, 40, 200, 1000, 4000]
    values = [phi(v, 10_000, 100_000) for v in errors]
    assert values == sorted(values) and values[0] > 0 and values[-1] <= 1
    assert phi(40, 10_000, 100_000) <= phi(40, 5_000, 100_000)
    assert phi(40, 10_000, 100_000) <= phi(40, 10_000, 20_000)
    assert phi(40, 10_000, 100_000, 1e-5) <= phi(40, 10_000, 100_000, 1e-12)


def test_exact_is_tighter_than_serfling():
    for v, k, n in ((0, 1000, 1000), (20, 1000, 5000), (2600, 116_873, 1_270_785)):
        assert sampling.hypergeometric(v, k, n, EPS) < sampling.serfling(v, k, n, EPS)


def test_yin_is_within_one_percent_of_the_exact_tail():
    for v, k, n in ((10_000, 10**6, 10**7), (1000, 10**5, 10**6)):
        assert sampling.yin(v, k, n, EPS) == pytest.approx(sampling.hypergeometric(v, k, n, math.sqrt(EPS)), rel=0.01)


def test_serfling_broadcasts():
    errors = np.array([0.0, 10.0, 100.0])
    phi = sampling.serfling(errors, 1000.0, np.array([[2000.0], [4000.0]]), EPS)
    assert phi.shape == (2, 3) and phi[1, 2] == sampling.serfling(100, 1000, 4000, EPS)


def test_tiny_epsilons_do_not_underflow():
    for name in sampling.SAMPLING:
        assert 0 < sampling.phase_error(name, 10, 10**6, 10**6, 1e-300) < 0.1


def test_unknown_name():
    with pytest.raises(BadInput, match="sampling"):
        sampling.phase_error("gauss", 1, 10, 10, 0.1)
