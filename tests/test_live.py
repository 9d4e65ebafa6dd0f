"""The live link: a device that vanishes, at whatever moment, is named and waited for; then the session goes on."""

import contextlib
import json
import time

import h5py
import pytest
from small_bench import SMALL

from qkdlab import bench
from qkdlab.instruments import id900

PATIENCE_S = 120                 # of the tests; a busy machine


class Running:
    """A session on a simulated bench, and what it told."""

    def __init__(self, lab, archive):
        self.lab, self.events = lab, []
        self.session = lab.session(archive=archive)
        self.link = self.session.source
        self.session.subscribe(self.events.append)

    def lines(self, name):
        device = self.lab[name]
        return [line for line in (device.transport, getattr(device, "_target", None)) if line is not None]

    def wait_for(self, name, seconds):
        """How long a device may take for an answer."""
        for line in self.lines(name):
            line.timeout_s = seconds

    def deafen(self, name, service=None):
        """A device, or a service of it, does not answer any more, and is not waited for long."""
        with contextlib.ExitStack() as stack:            # nobody is in the midst of a question, and would wait long
            for line in self.lines(name):
                stack.enter_context(line.lock)
            self.wait_for(name, 0.4)
            (service or self.lab.simulation.device(name)).fault("stall")

    def mend(self, name):
        """It answers again, and is waited for as before."""
        self.lab.simulation.clear(name)
        self.wait_for(name, PATIENCE_S)

    def told(self):
        return [(e.values["name"], e.values["state"]) for e in list(self.events) if e.step == "device"]

    def locked(self):
        clocks = [e.values["locked"] for e in list(self.events) if e.step == "clock"]
        return bool(clocks) and clocks[-1]

    def until(self, condition):
        """Wait for a condition; a session that ended meanwhile fails."""
        stop = time.monotonic() + PATIENCE_S
        while not condition():
            assert self.session.running, self.session._failure or self.session.report["warnings"]
            assert time.monotonic() < stop, self.told()
            time.sleep(0.01)

    def until_away(self, name):
        self.until(lambda: self.told()[-1:] == [(name, "away")])

    def until_it_goes_on(self):
        """Until all are back, and some blocks more have come, whose slots were found."""
        self.until(lambda: not self.told() or self.told()[-1][1] == "back")
        taken = self.link.blocks_taken
        self.until(lambda: self.link.blocks_taken >= taken + 6 and self.locked())

    def end(self):
        self.session.stop()
        assert self.session.wait(PATIENCE_S) and self.session.report is not None, self.session._failure
        assert self.lab.world.laser_power_w == 0 and self.session.report["qber_test"] < 0.05
        return self.session.report


@contextlib.contextmanager
def running(folder, text=SMALL):
    """Without a pace of its own the clock of the laboratory would run away in the dark; few tags, for busy machines."""
    path = folder / "bench.toml"
    path.write_text(text.replace("speed = 0", "speed = 1").replace("distance_km = 40", "distance_km = 70"))
    with bench.open(path) as lab:
        yield Running(lab, folder / "run.h5")


@pytest.mark.parametrize("name", ["tagger", "attenuator"])
def test_a_device_that_vanishes_pauses_the_session_and_it_goes_on(tmp_path, name):
    with running(tmp_path) as run:
        run.session.start(3600.0)
        run.until(lambda: run.link.blocks_taken >= 4)
        run.deafen(name)
        run.until_away(name)
        run.until(lambda: run.link.pauses)
        assert run.lab.world.laser_power_w == 0          # paused, and dark
        run.mend(name)
        run.until_it_goes_on()
        run.end()
        assert run.told() == [(name, "away"), (name, "back")] and run.link.pauses == 1
        assert [e.values["message"] for e in run.events if e.step == "device"][0]
    with h5py.File(tmp_path / "run.h5") as file:
        log = [json.loads(line) for line in bytes(file["log"][:]).splitlines()]
        assert [(entry["event"], entry["device"]) for entry in log] == [("device away", name), ("device back", name)]
        assert file["bob/finished"][0] > 0


