"""Tutorials and the live figure itself, in a real browser."""

import nbformat
import pytest
from browser_pages import nameless, rows, run_all, wait_for_rows

pytestmark = pytest.mark.browser

FIGURE = """
from bokeh.models import ColumnDataSource
from bokeh.plotting import figure
from qkdlab.widgets import LiveFigure

source = ColumnDataSource({"t": [], "y": []}, name="rows")
plot = figure(height=150, title="before")
line = plot.line("t", "y", source=source)
live = LiveFigure(plot)
live
"""
BURST = """
import threading

def work(offset):
    for k in range(5000):
        live.stream(source, t=offset + k, y=k)

threads = [threading.Thread(target=work, args=(offset,)) for offset in (0, 10_000)]
[t.start() for t in threads], [t.join() for t in threads]
live.set(plot.title, text="after")
"""
AGAIN = 'live.data(source, t=[1, 2, 3], y=[1, 2, 3])\nlive.stream(source, t=4, y=4)'


def test_first_key(lab, page):
    run_all(page, lab.url("tutorials/01-first-key"))
    wait_for_rows(page, "photons", more_than=4)
    wait_for_rows(page, "key_length", more_than=5)
    page.wait_for_selector(".jp-OutputArea-output pre >> text=/SECRET KEY +[0-9]/")
    before = page.evaluate("() => Bokeh.documents.map(d => d.get_model_by_name('photons')?.data.share[0]).find(x => x)")
    slider = page.locator(".qk-slider .noUi-handle").first
    slider.focus()
    slider.press("ArrowRight")
    page.wait_for_function("""b => Bokeh.documents.some(d => {
        const s = d.get_model_by_name('photons')?.data.share[0]; return s && s !== b })""", arg=before)


def test_decoy_states(lab, page):
    run_all(page, lab.url("tutorials/04-decoy-states"))
    wait_for_rows(page, "seen", more_than=2)
    decoy = """() => (window.Bokeh?.documents ?? []).map(d => d.get_model_by_name('seen')?.data.ratio[1]).find(x => x)"""
    assert page.evaluate(decoy) == 100
    assert nameless(page) == []
    slider = page.locator(".qk-slider .noUi-handle").first
    slider.focus()
    slider.press("End")                        # Eve attacks every pulse
    page.wait_for_function(f"() => ({decoy})() < 35")
    page.get_by_text("no key", exact=True).first.wait_for()
    page.get_by_text("Type your answer").first.scroll_into_view_if_needed()


def test_a_live_figure_loses_nothing(lab, page):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in (FIGURE, BURST, "live")])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, lab.folder / "figure.ipynb")
    run_all(page, lab.url("figure"))
    page.wait_for_function("() => document.querySelectorAll('[data-live=ready]').length === 2")
    wait_for_rows(page, "rows", more_than=9_999)
    shown = page.evaluate("""() => Bokeh.documents.map(d => [
        [...d.get_model_by_name('rows').data.t].sort((a, b) => a - b).join(), d.roots()[0].title.text])""")
    every = ",".join(map(str, [*range(5000), *range(10_000, 15_000)]))
    assert shown == [[every, "after"]] * 2, "both views are complete, the one that was there and the one that came later"
    page.evaluate("""source => { const k = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
        k.requestExecute({code: source}) }""", AGAIN)
    page.wait_for_function("""() => Bokeh.documents.every(
        d => [...d.get_model_by_name('rows').data.t].join() === '1,2,3,4')""")
    assert rows(page, "rows") == 4
