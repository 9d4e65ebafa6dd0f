"""What people do to a page: restart, run again, open twice, shake the sliders. A clear message or nothing, no freeze."""

import pytest
from browser_pages import SLOW, of_kernel, rows, run_all, settled_rows, wait_for_rows

pytestmark = [pytest.mark.browser, pytest.mark.slow]         # minutes on a busy machine
SESSIONS = "sum(t.name == 'qkdlab-session' for t in __import__('threading').enumerate())"


def command(page, name):
    page.evaluate("name => { window.jupyterapp.commands.execute(name) }", name)


def says(page, words):
    page.wait_for_function("words => document.querySelector('.qk-status')?.textContent.includes(words)", arg=words)


def until_new_figures(page):
    page.wait_for_function("""() => Bokeh.documents.length === 1
        && Bokeh.documents[0].get_model_by_name('qber').data.t.length === 0""")


def no_trace(page):
    assert not page.get_by_text("Traceback").count() and not page.get_by_text("Error displaying widget").count()


def started(lab, page):
    """The live session in a page, at work."""
    run_all(page, lab.url("lab/live-session"))
    page.wait_for_selector("[data-live=ready]")
    page.locator(".qk-start").click()
    wait_for_rows(page, "qber", more_than=2)


def test_a_cell_run_again_and_a_kernel_restarted_while_a_session_runs(lab, page):
    started(lab, page)
    command(page, "notebook:run-all-cells")
    until_new_figures(page)
    says(page, "Ready")
    assert of_kernel(page, SESSIONS) == "0", "nobody could stop the old session any more: it has ended"
    page.locator(".qk-start").click()
    wait_for_rows(page, "qber", more_than=2)

    command(page, "notebook:restart-kernel")
    page.locator(".jp-Dialog .jp-mod-accept").click()
    page.wait_for_selector(".qk-bench.jupyter-widgets-disconnected")
    words = page.evaluate("() => getComputedStyle(document.querySelector('.qk-bench'), '::before').content")
    assert "Run the cell again" in words
    box = page.locator(".qk-stop").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)     # nothing happens, nothing is thrown
    page.evaluate("() => { window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'}) }")
    page.wait_for_function("() => document.body.dataset.jpThemeLight === 'false'")
    assert rows(page, "qber") > 2, "what was measured stays on the page"
    run_all(page)
    until_new_figures(page)
    page.locator(".qk-start").click()
    wait_for_rows(page, "qber", more_than=8)
    page.locator(".qk-stop").click()
    says(page, "Done")
    no_trace(page)


def test_a_slider_shaken_and_a_run_stopped_at_once(lab, page):
    started(lab, page)
    for slider in (".qk-distance-km", ".qk-intensities-0"):
        handle = page.locator(f"{slider} .noUi-handle")
        box = handle.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        for k in range(100):
            page.mouse.move(x + (-60 if k % 2 else 60) * (k % 7) / 6, y)
        page.mouse.up()
    before = rows(page, "qber")
    wait_for_rows(page, "qber", more_than=before + 3)
    shown = float(page.locator(".qk-distance-km .widget-readout").inner_text())
    assert float(of_kernel(page, "bench.session.source.channel.distance_km")) == pytest.approx(shown)
    assert 1 <= page.locator(".qk-log").inner_text().count("next start") < 20, "told now and then, not at every step"
    page.locator(".qk-stop").click()
    page.wait_for_selector(".qk-start:enabled")
    page.locator(".qk-start").click()
    page.locator(".qk-stop").click()           # before there is anything to distil
    page.wait_for_selector(".qk-start:enabled")
    says(page, "nded without a key")
    no_trace(page)


def test_two_tabs_on_one_session(lab, page):
    started(lab, page)
    command(page, "docmanager:save")
    page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
    other = page.context.new_page()
    other.goto(lab.url("lab/live-session"))
    other.wait_for_selector("[data-live=ready]")
    before = rows(page, "qber")
    for tab in (page, other):
        wait_for_rows(tab, "qber", more_than=before + 3)
    wait_for_rows(page, "qber", more_than=8)
    other.locator(".qk-stop").click()
    for tab in (page, other):
        says(tab, "Done")
    assert settled_rows(page, "qber") == settled_rows(other, "qber"), "both show the same run, once the last frame is drawn"
    for tab in (page, other):
        no_trace(tab)


def test_what_is_lost_on_the_way_to_the_kernel_is_said_again(lab, page):
    page.add_init_script("""const send = WebSocket.prototype.send;
        WebSocket.prototype.send = function (data) {
            const words = typeof data === 'string' ? data : new TextDecoder().decode(data);
            if (words.includes('need-item') && !window.lost) window.lost = true;
            else send.call(this, data);
        }""")
    started(lab, page)
    assert page.evaluate("() => window.lost")


def test_a_computer_so_slow_that_anywidget_gives_up(lab, page):
    page.add_init_script("""const patience = AbortSignal.timeout;
        AbortSignal.timeout = (ms) => patience.call(AbortSignal, ms === 2000 ? 0 : ms)""")
    said = []
    page.on("pageerror", lambda error: said.append(str(error)))
    started(lab, page)
    assert any(SLOW in words for words in said), "it did give up"
    page.locator(".qk-stop").click()
    page.wait_for_selector(".qk-start:enabled")
