"""``qkdlab lab``: JupyterLab on a working copy of the shipped notebooks, on this machine only."""

import contextlib
import hashlib
import importlib.resources
import json
import os
import pathlib
import secrets
import tempfile

from .errors import BadInput
from .serving import checked_port, process, serve
from .settings import nearest

__all__ = ["copy_notebooks", "notebook_names", "open_lab"]

_APPS = """# The apps of the launcher end their kernel when their page is left, also one that was opened by its link.
from qkdlab.app_server import may_say_farewell

c.VoilaConfiguration.prelaunch_hook = may_say_farewell
"""
_RECORD = ".shipped.json"        # in the working folder: which text each notebook had when it was copied


def notebook_names():
    """Names of the shipped notebooks, such as ``"lab/live-session"``, sorted."""
    return sorted(_shipped())


def copy_notebooks(folder):
    """Put the shipped notebooks into a working folder. What the user changed there is never overwritten.

    A notebook that is still as it was copied is brought up to date when the shipped one has changed.

    Parameters
    ----------
    folder : path-like
        Made if it does not exist.

    Returns
    -------
    list of str
        Names that were copied or brought up to date.

    Raises
    ------
    BadInput
        Where the folder cannot be written.
    """
    folder = pathlib.Path(folder)
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        record = _read_record(folder / _RECORD)
        for name, text in _shipped().items():
            target = folder / f"{name}.ipynb"
            digest = hashlib.sha256(text).hexdigest()
            if target.exists():
                present = hashlib.sha256(target.read_bytes()).hexdigest()
                if present == digest or present != record.get(name):
                    continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(text)
            record[name] = digest
            written.append(name)
        (folder / _RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"cannot put the notebooks here: {error.strerror or error}", where=folder) from None
    return written


def open_lab(port=None, browser=True, folder=None, notebook="lab/live-session"):
    """Serve JupyterLab on the notebooks until it is stopped (Ctrl-C or SIGTERM).

    The address, with the token that lets one in, is the first line of stdout; the server's own messages go to stderr.

    Parameters
    ----------
    port : int, optional
        Absent: a free one.
    browser : bool
        Open the address in the default browser.
    folder : path-like, optional
        The working folder; absent: ``qkdlab-notebooks`` in the current directory.
    notebook : str
        Which one to show first: a name from :func:`notebook_names`.

    Raises
    ------
    BadInput
        A taken port, an unknown notebook, a folder that cannot be written, or a server that does not start.
    """
    notebook = str(notebook).removesuffix(".ipynb")
    if notebook not in notebook_names():
        raise BadInput(f"unknown notebook; {nearest(notebook, notebook_names())}", field="notebook", value=notebook)
    port = checked_port(port)
    folder = pathlib.Path("qkdlab-notebooks" if folder is None else folder).resolve()
    copy_notebooks(folder)
    token = secrets.token_hex(24)
    # a workspace of its own leaves the user's window layout alone
    serve(_server(port, folder, token), f"lab/workspaces/qkdlab/tree/{notebook}.ipynb", ready="api/status", port=port,
          token=token, browser=browser, words=f"JupyterLab serves {folder}")


def _shipped():
    """name -> bytes of each notebook in the package."""
    found = {}
    for room in importlib.resources.files("qkdlab.notebooks").iterdir():
        if room.is_dir():
            for file in room.iterdir():
                if file.name.endswith(".ipynb"):
                    found[f"{room.name}/{file.name.removesuffix('.ipynb')}"] = file.read_bytes()
    return found


def _read_record(path):
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}                              # then every notebook that is there counts as the user's
    return record if isinstance(record, dict) else {}


@contextlib.contextmanager
def _server(port, folder, token):
    """JupyterLab as a process of its own."""
    options = [
        "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0",
        "--ServerApp.open_browser=False", f"--ServerApp.root_dir={folder}", "--Application.log_level=WARN",
        "--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--VoilaConfiguration.template=qkdlab",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--allow-root")         # a container; the server listens on loopback alone
    with tempfile.TemporaryDirectory(prefix="qkdlab-") as settings:
        _configure(pathlib.Path(settings))
        paths = os.pathsep.join(filter(None, [settings, os.environ.get("JUPYTER_CONFIG_PATH")]))
        environment = {"JUPYTER_TOKEN": token, "JUPYTER_CONFIG_PATH": paths,
                       "QKDLAB_DATA": os.environ.get("QKDLAB_DATA", str(folder))}      # where the launcher's apps look
        with process("jupyterlab", options, folder, environment) as server:
            yield server


def _configure(folder):
    """Settings of this server alone; those of the user are not ours.

    No question about news at the first start: lab machines have no net. And widgets talk to the kernel without subshells:
    ipykernel 7.4 sends what a page says to a widget to the subshell that last spoke for it, and drops it where that one
    ended with an earlier tab. A second tab had no figures then, and its Stop was not heard.
    """
    (folder / "labconfig").mkdir()
    disabled = {"@jupyterlab/apputils-extension:announcements": True}
    (folder / "labconfig" / "page_config.json").write_text(json.dumps({"disabledExtensions": disabled}))
    kernels = {"@jupyterlab/apputils-extension:kernels-settings": {"commsOverSubshells": "disabled"}}
    (folder / "jupyter_server_config.py").write_text(_APPS)
    (folder / "labconfig" / "default_setting_overrides.json").write_text(json.dumps(kernels))
