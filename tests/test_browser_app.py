"""``qkdlab app replay`` in a real browser: files dropped, a verdict read, a report fetched, a reload survived."""

import os
import subprocess
import sys
from importlib.resources import files

import pytest
from browser_pages import ROOT

pytestmark = pytest.mark.browser
DEMO = files("qkdlab.datasets") / "demo"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    environment = os.environ | {
        "HOME": str(home), "JUPYTER_CONFIG_DIR": str(home / "config"), "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTER_DATA_DIR": str(home / "data"), "IPYTHONDIR": str(home / "ipython"),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])),
    }
    (home / "recordings").mkdir()
    command = [sys.executable, "-m", "qkdlab", "app", "replay", "--no-browser", "--folder", str(home / "recordings")]
    with open(home / "messages", "w+") as messages:
        process = subprocess.Popen(command, cwd=home, env=environment, text=True, stdout=subprocess.PIPE, stderr=messages)
        try:
            line = process.stdout.readline().strip()
            assert line.startswith("http://127.0.0.1:"), (home / "messages").read_text()
            yield line
        finally:
            process.terminate()
            assert process.wait(20) == 0
            process.stdout.close()


def says(page, selector, words):
    page.wait_for_function("([s, w]) => document.querySelector(s)?.textContent.includes(w)", arg=[selector, words])


def test_from_dropped_files_to_a_report(address, page, tmp_path):
    page.goto(address)
    says(page, ".qk-what", "Nothing is chosen")
    assert page.locator(".qk-start").is_disabled() and not page.locator(".jp-CodeMirrorEditor, .cm-editor").count()
    (tmp_path / "holiday.jpg").write_bytes(b"\xff\xd8\xff" + bytes(3_000_000))
    page.locator(".qk-drop-input").set_input_files(str(tmp_path / "holiday.jpg"))
    says(page, ".qk-what", "not a recording that can be read")

    page.locator(".qk-drop-input").set_input_files([str(DEMO / n) for n in ("bob.ptu", "alice.npz", "run.toml")])
    says(page, ".qk-what", "100 million pulses")
    page.locator(".qk-start").click()
    says(page, ".verdict", "gives a secret key")
    with page.expect_download() as download:
        page.locator(".qk-report").click()
    assert "gives a secret key" in download.value.path().read_text()
    assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth"), "nothing to scroll sideways"


def test_a_page_opened_anew_shows_what_was_run(address, page):
    page.goto(address)
    page.wait_for_selector(".qk-earlier option:nth-child(2)", state="attached")
    page.locator(".qk-earlier select").select_option(index=1)
    says(page, ".verdict", "gives a secret key")
    page.wait_for_selector("[data-live=ready]")
