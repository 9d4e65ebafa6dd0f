import numpy as np
import pytest

from qkdlab import preamble
from qkdlab.choices import DrawnChoices
from qkdlab.datatypes import SourceSettings, SynchronisationSettings
from qkdlab.postprocessing.frames import FrameSearch, HeaderWatch, Offsets, Slip
from qkdlab.postprocessing.tracking import Detections

SOURCE = SourceSettings()
SYNC = SynchronisationSettings(frame_slots=1 << 14, header_slots=1 << 11, string_seed=5)


def detections(first, last, offset, *, rate=0.01, noise=0.0, seed=1, shares=(0.25,) * 4, delays=(0, 0, 0, 0), step=None,
               source=SOURCE, sync=SYNC):
    """Clicks in Alice's slots `first` to `last`, counted by Bob from `offset` on, in stretches of `step` slots."""
    rng = np.random.default_rng(seed)
    slots = np.flatnonzero(rng.random(last - first) < rate) + first
    symbols = DrawnChoices(source, sync, bytes(32)).at(np.maximum(slots, 0))
    gain = np.array(source.intensities)[symbols >> 2] / source.intensities[0]
    slots = slots[(rng.random(len(slots)) < gain) & (slots >= 0)]
    slots = np.concatenate([slots, rng.integers(first, last, rng.poisson(noise * rate * (last - first)))])
    detector = rng.choice(4, len(slots), p=shares).astype(np.uint8)
    counted = slots - offset + np.array(delays)[detector]
    order = np.argsort(counted, kind="stable")
    counted, detector = counted[order], detector[order]
    edges = np.arange(first - offset, last - offset, step or last - first)[1:]
    return [Detections(s, d, int(stop), 0, 0) for s, d, stop in zip(
        np.split(counted, np.searchsorted(counted, edges)), np.split(detector, np.searchsorted(counted, edges)),
        [*edges, last - offset], strict=True)]


def look(stretches, guess=0, reach=1 << 12, final=True, sync=SYNC):
    search = FrameSearch(sync, 1e9, guess, reach)
    for stretch in stretches:
        search.add(stretch)
    return search.attempt(final), search


@pytest.mark.parametrize("first", [0, 5000, 4000 * (1 << 14) + 77, 4095 * (1 << 14) + 7])
@pytest.mark.parametrize("counted", [0, 12345, 1 << 22])
def test_the_offset_is_found(first, counted):
    """Bob counts from 0 where the lock begins; the search may begin a little later."""
    found, _ = look(detections(first, first + 40 * (1 << 14), first - counted))
    assert found.slots.tolist() == [first - counted] * 4
    assert found.significance > 7 and found.contrast > 0.95


def test_a_guess_leads_far_into_a_recording():
    first = 123_456_789 << 14
    stretches = detections(first, first + (40 << 14), first - 7)
    assert look(stretches, guess=123_456_000)[0].slots.tolist() == [first - 7] * 4
    assert look(stretches)[0] is None


def test_bob_may_start_long_before_alice():
    found, _ = look(detections(-(1 << 20), 40 * (1 << 14), -(1 << 20), noise=0.1))
    assert found.slots.tolist() == [-(1 << 20)] * 4


def test_a_start_beyond_the_range_is_refused():
    found, search = look(detections(3000 << 14, 3040 << 14, 3000 << 14), reach=100)
    assert found is None and "frame number" in search.reason


def test_delays_of_several_slots_are_found_even_of_weak_detectors():
    shares, delays = (0.45, 0.45, 0.05, 0.05), (0, 7, -30, 1500)
    found, _ = look(detections(0, 400 << 14, 1000, shares=shares, delays=delays))
    assert found.slots.tolist() == [1000, 993, 1030, -500]


def test_weak_detectors_are_waited_for():
    stretches = detections(0, 400 << 14, 1000, shares=(0.45, 0.45, 0.05, 0.05), delays=(0, 0, -30, 1500), step=1 << 14)
    search = FrameSearch(SYNC, 1e9, 0, 100)
    for stretch in stretches:
        search.add(stretch)
        found = search.attempt()
        if found:
            break
    assert found.slots.tolist() == [1000, 1000, 1030, -500]


@pytest.mark.parametrize("intensities", [(0.5, 0.1, 0.0), (0.5, 0.15)])
def test_noise_and_a_bright_off_level(intensities):
    source = SourceSettings(intensities=intensities, probabilities=(1 / len(intensities),) * len(intensities))
    found, _ = look(detections(1 << 20, (1 << 20) + (400 << 14), 1 << 20, noise=0.3, source=source))
    assert found.slots.tolist() == [1 << 20] * 4
    assert found.contrast < (0.9 if len(intensities) == 3 else 0.5)


