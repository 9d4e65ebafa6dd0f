"""The technician's page without a browser: what its buttons do and what it says."""

import json
import os
import shutil
import signal
import threading
import time
from importlib.resources import files

import pytest

from qkdlab import detached
from qkdlab.widgets import run_page
from qkdlab.widgets.replay_app import ReplayApp

DEMO = files("qkdlab.datasets") / "demo"


@pytest.fixture
def lab(tmp_path):
    """A folder with a recording, a file of detections alone, a damaged one, and something else."""
    shutil.copytree(DEMO, tmp_path / "yesterday")
    shutil.copy(DEMO / "bob.ptu", tmp_path / "tags.ptu")
    (tmp_path / "notes.txt").write_text("open the shutter")
    return tmp_path


def wait_for(what, patience_s=90):
    until = time.monotonic() + patience_s
    while not what():
        assert time.monotonic() < until
        time.sleep(0.02)


def choose(app, name):
    app._choice.value = next(path for _, path in app._choice.options if path.name == name)


def test_from_a_recording_to_a_verdict_and_a_report(lab):
    app = ReplayApp(lab)
    assert {p.name for _, p in app._choice.options} == {"yesterday", "tags.ptu"}
    choose(app, "yesterday")
    assert "100 million pulses" in app._what.value and not app._start.disabled
    app.start()
    wait_for(lambda: "qk-report" in app.page._download.value)
    assert "gives a secret key" in app.page._verdict.value
    run, = detached.runs(app.runs_folder)
    assert "<svg" in (run.folder / "report.html").read_text()
    wait_for(lambda: "key of" in app.page._all.value)
    app.start()
    wait_for(lambda: len(detached.runs(app.runs_folder)) == 2 and "qk-report" in app.page._download.value)
    app.page._beside.value = run.folder
    assert "as before" in app.page._table.value
    app.close()


def test_a_page_that_comes_later_goes_on_with_the_run(lab):
    run = detached.prepare(lab / "yesterday", lab / "qkdlab-runs", pace=0.05)
    run.start()
    first, second = ReplayApp(lab), ReplayApp(lab)           # two tabs
    wait_for(lambda: first.page._readout.state == second.page._readout.state == "running")
    first.start()
    second.start_all()
    assert len(detached.runs(first.runs_folder)) == 1        # pressed while it runs
    first.stop()
    wait_for(lambda: second.page._verdict.value and first.page._verdict.value)
    assert first.page._verdict.value == second.page._verdict.value
    wait_for(lambda: not second._start.disabled)
    for app in (first, second):
        app.close()


def test_the_whole_list_in_one_go(lab):
    shutil.copytree(DEMO, lab / "monday")
    app = ReplayApp(lab)
    app.start_all()                                          # without the file of which no key can be made
    wait_for(lambda: app.page._all.value.count("key of") == 2 and not app._start_all.disabled)
    app.page._earlier.value = app.page._earlier.options[-1][1]
    wait_for(lambda: "gives a secret key" in app.page._verdict.value)
    app.close()


def test_files_that_give_no_verdict(lab):
    app = ReplayApp(lab)
    choose(app, "tags.ptu")
    assert "detections only" in app._what.value and app._start.disabled
    (lab / "qkdlab-runs" / "dropped" / "drop-0001").mkdir(parents=True)
    wrong = lab / "qkdlab-runs" / "dropped" / "drop-0001" / "holiday.jpg"
    wrong.write_bytes(b"\xff\xd8\xff" + bytes(100))
    choose(app, "yesterday")
    assert not app._start.disabled
    app._received([wrong])
    assert app._start.disabled, "not what was chosen before"
    assert "not a recording that can be read: holiday.jpg: byte 0: no known recording begins like this.<" in app._what.value
    assert not wrong.exists(), "the copy is of no use"
    half = [lab / "qkdlab-runs" / "dropped" / "drop-0002" / name for name in ("alice.npz", "run.toml")]
    half[0].parent.mkdir()
    for path in half:
        shutil.copy(DEMO / path.name, path)
    app._received(half)
    assert "bob.ptu" in app._what.value and app._start.disabled and not half[0].exists()
    assert str(lab) not in app._what.value
    damaged = lab / "yesterday" / "bob.ptu"
    damaged.write_bytes(damaged.read_bytes()[:2000])
    choose(app, "yesterday")
    app.start()
    wait_for(lambda: app.page._verdict.value)
    assert "verdict" in app.page._verdict.value and "Traceback" not in app.page._verdict.value
    assert "gives a secret key" not in app.page._verdict.value
    app.close()


