import os
import types

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from qkdlab import datasets
from qkdlab.choices import DrawnChoices
from qkdlab.datasets import csv, npz, parquet, photon_hdf5, ptu, run
from qkdlab.datatypes import ReceiverSettings, SourceSettings, SynchronisationSettings, TimeTags
from qkdlab.errors import BadInput

FORMATS = {"ptu": ptu, "npz": npz, "csv": csv, "h5": run, "hdf5": photon_hdf5, "parquet": parquet}


def some_tags(n=3000):
    rng = np.random.default_rng(n)
    return TimeTags(2**53 + np.cumsum(rng.integers(0, 2**27, n)), rng.integers(0, 64, n))


def pieces(tags, block):
    return (TimeTags(tags.time_ps[i : i + block], tags.channel[i : i + block]) for i in range(0, len(tags), block))


def joined(path, *block_tags):
    blocks = list(datasets.open(path).tag_blocks(*block_tags))
    return np.concatenate([b.time_ps for b in blocks]), np.concatenate([b.channel for b in blocks])


@pytest.fixture
def link():
    source, sync = SourceSettings(), SynchronisationSettings()
    return types.SimpleNamespace(source=source, sync=sync, receiver=ReceiverSettings(), simulated=True,
                                 choices=DrawnChoices(source, sync, bytes(32)))


def test_the_menu():
    assert {"csv", "ht", "npz", "ptu", "run"} < set(datasets.FORMATS.names())      # all of them: test_every_format.py


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("block", [1, 7, 1000])
def test_every_format_round_trips(tmp_path, form, block):
    tags = some_tags(50 if block == 1 else 3000)
    path = tmp_path / f"tags.{form}"
    assert FORMATS[form].write(path, pieces(tags, block)) == len(tags)
    for block_tags in (1 << 20, 37):
        times, channel = joined(path, block_tags)
        assert np.array_equal(times, tags.time_ps) and np.array_equal(channel, tags.channel)
    report = datasets.inspect(path)
    assert report["photons"] == len(tags) and report["complete"] and not report["warnings"]
    assert report["first_ps"] == tags.time_ps[0] and report["last_ps"] == tags.time_ps[-1]
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_holds_nothing(tmp_path, form):
    path = tmp_path / f"tags.{form}"
    assert FORMATS[form].write(path, []) == 0
    assert datasets.inspect(path)["photons"] == 0 and list(datasets.open(path).tag_blocks()) == []


@pytest.mark.parametrize("form", FORMATS)
def test_no_format_leaves_half_a_file(tmp_path, form):
    def blocks():
        yield some_tags()
        raise BadInput("the source breaks", where="elsewhere")

    with pytest.raises(BadInput, match="elsewhere"):
        FORMATS[form].write(tmp_path / f"tags.{form}", blocks())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("start", FORMATS)
@pytest.mark.parametrize("end", FORMATS)
def test_convert(tmp_path, start, end):
    tags = some_tags()
    FORMATS[start].write(tmp_path / f"a.{start}", [tags])
    assert datasets.convert(tmp_path / f"a.{start}", tmp_path / f"b.{end}") == []
    times, channel = joined(tmp_path / f"b.{end}")
    assert np.array_equal(times, tags.time_ps) and np.array_equal(channel, tags.channel)


def test_the_content_decides_and_not_the_ending(tmp_path):
    ptu.write(tmp_path / "a.csv", [some_tags()])
    assert datasets.open(tmp_path / "a.csv").format == "ptu"


def test_npz_is_plain(tmp_path):
    tags = some_tags()
    npz.write(tmp_path / "a.npz", [tags])
    with np.load(tmp_path / "a.npz") as archive:
        assert np.array_equal(archive["time_ps"], tags.time_ps) and np.array_equal(archive["channel"], tags.channel)
    np.savez_compressed(tmp_path / "b.npz", time_ps=tags.time_ps, channel=tags.channel)
    assert np.array_equal(joined(tmp_path / "b.npz", 100)[0], tags.time_ps)


def test_convert_refuses(tmp_path):
    csv.write(tmp_path / "a.csv", [TimeTags([1, 2], [0, 64])])
    with pytest.raises(BadInput, match="channel"):
        datasets.convert(tmp_path / "a.csv", tmp_path / "b.ptu")
    with pytest.raises(BadInput, match=r"did you mean '\.ptu'"):
        datasets.convert(tmp_path / "a.csv", tmp_path / "b.pt")
    with pytest.raises(BadInput, match="exists already"):
        datasets.convert(tmp_path / "a.csv", tmp_path / "a.csv")
    with pytest.raises(BadInput, match="no such file"):
        datasets.convert(tmp_path / "nothing.csv", tmp_path / "b.ptu")
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


def test_convert_keeps_the_tick_and_tells_what_it_leaves_out(tmp_path, link):
    run.write(tmp_path / "a.h5", [TimeTags([4, 8], [0, 1], lost=5)], source=link.source, tick_ps=4)
    told = datasets.convert(tmp_path / "a.h5", tmp_path / "b.ptu")
    assert datasets.inspect(tmp_path / "b.ptu")["resolution_ps"] == 4
    assert any("5 clicks" in line for line in told) and any("settings" in line for line in told)
    assert datasets.convert(tmp_path / "a.h5", tmp_path / "b.h5") == []
    assert datasets.open(tmp_path / "b.h5").source == link.source


def test_convert_of_marked_t3(shared, tmp_path):
    told = datasets.convert(shared / "timetags/napari-flim/hazelnut_first500k.ptu", tmp_path / "b.npz")
    assert any("193 marker" in line for line in told) and any("dtime" in line for line in told)
    assert datasets.inspect(tmp_path / "b.npz")["photons"] == 499_622


