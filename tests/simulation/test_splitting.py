import numpy as np
import pytest

from qkdlab.errors import BadInput
from qkdlab.simulation import splitting
from qkdlab.simulation.splitting import PHOTONS, detections, honest, known_share, photon_numbers, split

MEANS = np.array([0.5, 0.1, 0.0])


def test_photon_numbers_are_poisson():
    p = photon_numbers([0.0, 0.5, 10.0])
    assert p.sum(axis=-1) == pytest.approx(1, abs=1e-10)
    assert p[0].tolist() == [1.0] + [0.0] * (PHOTONS - 1)
    assert (p @ np.arange(PHOTONS)) == pytest.approx([0, 0.5, 10], abs=1e-8)
    assert p[1, :3] == pytest.approx(np.exp(-0.5) * np.array([1, 0.5, 0.125]))


@pytest.mark.parametrize("eta", [0.0, 1e-3, 0.3, 1.0])
def test_without_eve_gains_are_those_of_weak_light(eta):
    gain, wrong = detections(MEANS, honest(eta), background=1e-5, misalignment=0.02)
    light = -np.expm1(-eta * MEANS)
    assert gain == pytest.approx(light + 1e-5 * (1 - light), abs=1e-14)
    assert wrong == pytest.approx(0.02 * light + 0.5e-5 * (1 - light), abs=1e-14)


@pytest.mark.parametrize("loss_db, ratio", [(5, 0.688), (7, 0.309), (10, 0.254), (20, 0.259)])
def test_the_signal_is_kept_and_the_decoy_collapses(loss_db, ratio):
    eta = 10 ** (-loss_db / 10)
    before, after = (detections([0.5, 0.1], passed)[0] for passed in (honest(eta), split(0.5, eta)))
    assert after[0] == pytest.approx(before[0], rel=1e-12)
    assert after[1] / before[1] == pytest.approx(ratio, abs=6e-4)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("eta", [0.0, 1e-3, 0.2, 0.9, 1.0])
def test_what_passes_are_probabilities_and_the_signal_stays(eta, share):
    passed = split(0.5, eta, share)
    assert ((passed >= 0) & (passed <= 1)).all() and passed[0] == 0
    assert detections([0.5], passed)[0] == pytest.approx(detections([0.5], honest(eta))[0], abs=1e-12)


def test_what_eve_knows():
    assert known_share(0.5, 10**-0.75) == pytest.approx(1)           # several photons are as frequent as detections
    assert known_share(0.5, 1.0) == pytest.approx((1 - 1.5 * np.exp(-0.5)) / (1 - np.exp(-0.5)))
    assert known_share(0.5, 0.1, share=0.25) == pytest.approx(0.25)
    assert known_share(0.5, 0.0) == known_share(0.0, 0.5) == 0
    shares = [known_share(mu, 0.05) for mu in (0.01, 0.05, 0.09, 0.2)]
    assert shares == sorted(shares) and shares[0] < 0.15 < shares[-1]


@pytest.mark.parametrize("call", [
    lambda: photon_numbers(-0.1), lambda: photon_numbers(np.nan), lambda: photon_numbers("bright"),
    lambda: honest(1.1), lambda: split(0.5, 0.1, share=2), lambda: split(11, 0.1),
    lambda: detections([0.5], honest(0.1), background=-1), lambda: detections([0.5], honest(0.1), misalignment=0.6)])
def test_what_cannot_be_is_refused(call):
    with pytest.raises(BadInput):
        call()


def test_all_names():
    assert all(hasattr(splitting, name) for name in splitting.__all__)
