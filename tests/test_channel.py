import numpy as np
import pytest
from reference import channel as reference

FAR = -(1 << 62)


def candidates(n, spread=10_000):
    rng = np.random.default_rng(n)
    return np.sort(rng.integers(0, spread, n)), rng.integers(0, 4, n).astype(np.uint8), rng


def state(room):
    return dict(last_ps=np.full(4, FAR), pending_ps=np.zeros(room, np.int64), pending_detector=np.zeros(room, np.uint8))


def out(n):
    return dict(out_ps=np.zeros(n, np.int64), out_detector=np.zeros(n, np.uint8), out_origin=np.zeros(n, np.int64))


@pytest.mark.parametrize("dead_time", [0, 1, 40, 5000])
@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 1001])
def test_detect_equals_twin_over_several_calls(kernel, n, dead_time):
    time, detector, rng = candidates(n)
    fast, slow = state(64), state(64)
    n_fast = n_slow = used = 0
    for until in (3000, 3000, 7001, 12_000):
        delay = rng.integers(-20, 300, n + 50)
        got, want = out(n + 50), out(n + 50)
        rest = time[used:].copy(), detector[used:].copy(), until, dead_time, delay
        a = kernel("channel").detect(*rest, **fast, n_pending=n_fast, **got)
        b = reference.detect(*rest, **slow, n_pending=n_slow, **want)
        assert a == b
        n_fast, n_slow = a[1], b[1]
        used += a[0]
        for name in got:
            assert np.array_equal(got[name], want[name])
        assert np.array_equal(fast["last_ps"], slow["last_ps"])
        heaps = [sorted(zip(s["pending_ps"][:n_fast], s["pending_detector"][:n_fast], strict=True))
                 for s in (fast, slow)]
        assert heaps[0] == heaps[1]


def test_dead_time_is_per_detector_and_not_extended_by_lost_candidates(kernel):
    time = np.array([0, 60, 99, 100, 150, 260])
    detector = np.array([0, 0, 0, 0, 1, 0], np.uint8)
    got = out(10)
    used, pending, clicks, done = kernel("channel").detect(
        time, detector, 1000, 100, np.full(10, -1), **state(8), n_pending=0, **got)
    assert (used, pending, clicks, done) == (6, 0, 4, True)
    assert got["out_ps"][:4].tolist() == [0, 100, 150, 260]
    assert got["out_origin"][:4].tolist() == [0, 3, 4, 5]


def test_afterpulses_come_after_the_dead_time_breed_and_wait_for_the_next_call(kernel):
    memory, got = state(8), out(10)
    delay = np.array([5, 7, 0] + [-1] * 7)
    args = dict(dead_time_ps=100, delay_ps=delay, **memory, **got)
    first = kernel("channel").detect(np.array([0]), np.zeros(1, np.uint8), 213, n_pending=0, **args)
    assert first == (1, 1, 3, True)
    assert got["out_ps"][:3].tolist() == [0, 105, 212] and got["out_origin"][:3].tolist() == [0, -1, -1]
    second = kernel("channel").detect(np.zeros(0, np.int64), np.zeros(0, np.uint8), 313, n_pending=1,
                                      **args | {"delay_ps": np.full(10, -1)})
    assert second == (0, 0, 1, True) and got["out_ps"][0] == 312


@pytest.mark.parametrize("draws, room", [(3, 100), (100, 3)])
def test_stops_where_room_runs_out_and_can_go_on(kernel, draws, room):
    time, detector, _ = candidates(200)
    whole, parts = out(2000), []
    delay = np.full(2000, 20)
    _, _, n_whole, _ = kernel("channel").detect(time, detector, 9000, 30, delay, **state(2000), n_pending=0, **whole)
    memory, used, pending, done = state(room), 0, 0, False
    while not done:
        got = out(draws)
        n_used, pending, clicks, done = kernel("channel").detect(
            time[used:], detector[used:], 9000, 30, delay[:draws], **memory, n_pending=pending, **got)
        used += n_used
        parts.append(got["out_ps"][:clicks])
        if not done and pending == len(memory["pending_ps"]):
            for name in ("pending_ps", "pending_detector"):
                memory[name] = np.concatenate([memory[name], np.zeros(5, memory[name].dtype)])
    assert np.array_equal(np.concatenate(parts), whole["out_ps"][:n_whole])
