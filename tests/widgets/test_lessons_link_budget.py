import re

import pytest
from lesson_answers import WRONG

from qkdlab.proofs.optimise import optimise
from qkdlab.widgets.lessons import link_budget


def said(panel):
    return panel.children[-2].value


@pytest.mark.parametrize("parts", [None, 12.0, "fibre", [12.0, 0.5]])
def test_a_budget_that_is_none_is_told(parts):
    assert WRONG in link_budget.budget(parts).value


def test_a_budget_without_loss_has_no_ceiling():
    assert "no ceiling" in link_budget.budget({}).value and "without limit" not in link_budget.budget({}).value


def test_a_budget_adds_up():
    page = link_budget.budget({"fibre <i>": 16.0, "connectors": 1.5}).value
    assert "<b>17.5 dB</b>" in page and "1 photon in 56.2" in page and "bit/s" in page and "fibre &lt;i&gt;" in page
    assert "no key" in link_budget.budget({"ocean": 200}).value


@pytest.mark.parametrize("loss", ["much", None, -1.0, float("nan"), True])
def test_a_loss_that_is_none_is_told(loss):
    assert "The loss of 'x'" in link_budget.budget({"x": loss}).value.replace("&#x27;", "'")


def test_the_rate_is_that_of_the_best_settings():
    station = link_budget.receiver()
    alone = optimise(station.over(20.0), n_pulses=6e10)
    assert link_budget.key_rate_hz(20.0, station) == pytest.approx(1e8 * alone.rate_per_pulse)
    assert link_budget.key_rate_hz(60.0, station) == 0


def test_the_fibre_panel_stays_below_the_ceiling():
    panel = link_budget.fibre()
    for km in (0, 80, 300):
        panel.children[0].value = km
        assert f"{km:g} km" in said(panel)
    assert "no key" in said(panel)
    panel.children[1].value, panel.children[2].value = 90, 1.0
    assert "bit/s" in said(panel)
    columns = panel.children[-1]._layout.select_one({"name": "budget_fibre"}).data
    assert not (columns["key"] > columns["ceiling"]).any()
    panel.children[-1].close()


@pytest.mark.parametrize("answer, words", [(150, "Yes"), (50, "further"), (200, "nearer"), (-1, "0 to 1000"),
                                           (None, "Type")])
def test_the_longest_fibre(answer, words):
    assert words in link_budget.longest_fibre(answer, link_budget.receiver()).value


def test_the_air_panel_follows_every_slider():
    panel = link_budget.free_space()
    reach = float(re.search(r"up to <b>([0-9]+) km", said(panel)).group(1))
    panel.children[0].value = 100
    assert float(re.search(r"up to <b>([0-9]+) km", said(panel)).group(1)) > reach
    panel.children[3].value = 2.0
    assert float(re.search(r"up to <b>([0-9]+) km", said(panel)).group(1)) < reach
    panel.children[1].value, panel.children[2].value = 1, 200_000
    assert "km" in said(panel)
    panel.children[-1].close()


@pytest.mark.parametrize("answer, words", [(20, "Yes"), (5, "larger"), (80, "would do"), (0, "0.1 to 1000"),
                                           ("x", "number")])
def test_the_smallest_telescope(answer, words):
    assert words in link_budget.smallest_telescope(answer).value


def test_the_satellite_panel_follows_every_slider():
    panel = link_budget.satellite()
    bits = int(re.search(r"<b>([0-9,]+) secret", said(panel)).group(1).replace(",", ""))
    panel.children[1].value = 60
    assert int(re.search(r"<b>([0-9,]+) secret", said(panel)).group(1).replace(",", "")) < bits
    panel.children[0].value, panel.children[3].value = 2000, 50_000
    assert "no key" in said(panel)
    panel.children[2].value = 200
    panel.children[-1].close()


@pytest.mark.parametrize("answer, words", [(10, "larger"), (300, "would do"), (0, "1 to 1000"), (None, "Type")])
def test_the_ground_station(answer, words):
    assert words in link_budget.pass_key(answer).value


def test_some_ground_station_is_right():
    assert any("Yes" in link_budget.pass_key(cm).value for cm in range(30, 120, 4))
