"""``qkdlab app replay`` in a real browser: files dropped, a verdict read, a report fetched, a reload survived."""

import os
import subprocess
import sys
from importlib.resources import files

import pytest
from browser_pages import ROOT, tab_to

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
    page.wait_for_selector(".qk-report")
    page.locator(".qk-start").focus()
    tab_to(page, ".qk-report")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert "gives a secret key" in download.value.path().read_text()
    assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth"), "nothing to scroll sideways"


def test_a_page_opened_anew_shows_what_was_run(address, page):
    page.goto(address)
    page.wait_for_selector(".qk-earlier option:nth-child(2)", state="attached")
    page.locator(".qk-earlier select").select_option(index=1)
    says(page, ".verdict", "gives a secret key")
    page.wait_for_selector("[data-live=ready]")


def test_files_that_are_no_recording(address, page, tmp_path):
    page.goto(address)
    page.wait_for_selector(".qk-drop")
    whole = (DEMO / "bob.ptu").read_bytes()
    wrong = {"empty.ptu": (b"", "empty.ptu: the file is empty"), "cut.ptu": (whole[:300], "cut.ptu: byte 280"),
             "other.h5": (b"\x89HDF\r\n\x1a\n" + bytes(500), "other.h5: damaged"), "alone.ptu": (whole, "detections only"),
             "words.csv": ("caf\u00e9;\u2026\n".encode() * 50, "words.csv: byte 0")}
    for name, (data, told) in wrong.items():
        (tmp_path / name).write_bytes(data)
        page.locator(".qk-drop-input").set_input_files(str(tmp_path / name))
        says(page, ".qk-what", told)
        page.wait_for_selector(".qk-start:disabled")
    (tmp_path / "bob.ptu").write_bytes(whole[:300])
    page.locator(".qk-drop-input").set_input_files([str(p) for p in (tmp_path / "bob.ptu", DEMO / "alice.npz",
                                                                     DEMO / "run.toml")])
    says(page, ".qk-what", "ends inside the header")
    assert not page.get_by_text("Traceback").count()
