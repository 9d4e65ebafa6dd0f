"""What moves at a device while a session runs costs the open block, and no other."""

import threading
import time

import pytest
from small_bench import SMALL
from test_live import running

from qkdlab import bench, simulation
from qkdlab import standing as module
from qkdlab.instruments import simulated_tagger
from qkdlab.instruments.errors import DeviceError, InstrumentDisconnected, InstrumentTimeout
from qkdlab.instruments.parameters import parameter
from qkdlab.live import LiveLink
from qkdlab.standing import Standing


class Attenuator:
    """A device that reads back what the test says."""

    attenuation_db = parameter(get=lambda device: device.reads("attenuation_db"), set="A{value}", unit="dB", low=0, high=60,
                               help="attenuation")
    shutter_open = parameter(bool, get=lambda device: device.reads("shutter_open"), set="S{value}", help="shutter")
    slope = parameter(set="M{value}", help="cannot be read")
    name, places = "voa", {}

    def __init__(self):
        self.values = {"attenuation_db": 10.0, "shutter_open": True}
        self.known, self.written, self.limits, self.told, self.there = {}, {}, {}, [], True
        self.transport, self.reopened = self, 0

    def parameters(self):
        return {name: getattr(type(self), name) for name in ("attenuation_db", "shutter_open", "slope")}

    def check(self):
        if not self.there:
            raise InstrumentTimeout("no answer")

    def tell(self, text):
        self.told.append(text)

    def sets(self, name, value):
        """As a driver does, and the device takes it."""
        getattr(type(self), name).write(self, value)
        self.values[name] = value

    def reads(self, name):
        value = self.values[name] if self.there else InstrumentTimeout("no answer")
        if callable(value):
            value = value()
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
    assert says in standing.blocked() and says in standing.blocked()     # who only asks changes nothing
    closes(standing)
    assert standing.blocked() is None


def closes(standing, until=float("inf")):
    """A block closes, and all tags up to then have come to their blocks."""
    standing.block_closed()
    standing.handed_on(until)


def test_tags_that_wait_for_us_are_blocked_when_they_come(standing, voa):
    began = time.monotonic()
    voa.values["attenuation_db"] = 3.0
    standing.look("voa")
    voa.values["attenuation_db"] = 10.0
    for _ in range(3):                                   # these blocks hold tags of before
        assert "is 3 dB" in standing.blocked()
        closes(standing, until=began)
    standing.end()                                       # all that closes now came before the end
    standing.begin()
    assert "is 3 dB" in standing.blocked()
    standing.handed_on(float("inf"))                     # no block was closed since: it is in the open one
    assert "is 3 dB" in standing.blocked()
    closes(standing)
    assert standing.blocked() is None


