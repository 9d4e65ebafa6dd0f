"""Sweeps: the same numbers whoever computes them, and nothing computed twice."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

import pytest

from qkdlab import sweeps
from qkdlab.cli import main
from qkdlab.errors import BadInput
from qkdlab.settings import read_toml
from qkdlab.store import SECTIONS

LINK = pathlib.Path(__file__).with_name("link.toml")
VARY = {"link.loss_db": [0, 4], "detectors.efficiency": [0.3, 0.5]}
SECONDS = 0.02


@pytest.mark.parametrize(("text", "expected"), [
    ("0:40:10", [0, 10, 20, 30, 40]), ("0:1:0.25", [0, 0.25, 0.5, 0.75, 1]), ("0:0.3:0.1", [0, 0.1, 0.2, 0.3]),
    ("5:0:-2", [5, 3, 1]), ("0:5:2", [0, 2, 4]), ("1e-3:2e-3:1e-3", [0.001, 0.002]), ("3", [3]), ("0.1, 0.2", [0.1, 0.2]),
    ("lim2014,rusca2018", ["lim2014", "rusca2018"]), ("[0.5, 0.1], [0.6, 0.2]", [[0.5, 0.1], [0.6, 0.2]]),
    ("true", [True]), ("7:7:1", [7])])
def test_values(text, expected):
    found = sweeps.values(text)
    assert found == expected and [type(v) for v in found] == [type(v) for v in sweeps.values(text)]
    assert all(isinstance(v, int) for v in sweeps.values("0:4:2"))


@pytest.mark.parametrize("text", ["", ",", "0:40:0", "0:40:-1", "0:1e9:0.001", "1,,2"])
def test_unfit_values(text):
    with pytest.raises(BadInput):
        sweeps.values(text)


def grid(**changes):
    return sweeps.tasks(read_toml(LINK, SECTIONS), **({"vary": VARY, "seconds": SECONDS} | changes))


def test_tasks_are_known_by_their_content():
    made = grid()
    assert [t.point for t in made] == [{"link.loss_db": a, "detectors.efficiency": b} for a in (0, 4) for b in (0.3, 0.5)]
    assert len({t.key for t in made}) == len({t.seed for t in made}) == 4
    assert [t.key for t in made] == [t.key for t in grid()]
    wider = grid(vary={"link.loss_db": [4, 8, 0], "detectors.efficiency": [0.5]})
    assert {t.key: t.seed for t in wider}.items() & {t.key: t.seed for t in made}.items() == {
        (made[1].key, made[1].seed), (made[3].key, made[3].seed)}
    for other in (grid(seconds=0.03), grid(seed=1), grid(analysis="optimise")):
        assert not {t.key for t in other} & {t.key for t in made}
    assert made[0].content["tables"]["channel"]["distance_km"] == 0
    assert made[2].content["tables"]["channel"]["extra_loss_db"] == 4
    assert sweeps.tasks({}, {})[0].content["tables"]["source"]["clock_hz"] == 1e9


@pytest.mark.parametrize(("changes", "field"), [
    ({"vary": {"link.loss": [1]}}, "vary"), ({"vary": {"detectors": [1]}}, "vary"),
    ({"vary": {"detectors.eficiency": [1]}}, "eficiency"), ({"vary": {"detectors.efficiency": [2]}}, "efficiency"),
    ({"vary": {"link.loss_db": ["much"]}}, "extra_loss_db"), ({"seconds": 0}, "seconds"),
    ({"seconds": float("nan")}, "seconds"),
    ({"seed": -1}, "seed"), ({"analysis": "guess"}, "analysis"),
    ({"vary": {"link.loss_db": range(400), "detectors.efficiency": range(400)}}, "vary")])
def test_all_points_are_checked_before_the_first(changes, field):
    with pytest.raises(BadInput) as caught:
        grid(**changes)
    assert caught.value.field == field


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    return folder, sweeps.sweep(LINK, VARY, folder, seconds=SECONDS)


def test_less_loss_gives_more(serial):
    folder, rows = serial
    tags = [row["values"]["tags"] for row in rows]
    assert tags[1] > tags[0] and tags[1] > tags[3] > tags[2]
    assert {row["values"]["secret_bits"] > 0 or bool(row["values"]["reason"]) for row in rows} == {True}
    table = (folder / "table.csv").read_text().splitlines()
    assert len(table) == 5 and table[0].startswith("link.loss_db,detectors.efficiency,secret_bits")
    ET.fromstring((folder / "plot.svg").read_text())
    assert len((folder / "results.jsonl").read_text().splitlines()) == 4


@pytest.mark.parametrize("workers", ["threads:2", "processes:2"])
def test_the_same_on_any_workers(serial, workers, tmp_path):
    assert sweeps.sweep(LINK, VARY, tmp_path, seconds=SECONDS, workers=workers) == serial[1]


def test_what_is_done_is_not_done_again(serial, monkeypatch, tmp_path):
    folder, rows = serial
    lines = (folder / "results.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "results.jsonl").write_text("".join(lines[:2]) + lines[2][:30])        # the third was cut short
    done = []
    run_task = sweeps.run_task
    monkeypatch.setattr(sweeps, "run_task", lambda task: done.append(task.key) or run_task(task))
    told = []
    again = sweeps.sweep(LINK, VARY, tmp_path, seconds=SECONDS, progress=lambda n, of: told.append((n, of)))
    assert again == rows and set(done) == {row["key"] for row in rows} - {json.loads(line)["key"] for line in lines[:2]}
    assert told == [(2, 4), (3, 4), (4, 4)]
    assert sweeps.sweep(LINK, VARY, tmp_path, seconds=SECONDS) == rows and len(done) == 2


def test_a_failed_task_is_tried_again(monkeypatch, tmp_path):
    vary, run_task = {"link.loss_db": [0, 4]}, sweeps.run_task

    def failing(task):
        if task.point["link.loss_db"] == 4:
            raise RuntimeError("no luck")
        return run_task(task)

    monkeypatch.setattr(sweeps, "run_task", failing)
    first = sweeps.sweep(LINK, vary, tmp_path, seconds=SECONDS)
    assert "values" in first[0] and first[1]["error"] == "RuntimeError: no luck"
    assert "no luck" in (tmp_path / "table.csv").read_text()
    monkeypatch.setattr(sweeps, "run_task", run_task)
    assert "values" in sweeps.sweep(LINK, vary, tmp_path, seconds=SECONDS)[1]


def test_an_interrupt_keeps_what_is_finished(monkeypatch, tmp_path):
    def interrupt(done, of):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweeps.sweep(LINK, VARY, tmp_path, seconds=SECONDS, workers="threads:1", progress=interrupt)
    assert len(sweeps.read_results(tmp_path / "results.jsonl")) == 2


def test_foreign_lines_are_refused(tmp_path):
    (tmp_path / "results.jsonl").write_text('{"other": 1}\n')
    with pytest.raises(BadInput, match="line 1"):
        sweeps.sweep(LINK, {"link.loss_db": [0]}, tmp_path, seconds=SECONDS)


def test_optimise(tmp_path):
    rows = sweeps.sweep(LINK, {"link.loss_db": [5, 15]}, tmp_path, analysis="optimise")
    assert rows[0]["values"]["rate"] > rows[1]["values"]["rate"] > 0


def test_a_killed_sweep_goes_on(serial, tmp_path):
    command = [sys.executable, "-m", "qkdlab", "sweep", str(LINK), "--vary", "link.loss_db=0,4", "--vary",
               "detectors.efficiency=0.3,0.5", "--seconds", str(SECONDS), "-o", str(tmp_path), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end, file = time.monotonic() + 300, tmp_path / "results.jsonl"
    while not (file.exists() and file.read_bytes().count(b"\n")):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = file.read_bytes()
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    assert json.loads(done.stdout)["rows"] == serial[1], done.stderr
    assert file.read_bytes().startswith(before[: before.rfind(b"\n") + 1]) and file.read_bytes().count(b"\n") == 4


def test_command(capsys, tmp_path):
    argv = ["sweep", str(LINK), "--vary", "link.loss_db=0:4:4", "--seconds", "0.06", "-o", str(tmp_path / "out")]
    assert main(argv) == 0
    out, err = capsys.readouterr()
    assert "link.loss_db" in out and len(out.splitlines()) == 3 and "plot.svg" in err
    assert main([*argv, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["rows"]) == 2
    for bad in (["--vary", "x"], ["--vary", "link.loss=1"], ["--vary", "link.loss_db=1", "--workers", "many"]):
        assert main(["sweep", str(LINK), *bad, "-o", str(tmp_path / "bad")]) == 2
        assert capsys.readouterr().err.count("\n") == 1