def test_devices_that_vanish_before_the_first_tag_and_again_at_once(tmp_path):
    with running(tmp_path) as run:
        run.deafen("laser")                              # it dies while the devices are set
        run.session.start(3600.0)
        run.until_away("laser")
        run.deafen("tagger")                             # and another one while the first is waited for
        run.mend("laser")
        run.until_away("tagger")
        assert run.lab.world.laser_power_w == 0 or not run.link.blocks_taken
        run.mend("tagger")
        run.until_it_goes_on()
        for times in (2, 3):
            run.lab.simulation.fault("attenuator", "disconnect", 6)
            run.deafen("tagger")
            run.until(lambda times=times: run.told().count(("tagger", "away")) == times)
            run.mend("tagger")
            run.lab.simulation.clear("attenuator")
            run.until_it_goes_on()
        run.end()
        names = [name for name, state in run.told() if state == "away"]
        assert sorted(names) == sorted(n for n, state in run.told() if state == "back")


def test_a_device_whose_power_was_cut_is_set_as_at_the_opening(tmp_path):
    text = SMALL.replace("session = { current_a", "settings = { cooling = true, target_c = 24.0 }\nsession = { current_a")
    with running(tmp_path, text) as run:
        run.session.start(3600.0)
        run.until(lambda: run.link.blocks_taken)
        laser = run.lab.simulation.device("laser")
        run.deafen("laser")
        run.until_away("laser")
        with run.lab.world.lock:
            laser.tree.values.clear()
            laser.reset()
            run.mend("laser")
        run.until_it_goes_on()
        assert run.lab["laser"].cooling and run.lab["laser"].target_c == 24.0 and run.lab["laser"].current_a == 0.06
        run.end()


def test_the_service_between_box_and_session_may_die_and_be_started_anew(tmp_path):
    with running(tmp_path) as run:
        run.session.start(3600.0)
        run.until(lambda: run.link.blocks_taken >= 2)
        service = run.lab.simulation.device("tagger").link
        service.fault("restart", 1)                      # at once: nobody who asks the box would notice
        run.until_away("tagger")
        assert "DataLinkTarget" in [e.values["message"] for e in run.events if e.step == "device"][0]
        run.until_it_goes_on()
        run.deafen("tagger", service)
        service.fault("restart", 1)
        run.until_away("tagger")
        run.until(lambda: run.lab.world.laser_power_w == 0)
        service.clear()
        run.wait_for("tagger", PATIENCE_S)
        run.until_it_goes_on()
        run.end()
        assert run.told() == 2 * [("tagger", "away"), ("tagger", "back")] and run.link.pauses == 2


def test_a_service_that_opens_its_streams_slowly_loses_none(tmp_path, monkeypatch):
    """A stream whose number is lost with the answer would keep its port, and no recording could begin any more."""
    monkeypatch.setattr(id900, "SERVICE_S", PATIENCE_S)
    with running(tmp_path, SMALL.replace("watch_s = 0.1", "watch_s = 1000")) as run:
        run.wait_for("tagger", 2.0)
        service = run.lab.simulation.device("tagger").link
        service.fault("delay", 1, seconds=3.0)           # longer than the device's own time limit
        run.session.start(3600.0)
        run.until(lambda: run.link.blocks_taken >= 2)
        run.wait_for("tagger", PATIENCE_S)
        run.end()
        assert not run.told()


def test_a_tagger_of_a_vendors_library_vanishes_and_is_found_again(tmp_path):
    text = SMALL.replace('"id900"', '"swabian"').replace("zmq://127.0.0.1:3", "swabian://").replace(
        "settings = { stretch_s = 0.2 }", "settings = { threshold_1_v = 0.3 }")
    with running(tmp_path, text) as run:
        run.session.start(3600.0)
        run.until(lambda: run.link.blocks_taken >= 4)
        run.lab["tagger"].threshold_2_v = 0.4
        for _ in range(2):
            run.lab.simulation.fault("tagger", "disconnect")
            run.until_away("tagger")
            run.until(lambda: run.lab.world.laser_power_w == 0)
            run.lab.simulation.clear("tagger")
            run.until_it_goes_on()
            assert run.lab["tagger"].threshold_1_v == 0.3 and run.lab["tagger"].threshold_2_v == 0.4
        run.end()
        assert run.told() == 2 * [("tagger", "away"), ("tagger", "back")]
