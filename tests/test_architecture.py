"""The layers of the house: imports go downwards only, heavy libraries stay out of ``import qkdlab``."""

import ast
import json
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "qkdlab"
BASE = {"bits", "choices", "classical_channel", "datatypes", "draws", "entropy", "errors", "palette", "ports",
        "preamble", "provenance", "public_settings", "registry", "settings", "streams", "svg"}
STEPS = {"datasets", "instruments", "postprocessing", "proofs", "protocols"}
TOP = {"accounting", "archive", "bench", "bench_check", "bench_file", "calibration", "chart", "classroom",
       "detached", "executors", "figures", "html_report", "ledger", "live", "parties", "played", "randomness",
       "receiver", "report", "session", "standing", "store", "sweeps", "verdict", "watch"}
FRONT = {"__main__", "app", "app_server", "benchmarks", "cli", "lab", "serving", "widgets"}
LIGHT = {"numpy", "scipy"}                    # third-party modules that may be imported at the top of a module
VIEW = {"IPython", "anywidget", "bokeh", "ipywidgets", "traitlets"}


def layer(room):
    """Height of a room, or None for the package itself."""
    for height, rooms in enumerate(({"_ext"}, BASE, {"simulation"}, STEPS, TOP, FRONT)):
        if room in rooms:
            return height
    return None


def sources():
    return sorted(p for p in PACKAGE.glob("**/*.py") if "notebooks" not in p.parts) + sorted(
        p for room in ("_ext", "benchmarks", "datasets", "instruments") for p in (PACKAGE / room).glob("**/*.py"))


def imports(path):
    """(imported qkdlab room or third-party top name, is ours, at top level) for each import of a module."""
    parts = ("qkdlab", *path.relative_to(PACKAGE).with_suffix("").parts)
    package = parts[:-1]
    tree = ast.parse(path.read_text())
    top = set(map(id, tree.body))
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [a.name.split(".") for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            module = base + (node.module.split(".") if node.module else [])
            names = [[*module, a.name] for a in node.names] if module == ["qkdlab"] else [module]
        for name in names:
            ours = name[0] == "qkdlab"
            yield (name[1] if ours and len(name) > 1 else name[0]), ours, id(node) in top


def room_of(path):
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else path.stem


def test_every_room_has_its_place_and_every_place_its_room():
    assert {room_of(path) for path in sources()} - {"__init__"} == {"_ext", "simulation"} | BASE | STEPS | TOP | FRONT


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_private_names_stay_in_their_module(path):
    asked = [(node.module, alias.name) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)
             for alias in node.names]
    assert not [ask for ask in asked if ask[1].startswith("_") and not ask[1].startswith("__") and ask[1] != "_ext"]


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_downwards(path):
    room = room_of(path)
    if room == "__init__":
        return
    mine = layer(room)
    assert mine is not None, f"{room} has no place in the house: add it to a layer here and in the design"
    for name, ours, _ in imports(path):
        if ours and name != room and layer(name) is not None:
            assert layer(name) < mine or (layer(name) == mine and mine in (1, 4, 5)), f"{room} imports {name}"


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_heavy_libraries_are_imported_where_they_are_used(path):
    for name, ours, at_top in imports(path):
        if ours or name in sys.stdlib_module_names:
            continue
        assert room_of(path) == "widgets" or name not in VIEW, f"only widgets imports {name}"
        if at_top and room_of(path) != "widgets":
            assert name in LIGHT, f"{name} is imported at the top: import it inside the function that needs it"


@pytest.mark.parametrize("door", ["qkdlab", "qkdlab.cli"])
def test_a_front_page_loads_nothing_heavy(door):
    code = f"import {door}, sys, json; print(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    loaded = set(json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout))
    assert not loaded & {"bokeh", "ipywidgets", "anywidget", "h5py", "dask", "scipy", "numpy", "jupyterlab", "tqdm"}
    roots = {"benchmarks", "instruments", "datasets"}
    assert not loaded & roots, "the root folders must be imported as qkdlab.instruments, ..."


def test_public_names_resolve():
    import qkdlab

    for name in qkdlab.__all__:
        assert getattr(qkdlab, name) is not None
