"""``qkdlab app``: a page without any code in sight, in the browser, on this machine only."""

import importlib.resources
import pathlib
import secrets
import shutil
import tempfile

from .errors import BadInput
from .serving import checked_port, process, serve
from .settings import nearest

__all__ = ["app_names", "open_app"]

CULL_SECONDS = 300               # a kernel whose page broke off ends after this; runs do not live in kernels


def app_names():
    """Names of the apps, sorted."""
    return sorted(_shipped())


def open_app(name="replay", port=None, browser=True, folder=None):
    """Serve an app until it is stopped (Ctrl-C or SIGTERM).

    The address, with the token that lets one in, is the first line of stdout; the server's own messages go to stderr.

    Parameters
    ----------
    name : str
        From :func:`app_names`.
    port : int, optional
        Absent: a free one.
    browser : bool
        Open the address in the default browser.
    folder : path-like, optional
        Where recordings are looked for; absent: the current folder.

    Raises
    ------
    BadInput
        An unknown app, a taken port, no such folder, or a server that does not start.
    """
    if name not in app_names():
        raise BadInput(f"unknown app; {nearest(name, app_names())}", field="app", value=name)
    folder = pathlib.Path(folder or ".").resolve()
    if not folder.is_dir():
        raise BadInput("no such folder", where=folder)
    port, token = checked_port(port), secrets.token_hex(24)
    with tempfile.TemporaryDirectory(prefix="qkdlab-app-") as place:
        page = shutil.copy(_shipped()[name], pathlib.Path(place) / f"{name}.ipynb")
        starting = process("qkdlab.app_server", [str(page), *_options(port)], folder,
                           {"QKDLAB_DATA": str(folder), "JUPYTER_TOKEN": token})
        serve(starting, "", ready="voila/static/voila.js", port=port, token=token, browser=browser,
              words=f"The app '{name}' looks for recordings in {folder}")


def _options(port):
    return [                                             # the token is not among them: others can read these
        "--Voila.ip=127.0.0.1", f"--Voila.port={port}", "--Voila.port_retries=0", "--Voila.open_browser=False",
        "--Voila.auto_token=True", "--template=qkdlab", "--theme=light", "--Application.log_level=ERROR",
        # A kernel made in advance counts as idle since then: it could end before the page that gets it has connected.
        "--preheat_kernel=False",
        "--MappingKernelManager.cull_interval=10", f"--MappingKernelManager.cull_idle_timeout={CULL_SECONDS}",
    ]


def _shipped():
    """name -> path of each app's notebook in the package."""
    room = importlib.resources.files("qkdlab.notebooks") / "apps"
    return {file.name.removesuffix(".ipynb"): file for file in room.iterdir() if file.name.endswith(".ipynb")}
