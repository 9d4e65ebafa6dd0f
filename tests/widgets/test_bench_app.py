"""The bench page without a browser: devices answer, a run is made without code, mistakes are told in words."""

import time

from qkdlab import detached
from qkdlab.widgets.bench_app import BenchApp


def wait_for(what, patience_s=120):
    until = time.monotonic() + patience_s
    while not what():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_the_devices_are_asked_and_a_run_is_made(tmp_path):
    app = BenchApp(tmp_path)
    app.check()
    wait_for(lambda: "answers" in app._devices.value)
    assert "tagger" in app._devices.value and "does not answer" not in app._devices.value
    app.start()
    wait_for(lambda: app.page._verdict.value)
    run, = detached.runs(app.runs_folder)
    assert run.state == "ended" and (run.folder / "run.h5").exists(), app.page._verdict.value
    assert "verdict" in app.page._verdict.value and "Traceback" not in app.page._verdict.value
    assert run.report is not None and run.report["simulated"] is True and run.report["clicks"] > 1000
    app.close()


def test_a_bench_file_with_a_mistake_is_told(tmp_path):
    (tmp_path / "ours.toml").write_text("[devices.tagger]\ndriver = 'id90'\naddress = 'zmq://127.0.0.1:1'\n")
    (tmp_path / "other.toml").write_text("[project]\nname = 'x'\n")
    (tmp_path / "folder.toml").mkdir()
    app = BenchApp(tmp_path)
    assert [label for label, _ in app._choice.options][1:] == ["ours.toml"]
    app._choice.value = tmp_path / "ours.toml"
    app.check()
    wait_for(lambda: "id90" in app._devices.value)
    app.start()
    wait_for(lambda: app.page._verdict.value)
    assert "could not be analysed" in app.page._verdict.value and "id90" in app.page._verdict.value
    app.close()


def test_whatever_goes_wrong_with_a_bench_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("qkdlab.bench_check.check", lambda path: {}["a fault of a driver"])
    app = BenchApp(tmp_path)
    app.check()
    wait_for(lambda: "a fault of a driver" in app._devices.value)
    app.close()
