import re

import numpy as np
import pytest
from lesson_answers import OPEN, RIGHT, WRONG

from qkdlab.widgets import lessons
from qkdlab.widgets.lessons.intercept import expected_qber

LINK = lessons.single_photon_link()


def test_without_eve_bits_agree_where_bases_do():
    run = lessons.exchange(lessons.single_photon_link(misalignment=0.0, dark_rate_hz=0.0), 5000)
    assert len(run.kept) == 5000 and run.kept.mean() == pytest.approx(0.5, abs=0.03)
    assert run.wrong.mean() < 0.005                                  # what is left are pulses of two photons
    assert (run.alice_bit != run.bob_bit)[~run.kept].mean() == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize("share", [0.4, 1.0])
def test_eve_makes_a_quarter_of_her_bits_wrong(share):
    run = lessons.exchange(LINK, 20_000, share)
    assert run.wrong.mean() == pytest.approx(expected_qber(LINK, share), abs=0.02)
    assert expected_qber(LINK, share) == pytest.approx(0.01 + 0.24 * share, abs=0.01)


def test_the_same_seed_is_the_same_run():
    runs = [lessons.exchange(LINK, 100, 0.5, seed=s) for s in (1, 1, 2)]
    assert all(np.array_equal(a, b) for a, b in zip(*runs[:2], strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(*runs[1:], strict=True))


def test_the_table_shows_eves_trace():
    panel = lessons.intercepted(LINK)
    eve, again, words, view = panel.children
    rows = {name: re.findall(r"<td[^>]*>(.*?)</td>", row)
            for name, row in re.findall(r"<th[^>]*>([^<]*)</th>(.*?)</tr>", view.value)}
    assert {len(cells) for cells in rows.values()} == {14}
    assert [a == b for a, b in zip(rows["her basis"], rows["Bob's basis"], strict=True)] == [
        cell == "yes" for cell in rows["kept?"]]
    eve.value = 100
    traces = []
    for again.value in range(1, 9):
        traces.append(view.value.count("&#8800;"))
        assert f"<b>{traces[-1]}</b> ha" in words.value
    assert sum(traces) > 3


def test_the_error_rate_follows_eve():
    panel = lessons.watch_errors(LINK)
    eve, words, live = panel.children
    assert "carry on" in words.value
    eve.value = 100
    assert "give up" in words.value and "expected 25" in words.value
    for eve.value in (0, 3, 97, 41):                                  # dragged wildly
        pass
    live.close()


@pytest.mark.parametrize("answer, sign", [(None, OPEN), (68, RIGHT), (50, WRONG), ("most", WRONG)])
def test_share_kept(answer, sign):
    assert sign in lessons.kept_share(answer).value


@pytest.mark.parametrize("answer, sign", [(None, OPEN), (40.5, RIGHT), (44, WRONG), (11, WRONG), (float("nan"), WRONG)])
def test_share_to_abort(answer, sign):
    assert sign in lessons.share_to_abort(answer, LINK).value


@pytest.mark.parametrize("answer, sign", [(None, OPEN), (73, RIGHT), (72, RIGHT), (9, WRONG), (100, WRONG)])
def test_bits_to_be_sure(answer, sign):
    said = lessons.bits_to_be_sure(answer).value
    assert sign in said and ("finds 73 bits" in said) == (sign == RIGHT)      # (3/4)^73 < 1e-9 < (3/4)^72
