import json
import pathlib
import types

import pytest

from qkdlab.calibration import Calibration, Limit, Store, Value, bench_blockers, blocker
from qkdlab.calibration.store import bench_calibrations
from qkdlab.errors import BadInput

NOW = 1.8e9


def one(value=1.0, at=NOW, name="bias", valid_for_s=3600.0, high=2.0, uncertainty=0.01, simulated=False):
    return Calibration(name, {"bias_v": Value(value, "V", uncertainty)}, at, valid_for_s,
                       {"bias_v": Limit(0.0, high, "the levels are off")}, {"box": "maker,box,1"}, simulated,
                       {"v": [1.0, 2.0]})


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "calibrations")


def test_what_was_kept_comes_back(store):
    made = one()
    name = store.add(made)
    assert name == made.id and store.add(made) == name and len(store.all()) == 1
    assert Store(store.folder).latest("bias") == made
    assert one(value=1.1).id != made.id


def test_a_file_that_was_changed_is_refused(store):
    path = store.folder / f"{store.add(one())}.json"
    table = json.loads(path.read_text())
    table["values"]["bias_v"][0] = 1.5
    path.write_text(json.dumps(table))
    with pytest.raises(BadInput, match="was changed"):
        Store(store.folder).all()
    path.write_text("{")
    with pytest.raises(BadInput, match="not readable"):
        Store(store.folder).all()
    path.write_text('{"name": "bias"}')
    with pytest.raises(BadInput, match="not a calibration"):
        Store(store.folder).all()


@pytest.mark.parametrize("later_s, state, words", [
    (0, "fresh", "holds for another"), (0.79 * 3600, "fresh", "holds"), (0.81 * 3600, "due", "is due"),
    (3600, "due", "is due"), (3600.001, "expired", "out of date"), (-2, "expired", "in the future")])
def test_states_over_time(store, later_s, state, words):
    store.add(one())
    status, = store.status(NOW + later_s)
    assert status.state == state and words in status.words and status.usable == (state in ("fresh", "due"))
    reason = blocker(store, ["bias"], NOW + later_s)
    assert (reason is None) == status.usable and (reason is None or words in reason)


def test_out_of_limits_and_missing(store):
    store.add(one(2.5))
    status, missing = store.status(NOW, ["bias", "dark counts"])
    assert status.state == "out of limits" and "2.50" in status.words and "the levels are off" in status.words
    assert missing.state == "missing" and missing.symbol == "–"
    assert "out of limits" in blocker(store, ["bias"], NOW)
    assert "never calibrated" in blocker(store, ["dark counts"], NOW)
    assert blocker(store, [], NOW) is None
    store.add(one(1.5, at=NOW + 1))                      # the newest counts
    assert blocker(store, ["bias"], NOW + 2) is None


def test_simulated_devices_are_no_ground_for_a_real_key(store):
    store.add(one(simulated=True))
    assert blocker(store, ["bias"], NOW) is None
    assert "simulated" in blocker(store, ["bias"], NOW, real=True)


def test_a_drift_is_told_before_the_limit_is_reached(store):
    for hour in range(4):
        store.add(one(1.0 + 0.2 * hour, at=NOW + 3600 * hour, valid_for_s=10 * 3600))
    drift, = store.drift("bias")
    assert drift.slope_per_s * 3600 == pytest.approx(0.2) and drift.slope_uncertainty * 3600 < 0.01
    assert drift.limit_at == pytest.approx(NOW + 5 * 3600)             # 1.6 V now, 2.0 V two hours later
    assert "0.2 V per hour" in drift.warning and "2.0 h" in drift.warning


@pytest.mark.parametrize("slope, uncertainty, valid_h", [(0.0, 0.01, 10), (0.01, 0.05, 1000), (0.2, 0.01, 1)])
def test_no_warning_without_need(store, slope, uncertainty, valid_h):
    for hour in range(4):
        store.add(one(1.0 + slope * hour, at=NOW + 3600 * hour, uncertainty=uncertainty, valid_for_s=valid_h * 3600))
    assert all(d.warning is None for d in store.drift("bias"))


def test_a_falling_value_meets_the_lower_limit_and_one_alone_no_limit(store):
    store.add(one(1.0, valid_for_s=1e6))
    assert store.drift("bias") == []
    store.add(one(0.5, at=NOW + 3600, valid_for_s=1e6))
    drift, = store.drift("bias")
    assert drift.limit_at == pytest.approx(NOW + 7200) and drift.warning


@pytest.mark.parametrize("wrong", [{"name": ""}, {"valid_for_s": 0.0}, {"valid_for_s": float("inf")}, {"at": float("nan")},
                                   {"value": float("nan")}, {"uncertainty": -1.0}, {"high": -1.0}])
def test_nonsense_is_refused(wrong):
    with pytest.raises(BadInput):
        one(**wrong)


def bench_file(folder, needed=(), store=None, of_device=()):
    tables = {"calibrations": types.SimpleNamespace(needed=needed, store=store)}
    return types.SimpleNamespace(path=pathlib.Path(folder) / "bench.toml", tables=tables,
                                 devices={"box": types.SimpleNamespace(calibrations=of_device)})


def test_what_a_bench_file_needs(tmp_path):
    assert bench_blockers(bench_file(tmp_path), real=True) == () and bench_calibrations(bench_file(tmp_path)) == {}
    assert bench_calibrations(bench_file(tmp_path, needed=("bias",)))["bias"]["state"] == "missing"
    asked, = bench_blockers(bench_file(tmp_path, needed=("bias",)), real=True)
    assert "names no folder" in asked()
    asked, = bench_blockers(bench_file(tmp_path, ("bias",), "kept", ("dark counts",)), real=True)
    assert "bias was never calibrated" in asked()
    kept = Store(tmp_path / "kept")
    import time

    kept.add(one(at=time.time()))
    assert "dark counts was never calibrated" in asked()
    kept.add(one(at=time.time(), name="dark counts", simulated=True))
    assert "simulated devices" in asked()
    asked, = bench_blockers(bench_file(tmp_path, ("bias",), "kept", ("dark counts",)), real=False)
    assert asked() is None
