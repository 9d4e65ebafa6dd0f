"""What moves at a device while a session runs costs the open block, and no other."""

import pytest
from small_bench import SMALL
from test_live import running

from qkdlab import bench
from qkdlab import standing as module
from qkdlab.instruments.errors import DeviceError, InstrumentTimeout
from qkdlab.instruments.parameters import parameter
from qkdlab.standing import Standing


class Attenuator:
    """A device that reads back what the test says."""

    attenuation_db = parameter(get=lambda device: device.reads("attenuation_db"), set="A{value}", unit="dB", low=0, high=60,
                               help="attenuation")
    shutter_open = parameter(bool, get=lambda device: device.reads("shutter_open"), set="S{value}", help="shutter")
    slope = parameter(set="M{value}", help="cannot be read")
    name = "voa"

    def __init__(self):
        self.values, self.known, self.limits = {"attenuation_db": 10.0, "shutter_open": True}, {}, {}

    def parameters(self):
        return {name: getattr(type(self), name) for name in ("attenuation_db", "shutter_open", "slope")}

    def reads(self, name):
        value = self.values[name]
        if isinstance(value, Exception):
            raise value
        return value


@pytest.fixture
def voa():
    return Attenuator()


@pytest.fixture
def standing(voa):
    made = Standing({"voa": voa, "other": voa}, {"voa": ("attenuation_db", "shutter_open", "slope"), "other": ()})
    assert made.blocked() is None                        # nothing was set yet
    made.begin()
    return made


@pytest.mark.parametrize(("setting", "value", "says"), [
    ("attenuation_db", 10.02, "attenuation_db of voa was 10 dB and is 10.02 dB"),
    ("attenuation_db", 9.0, "is 9 dB"), ("shutter_open", False, "was on and is off"),
    ("attenuation_db", DeviceError("on fire"), "is not to be read")])
def test_what_moved_is_named_once_and_blocks_until_it_is_back(standing, voa, monkeypatch, setting, value, says):
    before, voa.values[setting] = voa.values[setting], value
    assert says in standing.look("voa") and standing.look("voa") is None
    assert says in standing.blocked() and says in standing.blocked()     # it still stands so: the next block as well
    voa.values[setting] = before
    monkeypatch.setattr(module, "LATE_S", 0.0)
    assert says in standing.blocked() and standing.blocked() is None


def test_clicks_that_come_late_to_their_block_are_blocked_as_well(standing, voa, monkeypatch):
    voa.values["attenuation_db"] = 3.0
    standing.look("voa")
    voa.values["attenuation_db"] = 10.0
    assert "is 3 dB" in standing.blocked() and "is 3 dB" in standing.blocked()
    standing.end()                                       # all that closes now came before the end
    monkeypatch.setattr(module, "LATE_S", 0.0)
    assert "is 3 dB" in standing.blocked() and "is 3 dB" in standing.blocked()
    standing.begin()
    assert "is 3 dB" in standing.blocked() and standing.blocked() is None


def test_a_device_that_rounds_has_not_moved(standing, voa):
    voa.values["attenuation_db"] = 10.009
    assert standing.look("voa") is None and standing.blocked() is None and standing.look("other") is None


def test_light_that_we_put_out_ourselves_is_no_change(standing, voa):
    standing.end()
    voa.values |= {"shutter_open": False, "attenuation_db": 60.0}
    assert standing.look("voa") is None and standing.blocked() is None
    voa.values |= {"shutter_open": True, "attenuation_db": 10.0}
    standing.begin()
    voa.values["attenuation_db"] = 12.0                  # and one last look before the light goes off
    standing.end()
    assert "is 12 dB" in standing.blocked()


def test_a_device_that_went_away_has_to_say_how_it_stood(standing, voa):
    standing.leave(["voa"])
    assert "voa went away" in standing.blocked()
    voa.values["attenuation_db"] = InstrumentTimeout("no answer")
    with pytest.raises(InstrumentTimeout):
        standing.look("voa", returned=True)
    assert "voa went away" in standing.blocked()
    voa.values["attenuation_db"] = 10.0
    voa.known["shutter_open"], voa.values["shutter_open"] = (False, 0.0), False          # closed by us, when it went
    assert standing.look("voa", returned=True) is None and standing.blocked() is None


def test_a_device_whose_power_was_cut_costs_the_open_block(standing, voa):
    standing.leave(["voa"])
    voa.values |= {"attenuation_db": 0.0, "shutter_open": False}         # nobody of ours has closed it
    words = standing.look("voa", returned=True)
    assert "is 0 dB" in words and "is off" in words and "is 0 dB" in standing.blocked()


def turned(run):
    """Somebody turns the knob of the attenuator, not we."""
    with run.lab.world.lock:
        run.lab.simulation.device("attenuator")._turn(1.0)


def test_a_knob_turned_during_a_session_is_told_and_the_block_gives_no_key(tmp_path):
    with running(tmp_path) as run:
        run.session.start(3600.0)
        run.until(lambda: run.link.blocks_taken >= 3)
        turned(run)
        run.until(lambda: ("attenuator", "changed") in run.told())
        report = run.end()
    assert "attenuation_db of attenuator was 0 dB and is 1 dB" in report["blocks"][-1]["reason"]
    assert report["blocks"][-1]["secret_bits"] == 0 and run.told().count(("attenuator", "changed")) == 1


def test_a_knob_turned_just_before_the_end_is_seen_by_the_last_look(tmp_path):
    with running(tmp_path, SMALL.replace("watch_s = 0.1", "watch_s = 1000")) as run:
        run.session.start(3600.0)
        run.until(lambda: run.link.blocks_taken >= 3)
        turned(run)
        assert "is 1 dB" in run.end()["reason"]


def test_a_session_in_which_nothing_moved_blocks_nothing(tmp_path):
    path = tmp_path / "bench.toml"
    path.write_text(SMALL)
    with bench.open(path) as lab:
        session, asked, told = lab.session(), [], []
        session.subscribe(lambda event: told.append(event) if event.step == "device" else None)
        assert session.source.blocked in session._blockers
        session.subscribe(lambda event: asked.append(session.blocked()) if event.step == "block" else None)
        session.run(1.0)
        assert len(asked) > 3 and not any(asked) and not told