def test_it_may_have_stood_otherwise_until_it_is_seen_to_be_back(standing, voa, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    voa.values["attenuation_db"] = 3.0
    standing.look("voa")
    voa.values["attenuation_db"], now[0] = 10.0, 1000.0
    standing.look("voa")
    closes(standing, until=900.0)
    assert "is 3 dB" in standing.blocked()


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
    voa.there = False
    with pytest.raises(InstrumentTimeout):
        standing.look_again()
    assert "voa went away" in standing.blocked()
    voa.there = True
    assert standing.look_again() == {} and standing.blocked() is None


def test_one_that_stayed_is_not_blamed_for_what_we_set_to_put_the_light_out(standing, voa):
    standing.leave(["other"])
    voa.sets("shutter_open", False)
    voa.sets("attenuation_db", 60.0)
    assert standing.look_again() == {} and standing.blocked() is None
    voa.sets("shutter_open", True)
    voa.sets("attenuation_db", 10.0)
    standing.begin()
    assert standing.blocked() is None


@pytest.mark.parametrize("how", ["away", "started anew", "moved"])
def test_one_that_cannot_say_how_it_stood_since_we_set_it_costs_the_block(standing, voa, how):
    standing.leave(["voa" if how == "away" else "other"])
    voa.reopened += how == "started anew"                # the power of both was cut, and this one was there first
    voa.sets("shutter_open", False)
    voa.sets("attenuation_db", 60.0)
    if how == "moved":
        voa.values["attenuation_db"] = 5.0
    assert "attenuation_db" in standing.look_again()["voa"] and "attenuation_db" in standing.blocked()


def test_two_devices_whose_power_was_cut_both_have_to_say_how_they_stood(voa):
    voas = {"one": Attenuator(), "two": Attenuator()}
    standing = Standing(voas, dict.fromkeys(voas, ("attenuation_db",)))
    standing.begin()
    standing.leave(["one"])
    standing.leave(["two"])                              # found later
    voas["two"].values["attenuation_db"] = 0.0
    assert "is 0 dB" in standing.look_again()["two"] and "of two" in standing.blocked()


def test_a_device_whose_power_was_cut_costs_the_open_block(standing, voa):
    standing.leave(["voa"])
    voa.values |= {"attenuation_db": 0.0, "shutter_open": False}         # nobody of ours has closed it
    words = standing.look_again()["voa"]
    assert "is 0 dB" in words and "is off" in words and "is 0 dB" in standing.blocked()


def test_what_was_moved_in_a_pause_is_not_how_it_is_to_stand(standing, voa):
    standing.leave(["other"])
    standing.look_again()
    voa.values["attenuation_db"] = 9.0                   # in the dark; and nobody sets it anew
    standing.begin()
    assert "was 10 dB and is 9 dB" in standing.blocked()
    closes(standing)
    assert "was 10 dB and is 9 dB" in standing.blocked()


def test_one_that_does_not_answer_as_the_block_closes_costs_it(standing, voa):
    voa.there = False                                    # nobody has noticed yet
    assert "voa went away" in standing.blocked()
    voa.there = True
    assert standing.look("voa") is None and standing.blocked() is None


@pytest.mark.parametrize("back", [True, False])
def test_one_that_does_not_answer_at_the_end_is_asked_when_the_light_is_off(standing, voa, back):
    voa.there = False
    standing.end()
    voa.there = back
    assert (standing.blocked() is None) is back


def test_one_that_never_answers_does_not_keep_the_light_on(standing, voa, monkeypatch):
    monkeypatch.setattr(module, "END_S", 0.01)
    answered = threading.Event()
    voa.values["attenuation_db"] = lambda: answered.wait(60) and 10.0
    standing.end()                                       # returns
    assert not answered.is_set()
    answered.set()
    assert standing.blocked() is None


def test_a_lost_answer_is_no_lost_device(standing, voa):
    answers = iter([InstrumentDisconnected("hung up"), 10.0])
    voa.values["attenuation_db"] = lambda: next(answers)
    assert standing.look("voa") is None


def test_a_setting_that_the_driver_cannot_read_is_left_out(voa):
    voa.values["attenuation_db"] = InstrumentDisconnected("LookupError: property can not be read")
    standing = Standing({"voa": voa}, {"voa": ("attenuation_db", "shutter_open")})
    standing.begin()
    assert standing.look("voa") is None and standing.blocked() is None
    voa.values["shutter_open"] = False
    assert "shutter_open" in standing.blocked()
    voa.there = False
    with pytest.raises(InstrumentTimeout):
        standing.begin()


def test_a_driver_that_breaks_over_an_answer_costs_the_block_and_not_the_look(standing, voa):
    voa.values["attenuation_db"] = lambda: int("no number")
    assert "not to be read" in standing.look("voa")
    standing.end()
    assert "not to be read" in standing.blocked()


def test_a_new_session_begins_with_nothing_against_it(standing, voa):
    voa.values["attenuation_db"] = 3.0
    standing.end()
    standing.renew()
    standing.begin()
    assert standing.blocked() is None


@pytest.fixture
def link():
    return simulation.link_from_tables({}, 1)


class Broken:
    """Stands for a fault of ours."""

    def __getattr__(self, name):
        def broken(*words):
            if name in ("end", "leave"):
                raise ZeroDivisionError(name)
            return {} if name == "look_again" else None

        return broken


def test_the_light_goes_off_although_the_last_look_fails(link):
    rested = []
    live = LiveLink(link.choices, link.receiver, simulated_tagger.connect(link), rest=lambda: rested.append(1),
                    standing=Broken())
    blocks = live.blocks(10.0, 0.01)
    next(blocks)
    blocks.close()
    assert rested


@pytest.mark.parametrize("why", ["stop", "away"])
def test_a_tagger_without_a_tag_keeps_no_session_waiting(link, why):
    class Mute(simulated_tagger.SimulatedTagger):
        def blocks(self, block_seconds):
            begun.set()
            assert self._stopped.wait(60)
            yield from ()

    begun, rested = threading.Event(), threading.Event()
    live = LiveLink(link.choices, link.receiver, Mute(link), rest=rested.set)
    over = threading.Thread(target=lambda: list(live.blocks(10.0, 0.01)), daemon=True)
    over.start()
    assert begun.wait(60)
    live._gone("voa") if why == "away" else live.end_following()
    over.join(120)
    assert not over.is_alive() and rested.is_set()


def test_a_session_ends_where_nobody_watches_any_more(link):
    live = LiveLink(link.choices, link.receiver, simulated_tagger.connect(link))
    watches = []
    blocks = live.blocks(float("inf"), 0.01)
    next(blocks)
    watches += [one for one in threading.enumerate() if one.name == "qkdlab-watch"]
    watch = watches[-1]._target.__self__
    watch._failure = ZeroDivisionError("a figure")
    with pytest.raises(ZeroDivisionError):
        for _ in range(10):
            next(blocks)


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


def test_a_device_that_went_just_before_the_end_costs_the_block(tmp_path):
    with running(tmp_path, SMALL.replace("watch_s = 0.1", "watch_s = 1000")) as run:
        run.session.start(3600.0)
        run.until(lambda: run.link.blocks_taken >= 3)
        run.deafen("attenuator")
        assert "attenuator went away" in run.end()["reason"]


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
