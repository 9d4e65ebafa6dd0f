"""The report as a page, and the figures in it."""

import html.parser
from importlib.resources import files

import numpy as np
import pytest

from qkdlab import datasets, figures, html_report
from qkdlab.datatypes import Event
from qkdlab.errors import BadInput
from qkdlab.report import as_latex
from qkdlab.session import Session


@pytest.fixture(scope="module")
def run():
    history, session = figures.History(), Session(datasets.open(files("qkdlab.datasets") / "demo"))
    session.subscribe(history.take)
    return session.run(), history


class Outline(html.parser.HTMLParser):
    """Tags, text, and every address that a page asks for."""

    def __init__(self):
        super().__init__()
        self.tags, self.text, self.asked = [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.asked += [v for k, v in attributes if k in ("src", "href", "xlink:href") and not v.startswith("#")]

    def handle_data(self, data):
        self.text.append(data)


def read(page):
    outline = Outline()
    outline.feed(page)
    return outline


def test_page(run):
    report, history = run
    outline = read(html_report.page(report, history, made="on a Monday", intensities=(0.5, 0.15), before=report))
    words = " ".join(outline.text)
    assert outline.tags.count("svg") == len(html_report.SHOWN) and "script" not in outline.tags
    assert outline.asked == [], "the page needs nothing else"
    assert "gives a secret key" in words and "on a Monday" in words and "as before" in words
    assert report["bob_key_sha256"] in words and "ALL KEYS" in words


def test_no_word_of_a_file_becomes_markup(run):
    report, _ = run
    page = html_report.page({**report, "recording": "<script>x</script>.h5", "warnings": ["<b>w"]}, made="<i>")
    assert "<script" not in page and "<b>w" not in page and "<i>" not in page


def test_no_report_is_overwritten(run, tmp_path):
    html_report.write(tmp_path / "r.html", run[0])
    with pytest.raises(BadInput, match="File exists"):
        html_report.write(tmp_path / "r.html", run[0])


@pytest.mark.parametrize("name", figures.FIGURES)
def test_figures(run, name, tmp_path):
    figure = figures.draw(name, run[1], intensities=(0.5, 0.15, 0.0))
    axes = figure.axes[0]
    assert axes.get_title(loc="left") and axes.get_xlabel() and axes.get_ylabel() and "(" in axes.get_xlabel()
    for ending in figures.ENDINGS:
        figures.save(figure, tmp_path / f"f{ending}")
        assert (tmp_path / f"f{ending}").stat().st_size > 1000
    figures.draw(name, figures.History())                     # of a run that has told nothing yet


def test_a_figure_shows_what_was_told(run):
    axes = figures.draw("qber", run[1]).axes[0]
    line = next(x for x in axes.lines if x.get_label() == "measured")
    assert np.array_equal(line.get_ydata(), 100 * run[1].column("qber_test"), equal_nan=True)


def test_bad_input(run, tmp_path):
    with pytest.raises(BadInput, match="rates, qber"):
        figures.draw("nothing", run[1])
    with pytest.raises(BadInput, match=r"\.svg, \.png, \.pdf"):
        figures.save(figures.draw("qber", run[1]), tmp_path / "x.doc")
    with pytest.raises(BadInput, match="No such file"):
        figures.save(figures.draw("qber", run[1]), tmp_path / "no" / "x.svg")


def test_table(run, tmp_path):
    run[1].write_csv(tmp_path / "t.csv")
    table = np.genfromtxt(tmp_path / "t.csv", delimiter=",", names=True)
    assert "nan" not in (tmp_path / "t.csv").read_text()
    assert len(table) == len(run[1].rows) and table["rates_hz_3"][0] > 0
    assert np.allclose(table["qber_test"], run[1].column("qber_test"), rtol=1e-8, equal_nan=True)
    with pytest.raises(BadInput, match="File exists"):
        run[1].write_csv(tmp_path / "t.csv")


def test_latex(run):
    text = as_latex(run[0])
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 10 and all(line.count("&") == 2 for line in rows)
    assert f"{run[0]['secret_bits']:,}".replace(",", r"\,") in rows[-1]
    empty = {**run[0], "qber_key": None, "bound": {**run[0]["bound"], "s1": None, "phase_error": None}}
    assert as_latex(empty).count("& -- &") == 3


@pytest.mark.parametrize("limit", [2, 3, 10, 11])
def test_a_history_of_any_length_fits(limit):
    history = figures.History(limit=limit)
    for k in range(500):
        history.take(Event("block", 0, {"time_s": k}))
        times = [row["time_s"] for row in history.rows]
        assert times[0] == 0 and times[-1] == k and len(times) <= limit
        assert len(set(np.diff(times[:-1]))) <= 1, "evenly thinned"
    copy = history.copy()
    history.take(Event("start", 0, {}))
    assert copy.rows and not history.rows
    with pytest.raises(BadInput, match="2 rows"):
        figures.History(limit=1)
