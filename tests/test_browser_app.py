"""``qkdlab app replay`` in a real browser: files dropped, a verdict read, a report fetched, a reload survived."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
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
            assert process.wait(120) == 0
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
    report = download.value.path().read_text()
    assert "gives a secret key" in report
    paper = page.context.new_page()                          # as wide as A4 without its margins
    paper.set_viewport_size({"width": 700, "height": 1000})
    paper.emulate_media(media="print")
    paper.set_content(report)
    assert paper.evaluate("""() => [...document.querySelectorAll('pre')].map(pre =>
        pre.clientHeight / parseFloat(getComputedStyle(pre).lineHeight) - pre.textContent.trimEnd().split('\\n').length
    ).every(more => more < 1)"""), "no line of the ledger is broken on paper"
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


def answered(address, path, method="GET", headers=None):
    """The server's status for a request of somebody who has the token, or the given headers."""
    server, _, token = address.partition("?token=")
    request = urllib.request.Request(server + path, method=method, data=None if method == "GET" else b"",
                                     headers=headers or {"Authorization": f"token {token}"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def kernel_of(page):
    return page.evaluate("() => JSON.parse(document.getElementById('jupyter-config-data').textContent).kernelId")


def gone(address, kernel):
    end = time.monotonic() + 120                         # long before it would be culled
    while answered(address, f"api/kernels/{kernel}") == 200 and time.monotonic() < end:
        time.sleep(0.2)
    return answered(address, f"api/kernels/{kernel}") == 404


def test_the_kernel_of_a_page_ends_when_it_is_left(address, page):
    page.goto(address)
    page.wait_for_selector(".qk-drop")
    first = kernel_of(page)
    page.reload()
    page.wait_for_selector(".qk-drop")
    second = kernel_of(page)
    assert gone(address, first) and answered(address, f"api/kernels/{second}") == 200
    page.locator(".qk-choice select").select_option(index=0)
    page.wait_for_selector(".qk-start:not(:disabled)")
    page.locator(".qk-start").click()
    page.wait_for_selector(".qk-stop:not(:disabled)")
    page.goto("about:blank")
    assert gone(address, second)
    page.goto(address)                                   # the run went on, and is there to be looked at
    page.wait_for_function("""() => { const words = s => document.querySelector(s)?.textContent ?? '';
        return words('.qk-verdict').includes('gives a secret key')
            || /The last run, .*: key of/.test(words('.qk-status')) }""")


def test_nobody_else_ends_the_kernel_of_a_page(address, page):
    page.goto(address)
    page.wait_for_selector(".qk-drop")
    kernel = kernel_of(page)
    cookies = "; ".join(f"{cookie['name']}={cookie['value']}" for cookie in page.context.cookies())
    for headers in ({"Cookie": cookies}, {"Cookie": cookies, "Origin": "http://elsewhere.example"}, {"Accept": "*/*"}):
        assert answered(address, f"voila/api/shutdown/{kernel}", "POST", headers) in (403, 404)
    assert answered(address, f"api/kernels/{kernel}") == 200


def test_a_server_that_is_gone_is_told(address, page):
    page.route_web_socket("**/gone", lambda socket: socket.close())
    page.route_web_socket("**/back", lambda socket: None)
    page.goto(address)
    page.wait_for_selector(".qk-drop")
    assert not page.locator("body.qk-gone").count()
    connect = "name => { new WebSocket(`ws://${location.host}/${name}`) }"
    page.evaluate(connect, "gone")
    page.wait_for_selector("body.qk-gone")
    page.evaluate(connect, "back")
    page.wait_for_selector("body:not(.qk-gone)")
