"""Fixtures of the browser tests: a JupyterLab as ``qkdlab lab`` starts it, and a Chromium page that forgives nothing."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from qkdlab.lab import copy_notebooks, notebook_names

ROOT = Path(__file__).resolve().parent.parent
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
          "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"]
SLOW = "[anywidget] Failed to initialize model"
_LOCAL = ("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:", "about:")
# On a slow machine the notebook in front may for a while be another one, which JupyterLab restored.
_IDLE = """path => { const w = window.jupyterapp?.shell.currentWidget, c = w?.sessionContext;
                    return w?.context?.path === path && c?.isReady && c.session?.kernel?.status === 'idle' }"""


class Lab:
    """A running JupyterLab: `address` of the notebook it opened, `folder` that it serves."""

    def __init__(self, address, folder):
        self.address, self.folder = address, folder

    def url(self, name):
        """Where to open a notebook of the folder, alone on the page."""
        before, _, rest = self.address.partition("/tree/")
        return f"{before}/tree/{name}.ipynb?{rest.partition('?')[2]}&reset"

    def ask(self, path, method="GET"):
        """The server's answer, from JSON."""
        server, _, token = self.address.partition("token=")
        url = f"{server.partition('/lab/')[0]}/api/{path}"
        request = urllib.request.Request(url, method=method, headers={"Authorization": f"token {token}"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or "null")


@pytest.fixture
def lab(lab_server):
    """JupyterLab on fresh notebooks; a test's kernels end with it."""
    for name in notebook_names():              # a test may have saved one, with widgets of a kernel that is gone
        (lab_server.folder / f"{name}.ipynb").unlink(missing_ok=True)
    copy_notebooks(lab_server.folder)
    yield lab_server
    with contextlib.suppress(OSError):         # one may have ended by itself
        for session in lab_server.ask("sessions"):
            lab_server.ask(f"sessions/{session['id']}", "DELETE")


@pytest.fixture(scope="session")
def lab_server(tmp_path_factory):
    """JupyterLab through ``open_lab``, with settings folders of its own."""
    home = tmp_path_factory.mktemp("home")
    (home / "config").mkdir()
    (home / "config" / "jupyter_lab_config.json").write_text(json.dumps({"LabApp": {"expose_app_in_browser": True}}))
    environment = os.environ | {
        "HOME": str(home), "JUPYTER_CONFIG_DIR": str(home / "config"), "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTER_DATA_DIR": str(home / "data"), "IPYTHONDIR": str(home / "ipython"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"), "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]),
    }
    code = "from qkdlab.lab import open_lab; open_lab(browser=False, folder='work')"
    with open(home / "messages", "w+") as messages:
        process = subprocess.Popen([sys.executable, "-c", code], cwd=home, env=environment, text=True,
                                   stdout=subprocess.PIPE, stderr=messages)
        try:
            address = process.stdout.readline().strip()
            assert address.startswith("http://127.0.0.1:"), Path(home / "messages").read_text()
            yield Lab(address, home / "work")
        finally:
            process.terminate()
            ended = process.wait(120)
            process.stdout.close()
    assert ended == 0, "SIGTERM ends the lab in order"


@pytest.fixture(scope="module")
def chromium():                                # not longer than a module: its event loop would be in the way of others
    """Debian's Chromium, driven by Playwright."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed (pip install playwright)")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no Chromium here (apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium):
    """A page at 1280x720 that fails the test on any page error, console error, or request that leaves this machine.

    What anywidget says on a slow machine is let pass: our widgets go on all the same, which has a test of its own.
    """
    context = chromium.new_context(viewport={"width": 1280, "height": 720})
    context.set_default_timeout(180_000)       # busy machines
    problems = []

    def problem(words):
        if SLOW not in words:
            problems.append(words)

    def watch(page):                           # also the tabs that it opens
        page.on("pageerror", lambda error: problem(f"page error: {error}"))
        page.on("console", lambda line: problem(f"console: {line.text} {line.location}") if line.type == "error" else None)
        page.on("request", lambda request: None if request.url.startswith(_LOCAL)
                else problem(f"leaves the machine: {request.url}"))

    context.on("page", watch)
    yield context.new_page()
    context.close()
    assert not problems, "\n".join(problems)


def run_all(page, url=None):
    """Open a notebook (absent: the one that is open) and run its cells; returns when the kernel has begun."""
    if url:
        page.goto(url)
    page.wait_for_function(_IDLE, arg=(url or page.url).partition("/tree/")[2].partition("?")[0])
    page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells') }")


def of_kernel(page, expression):
    """What the kernel of the notebook in front says that this expression is, as text."""
    return page.evaluate("""async expression => {
        const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
        const reply = await kernel.requestExecute(
            {code: "", user_expressions: {x: expression}, store_history: false}).done;
        const {data, evalue} = reply.content.user_expressions.x;
        return data?.["text/plain"] ?? evalue }""", expression)


def rows(page, source):
    """Rows that the page shows of a named data source."""
    return page.evaluate("""name => { for (const d of window.Bokeh?.documents ?? []) {
        const s = d.get_model_by_name(name); if (s) return Object.values(s.data)[0].length } return -1 }""", source)


def wait_for_rows(page, source, more_than):
    """Return when the page shows more rows than this."""
    page.wait_for_function("""([name, n]) => (window.Bokeh?.documents ?? []).some(
        d => Object.values(d.get_model_by_name(name)?.data ?? {})[0]?.length > n)""", arg=[source, more_than])


def settled_rows(page, source):
    """Rows that the page shows once no more have come for two seconds: the last frame may still be on its way."""
    page.wait_for_function("""name => {
        const seen = (window.__settled ??= {}), now = Date.now();
        const n = Math.max(-1, ...(window.Bokeh?.documents ?? []).map(
            d => Object.values(d.get_model_by_name(name)?.data ?? {})[0]?.length ?? -1));
        if (seen[name]?.n !== n) seen[name] = { n, since: now };
        return now - seen[name].since > 2000 }""", arg=source)
    return rows(page, source)


def nameless(page):
    """What can be reached inside widgets by keyboard and has no name in the browser's accessibility tree, as HTML."""
    tools = page.context.new_cdp_session(page)
    found = []
    for node in tools.send("Accessibility.getFullAXTree")["nodes"]:
        states = {p["name"]: p["value"].get("value") for p in node.get("properties", [])}
        if node["ignored"] or not states.get("focusable") or node.get("name", {}).get("value"):
            continue
        thing = tools.send("DOM.resolveNode", {"backendNodeId": node["backendDOMNodeId"]})["object"]
        words = tools.send("Runtime.callFunctionOn", {
            "objectId": thing["objectId"], "returnByValue": True,
            "functionDeclaration": """function () {
                const ours = this.getRootNode().host || this.closest?.('.jupyter-widgets');
                return ours ? this.outerHTML.slice(0, 200) : '' }"""})
        found.append(words["result"]["value"])
    tools.detach()
    return [words for words in found if words and "jp-" not in words]


HAS_FOCUS = "name => document.activeElement.matches(name + ':focus-visible')"


def tab_to(page, name):
    """Press Tab until an element of the page has the focus, with a ring to be seen."""
    for _ in range(300):
        if page.evaluate(HAS_FOCUS, name):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"{name} is not reached by Tab")
