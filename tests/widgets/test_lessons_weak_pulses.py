import numpy as np
import pytest
from lesson_answers import LINK, OPEN, RIGHT, WRONG, data

from qkdlab.widgets import lessons
from qkdlab.widgets.lessons.weak_pulses import over_fibre


def test_fibre():
    assert over_fibre(LINK, 50).transmittance == pytest.approx(0.08)


def test_splitting_keeps_the_detections():
    panel = lessons.photon_splitting(LINK)
    mean, km, words, live = panel.children
    for mean.value, km.value in ((0.5, 0), (0.5, 20), (0.1, 20), (0.02, 100), (1.0, 100)):
        bars = data(live, "splitting")
        assert bars["attacked"].sum() == pytest.approx(bars["honest"].sum(), rel=0.02)     # up to five photons and more
        assert bars["attacked"][0] <= bars["honest"][0] + 1e-9
        assert (np.diff(data(live, "known")["share"]) >= -1e-9).all()
    assert "100 %" in words.value and "Not one single photon" in words.value
    live.close()


def test_fainter_pulses_reach_further_with_less_key():
    panel = lessons.key_without_decoys(LINK, 0.1)
    mean, words, live = panel.children
    bright = data(live, "key_without_decoys")["rate"]
    mean.value = 0.01
    faint = data(live, "key_without_decoys")["rate"]
    assert np.isfinite(faint).sum() > np.isfinite(bright).sum() and bright[0] > faint[0]
    assert f"{np.isfinite(faint).sum() - 1} km" in words.value
    live.close()
    *_, words, live = lessons.key_without_decoys(LINK.over(20), 0.5).children
    assert "no key" in words.value and np.isnan(data(live, "key_without_decoys")["rate"]).all()
    live.close()


@pytest.mark.parametrize("answer, sign", [(None, OPEN), (4.92, RIGHT), (0.468, WRONG), (10, WRONG), (True, WRONG)])
def test_share_of_several_photons(answer, sign):
    assert sign in lessons.multi_photon_share(answer, 0.1).value


@pytest.mark.parametrize("answer, sign", [(None, OPEN), (48, RIGHT), (31, WRONG), (62, WRONG), ("far", WRONG)])
def test_distance_where_all_is_known(answer, sign):
    assert sign in lessons.safe_distance(LINK, answer, 0.2).value


@pytest.mark.parametrize("answer, sign", [(None, OPEN), (0.12, RIGHT), (0.5, WRONG), (0.01, WRONG)])
def test_best_mean(answer, sign):
    assert sign in lessons.best_mean(LINK, answer, 40).value
