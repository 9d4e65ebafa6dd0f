import types

import pytest

from qkdlab.errors import BadInput
from qkdlab.instruments import otdr_file
from qkdlab.instruments.otdr_file import connect


@pytest.fixture
def reader(monkeypatch):
    def read(path):
        if not str(path).endswith(".sor"):
            raise BadInput("not a trace", where=path)
        return ["trace of", path]

    menu = types.SimpleNamespace(get=lambda name: {"sor": types.SimpleNamespace(read=read)}[name])
    monkeypatch.setattr(otdr_file, "Registry", lambda package, need: menu)


def test_a_file_in_place_of_a_reflectometer(reader, tmp_path):
    path = tmp_path / "link.sor"
    with connect(path) as otdr, connect(f"file://{path}") as again:
        assert otdr.trace() == again.trace() == ["trace of", str(path)]
        assert otdr.identity() == "file,link.sor" and otdr.snapshot() == {}
    with pytest.raises(BadInput, match="not a trace"):
        connect(tmp_path / "link.txt")
