"""What holds for every reader on the menu: whole files, cut ones, and files of nonsense."""

import tracemalloc

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from samples import SAMPLES

from qkdlab import datasets
from qkdlab.datatypes import TimeTags
from qkdlab.errors import BadInput

FORMATS = {name: datasets.FORMATS.get(name) for name in datasets.FORMATS.names()}      # asking each time is slow
MOST_BYTES = 256 << 20          # of memory for a file of some KiB, whatever its header promises
TAGGED = [name for name, sample in SAMPLES.items() if sample.inspects]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("every")


@pytest.fixture(scope="module")
def raw(folder):
    """The bytes of a sample by its name; each is made once."""
    made = {}

    def bytes_of(name):
        if name not in made:
            path = folder / f"whole_{name.replace(' ', '_')}{SAMPLES[name].ending}"
            SAMPLES[name].make(path)
            made[name] = path.read_bytes()
        return made[name]

    return bytes_of


def opened(name, path):
    """The recording in `path`, as the format of this sample."""
    return FORMATS[SAMPLES[name].form].read(path, **SAMPLES[name].settings)


def outcome(name, path):
    """What a reader makes of a file: a report, or the complaint, which must name the file."""
    try:
        return opened(name, path).inspect() if SAMPLES[name].inspects else opened(name, path)
    except BadInput as error:
        assert path.name in str(error), f"the complaint does not name the file: {error}"
        return error


def sane(report):
    """No negative counts, no more tags than records, and JSON's own types."""
    assert 0 <= report["photons"] == sum(report["channels"].values()) <= max(report["records"], report["photons"])
    assert all(isinstance(report[field], int) for field in ("records", "overflows", "markers", "syncs"))
    assert all(isinstance(warning, str) for warning in report["warnings"])


def test_every_format_has_a_sample():
    assert {sample.form for sample in SAMPLES.values()} == set(FORMATS)


@pytest.mark.parametrize("name", TAGGED)
def test_a_whole_file(folder, raw, name):
    path = folder / f"w{SAMPLES[name].ending}"
    path.write_bytes(raw(name))
    report = opened(name, path).inspect()
    sane(report)
    assert report["photons"] == SAMPLES[name].photons and report["complete"] and not report["warnings"]


@pytest.mark.parametrize("name", TAGGED)
def test_blocks_of_any_size_hold_the_same(folder, raw, name):
    path = folder / f"b{SAMPLES[name].ending}"
    path.write_bytes(raw(name))
    whole = list(opened(name, path).tag_blocks())
    for size in (1, 7, 64):
        blocks = list(opened(name, path).tag_blocks(size))
        assert all(0 < len(block) <= size for block in blocks)
        for field in ("time_ps", "channel"):
            parts = [np.concatenate([getattr(b, field) for b in some]) for some in (whole, blocks)]
            assert np.array_equal(*parts)
        assert sum(b.lost for b in blocks) == sum(b.lost for b in whole)


@pytest.mark.parametrize("name", SAMPLES)
def test_an_empty_file(folder, name):
    path = folder / "empty"
    path.write_bytes(b"")
    assert isinstance(outcome(name, path), BadInput)
    with pytest.raises(BadInput, match="empty"):
        datasets.open(path)


@pytest.mark.parametrize("name", SAMPLES)
def test_no_such_file(folder, name):
    assert isinstance(outcome(name, folder / "nowhere"), BadInput)
    assert isinstance(outcome(name, folder), BadInput)


@pytest.mark.parametrize("name", TAGGED)
def test_cut_anywhere(folder, raw, name):
    """An error, or what was readable with a warning; only between two records may a cut pass unseen."""
    whole, sample, path = raw(name), SAMPLES[name], folder / "cut"
    ends = {*range(1, min(sample.header + 3 * max(sample.record, 8), len(whole))), *range(1, len(whole), 211),
            *range(len(whole) - 20, len(whole))}
    for end in sorted(ends):
        path.write_bytes(whole[:end])
        told = outcome(name, path)
        if isinstance(told, BadInput):
            continue
        sane(told)
        assert told["photons"] <= sample.photons
        between = (sample.lines and whole[end - 1 : end + 1].count(b"\n") == 1 or
                   sample.record and end >= sample.header and (end - sample.header) % sample.record == 0)
        assert told["warnings"] or between, f"cut at byte {end}, unseen"


