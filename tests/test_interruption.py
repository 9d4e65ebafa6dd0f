"""Long work lets other threads run, and can be stopped: kernels release the GIL, and no call of one is long."""

import functools
import signal
import sys
import threading
import time

import numpy as np
import pytest

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


def words(n):
    return RNG.integers(0, 2**64, n, dtype=np.uint64)


def small(n, top, dtype=np.uint8):
    return RNG.integers(0, top, n, dtype=dtype)


# ------------------------------------------------------------------------------------------------------ other threads


def room(*shape, dtype=np.int64):
    return np.zeros(shape, dtype)


def tags():
    return np.sort(small(N, 10**12, np.int64)), small(N, 4)


def cascade_run(module):
    plan = module.Plan(1, np.full(8, 102_400), np.array([6, 9]), 20)
    alice = words(plan.words)
    return plan, alice, alice.copy(), room(8, 4), 0, 8


def cascade_run_sparse(module):
    plan, errors = module.Plan(1, np.array([102_400]), np.array([6, 9]), 20), np.arange(0, 100_000, 50, dtype=np.uint32)
    return plan, np.tile(errors, 8), 2000 * np.arange(1, 9), room(8, 4)


def channel_detect(module):
    return (np.arange(N) * 100_000, small(N, 4), 1 << 62, 50_000, np.full(N, -1), np.full(4, -(1 << 62)), room(64),
            room(64, dtype=np.uint8), 0, room(N), room(N, dtype=np.uint8), room(N))


def records(*arguments, dtime=False):
    outputs = (room(N), room(N, dtype=np.uint16)) if dtime else (room(N),)
    return lambda module: (small(N, 2**24, np.uint32), *arguments, 2**62, room(module.STATE), *outputs,
                           room(N, dtype=np.uint8))


def records_encode(module):
    ticks = np.arange(N) * 100        # all within one overflow period: the state stays as it is
    return ticks, small(N, 4), room(module.STATE), room(module.length_t2(ticks, 0), dtype=np.uint32)


ENCODE = small(8, 9, np.uint32), np.array([5, 65536])

SETTINGS = np.tile([0.5, 0.1, 1e-3, 0.7, 0.2, 0.1, 0.9], (500, 1))
PASS = np.array([[1.0, 1e-3, 1e-6]]), np.array([0.01, 0.0, 0.0, -1.0]), False, 1e10, False
PRICE = np.array([20.0, 100.0, 1.16]), True, False, True