def test_noise_alone_has_no_string():
    rng = np.random.default_rng(0)
    for n in (0, 10, 1000, 100_000):
        slot = np.sort(rng.integers(0, 400 << 14, n))
        found, search = look([Detections(slot, rng.integers(0, 4, n).astype(np.uint8), 400 << 14, 0, 0)])
        assert found is None and "public string not" in search.reason


def test_another_string_is_not_taken_for_ours():
    found, search = look(detections(0, 200 << 14, 0, sync=SYNC.replace(string_seed=6)))
    assert found is None and "significance" in search.reason


def test_nothing_is_settled_by_too_few_clicks():
    search = FrameSearch(SYNC, 1e9, 0, 100)
    search.add(detections(0, 2 << 14, 0)[0])
    assert search.attempt() is None and "too few" in search.reason
    assert FrameSearch(SYNC, 1e9, 0, 100).attempt(final=True) is None


@pytest.mark.parametrize("sync", [SYNC.replace(frame_slots=1024, header_slots=64),
                                  SYNC.replace(frame_slots=10_007, header_slots=3000)])
def test_small_and_odd_frames(sync):
    found, _ = look(detections(123_456, 123_456 + (1 << 22), 123_321, sync=sync), sync=sync)
    assert found.slots.tolist() == [123_321] * 4


# ------------------------------------------------------------------------------------------------------------ watching


def watch(stretches, offset=0):
    """(slots given away, stretches lost, whether the string was lost)"""
    guard, given = HeaderWatch(SYNC, Offsets(np.full(4, offset), 0.95, 10.0)), []
    for at, stretch in enumerate(stretches):
        try:
            given += guard.add(stretch)
        except Slip as slip:
            return given, slip.lost, at, slip.after
    certain, doubtful = guard.finish(sound=True)
    return given + certain, doubtful, None, []


def test_all_of_a_sound_recording_is_given_away():
    stretches = detections(3 << 14, 300 << 14, 12345, step=10_000)
    given, lost, slipped, _ = watch(stretches, 12345)
    assert not lost and slipped is None
    slots = np.concatenate([part.slot for part in given])
    expected = np.concatenate([s.slot for s in stretches]) + 12345
    assert np.array_equal(slots, expected[~preamble.is_header(SYNC, expected)])
    assert all((np.concatenate([q.slot for q in given[k + 1 :]]) >= part.horizon).all()
               for k, part in enumerate(given[:-1]))


def test_slots_before_alices_first_are_left_out():
    stretches = detections(-(20 << 14), 100 << 14, 0, noise=0.2, step=10_000)
    given, lost, slipped, _ = watch(stretches)
    slots = np.concatenate([part.slot for part in given])
    assert slots.min() >= SYNC.header_slots and slipped is None and not lost


@pytest.mark.parametrize("slip", [-2, 1, 5000])
def test_a_slip_of_whole_slots_is_seen_and_not_given_away(slip):
    before = detections(0, 200 << 14, 0, step=10_000)
    after = detections(200 << 14, 400 << 14, -slip, step=10_000, seed=2)
    given, lost, at, rest = watch(before + after)
    assert len(before) < at < len(before) + 300
    right = np.concatenate([s.slot for s in before])
    assert np.isin(np.concatenate([part.slot for part in given]), right).all()
    assert sum(len(part.slot) for part in given) > 0.6 * (~preamble.is_header(SYNC, right)).sum()
    assert lost and rest
    found, _ = look(rest + after[at - len(before) + 1 :])
    assert found.slots.tolist() == [-slip] * 4


def test_after_a_lost_clock_the_last_stretch_is_not_trusted():
    guard = HeaderWatch(SYNC, Offsets(np.zeros(4, np.int64), 0.95, 10.0))
    stretches = detections(0, 100 << 14, 0, step=10_000)
    given = [part for stretch in stretches for part in guard.add(stretch)]
    certain, doubtful = guard.finish(sound=False)
    assert doubtful[-1] is stretches[-1]
    assert len(given) + len(certain) + len(doubtful) == len(stretches)


def test_growing_noise_is_no_slip():
    """The contrast fades from 0.95 to 0.3; the numbers are still right."""
    stretches = [s for k, noise in enumerate((0, 0.2, 0.4, 0.8, 1.2)) for s in detections(
        k * 300 << 14, (k + 1) * 300 << 14, 0, noise=noise, step=10_000, seed=k)]
    given, lost, slipped, _ = watch(stretches)
    assert slipped is None and not lost
