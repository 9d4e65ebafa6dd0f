"""The lab's working folder and what it refuses. The running lab is tested in the browser."""

import json
import socket

import pytest

from qkdlab import cli, lab
from qkdlab.errors import BadInput


def test_the_shipped_notebooks_are_named():
    assert {"lab/live-session", "tutorials/01-first-key"} <= set(lab.notebook_names())


def test_notebooks_are_copied_and_the_users_changes_stay(tmp_path):
    folder = tmp_path / "work"
    assert set(lab.copy_notebooks(folder)) == set(lab.notebook_names())
    mine, other = folder / "lab" / "live-session.ipynb", folder / "tutorials" / "01-first-key.ipynb"
    assert json.loads(mine.read_text())["nbformat"] == 4
    mine.write_text("my own")
    other.unlink()
    assert lab.copy_notebooks(folder) == ["tutorials/01-first-key"]
    assert mine.read_text() == "my own" and other.exists()
    assert lab.copy_notebooks(folder) == []


def test_an_unchanged_copy_is_brought_up_to_date(tmp_path, monkeypatch):
    monkeypatch.setattr(lab, "_shipped", lambda: {"lab/a": b"first", "lab/b": b"first"})
    lab.copy_notebooks(tmp_path)
    (tmp_path / "lab" / "b.ipynb").write_bytes(b"mine")
    monkeypatch.setattr(lab, "_shipped", lambda: {"lab/a": b"second", "lab/b": b"second"})
    assert lab.copy_notebooks(tmp_path) == ["lab/a"]
    assert (tmp_path / "lab" / "a.ipynb").read_bytes() == b"second"
    assert (tmp_path / "lab" / "b.ipynb").read_bytes() == b"mine"


@pytest.mark.parametrize("damage", [b"", b"[1]", b"\xff\xfe", b'{"lab/a": 3}'])
def test_a_lost_record_counts_every_notebook_as_the_users(tmp_path, monkeypatch, damage):
    monkeypatch.setattr(lab, "_shipped", lambda: {"lab/a": b"first"})
    lab.copy_notebooks(tmp_path)
    (tmp_path / ".shipped.json").write_bytes(damage)
    monkeypatch.setattr(lab, "_shipped", lambda: {"lab/a": b"second"})
    assert lab.copy_notebooks(tmp_path) == []
    assert (tmp_path / "lab" / "a.ipynb").read_bytes() == b"first"


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "work").write_text("")
    with pytest.raises(BadInput, match="work"):
        lab.copy_notebooks(tmp_path / "work")


def test_a_taken_port_is_refused(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(BadInput, match="port"):
            lab.open_lab(port=taken.getsockname()[1], browser=False, folder=tmp_path)


@pytest.mark.parametrize("port", [-1, 99999, 80.5])
def test_an_impossible_port_is_refused(tmp_path, port):
    with pytest.raises(BadInput, match="port"):
        lab.open_lab(port=port, browser=False, folder=tmp_path)


def test_an_unknown_notebook_is_refused_with_the_nearest_name(tmp_path):
    with pytest.raises(BadInput, match="lab/live-session"):
        lab.open_lab(browser=False, folder=tmp_path, notebook="lab/live-sesion")
    assert not list(tmp_path.iterdir()), "nothing is written before all is in order"


def test_the_command_takes_the_notebook_to_show(capsys):
    assert cli.main(["lab", "tutorials/01-first-kee", "--no-browser"]) == 2
    assert "did you mean 'tutorials/01-first-key'" in capsys.readouterr().err