KERNELS = {                                       # arguments: the calls themselves do nothing but call
    "cascade.run": cascade_run,
    "cascade.run_sparse": cascade_run_sparse,
    "channel.detect": channel_detect,
    "decoy.tally": lambda m: (small(N, 3), small(N, 2), small(N, 2), room(2, 3, 2)),
    "decoy.expect": lambda m: (SETTINGS, *PASS, room(500, 13, dtype=float)),
    "decoy.bounds": lambda m: (SETTINGS, np.full((500, 13), 1e6), *PRICE, room(500, 9, dtype=float)),
    "decoy.worth": lambda m: (SETTINGS, *PASS, *PRICE, room(500, dtype=float)),
    "decoy.climb": lambda m: (room(9, 5, dtype=float), np.array([PASS[0]] * 9), *PASS[1:3], np.full(9, 1e10), PASS[4],
                              *PRICE, np.full(5, 0.5), 1.0, 1e-3, 100, 1e-9, room(9, dtype=float), room(9, 7, dtype=float)),
    "encode.symbols": lambda m: (ENCODE[0], 0, 5, ENCODE[1], room(N, dtype=np.uint8)),
    "encode.symbols_at": lambda m: (ENCODE[0], np.arange(N), 5, ENCODE[1], room(N, dtype=np.uint8)),
    "hashing.product": lambda m: (words(800), words(400), words(400)),
    "hashing.polynomial": lambda m: (words(20_000), 1, words(4), words(2)),
    "hashing.move": lambda m: (words(N), 3, words(N)),
    "hashing.transform": lambda m: (words(1024), 0, words(8192), room(256, 1, 128, dtype=np.uint8), 0),
    "hashing.interpolate": lambda m: (room(256, 1, 128, dtype=np.uint8), 0, words(8192), words(2048)),
    "hashing.multiply_add": lambda m: tuple(room(256, blocks, 128, dtype=np.uint8) for blocks in (41, 40, 2)),
    "match.phasors": lambda m: (*tags(), 0, 2**54, 10**12, room(1024, dtype=np.int32), room(4, 1, 2), room(4)),
    "match.histogram": lambda m: (*tags(), room(4), 0, 0, 2**54, room(4, 512, dtype=np.int32)),
    "match.gate": lambda m: (*tags(), room(4), 0, 0, 0, 2**54, 0, 2**63, room(N), room(N, dtype=np.uint8),
                             room(4, 512, dtype=np.int32)),
    "match.tally": lambda m: (*tags(), room(4, 1000, dtype=np.int32)),
    "match.place": lambda m: (*tags(), room(4), 1000, 100, small(100, 2), room(N), room(N, dtype=np.uint8), room(2)),
    "match.settle": lambda m: tags(),
    "match.combine": lambda m: (*tags(), room(N), room(N, dtype=np.uint8)),
    "match.decide": lambda m: (small(N, 16), small((16, 4), 4), small(N, 4), *room(2, N, dtype=np.uint8)),
    "match.matches": lambda m: (room(2000), room(2000), words((100, 1)), 0, room(100), room(100)),
    "records.hydraharp_t2": records(2**25, True),
    "records.picoharp_t2": records(),
    "records.hydraharp_t3": records(True, dtime=True),
    "records.picoharp_t3": records(dtime=True),
    "records.encode_t2": records_encode,
    "sift.compress": lambda m: (words(N // 64), room(N // 64, dtype=np.uint64), words(1)),
    "sift.encode_slots": lambda m: (np.arange(N) * 100, room(2 * N, dtype=np.uint8)),
    "sift.decode_slots": lambda m: (small(N, 128), room(N)),
    "streams.merge": lambda m: (*tags(), *tags(), room(2 * N), room(2 * N, dtype=np.uint8)),
    "streams.coincidences": lambda m: (tags()[0], tags()[0], -10, 10),
}


def ticks_during(call):
    """Ticks of another thread while `call` is called over and over, until there are 3; with the switch interval at an
    hour, Python hands over only where what is called lets go."""
    ticks, stop, interval = [], threading.Event(), sys.getswitchinterval()

    def tick():
        while not stop.is_set():
            time.sleep(1e-5)
            ticks.append(1)

    thread = threading.Thread(target=tick)
    sys.setswitchinterval(3600)
    try:
        thread.start()
        before = len(ticks)
        for _ in range(3000):
            call()
            if len(ticks) - before >= 3:
                break
        return len(ticks) - before
    finally:
        sys.setswitchinterval(interval)
        stop.set()
        thread.join()


@pytest.mark.parametrize("name", KERNELS)
def test_a_ticking_thread_goes_on_ticking(name):
    module, function = name.split(".")
    module = getattr(_ext, module)
    assert ticks_during(functools.partial(getattr(module, function), *KERNELS[name](module))) >= 3


def test_ticks_stop_where_nothing_lets_go():
    """The test above can fail."""
    assert ticks_during(functools.partial(sum, range(1000))) == 0


def test_every_kernel_is_asked_to_let_go():
    short = {"records.length_t2"}                 # counts overflows: microseconds
    for name in _ext.__all__:
        module = getattr(_ext, name)
        if name in ("path", "paths"):
            continue
        functions = {f"{name}.{f}" for f in dir(module) if not f.startswith("_") and callable(getattr(module, f))
                     and not isinstance(getattr(module, f), type)}
        assert functions - short <= KERNELS.keys(), "add it to KERNELS above"


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