def test_convert_of_a_damaged_recording_says_so(shared, tmp_path):
    told = datasets.convert(shared / "timetags/libpicoquant/v10.ht2", tmp_path / "b.ptu")
    assert "promises 52378636 records" in told[0] and datasets.inspect(tmp_path / "b.ptu")["first_ps"] == 12_588_053


@pytest.mark.parametrize("form", ["h5", "ptu"])
def test_a_link_is_recorded_and_opened_again(tmp_path, link, form):
    with datasets.writer(form, tmp_path / "run", link, datasets.DistillSettings(eps_sec=1e-8), b"p" * 32) as writer:
        writer.append(TimeTags([1, 2], [0, 1]))
    recording = datasets.open(tmp_path / "run")
    assert (recording.source, recording.sync, recording.receiver) == (link.source, link.sync, link.receiver)
    assert recording.distill.eps_sec == 1e-8 and recording.public_seed == b"p" * 32 and recording.simulated is True
    assert np.array_equal(recording.choices.at(np.arange(99)), link.choices.at(np.arange(99)))
    assert datasets.inspect(tmp_path / "run")["photons"] == 2


def test_writer_names_the_forms(tmp_path, link):
    with pytest.raises(BadInput, match="h5"):
        datasets.writer("h6", tmp_path / "run", link)


@pytest.mark.parametrize(("raw", "match"), [(b"", "empty"), (b"who knows", r"byte 0: no known recording")])
def test_what_is_no_recording(tmp_path, raw, match):
    (tmp_path / "x.ptu").write_bytes(raw)
    with pytest.raises(BadInput, match=match):
        datasets.open(tmp_path / "x.ptu")


@pytest.mark.parametrize(("text", "match"), [
    ("time_ps,channel\n1,2\n3\n", "line 3.*got '3'"),
    ("time_ps,channel\n1,2,3\n", "line 2"),
    ("time_ps,channel\n1,2\n\n3,256\n", "line 4"),
    ("time_ps,channel\n1,-1\n", "line 2"),
    ("time_ps,channel\n1.5,1\n", "line 2"),
    ("time_ps,channel\nnan,1\n", "line 2"),
    (f"time_ps,channel\n{2**63},1\n", "line 2"),
    ("time_ps,channel\n" + "1" * 1000, "line 2"),
    ("time_ps,chanel\n1,2\n", "line 1"),
])
def test_spoilt_csv_is_named(tmp_path, text, match):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(BadInput, match=match):
        datasets.inspect(tmp_path / "a.csv")


@pytest.mark.parametrize(("arrays", "match"), [
    ({"time_ps": np.arange(3)}, "channel"),
    ({"time_ps": np.arange(3), "channel": np.zeros(2, np.uint8)}, "channel"),
    ({"time_ps": np.arange(3.0) + 0.5, "channel": np.zeros(3, np.uint8)}, "time_ps"),
    ({"time_ps": np.arange(3), "channel": np.zeros((3, 1), np.uint8)}, "channel"),
    ({"time_ps": np.array([None]), "channel": np.zeros(1, np.uint8)}, "time_ps"),
])
def test_spoilt_npz_is_named(tmp_path, arrays, match):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(BadInput, match=match):
        datasets.inspect(tmp_path / "a.npz")


def test_npz_cut_or_flipped_anywhere(tmp_path):
    npz.write(tmp_path / "a.npz", [some_tags(300)])
    raw, path = (tmp_path / "a.npz").read_bytes(), tmp_path / "b.npz"
    for at in range(1, len(raw), 11):
        path.write_bytes(raw[:at])
        with pytest.raises(BadInput):
            datasets.inspect(path)
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 0x55]) + raw[at + 1 :])
        try:
            assert datasets.inspect(path)["photons"] == 300
        except BadInput:
            pass


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "fuzz"


@hypothesis.settings(max_examples=100, deadline=None)
@hypothesis.given(st.sampled_from([b"time_ps,channel" + b"\n", npz.SIGNATURE, run.SIGNATURE, b""]), st.binary(max_size=200))
def test_random_bytes(scratch, signature, raw):
    scratch.write_bytes(signature + raw)
    try:
        datasets.inspect(scratch)
    except BadInput as error:
        assert "fuzz" in str(error)


def test_the_format_can_be_named(tmp_path):
    path = tmp_path / "tags.txt"
    path.write_text("time_ps,channel\n5,1\n9,2\n")
    assert datasets.inspect(path, form="csv") == datasets.inspect(path)
    with pytest.raises(BadInput, match="datasets: unknown name"):
        datasets.open(path, form="nothing")
    with pytest.raises(BadInput, match="folder"):
        datasets.open(tmp_path, form="csv")


def test_a_file_that_fits_two_formats_names_both(tmp_path, monkeypatch):
    class Other:
        SIGNATURE = b"time_ps"

    monkeypatch.setattr(datasets, "_modules", lambda: {"csv": csv, "other": Other})
    monkeypatch.setattr(csv, "SIGNATURE", b"time_ps,channel")
    recognises = csv.recognises
    monkeypatch.delattr(csv, "recognises")
    path = tmp_path / "tags.csv"
    path.write_text("time_ps,channel\n5,1\n")
    with pytest.raises(BadInput, match="csv, other"):
        datasets.open(path)
    monkeypatch.setattr(Other, "recognises", staticmethod(lambda head, size, path: False), raising=False)
    monkeypatch.setattr(csv, "recognises", recognises, raising=False)
    assert datasets.open(path).format == "csv"


def test_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInput, match="this is a pipe"):
        datasets.inspect(tmp_path / "pipe")
