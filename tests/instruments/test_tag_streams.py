import numpy as np
import pytest

from qkdlab.instruments.errors import GarbledReply
from qkdlab.instruments.tag_streams import LIVELY, SubAcquisitions

PERIOD = 1000


def messages(times, sizes):
    return np.split(np.asarray(times, np.uint64), np.cumsum(sizes)[:-1])


def test_times_restart_and_are_put_on_one_axis():
    rng = np.random.default_rng(1)
    clicks = {c: [np.sort(rng.integers(0, PERIOD, 50)) for _ in range(6)] for c in (1, 2, 4)}
    recording = SubAcquisitions((1, 2, 4), PERIOD)
    for channel, stretches in clicks.items():
        flat = np.concatenate(stretches)
        for message in messages(flat, [7, 120, 1, 22, 99, len(flat) - 249]):     # not at the ends of the stretches
            recording.add(channel, message.tobytes())
        recording.add(channel, b"")
    taken = []
    while not recording.is_over():
        assert recording.is_complete()
        taken.append(recording.take())
    times = np.concatenate([t.time_ps for t in taken])
    wanted = sorted((t + k * PERIOD, c) for c, stretches in clicks.items() for k, s in enumerate(stretches) for t in s)
    assert len(taken) == 6 and times.tolist() == [t for t, _ in wanted]
    channels = np.concatenate([t.channel for t in taken])
    assert sorted(zip(times.tolist(), channels.tolist(), strict=True)) == wanted
    assert sum(t.lost for t in taken) == 0


def test_an_input_that_was_silent_is_lost_not_guessed():
    recording = SubAcquisitions((1, 2), PERIOD)
    recording.add(1, np.array([5, 9, 3], np.uint64).tobytes())
    assert not recording.is_complete() and recording.is_begun()
    assert recording.take().time_ps.tolist() == [5, 9]
    recording.add(2, np.array([1, 2, 3], np.uint64).tobytes())
    recording.add(1, b"")
    recording.add(2, b"")
    last = recording.take()
    assert last.time_ps.tolist() == [1003] and last.channel.tolist() == [1] and last.lost == 3
    assert recording.is_over()


def test_a_dark_input_holds_nothing_up_for_good():
    recording = SubAcquisitions((1, 2), PERIOD)
    recording.add(1, np.array([1], np.uint64).tobytes())
    assert not recording.is_begun() and not recording.is_complete()
    recording.add(1, np.array([1, 1, 0], np.uint64).tobytes())
    assert recording.is_begun() and len(recording.take()) == 3
    recording.end()
    assert recording.is_complete() and recording.take().time_ps.tolist() == [1000] and recording.is_over()


def test_times_beyond_63_bits():
    with pytest.raises(GarbledReply):
        SubAcquisitions((1,), PERIOD).add(1, np.array([2**63], np.uint64).tobytes())


def test_an_input_that_clicked_often_is_awaited_and_one_that_hardly_did_is_not():
    recording = SubAcquisitions((1, 2, 3), PERIOD)
    often = np.concatenate([np.arange(LIVELY), np.arange(LIVELY), [0]])
    recording.add(1, often.astype(np.uint64).tobytes())
    recording.add(2, often[: 2 * LIVELY - 1].astype(np.uint64).tobytes())
    recording.add(3, np.array([5, 4, 3], np.uint64).tobytes())
    assert recording.awaited() == []                     # nothing is known of them in the first stretch
    assert recording.is_complete() and len(recording.take()) == 2 * LIVELY + 1
    assert recording.awaited() == [2] and not recording.is_complete()
    recording.add(2, np.array([PERIOD, 0], np.uint64).tobytes())
    assert recording.awaited() == [] and recording.take().lost == 0


def test_what_comes_after_its_stretch_was_given_away_is_counted_and_not_kept():
    recording = SubAcquisitions((1, 2), PERIOD)
    recording.add(1, np.array([5, 3, 1], np.uint64).tobytes())
    recording.add(2, np.array([4], np.uint64).tobytes())
    assert len(recording.take()) == 2                    # input 2 is slow
    recording.add(2, np.array([6, 7, 2, 1], np.uint64).tobytes())
    late = recording.take()
    assert late.time_ps.tolist() == [1002, 1003] and late.lost == 2
    recording.end()
    assert recording.take().time_ps.tolist() == [2001, 2001] and recording.is_over()
