"""The bench: one call connects all, limits hold, sessions are archived, nothing stays on."""

import json
import signal
import subprocess
import sys
import threading
import time

import h5py
import numpy as np
import pytest
from small_bench import SMALL, real

import qkdlab
from qkdlab import bench, bench_check, bench_file
from qkdlab import session as session_module
from qkdlab.calibration import Calibration, Store, Value
from qkdlab.cli import main
from qkdlab.draws import replayed
from qkdlab.errors import BadInput
from qkdlab.instruments.errors import DeviceError, InstrumentError, InstrumentInUse
from qkdlab.instruments.servers import SimulatedBench, World


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "bench.toml"
    path.write_text(SMALL)
    return path


def impatient(path):
    """The file beside it which waits for the attenuator no longer than it must."""
    laser, attenuator = path.read_text().split("[devices.attenuator]")
    other = path.with_name("impatient.toml")
    other.write_text(f"{laser}[devices.attenuator]{attenuator.replace('timeout_s = 60', 'timeout_s = 0.4', 1)}")
    return other


def test_the_shipped_bench_is_connected_in_one_call():
    with bench.open() as lab:
        rows = lab.identities()
        assert len(rows) == len(lab) == 10 and all(row["simulated"] and row["identity"] for row in rows)
        record = lab.snapshot(timeout_s=60)
        assert not [v for d in record.values() for v in d["settings"].values() if "error" in v]
        assert record["attenuator"]["settings"]["attenuation_db"]["unit"] == "dB"
        with pytest.raises(BadInput, match="did you mean 'attenuator'"):
            lab["atenuator"]
        assert lab["laser"].emission is False and lab["attenuator"].shutter_open is False


def test_limits_of_the_file_hold_and_stay_when_the_device_moves_its_own(small):
    with bench.open(small) as lab:
        lab["laser"].current_limit_a = 0.1                # moves the device's limits
        said = len(lab.simulation.transcript("laser"))
        with pytest.raises(BadInput, match="0 to 0.08 A"):
            lab["laser"].current_a = 0.09
        assert len(lab.simulation.transcript("laser")) == said
        lab["laser"].current_limit_a = 0.05
        with pytest.raises(BadInput, match="0 to 0.05 A"):
            lab["laser"].current_a = 0.07


@pytest.mark.parametrize(("old", "new", "says"), [
    ("limits = { current_a = [0.0, 0.08] }", "limits = { current_a = [3.0, 4.0] }", r"\[devices.laser.limits\].*current_a"),
    ("attenuation_db = 0.0 }", "attenuation_db = 99 }", r"\[devices.attenuator.session\].*attenuation_db.*0 to 60 dB"),
    ('"id900"', '"otdr_file"', r"\[devices.tagger\].*no simulated device"),
])
def test_values_that_a_device_cannot_take_are_refused_by_file_and_table(small, old, new, says):
    assert old in SMALL
    text = SMALL.replace(old, new).replace("settings = { stretch_s = 0.2 }\n", "" if "otdr" in new else
                                           "settings = { stretch_s = 0.2 }\n")
    small.write_text(text)
    with pytest.raises(BadInput, match=says):
        bench.open(small)


def test_the_second_session_is_refused_with_the_name_of_the_first(small):
    with SimulatedBench(World(speed=0), {"laser": "thorlabs_cld", "attenuator": "keysight_attenuator", "tagger": "id900"}) \
            as simulated:
        path = real(small, simulated)
        with bench.open(path, session="Anna") as lab:
            assert not lab.simulated and lab.world is None
            with pytest.raises(InstrumentInUse, match="Anna") as caught:
                bench.open(path, session="Bert")
            assert "laser" in str(caught.value)
            with pytest.raises(BadInput, match=r"\[choices\].*file"):
                lab.link()
        bench.open(path).close()
        simulated.fault("attenuator", "stall")
        with pytest.raises(InstrumentError, match="attenuator"):
            bench.open(impatient(path))
        simulated.clear("attenuator")
        bench.open(path).close()                          # the others were let go


