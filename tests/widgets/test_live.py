import numpy as np
import pytest
from pretend_session import BLOCK, CLOCK, NOTHING, PHASE, shown_by

from qkdlab.widgets import live as plots


def made(name):
    return plots.gains((0.5, 0.1, 0.0)) if name == "gains" else plots.FIGURES[name]()


def show(plot, *events):
    """Feed events to one plot; gives the columns of its main source."""
    sources = shown_by(plot, *events)
    return sources[min(sources, key=len)]


@pytest.mark.parametrize("name", plots.FIGURES)
def test_axes_have_labels_with_units_and_a_fixed_height(name):
    plot = made(name).figure
    assert plot.title.text and plot.height == plots.HEIGHT and plot.sizing_mode == "stretch_width"
    for axis in (plot.xaxis[0], plot.yaxis[0]):
        assert axis.axis_label is None or any(unit in axis.axis_label for unit in (
            "(s)", "(ps)", "(ppm)", "(%)", "/ s", "/ pulse", "/ bin", "bits", "messages"))
    if name != "ledger":                       # its rows say in words what they are
        assert len(plot.legend) == 1 and plot.legend[0].click_policy == "hide"


@pytest.mark.parametrize("name", plots.FIGURES)
def test_a_new_run_clears_and_undefined_values_are_gaps(name):
    columns = show(made(name), ("clock", CLOCK), ("block", BLOCK), ("start", {}), ("block", NOTHING))
    for name, column in columns.items():
        assert name in ("t", "length", "zero", "d0", "d1", "d2", "d3") or not np.isfinite(column).any()
        assert not np.any(column[np.isfinite(column)]), "only true zeros"


def test_rates():
    last = BLOCK | {"rates_hz": [0.0] * 4}
    columns = show(plots.rates(), ("block", BLOCK), ("block", last))
    assert columns["d3"].tolist() == [2e4], "what is told at the end covers no time: no fall to zero"


def test_qber_is_in_per_cent_and_its_range_grows_in_steps():
    plot = plots.qber(0.11)
    columns = show(plot, ("block", BLOCK))
    assert [columns[c][-1] for c in ("t", "qber", "low", "high")] == [0.5, 2, 1, 3]
    assert plot.figure.y_range.end == 15
    show(plot, ("block", BLOCK | {"qber_test": 0.25}))
    assert plot.figure.y_range.end == 32
    show(plot, ("start", {}))
    assert plot.figure.y_range.end == 15


def test_gains_of_nothing_are_gaps_on_a_logarithmic_axis():
    columns = show(plots.gains((0.5, 0.1, 0.0)), ("block", BLOCK))
    assert columns["gain0"][-1] == 1e-2 and np.isnan(columns["gain2"][-1])


def test_key_length_shows_how_far_the_first_key_is():
    plot = plots.key_length()
    note = plot.figure.select_one({"name": "key_length_note"})
    columns = show(plot, ("block", BLOCK))
    assert columns["signed"][-1] == -250 and columns["length"][-1] == 0 and note.text == "no key yet"
    show(plot, ("block", BLOCK | {"key_length": 10, "signed_length": 10.4}))
    assert note.text == ""
    show(plot, ("block", BLOCK | {"key_length": 10, "signed_length": 10.4}), ("block", BLOCK))
    assert note.text == "no key of this block yet"


def test_bounds_are_shares():
    columns = show(plots.bounds(), ("block", BLOCK))
    assert columns["single"][-1] == 60 and columns["phase"][-1] == 4


def test_arrivals_show_the_gate_only_while_locked():
    plot = plots.arrivals()
    gate = plot.figure.select_one({"name": "gate"})
    columns = show(plot, ("clock", CLOCK))
    assert gate.visible and (gate.left, gate.right) == (-200, 200)
    assert columns["phase"].tolist() == PHASE.tolist() and columns["d2"][1:].tolist() == list(range(1, 100))
    show(plot, ("clock", CLOCK | {"phase_ps": 10 * PHASE}))
    assert plot.figure.x_range.end == 1000, "around the gate, not the whole period"
    show(plot, ("clock", CLOCK | {"locked": False}))
    assert not gate.visible
    show(plot, ("clock", CLOCK | {"phase_ps": np.zeros(0), "histogram": np.zeros((4, 0)), "locked": False}))


def test_an_empty_figure_has_axes():
    for name in plots.FIGURES:
        ranges = made(name).figure
        anchor = ranges.renderers[0]
        assert np.isfinite([*anchor.data_source.data["x"], *anchor.data_source.data["y"]]).all()


def test_every_figure_is_explained():
    assert set(plots.MEANINGS) == set(plots.FIGURES)
    assert plots.described([plots.qber(), plots.rates()]) == "live plots: Error rate, test basis; Detection rates"
