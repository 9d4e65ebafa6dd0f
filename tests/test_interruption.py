"""Long work lets other threads run, and can be stopped: kernels release the GIL, and no call of one is long."""

import functools
import signal
import sys
import threading
import time

import numpy as np
import pytest
from kernel_calls import calls

from qkdlab import _ext, streams
from qkdlab.bits import Bits
from qkdlab.choices import DrawnChoices
from qkdlab.datasets import open as open_recording
from qkdlab.datasets import ptu
from qkdlab.datatypes import SourceSettings, TimeTags
from qkdlab.postprocessing.amplify import amplify
from qkdlab.postprocessing.monte_carlo import simulate_frames
from qkdlab.postprocessing.reconcile import reconcile
from qkdlab.postprocessing.synchronise import Synchroniser
from qkdlab.simulation.link import link_from_tables
from qkdlab.simulation.settings import ChannelSettings

RNG = np.random.default_rng(1)
N = 200_000


def small(n, top, dtype=np.uint8):
    return RNG.integers(0, top, n, dtype=dtype)


# ------------------------------------------------------------------------------------------------------ other threads


CALLS = calls(N)


def ticks_during(call, patience_s=0.0):
    """Ticks of another thread while `call` is called over and over, until there are 3, or 3000 calls and `patience_s` are
    over (a busy machine may leave the other thread no processor for a while); with the switch interval at an hour, Python
    hands over only where what is called lets go."""
    ticks, stop, interval = [], threading.Event(), sys.getswitchinterval()

    def tick():
        while not stop.is_set():
            time.sleep(1e-5)
            ticks.append(1)

    thread = threading.Thread(target=tick)
    sys.setswitchinterval(3600)
    try:
        thread.start()
        before, calls, end = len(ticks), 0, time.monotonic() + patience_s
        while len(ticks) - before < 3 and (calls < 3000 or time.monotonic() < end):
            call()
            calls += 1
        return len(ticks) - before
    finally:
        sys.setswitchinterval(interval)
        stop.set()
        thread.join()


@pytest.mark.parametrize("name", CALLS)
def test_a_ticking_thread_goes_on_ticking(name):
    module, function = name.split(".")
    module = getattr(_ext, module)
    assert ticks_during(functools.partial(getattr(module, function), *CALLS[name](module)), patience_s=60) >= 3


def test_ticks_stop_where_nothing_lets_go():
    """The test above can fail."""
    assert ticks_during(functools.partial(sum, range(1000))) == 0


def test_every_kernel_is_asked_to_let_go():
    short = {"records.length_t2", "correlate.bin_of"}          # one pass over overflows, one number: microseconds
    for name in _ext.__all__:
        module = getattr(_ext, name)
        if name in ("path", "paths"):
            continue
        functions = {f"{name}.{f}" for f in dir(module) if not f.startswith("_") and callable(getattr(module, f))
                     and not isinstance(getattr(module, f), type)}
        assert functions - short <= CALLS.keys(), "add it to kernel_calls.py"


# -------------------------------------------------------------------------------------------------------- being stopped


class Stop(Exception):
    pass


class Counting:
    """A kernel that counts its calls."""

    def __init__(self, module, calls):
        self._module, self._calls = module, calls

    def __getattr__(self, name):
        function = getattr(self._module, name)
        if isinstance(function, type) or not callable(function):
            return function

        def counted(*arguments):
            self._calls.append(name)
            return function(*arguments)

        return counted


def bits(n):
    return Bits.from_bytes(RNG.bytes(n // 8 + 1), n)


def long_amplify(tmp_path):
    key, seed = bits(60_000_000), bits(77_999_999)
    return lambda: amplify(key, 18_000_000, seed)


def long_reconcile(tmp_path):
    alice = bits(40_000_000)
    wrong = np.zeros(len(alice), np.uint8)
    wrong[RNG.integers(0, len(alice), len(alice) // 30)] = 1
    bob = alice ^ Bits.from_numpy(wrong)
    return lambda: reconcile(alice, bob, 0.03, seed=1)


def long_decode(tmp_path):
    path = tmp_path / "tags.ptu"
    ptu.write(path, [TimeTags(np.arange(12_000_000) * 1000, small(12_000_000, 4))])
    return lambda: sum(len(block) for block in open_recording(path).tag_blocks())


def link():
    return link_from_tables({"channel": ChannelSettings(distance_km=25.0)}, seed=1)


def long_simulate(tmp_path):
    return lambda: list(link().blocks(0.1, 0.1))


def long_synchronise(tmp_path):
    made = link()
    (block,) = made.blocks(0.2, 0.2)
    return lambda: Synchroniser(made.source, made.sync, made.receiver, np.random.default_rng(1)).push(block)


def long_encode(tmp_path):
    choices = DrawnChoices(SourceSettings(), None, bytes(32))
    return lambda: choices.train(0, 60_000_000)


def long_merge(tmp_path):
    a = TimeTags(np.arange(0, 2**25, 2), np.zeros(2**24, np.uint8))
    return lambda: streams.merge(a, a)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers here")
@pytest.mark.parametrize("make", [long_amplify, long_reconcile, long_decode, long_simulate, long_synchronise, long_encode,
                                  long_merge, lambda _: lambda: simulate_frames(10_000, 0.05, 10_000, 1)],
                         ids=lambda make: make.__name__)
def test_a_signal_stops_it_in_the_middle(make, tmp_path, monkeypatch):
    """Raised after a tenth of the CPU time that the whole takes: most of the kernels' calls are not made any more."""
    calls = []
    for name in _ext.__all__:
        if name not in ("path", "paths"):
            monkeypatch.setattr(_ext, name, Counting(getattr(_ext, name), calls))
    work = make(tmp_path)
    work()
    calls.clear()
    start = time.process_time()
    work()
    whole, all_calls = time.process_time() - start, len(calls)
    calls.clear()

    def stop(*_):
        raise Stop

    before = signal.signal(signal.SIGPROF, stop)
    try:
        signal.setitimer(signal.ITIMER_PROF, whole / 10)
        with pytest.raises(Stop):
            work()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    assert len(calls) < 0.6 * all_calls
