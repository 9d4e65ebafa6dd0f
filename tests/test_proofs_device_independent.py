"""The CHSH rate: thresholds, no key without violation, impossible data refused."""

import math

import numpy as np
import pytest

from qkdlab.errors import BadInput
from qkdlab.proofs import bbm92
from qkdlab.proofs import device_independent as di


def test_threshold():
    """Published: 7.1 %; the equation gives 7.149 %."""
    assert di.threshold() == pytest.approx(0.07149, abs=5e-6)
    for qber, positive in ((0.0714, True), (0.0716, False)):
        assert bool(di.secret_fraction(qber, di.chsh(qber)) > 0) is positive
    assert di.threshold(1.2) < di.threshold() < bbm92.threshold()


def test_no_key_without_violation():
    s = np.array([0, 1, 1.999, 2.0, -2.0])
    assert (di.secret_fraction(0.0, s) == 0).all() and (di.eve_information(s) == 1).all()
    assert di.secret_fraction(0.0, 2.01) > 0


def test_best_violation_gives_all():
    assert di.chsh(0) == 2 * math.sqrt(2)
    assert di.eve_information(di.chsh(0)) == pytest.approx(0, abs=1e-6) and di.secret_fraction(0, di.chsh(0)) > 0.999999
    assert di.secret_fraction(0, -2.7) == di.secret_fraction(0, 2.7)


@pytest.mark.parametrize("s", [2.8285, -3, 4, [2.0, 2.9], math.nan, 5])
def test_impossible_violations_are_errors_of_the_data(s):
    with pytest.raises(BadInput) as caught:
        di.secret_fraction(0.01, s)
    assert caught.value.field == "s"


def test_an_entangled_intercept_resend_gives_nothing():
    """Eve who measures a share p of the pairs lowers S to 2 sqrt(2) (1 - p/2): at most 2 from p = 0.586 on."""
    for p, positive in ((0.0, True), (0.05, True), (0.586, False), (1.0, False)):
        assert bool(di.secret_fraction(p / 4, 2 * math.sqrt(2) * (1 - p / 2)) > 0) is positive
    assert 2 * math.sqrt(2) * (1 - 0.5858 / 2) == pytest.approx(2, abs=1e-4)


def test_monotone():
    s = np.linspace(2, 2 * math.sqrt(2), 50)
    assert (np.diff(di.secret_fraction(0.01, s)) >= 0).all()
    assert (np.diff(di.secret_fraction(np.linspace(0, 0.5, 50), 2.7)) <= 0).all()
    assert di.secret_fraction(np.zeros((3, 1)), s).shape == (3, 50)


@pytest.mark.parametrize("call", [lambda: di.secret_fraction(-0.1, 2.5), lambda: di.secret_fraction(0.1, 2.5, 0.5),
                                  lambda: di.chsh(0.7)])
def test_bad_arguments(call):
    with pytest.raises(BadInput):
        call()
