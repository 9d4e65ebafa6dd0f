"""Every shipped notebook: as it is kept in the repository, and executed without a browser."""

import ast
import os
import pathlib

import nbclient
import nbformat
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted(p for p in (ROOT / "notebooks").glob("*/*.ipynb") if ".ipynb_checkpoints" not in p.parts)
each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: f"{p.parent.name}/{p.stem}")


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_notebooks():
    assert {p.parent.name for p in NOTEBOOKS} >= {"lab", "tutorials"}


@each
def test_kept_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in code_cells(notebook):
        assert not cell.outputs and cell.execution_count is None
    assert "widgets" not in notebook.metadata


@each
def test_cells_call_and_are_few(path):
    notebook = nbformat.read(path, as_version=4)
    assert 1 <= len(code_cells(notebook)) <= 12
    for cell in code_cells(notebook):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                assert node.end_lineno - node.lineno < 5, f"a def of more than five lines: {node.name}"
        assert len(cell.source.splitlines()) <= 12


@each
def test_begins_with_what_one_will_see(path):
    first = nbformat.read(path, as_version=4).cells[0]
    assert first.cell_type == "markdown" and first.source.startswith("# ")
    assert "will" in first.source.split("\n\n")[1]


@each
def test_runs_to_its_end(path, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=600, startup_timeout=300, resources={"metadata": {"path": tmp_path}}).execute()
    printed = [o for cell in code_cells(notebook) for o in cell.outputs]
    assert not [o for o in printed if o.output_type == "error" or o.get("name") == "stderr"]
    if path.stem == "01-first-key":
        assert any("SECRET KEY" in o.get("text", "") and "(equal)" in o.get("text", "") for o in printed)