def test_a_session_is_archived_with_snapshots_and_leaves_no_light(small, tmp_path, monkeypatch):
    same = replayed(bytes(32))                           # bits of double clicks in both sessions
    monkeypatch.setattr(session_module, "from_system", same)
    monkeypatch.setattr(session_module, "replayed", lambda seed: same)
    text = SMALL + '[calibrations]\nneeded = ["dark counts"]\nstore = "kept"\n'
    small.write_text(text)
    found = Calibration("dark counts", {"detector_0_hz": Value(90, "Hz", 9)}, time.time(), 3600.0)
    kept = Store(tmp_path / "kept").add(found)
    with bench.open(small) as lab:
        path, seen, tags = tmp_path / "run.h5", [], []
        session = lab.session(archive=path, words={"operator": "Anna", "purpose": "test"})
        session.subscribe(lambda event: tags.append(event.values["tags"]) if event.step == "block" else None)
        session.subscribe(lambda event: seen.append((event.step, lab["laser"].known.get("emission", [None])[0])))
        report = session.run(1.0)
        assert report["simulated"] and report["alice_key_sha256"] == report["bob_key_sha256"]
        assert ("block", True) in seen and lab.world.laser_power_w == 0 and not lab["attenuator"].shutter_open
        with pytest.raises(BadInput, match="exists already"):
            lab.session(archive=path)
    recording = qkdlab.open(path)
    assert recording.info["records"] == tags[-1] > 50_000
    with h5py.File(path) as file:
        assert file["bob/finished"][0] == tags[-1]
        start, end = (json.loads(bytes(file[f"snapshot/{at}"][:])) for at in ("start", "end"))
        assert set(start) == set(end) == {"laser", "attenuator", "tagger"}
        assert start["laser"]["settings"]["current_a"]["unit"] == "A"
        provenance = json.loads(file.attrs["provenance"])
        assert provenance["bench"] == text and provenance["devices"][0]["identity"].startswith("THORLABS")
        log = [json.loads(line) for line in bytes(file["log"][:]).splitlines()]
        assert provenance["calibrations"]["dark counts"]["id"] == log[-1]["dark counts"]["id"] == kept
        versions, around = json.loads(file.attrs["versions"]), json.loads(file["meta"].attrs["surroundings"])
        assert {"qkdlab", "python", "numpy", "h5py"} <= set(versions) and {"git", "packages_sha256"} <= set(around)
    again = qkdlab.Session(recording).run()
    assert again["alice_key_sha256"] == report["alice_key_sha256"]
    for what in ("clicks", "errors"):                    # slots are shared out with a rounding to each announcement
        assert again["counts"][what] == report["counts"][what]


def test_one_that_does_not_listen_keeps_no_other_light_on(small, monkeypatch):
    with bench.open(small) as lab:
        shutter, closed = threading.Event(), []
        monkeypatch.setattr(type(lab["laser"]), "safe_state", lambda laser: closed.append(shutter.wait(120)))
        monkeypatch.setattr(type(lab["attenuator"]), "safe_state", lambda voa: shutter.set())
        lab.dark()
        assert closed == [True]


def test_an_error_in_the_session_leaves_no_light(small):
    with bench.open(small) as lab:
        session = lab.session()
        session.subscribe(lambda event: 1 / 0 if event.step == "block" else None)
        with pytest.raises(ZeroDivisionError):
            session.run(2.0)
        assert lab.world.laser_power_w == 0 and not lab["attenuator"].shutter_open
    with pytest.raises(KeyError), bench.open(small) as lab:
        world = lab.world
        lab.prepare()
        assert world.laser_power_w > 0
        raise KeyError
    assert world.laser_power_w == 0


def test_a_fault_of_one_driver_keeps_no_other_light_on(small, monkeypatch):
    with bench.open(small) as lab:
        world = lab.world

        def broken(device):
            raise RuntimeError("a fault of the driver")

        monkeypatch.setattr(type(lab["laser"]), "safe_state", broken)
        for verb in (lab.dark, lab.safe_state, lab.close):
            if verb != lab.close:
                lab.prepare()
                assert world.attenuators["attenuator"].open
            failed = verb()
            assert not world.attenuators["attenuator"].open
            assert verb != lab.safe_state or failed == {"laser": "a fault of the driver"}


def test_no_light_with_a_device_that_stands_beyond_the_limits_of_the_file(small):
    small.write_text(SMALL.replace("current_a = 0.06, emission", "emission"))
    with bench.open(small) as lab:
        laser = lab["laser"]
        laser.tell("SOUR:CURR 0.12")                     # as if at its panel
        assert laser.current_a == pytest.approx(0.12)
        with pytest.raises(DeviceError, match=r"current_a is 0.12 A, outside of the limits 0 to 0.08"):
            lab.prepare()
        assert not laser.emission and lab.world.laser_power_w == 0
        laser.current_a = 0.06
        lab.prepare()
        assert lab.world.laser_power_w > 0


