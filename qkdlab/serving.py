"""A Jupyter server as a process of its own, on this machine only, until it is stopped."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import webbrowser

from .errors import BadInput
from .ports import free_ports

__all__ = ["JUPYTER_DATA", "checked_port", "ended_by_sigterm", "process", "serve", "wait_until_up"]

JUPYTER_DATA = pathlib.Path(__file__).parent / "jupyter"         # templates and extensions, found through JUPYTER_PATH


def checked_port(port):
    """`port` if nobody listens there, or a free one: one that no outgoing connection is given until the server is up."""
    port = port or free_ports(1)
    with socket.socket() as probe:
        if os.name == "posix":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError, TypeError) as error:
            raise BadInput(f"cannot serve on this port: {getattr(error, 'strerror', None) or error}", field="port",
                           value=port) from None
        return port


@contextlib.contextmanager
def process(module, options, folder, environment):
    """``python -m module options`` in a group of its own, so that Ctrl-C reaches it through us only.

    Parameters
    ----------
    module : str
    options : sequence of str
    folder : path-like
        Working folder.
    environment : dict of str to str
        Beside the present one; our data folder and those of the user are on ``JUPYTER_PATH``.

    Yields
    ------
    subprocess.Popen
    """
    paths = os.pathsep.join(filter(None, [str(JUPYTER_DATA), os.environ.get("JUPYTER_PATH")]))
    # the kernels of this environment come before any of the same name in the user's home
    environment = os.environ | {"JUPYTER_PREFER_ENV_PATH": "1", "JUPYTER_PATH": paths} | environment
    # -P: a random.py among the recordings is none of the server's modules
    server = subprocess.Popen([sys.executable, "-P", "-m", module, *options], env=environment, cwd=folder,
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        yield server
    finally:
        server.terminate()                     # Jupyter ends its kernels on SIGTERM
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def wait_until_up(server, address, token, patience_s=120):
    """Return when the server answers at this address."""
    asked = urllib.request.Request(address, headers={"Authorization": f"token {token}"})
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if server.poll() is not None:
            raise BadInput("the server ended while starting; its messages are above", where=address)
        try:
            with direct.open(asked, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise BadInput(f"the server did not answer within {patience_s} s", where=address)


@contextlib.contextmanager
def ended_by_sigterm():
    """Turn SIGTERM into an orderly end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def serve(starting, path, *, ready, port, token, words, browser):
    """Serve a page until it is stopped (Ctrl-C or SIGTERM). Its address is the first line of stdout.

    Parameters
    ----------
    starting : context manager
        Gives the server's process, as :func:`process` does.
    path : str
        Of the page; the token that lets one in is added.
    ready : str
        Path of what the server answers once it is up.
    port : int
    token : str
    words : str
        What is served, for a person: to stderr.
    browser : bool
        Open the address in the default browser.
    """
    here = f"http://127.0.0.1:{port}"
    address = f"{here}/{path}?token={token}"
    with contextlib.suppress(KeyboardInterrupt), ended_by_sigterm(), starting as server:
        wait_until_up(server, f"{here}/{ready}", token)
        print(address, flush=True)
        print(f"{words}; stop it with Ctrl-C.", file=sys.stderr, flush=True)
        if browser:
            webbrowser.open(address)
        server.wait()
