"""The watch over devices: who is told, and in which order."""

import threading
import time

import pytest

from qkdlab.instruments.errors import DeviceError, InstrumentTimeout
from qkdlab.watch import Watch


class Device:
    """Answers who it is, or not."""

    def __init__(self, there):
        self.there, self.lock = there, threading.Lock()
        self.transport = self

    def check(self):
        if not self.there:
            raise InstrumentTimeout("no answer")


def test_a_device_that_is_silent_is_told_once_and_told_again_when_it_is_back():
    device, told, away = Device(there=False), [], threading.Event()
    with Watch({"laser": device}, lambda *what: (told.append(what), away.set()), period_s=0.001) as watch:
        assert away.wait(60)
        device.there = True
        assert watch.wait_until_back(threading.Event()) and [state for _, state, _ in told] == ["away"]
        watch.back({"laser", "never away"})
    assert [(name, state) for name, state, _ in told] == [("laser", "away"), ("laser", "back")]
    assert "no answer" in told[0][2] and not watch.away


def test_a_device_is_not_back_before_all_was_done_about_its_absence():
    device, order, attending, go_on = Device(there=True), [], threading.Event(), threading.Event()

    def gone(name):
        attending.set()
        assert go_on.wait(60)
        order.append("light off")

    watch = Watch({"tagger": device}, lambda name, state, message: order.append(state), period_s=0.01, gone=gone)
    finder = threading.Thread(target=watch.report, args=("tagger", InstrumentTimeout("no answer")))
    finder.start()
    assert attending.wait(60) and not order              # the light goes off first: a listener may take its time
    waiter = threading.Thread(target=lambda: order.append(watch.wait_until_back(threading.Event())), daemon=True)
    waiter.start()
    waiter.join(0.6)                                     # two looks at the device, which answers
    assert waiter.is_alive() and not order
    go_on.set()
    finder.join(60)
    waiter.join(60)
    assert order == ["light off", "away", True]


def test_a_device_that_somebody_talks_to_is_not_taken_for_lost_nor_for_back():
    device, told = Device(there=False), []
    with device.lock, Watch({"laser": device}, lambda *what: told.append(what), period_s=0.001) as watch:
        time.sleep(0.1)                                  # many looks
        assert not watch.away
        watch.report("laser", InstrumentTimeout("no answer"))
        ended = threading.Event()
        threading.Timer(0.1, ended.set).start()
        assert not watch.wait_until_back(ended) and [state for _, state, _ in told] == ["away"]


def test_a_device_that_answers_nonsense_is_not_back():
    device, ended, tried = Device(there=True), threading.Event(), []

    def check():
        tried.append(1)
        if len(tried) > 3:
            ended.set()
        raise DeviceError("not the device that was expected")

    device.check = check
    watch = Watch({"laser": device}, lambda *what: None, period_s=0.001)
    watch.report("laser", InstrumentTimeout("no answer"))
    assert not watch.wait_until_back(ended) and len(tried) > 3


def test_the_wait_for_a_device_ends_when_the_session_does():
    watch, ended = Watch({"laser": Device(there=False)}, lambda *what: None), threading.Event()
    watch.report("laser", InstrumentTimeout("no answer"))
    ended.set()
    assert not watch.wait_until_back(ended) and watch.away == {"laser": "no answer"}


def test_the_light_goes_off_although_a_listener_fails_and_the_wait_ends_with_its_error():
    gone = threading.Event()

    def listener(*what):
        raise ZeroDivisionError("a figure")

    with Watch({"laser": Device(there=False)}, listener, period_s=0.001, gone=lambda name: gone.set()) as watch:
        assert gone.wait(60)
        with pytest.raises(ZeroDivisionError):
            watch.wait_until_back(threading.Event())
        assert list(watch.away) == ["laser"]


def test_a_driver_that_breaks_over_an_answer_does_not_end_the_watch():
    class Broken(Device):
        def check(self):
            return int("no number")

    away = threading.Event()
    with Watch({"laser": Broken(there=True)}, lambda *what: away.set(), period_s=0.001) as watch:
        assert away.wait(60) and "ValueError" in watch.away["laser"] and watch._thread.is_alive()
