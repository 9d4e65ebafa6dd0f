"""A run in a process of its own, watched and steered through its folder."""

import json
import os
import signal
import time
from importlib.resources import files

import pytest

from qkdlab import datasets, detached
from qkdlab.datatypes import DistillSettings, Event
from qkdlab.errors import BadInput
from qkdlab.session import Session

DEMO = files("qkdlab.datasets") / "demo"
PATIENCE_S = 120


def test_it_ends_with_the_report_of_a_session(tmp_path):
    run = detached.prepare(DEMO, tmp_path)
    assert (run.state, run.report) == ("waiting", None)
    run.start()
    assert run.wait(PATIENCE_S) and run.state == "ended"
    here = Session(datasets.open(DEMO)).run()
    assert run.report["bob_key_sha256"] == here["bob_key_sha256"] and run.report["secret_bits"] > 0
    told = list(run.events())
    assert [told[0].step, told[-1].step] == ["start", "end"]
    assert told[-1].values["report"] == run.report
    assert all(isinstance(e, Event) for e in told)
    with pytest.raises(RuntimeError, match="begun already"):
        run.start()


def test_every_reader_hears_all_of_it(tmp_path):
    """Also one that comes when the run has ended: a page that was reloaded."""
    run, first, later = detached.prepare(DEMO, tmp_path), [], []
    run.subscribe(first.append)
    run.start()
    assert run.wait(PATIENCE_S)
    detached.DetachedRun(run.folder).subscribe(later.append)
    until = time.monotonic() + PATIENCE_S
    while (not first or not later or first[-1].step != "end" or later[-1].step != "end") and time.monotonic() < until:
        time.sleep(0.01)
    assert first == later and first[-1].step == "end"


def test_runs_in_order_by_one_process(tmp_path):
    a, b = (detached.prepare(DEMO, tmp_path, distill=DistillSettings(abort_qber=q)) for q in (0.11, 0.001))
    detached.begin(a, b)
    assert a.wait(PATIENCE_S) and b.wait(PATIENCE_S)
    assert a.report["secret_bits"] > 0 and b.report["secret_bits"] == 0
    assert [r.folder for r in detached.runs(tmp_path)] == sorted([a.folder, b.folder], reverse=True)


def test_it_is_stopped_from_outside(tmp_path):
    run = detached.prepare(DEMO, tmp_path, pace=0.001)       # ten minutes, unless it is stopped
    run.start()
    next(run.events())
    run.pause()
    assert run.state == "paused"
    run.resume()
    run.stop()
    assert run.wait(PATIENCE_S) and run.report["ledger"] is not None


def test_a_stop_before_the_start(tmp_path):
    run = detached.prepare(DEMO, tmp_path)
    run.stop()
    run.start()
    assert run.wait(PATIENCE_S) and list(run.events())[-1].values["message"] == "stopped before it began"
    assert run.report is None


def test_a_process_that_dies_is_missed(tmp_path):
    run = detached.prepare(DEMO, tmp_path, pace=0.001)
    run.start()
    next(run.events())
    os.kill(json.loads((run.folder / "process.json").read_text())["pid"], signal.SIGKILL)
    assert run.wait(PATIENCE_S) and run.state == "lost"
    assert "died" in list(run.events())[-1].values["message"]


def test_bad_input_is_told(tmp_path):
    with pytest.raises(BadInput, match="no such file"):
        detached.prepare(tmp_path / "nothing.ptu", tmp_path)
    with pytest.raises(BadInput, match="no run is kept here"):
        detached.DetachedRun(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadInput, match="cannot keep runs here"):
        detached.prepare(DEMO, tmp_path / "file")
    run = detached.prepare(tmp_path / "file", tmp_path)
    run.start()
    assert run.wait(PATIENCE_S)
    last = list(run.events())[-1]
    assert last.step == "error" and "no known recording" in last.values["message"]


@pytest.mark.parametrize("job", ["[]", "{", '{"recording": 5}', '{"recording": "x", "distill": {"nonsense": 1}}'])
def test_what_is_no_run_is_passed_over(tmp_path, job):
    run = detached.prepare(DEMO, tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "job.json").write_text(job)
    assert [r.folder for r in detached.runs(tmp_path)] == [run.folder]


def test_no_key_is_in_the_folder(tmp_path, monkeypatch):
    """The keys of the run, packed or as text, are in none of its files."""
    from qkdlab import parties

    run, keys = detached.prepare(DEMO, tmp_path), []
    amplify = parties.amplify
    monkeypatch.setattr(parties, "amplify", lambda *a, **k: keys.append(amplify(*a, **k)) or keys[-1])
    detached.main([str(run.folder)])
    assert len(keys) == 2 and run.report["secret_bits"] == len(keys[0])
    for path in run.folder.iterdir():
        held = path.read_bytes()
        for key in keys:
            bits = key.to_numpy()[:128]
            for form in ("".join(map(str, bits)), json.dumps(bits.tolist()), key.to_bytes()[:16].hex()):
                assert form.encode() not in held
