"""Settings adapted between blocks."""

import dataclasses

import numpy as np
import pytest

from qkdlab import proofs
from qkdlab.datatypes import DecoyCounts, SourceSettings
from qkdlab.errors import BadInput
from qkdlab.proofs.adaptive import adapt, estimate_link
from qkdlab.simulation import LIM2014, LinkModel, expected_counts

SOURCE = SourceSettings((0.5, 0.1, 2e-4), (0.7, 0.2, 0.1), 0.9, 1e9)


def block(link, pulses, rng=None, source=SOURCE):
    counts = expected_counts([link], [1.0], source.intensities, source.achieved_probabilities,
                             source.achieved_key_basis_probability, pulses)
    if rng is None:
        return counts
    n = rng.poisson(counts.clicks)
    return DecoyCounts(counts.sent, n, rng.binomial(n, counts.errors / np.maximum(counts.clicks, 1)))


@pytest.mark.parametrize("passive", [False, True])
@pytest.mark.parametrize("loss_db", [0, 8, 20])
def test_loss_and_noise_are_found_again(loss_db, passive):
    known = LIM2014.replace(passive=passive, receiver_key_basis=0.8 if passive else None, dead_time_pulses=10)
    truth = known.over(loss_db).replace(misalignment=0.013, dark_probability=3e-6)
    found = estimate_link(block(truth, 10**11, np.random.default_rng(1)), SOURCE, known)
    assert found.transmittance == pytest.approx(truth.transmittance, rel=2e-3)
    assert found.dark_probability == pytest.approx(truth.dark_probability, rel=0.03)
    assert found.misalignment == pytest.approx(truth.misalignment, rel=0.03)
    assert (found.afterpulse_probability, found.passive, found.dead_time_pulses) == (0.04, passive, 10)


def test_no_dark_counts_are_no_trouble():
    found = estimate_link(block(LinkModel(0.01), 10**8), SOURCE, LIM2014.replace(afterpulse_probability=0))
    assert found.dark_probability < 1e-8 and found.misalignment < 1e-4


def test_the_next_block_gains_what_was_expected():
    link, rng = LIM2014.over(14), np.random.default_rng(2)
    counts, gained = block(link, 3 * 10**10, rng), []
    for hold in (True, False):
        adapted = adapt(counts, SOURCE, LIM2014, hold_intensities=hold, n_pulses=3e10)
        assert adapted.changed and adapted.gain > 0.1
        assert (adapted.source.intensities == SOURCE.intensities) == hold
        assert adapted.source.intensities[2] == SOURCE.intensities[2]
        before, after = (proofs.bound(block(link, 3 * 10**10, None, s), s, eps_sec=1e-9, eps_cor=1e-15, f_ec=1.16).length
                         for s in (SOURCE, adapted.source))
        assert after / before - 1 == pytest.approx(adapted.gain, rel=0.1)
        assert after == pytest.approx(adapted.expected.length, rel=0.02)
        gained.append(after)
    assert gained[1] > gained[0]


def test_settings_rest_where_little_is_to_be_gained():
    counts = block(LIM2014.over(14), 3 * 10**10)
    best = adapt(counts, SOURCE, LIM2014, n_pulses=3e10).source
    again = adapt(block(LIM2014.over(14), 3 * 10**10, None, best), best, LIM2014, n_pulses=3e10)
    assert not again.changed and again.source is best and again.gain == 0
    hopeless = adapt(block(LIM2014.over(45), 3 * 10**10), SOURCE, LIM2014, n_pulses=3e10)
    assert not hopeless.changed and hopeless.source is SOURCE and hopeless.expected.length == 0


def test_settings_are_frozen_and_have_one_digest():
    counts = block(LIM2014.over(14), 3 * 10**10)
    one, two = (adapt(counts, SOURCE, LIM2014, n_pulses=3e10) for _ in range(2))
    assert one.digest == two.digest and len(one.digest) == 64
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.source.intensities = (0.6, 0.1, 0.0)
    with pytest.raises((dataclasses.FrozenInstanceError, AttributeError)):
        one.source = SOURCE


def test_counts_that_say_too_little():
    full = block(LIM2014.over(14), 3 * 10**10)
    for counts in (DecoyCounts(np.zeros((3, 2)), full.clicks, full.errors), DecoyCounts.zeros(3), DecoyCounts.zeros(2),
                   DecoyCounts(full.sent, np.zeros((3, 2)), np.zeros((3, 2)))):
        with pytest.raises(BadInput, match="counts"):
            adapt(counts, SOURCE, LIM2014, n_pulses=1e10)