def test_a_link_over_a_single_simulated_device_is_simulated_in_its_file_too(small, tmp_path, monkeypatch):
    np.save(tmp_path / "pattern.npy", np.zeros(1 << 17, np.uint8))
    with SimulatedBench(World(speed=0), {"laser": "thorlabs_cld", "attenuator": "keysight_attenuator", "tagger": "id900"}) \
            as simulated:
        path = real(small, simulated)
        path.write_text(path.read_text() + '[choices]\nfile = "pattern.npy"\nrepeat = true\n')
        asked = []
        monkeypatch.setattr(bench, "RunWriter", lambda path, **words: asked.append(words["simulated"]))
        with bench.open(path) as lab:
            assert all(lab[name].simulated for name in lab)              # by their serial numbers
            for name in lab:
                lab[name].simulated = False
            for said in (False, True):
                lab["laser"].simulated = said
                link = lab.link(archive=tmp_path / "run.h5")
                link._record()
                assert link.simulated is asked[-1] is said


CHILD = """
import signal, sys, time
if sys.argv[2] == "SIGHUP":
    signal.signal(signal.SIGHUP, signal.SIG_DFL)         # tests that run under nohup ignore it
from qkdlab import bench
lab = bench.open(sys.argv[1])
lab.prepare()
assert lab["laser"].emission and lab["attenuator"].shutter_open
print("light", flush=True)
if sys.argv[2] == "SIGHUP":
    time.sleep(600)
while sys.argv[2] == "SIGTERM":                          # it comes in the midst of an exchange
    lab["laser"].snapshot()
"""


@pytest.mark.parametrize("end", ["SIGTERM", "SIGHUP", "exit"])
def test_no_light_is_left_when_the_process_ends(small, end):
    kinds = {"laser": "thorlabs_cld", "attenuator": "keysight_attenuator", "tagger": "id900"}
    with SimulatedBench(World(speed=1), kinds) as simulated:
        text = real(small, simulated).read_text().replace("watch_s = 0.1", "watch_s = 0.1\nsettle_s = 0.1")
        small.write_text(text)
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(small), end], stdout=subprocess.PIPE, text=True)
        assert child.stdout.readline() == "light\n"
        if end != "exit":
            assert simulated.world.laser_power_w > 0
            child.send_signal(getattr(signal, end))
        assert child.wait(300) == (0 if end == "exit" else -getattr(signal, end))
        child.stdout.close()
        assert simulated.world.laser_power_w == 0
        assert not simulated.world.attenuators["attenuator"].open


def test_blockers_are_handed_to_the_session(small):
    with bench.open(small, blockers=[lambda: "too old"]) as lab:
        if "blockers" in bench.Session.__init__.__kwdefaults__:
            report = lab.session().run(1.0)
            assert report["secret_bits"] == 0 and "too old" in report["reason"]


def test_a_dry_run_names_all_and_switches_nothing_on(small, capsys):
    report = bench_check.check(small)
    assert report["ok"] and [row["name"] for row in report["devices"]] == ["laser", "attenuator", "tagger"]
    assert report["devices"][0]["limits"]["current_a"] == [0.0, 0.08, "A"]
    assert main(["bench-check", str(small), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["devices"][2]["identity"].startswith("IDQ")
    with SimulatedBench(World(speed=0), {"laser": "thorlabs_cld", "attenuator": "keysight_attenuator", "tagger": "id900"}) \
            as simulated:
        path = real(small, simulated)
        simulated.fault("attenuator", "stall")
        assert main(["bench-check", str(impatient(path))]) == 2
        out = capsys.readouterr().out
        assert "FAILED" in out and "1 of 3 failed" in out and "IDQ,ID900" in out
        assert simulated.world.laser_power_w == 0
    assert main(["bench-check", str(small.parent / "none.toml")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["bench-check", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out) == bench_file.schema()


def test_a_random_source_of_the_bench_that_fails_stops_the_key(small):
    near = SMALL.replace("distance_km = 40.0", "distance_km = 5.0\n[detectors]\nkey_basis_probability = 0.7").replace(
        "block_key_bits = 20000", "block_key_bits = 500000")
    small.write_text(near + '[devices.random]\ndriver = "quantis_appliance"\naddress = "http://127.0.0.1:4"\n')
    with bench.open(small) as lab:
        assert lab.session().run(1.0)["secret_bits"] > 0
        lab.simulation.fault("random", "bias", probability=0.55)
        report = lab.session().run(1.0)
        assert report["secret_bits"] == 0 and "random source 'random' failed" in report["reason"]
