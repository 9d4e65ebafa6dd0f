"""`qkdlab lab` in a real browser: the live session, from opening it to a key."""

import nbformat
import pytest
from browser_pages import HAS_FOCUS, nameless, rows, run_all, settled_rows, tab_to, wait_for_rows

pytestmark = pytest.mark.browser


def status_says(page, words):
    page.wait_for_function("words => document.querySelector('.qk-status')?.textContent.includes(words)", arg=words)


def test_live_session(lab, page):
    run_all(page, lab.url("lab/live-session"))
    page.wait_for_selector("[data-live=ready]")
    page.locator(".qk-start").click()
    wait_for_rows(page, "qber", more_than=8)
    wait_for_rows(page, "key_length", more_than=8)
    page.locator(".qk-stop").click()
    status_says(page, "Done")
    page.wait_for_function("() => document.querySelector('.qk-card-key').textContent.includes('equal on both sides')")
    page.wait_for_function("() => document.querySelector('.qk-log').textContent.includes('sha256')")
    shown = settled_rows(page, "qber")
    page.wait_for_timeout(300)
    assert rows(page, "qber") == shown, "nothing moves after Stop"

    page.get_by_text("95 % interval").click()
    page.wait_for_function("""() => [...Bokeh.documents[0]._all_models.values()].filter(
        m => m.type === 'GlyphRenderer' && m.data_source.name === 'qber' && !m.visible).length === 1""")

    page.evaluate("() => { window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'}) }")
    page.wait_for_function("""() => Bokeh.documents.length === 1 && Bokeh.documents[0].roots().length === 1
        && JSON.stringify(Bokeh.documents[0].to_json()).includes('#56B4E9')""")
    assert rows(page, "qber") == shown, "the other theme shows the same run"

    page.locator(".qk-source button", has_text="replayed").click()
    status_says(page, "Ready")
    page.locator(".qk-start").click()
    status_says(page, "Done")
    wait_for_rows(page, "qber", more_than=4)
    assert page.evaluate("() => Bokeh.documents.length") == 1, "figures of another source leave nothing behind"


def test_by_keyboard_alone(lab, page):
    run_all(page, lab.url("lab/live-session"))
    page.wait_for_selector("[data-live=ready]")
    assert nameless(page) == []
    tab_to(page, ".qk-start")
    page.keyboard.press("Enter")
    page.wait_for_function(HAS_FOCUS, arg=".qk-pause")     # Start cannot be pressed now: the focus is not lost
    wait_for_rows(page, "qber", more_than=2)
    tab_to(page, ".qk-stop")
    page.keyboard.press("Space")
    page.wait_for_function("name => document.querySelector(name).disabled", arg=".qk-stop")
    status_says(page, "Done")
    tab_to(page, ".qk-distance-km .noUi-handle")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.activeElement.getAttribute('aria-valuetext') === '60.5'")
    assert page.get_by_role("slider", name="distance (km)").count() == 1


def test_tiles_in_the_launcher(lab, page):
    page.goto(lab.url("lab/live-session"))
    for tile, sign in (("Replay a recording", ".qk-drop"), ("Run the bench", ".qk-check:enabled")):
        page.locator("[data-command='launcher:create']").first.click()
        with page.expect_popup() as opened:
            page.locator(".jp-LauncherCard", has_text=tile).last.click()
        app = opened.value
        app.wait_for_selector(sign)
        assert not app.locator(".jp-CodeMirrorEditor, .cm-editor").count(), "no code in sight"
        assert nameless(app) == []
        app.close()


def test_a_saved_notebook_says_how_its_panels_come_back(lab, chromium):
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "0", "version_major": 2, "version_minor": 0}}
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("bench", outputs=[
        nbformat.v4.new_output("display_data", data=view | {"text/plain": "Workbench()"})])],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    nbformat.write(notebook, lab.folder / "saved.ipynb")
    lab.ask("contents/saved.ipynb/trust", "POST")
    page = chromium.new_page()                 # JupyterLab logs the error whatever is shown
    page.goto(lab.url("saved"))
    lost = page.locator(".jp-OutputArea-output.jupyter-widgets")
    lost.wait_for(timeout=180_000)
    assert "Run All Cells" in lost.evaluate("e => getComputedStyle(e, '::after').content")
    assert lost.evaluate("e => getComputedStyle(e).fontSize") == "0px"
    page.close()
    (lab.folder / "saved.ipynb").unlink()


def test_the_kernel_of_an_app_that_was_opened_by_its_link_ends_with_its_page(lab, page):
    server, _, rest = lab.address.partition("/lab/")
    before = {kernel["id"] for kernel in lab.ask("kernels")}
    page.goto(f"{server}/voila/render/apps/replay.ipynb?{rest.partition('?')[2]}")
    page.wait_for_selector(".qk-app")
    assert {kernel["id"] for kernel in lab.ask("kernels")} - before
    page.goto("about:blank")
    for _ in range(600):
        if {kernel["id"] for kernel in lab.ask("kernels")} <= before:
            return
        page.wait_for_timeout(100)
    pytest.fail("the kernel stays")


def test_frames_write_no_style_sheets(lab, page):
    run_all(page, lab.url("lab/live-session"))
    page.wait_for_selector("[data-live=ready]")
    page.locator(".qk-start").click()
    wait_for_rows(page, "qber", more_than=8)
    page.evaluate("""() => {
        window.frames = window.written = 0;
        const sheet = (node) => [node, node.parentNode].some((e) => e?.nodeName === 'STYLE');
        const watcher = new MutationObserver((changes) => {
            window.written += changes.filter((change) => sheet(change.target)).length;
        });
        const watch = (root) => {
            watcher.observe(root, {subtree: true, childList: true, characterData: true});
            for (const e of root.querySelectorAll('*')) if (e.shadowRoot) watch(e.shadowRoot);
        };
        watch(document.querySelector('[data-live=ready]'));
        Bokeh.documents[0].get_model_by_name('qber').streaming.connect(() => { window.frames++ });
    }""")
    page.wait_for_function("() => window.frames >= 10")
    written, frames = page.evaluate("() => [window.written, window.frames]")
    assert written < 3 * frames, "bokeh alone writes some forty a frame"
    page.evaluate("() => { window.requestAnimationFrame = () => 0 }")          # as in a tab that is hidden
    wait_for_rows(page, "qber", more_than=rows(page, "qber") + 3)
