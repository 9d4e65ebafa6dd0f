import numpy as np
import pytest
from lesson_answers import LINK, OPEN, RIGHT, WRONG, data

from qkdlab.widgets import lessons
from qkdlab.widgets.lessons.decoys import world
from qkdlab.widgets.lessons.weak_pulses import over_fibre

HERE = over_fibre(LINK, 50)


@pytest.mark.parametrize("decoy", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.8, 1.0])
def test_the_bound_is_never_above_the_truth(decoy, share):
    found = world(HERE, (0.5, decoy, 0.0), share)
    assert 0 <= found.y1_proven <= found.y1 * (1 + 1e-6)


def test_the_decoys_find_the_honest_yield_and_see_eve():
    assert world(HERE, (0.5, 0.01, 0.0), 0.0).y1_proven == pytest.approx(0.08, rel=0.01)
    silenced = world(HERE, (0.5, 0.1, 0.0), 1.0)
    assert silenced.bound.length == 0 < world(HERE, (0.5, 0.1, 0.0), 0.0).bound.length


def test_the_figure_follows_eve():
    panel = lessons.decoys_against_eve(LINK)
    eve, decoy, words, live = panel.children
    assert data(live, "seen")["ratio"] == pytest.approx([100, 100, 100]) and "bits per million" in words.value
    eve.value = 100
    signal, weak, _ = data(live, "seen")["ratio"]
    assert signal == pytest.approx(100, abs=0.1) and weak < 35 and "no key" in words.value
    before = data(live, "yields")["proven"].copy()
    decoy.value = 0.02
    assert (data(live, "yields")["proven"][:20] > before[:20]).all()
    live.close()


def test_rates_stay_below_the_ceiling():
    panel = lessons.rates_against_distance(LINK)
    mean, words, live = panel.children
    for mean.value in (0.5, 0.02, 1.5):
        rates = data(live, "rates_against_distance")
        for name in ("decoys", "without"):
            known = np.isfinite(rates[name])
            assert (rates[name][known] < rates["ceiling"][known]).all()
    mean.value = 0.5
    assert "226 km" in words.value
    live.close()


@pytest.mark.parametrize("answer, sign", [(None, OPEN), (8, RIGHT), (10, WRONG), (0.08, WRONG)])
def test_yield(answer, sign):
    assert sign in lessons.single_photon_yield(LINK, answer).value


@pytest.mark.parametrize("answer, sign", [(None, OPEN), (78, RIGHT), (50, WRONG), (100, WRONG), ("all", WRONG)])
def test_share_to_silence(answer, sign):
    assert sign in lessons.share_to_silence(LINK, answer).value


@pytest.mark.parametrize("answer, words", [(None, "Type"), (220, "Yes"), (226, "Yes"), (200, "go further"),
                                           (230, "go nearer"),
                                           (-1, "from 0 km"), (1e300, "go nearer"), ("x", "number")])
def test_reach(answer, words):
    assert words in lessons.reach_with_decoys(LINK, answer).value
