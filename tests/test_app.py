"""What ``qkdlab app`` refuses; the running apps are tested in the browser."""

import json
import socket

import pytest

from qkdlab import app, serving
from qkdlab.cli import main
from qkdlab.errors import BadInput
from qkdlab.serving import JUPYTER_DATA


def test_names():
    assert "replay" in app.app_names()


def test_bad_input(tmp_path, capsys):
    with pytest.raises(BadInput, match="replay"):
        app.open_app("repaly")
    with pytest.raises(BadInput, match="no such folder"):
        app.open_app(folder=tmp_path / "nothing", browser=False)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(BadInput, match="port"):
            app.open_app(port=taken.getsockname()[1], browser=False)
    assert main(["app", "nothing"]) == 2 and "known: " in capsys.readouterr().err


def test_nothing_of_the_folder_becomes_part_of_the_server(tmp_path):
    (tmp_path / "platform.py").write_text("raise SystemExit(3)")
    with serving.process("platform", [], tmp_path, {}) as server:
        assert server.wait(60) == 0


def test_the_token_is_not_on_the_command_line(monkeypatch):
    seen = {}
    monkeypatch.setattr(app, "process", lambda module, options, folder, environment: seen.update(
        options=options, environment=environment))
    monkeypatch.setattr(app, "serve", lambda *given, token, **rest: seen.update(token=token))
    app.open_app(browser=False)
    assert seen["environment"]["JUPYTER_TOKEN"] == seen["token"] and len(seen["token"]) == 48
    assert not [option for option in seen["options"] if seen["token"] in option]       # every user of the machine sees it
    assert "--Voila.auto_token=True" in seen["options"]                  # without it there is no token at all


def test_what_the_pages_are_made_of_is_shipped():
    extension = JUPYTER_DATA / "labextensions" / "qkdlab"
    load = json.loads((extension / "package.json").read_text())["jupyterlab"]["_build"]["load"]
    script = (extension / load).read_text()
    assert "__esModule: true" in script and "http" not in script.replace("http://www.w3.org", "")
    assert all(f'"{name}"' in script for name in app.app_names()), "a tile for each app"
    template = JUPYTER_DATA / "voila" / "templates" / "qkdlab"
    assert json.loads((template / "conf.json").read_text())["base_template"] == "lab"
    assert "http" not in (template / "index.html.j2").read_text()