def test_stop_ends_the_whole_list(lab):
    app, queue = ReplayApp(lab), []
    app.page.begin(lambda: queue.extend(
        detached.prepare(lab / "yesterday", lab / "qkdlab-runs", pace=0.1) for _ in range(3)) or queue)
    wait_for(lambda: "2 more to come" in app.page._status.value)
    later = ReplayApp(lab)                                   # a tab opened meanwhile follows all of them
    wait_for(lambda: "2 more to come" in later.page._status.value)
    app.stop()
    wait_for(lambda: all(run.state == "ended" for run in queue))
    assert [run.report is None for run in queue] == [False, True, True]
    wait_for(lambda: "was stopped before it began" in later.page._verdict.value)
    for page in (app, later):
        page.close()


def test_runs_whose_process_died_before_them_do_not_block_the_page(lab):
    runs = [detached.prepare(lab / "yesterday", lab / "qkdlab-runs", pace=0.1) for _ in range(2)]
    detached.prepare(lab / "yesterday", lab / "qkdlab-runs")          # and one that was never begun
    detached.begin(*runs)
    wait_for(lambda: runs[0].state == "running")
    assert runs[1].state == "waiting"
    os.kill(json.loads((runs[0].folder / "process.json").read_text())["pid"], signal.SIGKILL)
    wait_for(lambda: [run.state for run in runs] == ["lost", "lost"])
    app = ReplayApp(lab)
    choose(app, "yesterday")
    assert not app.page.busy and not app._start.disabled and app.page._all.value.count("broken off") == 2
    app.close()


def test_the_report_of_one_run_never_stands_under_another(lab, monkeypatch):
    drawing, go_on = threading.Event(), threading.Event()

    def slowly(*given, **named):
        drawing.set()
        assert go_on.wait(60)
        return "<p>the first</p>"

    app = ReplayApp(lab)
    choose(app, "yesterday")
    monkeypatch.setattr(run_page, "page", slowly)
    app.start()
    assert drawing.wait(60)
    monkeypatch.setattr(run_page, "page", lambda *given, **named: "<p>the second</p>")
    app.start()                                              # while the first report is being drawn
    wait_for(lambda: "qk-report" in app.page._download.value)
    shown = app.page._download.value
    go_on.set()
    second, first = detached.runs(app.runs_folder)
    wait_for(lambda: (first.folder / "report.html").exists())
    assert app.page._download.value == shown and (second.folder / "report.html").read_text() == "<p>the second</p>"
    app.close()


def test_a_page_tells_what_the_last_run_came_to(lab):
    run = detached.prepare(lab / "yesterday", lab / "qkdlab-runs")
    run.start()
    assert run.wait(90)
    app = ReplayApp(lab)
    assert "The last run, yesterday of" in app.page._status.value and "key of" in app.page._status.value
    assert not app.page._table.value
    app.page._beside.value = run.folder
    assert "once a run with a verdict is shown" in app.page._table.value
    app.close()


def test_an_empty_folder(tmp_path):
    app = ReplayApp(tmp_path)
    assert app._start.disabled and app._start_all.disabled and "Nothing is chosen" in app._what.value
    app.start()
    app.start_all()
    assert not detached.runs(app.runs_folder)
    app._choice.value = app._choice.options[1][1]        # what comes with qkdlab, to see how it goes
    assert not app._start.disabled and "100 million pulses" in app._what.value
    app.start()
    wait_for(lambda: "qk-report" in app.page._download.value)
    app.refresh()
    assert "gives a secret key" in app.page._verdict.value and app._choice.value.name == "demo"
    app.close()