@pytest.mark.parametrize("name", SAMPLES)
def test_absurd_numbers_in_the_header(folder, raw, name):
    """Counts, ticks and lengths of 0, -1, 2^31, 2^63, infinity: nothing is allocated or looped for a promise."""
    whole, path = raw(name), folder / "absurd"
    header = min(SAMPLES[name].header, len(whole))
    words = [bytes(8), b"\xff" * 8, b"\0\0\0\0\0\0\0\x80", b"\0\0\0\x80", b"\xff\xff\xff\x7f", b"\0" * 6 + b"\xf0\x7f"]
    words = words[:4] if header < 200 else words[1:3]
    tracemalloc.start()
    try:
        for at in range(0, header, 4):
            for word in words:
                path.write_bytes(whole[:at] + word + whole[at + len(word) :])
                told = outcome(name, path)
                if isinstance(told, dict):
                    sane(told)
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()


def spoilt(name, whole, kind, junk, changes):
    """Random bytes, bare or behind the sample's header, or the sample with some bytes changed."""
    if kind < 2:
        return whole[: SAMPLES[name].header if kind else 0] + junk
    changed = bytearray(whole)
    for at, value in changes:
        changed[at % len(whole)] = value
    return bytes(changed)


def survives(name, path, raw):
    path.write_bytes(raw)
    told = outcome(name, path)
    if isinstance(told, dict):
        sane(told)


ANY = {"deadline": None, "suppress_health_check": list(hypothesis.HealthCheck)}


@pytest.mark.parametrize("name", SAMPLES)
def test_nonsense(folder, raw, name):
    @hypothesis.settings(max_examples=100, **ANY)
    @hypothesis.given(st.integers(0, 2), st.binary(max_size=300),
                      st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), min_size=1, max_size=5))
    def any_nonsense(kind, junk, changes):
        survives(name, folder / "nonsense", spoilt(name, raw(name), kind, junk, changes))

    any_nonsense()


def random_nonsense(folder, raw, name, cases):
    """Seeded cases, which cost a tenth of hypothesis's: for many of them."""
    for case in range(cases):
        rng = np.random.default_rng(case)
        changes = rng.integers(0, [2**16, 256], (1 + case % 5, 2)).tolist()
        try:
            survives(name, folder / "nonsense", spoilt(name, raw(name), case % 3, rng.bytes(case % 301), changes))
        except Exception as error:
            raise AssertionError(f"case {case}: {error!r}") from error


@pytest.mark.parametrize("name", SAMPLES)
def test_more_nonsense(folder, raw, name):
    random_nonsense(folder, raw, name, 200)


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLES)
def test_much_nonsense(folder, raw, name):
    random_nonsense(folder, raw, name, 10_000)


def test_any_bytes_are_opened_or_refused(folder):
    """Without a form: random bytes are no recording, or one that is read without harm."""
    path = folder / "any"

    @hypothesis.settings(max_examples=300, **ANY)
    @hypothesis.given(st.binary(min_size=1, max_size=600))
    def any_bytes(raw):
        path.write_bytes(raw)
        try:
            sane(datasets.inspect(path))
        except BadInput as error:
            assert path.name in str(error)

    any_bytes()


def test_tags_are_written_whole_or_not_at_all(folder):
    """What a writer cannot hold it refuses by the field's name."""
    for name, module in FORMATS.items():
        if not hasattr(module, "write"):
            continue
        path = folder / f"out_{name}{module.SUFFIX}"
        for tags in (TimeTags([-1, 5], [0, 1]), TimeTags([7, 5], [0, 1]), TimeTags([1, 2**62], [0, 200])):
            try:
                module.write(path, [tags])
            except BadInput as error:
                assert error.field in ("time_ps", "channel") and path.name in str(error), f"{name}: {error}"
                assert not path.exists()
                continue
            (back,) = module.read(path).stream(datasets.Tally(), 1 << 10)
            assert np.array_equal(back.time_ps, tags.time_ps) and np.array_equal(back.channel, tags.channel)
            path.unlink()
