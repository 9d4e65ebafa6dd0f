"""Tags in HDF5: exact, small, and never ahead of what is on disk."""

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qkdlab.datasets import open as open_recording
from qkdlab.datasets import run, tagstore
from qkdlab.datatypes import TimeTags

CHUNK = tagstore.CHUNK


def light(rate_hz, n, seed=1):
    """Photons of a 1 GHz link with 60 ps of jitter on four detectors."""
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.exponential(1e12 / rate_hz, n)) // 1000 * 1000 + rng.normal(0, 60, n)
    return TimeTags(np.sort(np.rint(times).astype(np.int64)), rng.integers(0, 4, n).astype(np.uint8))


def cut(tags, ends):
    edges = [0, *sorted(ends), len(tags)]
    return [TimeTags(tags.time_ps[a:b], tags.channel[a:b]) for a, b in zip(edges, edges[1:], strict=False)]


def stored_as(path, blocks):
    with run.RunWriter(path) as writer:
        for block in blocks:
            writer.append(block)
    return path


def same(path, tags, block_tags=1 << 20):
    blocks = list(open_recording(path).tag_blocks(block_tags))
    return (np.array_equal(np.concatenate([b.time_ps for b in blocks] or [[]]), tags.time_ps)
            and np.array_equal(np.concatenate([b.channel for b in blocks] or [[]]), tags.channel))


@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7,
                               tagstore.AT_ONCE + CHUNK + 1])
@pytest.mark.parametrize("block_tags", [1 << 20, 5000])
def test_exact(tmp_path, n, block_tags):
    tags = light(1e6, n)
    assert same(stored_as(tmp_path / "run.h5", [tags]), tags, block_tags)


@given(st.lists(st.integers(0, 5 * CHUNK), max_size=12), st.integers(700, 3 * CHUNK))
@settings(max_examples=12, deadline=None)
def test_however_it_is_cut(tmp_path_factory, ends, block_tags):
    tags = light(1e6, 5 * CHUNK)
    assert same(stored_as(tmp_path_factory.mktemp("run") / "run.h5", cut(tags, ends)), tags, block_tags)


@pytest.mark.parametrize("times", [
    [-(2**63), 2**63 - 1], [-(2**63), -(2**63), 0, 2**63 - 1], [5] * 100, [0, 2**62], [-1, 0, 1], [0, 1, 2**40, 2**61]])
def test_times_as_far_apart_as_they_can_be(tmp_path, times):
    tags = TimeTags(times, np.arange(len(times)) * 37 % 256)
    assert same(stored_as(tmp_path / "run.h5", [tags]), tags)


def test_all_channels(tmp_path):
    tags = TimeTags(np.arange(3 * CHUNK), np.arange(3 * CHUNK) % 256)
    assert same(stored_as(tmp_path / "run.h5", [tags]), tags)


@pytest.mark.parametrize("rate_hz", [1e6, 20e6])
@pytest.mark.parametrize("block", [1_000_000, 10_000])
def test_at_most_four_bytes_a_tag(tmp_path, rate_hz, block):
    tags = light(rate_hz, 1_000_000)
    path = stored_as(tmp_path / "run.h5", cut(tags, range(block, len(tags), block)))
    assert path.stat().st_size < 4 * len(tags) and same(path, tags)


def test_blocks_of_few_tags_do_not_bloat(tmp_path):
    tags = light(1e6, 30_000)
    one, many = (stored_as(tmp_path / name, blocks).stat().st_size for name, blocks in
                 (("one.h5", [tags]), ("many.h5", cut(tags, range(100, len(tags), 100)))))
    assert many < one + 9 * 2 * CHUNK + 64 * 300         # the tail, and a row a block


def test_every_block_is_there_at_once_and_the_one_under_way_is_not(tmp_path):
    """Read after each block as a crash would leave the file; then with the next one half written."""
    path, tags = tmp_path / "run.h5", light(1e6, 6 * CHUNK)
    ends = [10, 20, CHUNK + 5, CHUNK + 9, 3 * CHUNK + 9, 5 * CHUNK, 5 * CHUNK, 5 * CHUNK + 1]
    with run.RunWriter(path) as writer:
        for block, end in zip(cut(tags, ends), ends, strict=False):
            writer.append(block)
            assert same(path, TimeTags(tags.time_ps[:end], tags.channel[:end]))
        writer._bob._pack(tags.time_ps[ends[-1]:], tags.channel[ends[-1]:])
        writer._file.flush()
        assert same(path, TimeTags(tags.time_ps[: ends[-1]], tags.channel[: ends[-1]]))


@pytest.mark.parametrize("more", [1, CHUNK, 3 * CHUNK])
def test_a_reader_is_not_fooled_by_a_writer_that_goes_on(tmp_path, more):
    """What was found when the file was opened is read while the tail is used anew."""
    path, tags = tmp_path / "run.h5", light(1e6, 6 * CHUNK)
    with run.RunWriter(path) as writer:
        end = CHUNK // 2
        writer.append(TimeTags(tags.time_ps[:end], tags.channel[:end]))
        with run.opened(path) as file:
            reader = run.tag_reader(file, path)
            extent = reader.extent()
            for start in range(end, end + more, CHUNK):
                stop = min(start + CHUNK, end + more)
                writer.append(TimeTags(tags.time_ps[start:stop], tags.channel[start:stop]))
            found = reader.tail(extent)
            assert (found is None) == (more > 2 * CHUNK)
            if found:
                assert np.array_equal(found[0], tags.time_ps[:end]) and np.array_equal(found[1], tags.channel[:end])


def test_the_tail_is_not_used_anew_before_the_row_that_frees_it(tmp_path):
    path, tags = tmp_path / "run.h5", light(1e6, 4 * CHUNK)
    with run.RunWriter(path) as writer:
        first, second = cut(tags, [CHUNK // 2])
        writer.append(first)
        writer._bob._commit = lambda lost: writer._file.flush()      # the power goes just before the row
        writer.append(TimeTags(second.time_ps[:-9], second.channel[:-9]))
        assert same(path, first)
        del writer._bob._commit
        writer._bob._commit(0)


def test_runs_of_version_1_are_still_read(tmp_path):
    path, tags = tmp_path / "run.h5", light(1e6, 5000)
    with h5py.File(path, "w", libver="latest") as file:
        file.attrs["qkdlab"], file.attrs["version"] = "run", 1
        bob = file.create_group("bob")
        bob["time_ps"], bob["channel"] = tags.time_ps, tags.channel
        bob["block_end"], bob["lost"] = np.array([2000, 5000]), np.array([3, 4])
        bob["finished"] = np.ones(1, np.uint8)
    assert same(path, tags, 999) and sum(b.lost for b in open_recording(path).tag_blocks(999)) == 7
    assert open_recording(path).complete
    with h5py.File(path, "r+") as file:
        file["bob/block_end"][1] = 5001
    with pytest.raises(ValueError, match="promises more"):
        open_recording(path)
