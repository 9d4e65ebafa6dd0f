"""A folder of runs: its index is made of the files and of nothing else."""

import json
import os
import pathlib
import sqlite3
import subprocess
import sys

import pytest

from qkdlab import archive, datasets
from qkdlab.archive import INDEX, Archive, analyse, analysed
from qkdlab.cli import main
from qkdlab.datasets import results, run
from qkdlab.datatypes import DistillSettings, TimeTags
from qkdlab.errors import BadInput

LINK = pathlib.Path(__file__).with_name("link.toml")


def tiny(path, **noted):
    with run.RunWriter(path, **noted) as writer:
        writer.append(TimeTags([1, 2, 10**12], [0, 1, 2]))
    return writer.run_id


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "monday").mkdir()
    tiny(tmp_path / "monday" / "a.h5", notes="shutter was open", operator="Ada", created="2026-01-05T10:00:00+00:00")
    tiny(tmp_path / "b.h5", notes="fog over the link; don't use", created="2026-01-06T10:00:00+00:00")
    tiny(tmp_path / "c.h5", purpose="dark counts", created="2026-01-04T10:00:00+00:00")
    (tmp_path / "notes.txt").write_text("no run")
    return tmp_path


def names(archive, words=None):
    return [row["path"] for row in archive.runs(words)]


def test_oldest_first_with_all_folders_inside(folder):
    with Archive(folder) as a:
        assert names(a) == ["c.h5", os.path.join("monday", "a.h5"), "b.h5"]
        row = a.runs()[1]
        assert row["tags"] == 3 and row["seconds"] == pytest.approx(1) and row["operator"] == "Ada" and row["complete"]
        assert row["results"] == 0 and row["secret_bits"] is None and row["content_sha256"]


@pytest.mark.parametrize(("words", "found"), [
    ("shutter", {"a"}), ("shut", {"a"}), ("fog link", {"b"}), ("don't", {"b"}), ("ada", {"a"}), ("dark", {"c"}),
    ("shutter fog", set()), ('"', set()), ("AND OR NOT (", set()), ("notes:fog", set()), ("*", set()), ("b.h5", {"b"})])
def test_search_takes_any_words(folder, words, found):
    with Archive(folder) as a:
        assert {pathlib.Path(p).stem for p in names(a, words)} == found


def test_the_index_follows_the_files(folder):
    with Archive(folder) as a:
        assert len(names(a)) == 3
        (folder / "b.h5").unlink()
        (folder / "c.h5").rename(folder / "d.h5")
        tiny(folder / "e.h5")
        results.add_note(folder / "monday" / "a.h5", "zebra")
        results.add_result(folder / "e.h5", {"settings_sha256": "x", "secret_bits": 17, "bound": {"s1": 2.5}, "ok": True})
        a.refresh()
        assert set(names(a)) == {"d.h5", "e.h5", os.path.join("monday", "a.h5")}
        assert names(a, "fog") == [] and names(a, "zebra") == [os.path.join("monday", "a.h5")]
        assert [r["secret_bits"] for r in a.runs() if r["path"] == "e.h5"] == [17]
        assert [(p, v) for p, _, v in a.scalars("bound.s1")] == [("e.h5", 2.5)]


def test_what_is_up_to_date_is_not_read_again(folder, monkeypatch):
    with Archive(folder):
        pass
    monkeypatch.setattr(results, "about", lambda path: pytest.fail(f"{path} was read again"))
    with Archive(folder) as a:
        assert len(names(a)) == 3


@pytest.mark.parametrize("spoil", [
    lambda p: p.unlink(), lambda p: p.write_bytes(b"junk" * 1000), lambda p: p.write_bytes(b""),
    lambda p: sqlite3.connect(p).executescript("DROP TABLE run; CREATE TABLE run (x); PRAGMA user_version = 0"),
    lambda p: sqlite3.connect(p).executescript(f"PRAGMA user_version = {archive.SCHEMA + 1}"),
], ids=["gone", "junk", "empty", "older", "newer"])
def test_an_index_that_does_not_fit_is_made_anew(folder, spoil):
    with Archive(folder) as a:
        before = a.runs()
    spoil(folder / INDEX)
    with Archive(folder) as a:
        assert a.runs() == before and names(a, "fog") == ["b.h5"]
        assert a._base.execute("PRAGMA user_version").fetchone()[0] == archive.SCHEMA
        assert a._base.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_without_a_place_to_write_the_index_is_in_memory(folder, monkeypatch):
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, **k: connect(
        path if path == ":memory:" else folder / "no" / "such" / "folder", **k))
    with Archive(folder) as a:
        assert len(names(a)) == 3
    assert not (folder / INDEX).exists()


def test_damaged_files_are_listed_with_the_reason(folder):
    (folder / "bad.h5").write_bytes((folder / "b.h5").read_bytes()[:3000])
    with Archive(folder) as a:
        (bad,) = [row for row in a.runs() if row["path"] == "bad.h5"]
        assert "damaged" in bad["error"] and len(names(a)) == 4


def test_a_run_being_recorded_is_listed(folder):
    with run.RunWriter(folder / "now.h5") as writer:
        writer.append(TimeTags([1], [0]))
        with Archive(folder) as a:
            (now,) = [row for row in a.runs() if row["path"] == "now.h5"]
            assert now["tags"] == 1 and not now["complete"]


def test_runs_are_found_by_id_and_name(folder):
    made = tiny(folder / "x.h5")
    with Archive(folder) as a:
        for name in (made, made[:30], made[-8:], "x", "x.h5", str(folder / "x.h5")):
            assert a.find(name) == folder / "x.h5"
        with pytest.raises(BadInput, match="no such run"):
            a.find("y")
        with pytest.raises(BadInput, match="more than one"):
            a.find(made[:4])
        assert a.show("x")["run_id"] == made and a.show("x")["results"] == []
    with pytest.raises(BadInput, match="no such folder"):
        Archive(folder / "none")


# ------------------------------------------------------------------------------------------------------------- analysis


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for seed in (1, 2):
        assert main(["simulate", str(LINK), "-o", str(folder / f"{seed}.h5"), "--seed", str(seed), "--seconds", "0.06",
                     "--operator", "Ada", "--notes", f"number {seed}"]) == 0
    return folder


def test_same_run_same_settings_same_key(recorded, tmp_path):
    copy = tmp_path / "copy.h5"
    datasets.convert(recorded / "1.h5", copy)
    first, second, third = analyse(recorded / "1.h5", keep=False), analyse(recorded / "1.h5", keep=False), analyse(copy)
    keys = {r["bob_key_sha256"] for r in (first, second, third)} | {r["alice_key_sha256"] for r in (first, second, third)}
    assert first["secret_bits"] > 0 and len(keys) == 1
    other = analyse(recorded / "1.h5", DistillSettings(eps_sec=1e-8), keep=False)
    assert other["bob_key_sha256"] not in keys and other["settings_sha256"] != first["settings_sha256"]
    assert analysed(copy)["bob_key_sha256"] == first["bob_key_sha256"]
    assert analysed(copy, DistillSettings(eps_sec=1e-8)) is None
    # in another process as well
    code = f"from qkdlab.archive import analyse; print(analyse({str(copy)!r}, keep=False)['bob_key_sha256'])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() in keys


def printed(capsys, *argv):
    code = main([str(a) for a in argv])
    out, err = capsys.readouterr()
    return code, out, err


def test_commands(recorded, capsys):
    code, out, _ = printed(capsys, "runs", recorded)
    assert code == 0 and "1.h5" in out and "number 2" in out
    code, out, _ = printed(capsys, "runs", recorded, "--json")
    listed = json.loads(out)["runs"]
    assert [row["path"] for row in listed] == ["1.h5", "2.h5"] and listed[0]["simulated"] is True
    code, out, _ = printed(capsys, "runs", "-C", recorded, "search", "number", "2")
    assert "2.h5" in out and "1.h5" not in out
    code, out, _ = printed(capsys, "runs", "-C", recorded, "show", listed[1]["run_id"], "--json")
    shown = json.loads(out)
    assert shown["operator"] == "Ada" and shown["snapshot"]["start"]["simulation"]["channel"]["distance_km"] == 10
    assert printed(capsys, "runs", "-C", recorded, "note", "2", "seen", "again")[0] == 0
    code, out, _ = printed(capsys, "runs", "-C", recorded, "show", "2")
    assert "seen again" in out and listed[1]["run_id"] in out
    assert "as recorded" in printed(capsys, "runs", "-C", recorded, "verify", "1", "2")[1]


def test_analysing_again(recorded, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, out, _ = printed(capsys, "runs", "-C", recorded, "analyse", "--all", "--workers", "threads:2", "--json")
    first = json.loads(out)["runs"]
    assert code == 0 and all(row["secret_bits"] > 0 for row in first)
    assert [len(results.read_results(recorded / f"{n}.h5")) for n in (1, 2)] == [1, 1]
    # known results are taken, not computed
    code, out, _ = printed(capsys, "runs", "analyse", "--all", recorded, "--json")
    assert json.loads(out)["runs"] == first and len(results.read_results(recorded / "1.h5")) == 1
    code, out, _ = printed(capsys, "runs", "-C", recorded, "analyse", "1", "--again", "--json")
    assert json.loads(out)["runs"] == first[:1] and len(results.read_results(recorded / "1.h5")) == 2
    code, out, _ = printed(capsys, "runs", "-C", recorded, "analyse", "1", "--set", "abort_qber=0.0001")
    assert code == 1 and "abort line" in out and len(results.read_results(recorded / "1.h5")) == 3
    printed(capsys, "runs", "-C", recorded, "analyse", "1", "--again", "--no-store")
    assert len(results.read_results(recorded / "1.h5")) == 3
    code, out, _ = printed(capsys, "runs", recorded, "--json")
    assert json.loads(out)["runs"][0]["results"] == 3


def test_several_analysed_runs_are_drawn(recorded, capsys, tmp_path):
    picture = tmp_path / "night.svg"
    code, out, err = printed(capsys, "runs", "analyse", "--all", recorded, "--plot", picture)
    assert code == 0 and "2 runs" in out and f"saved {picture}" in err
    drawn = picture.read_text()
    assert drawn.startswith("<svg") and "secret bits" in drawn and drawn.count("<circle") == 2
    assert printed(capsys, "runs", "analyse", "--all", recorded, "--plot", tmp_path / "no" / "x.svg")[0] == 2


def test_tags_alone_give_a_reason_and_the_others_a_key(recorded, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)                          # the picture comes to where one is
    tiny(tmp_path / "tags.h5")
    (tmp_path / "1.h5").write_bytes((recorded / "1.h5").read_bytes())
    code, out, err = printed(capsys, "runs", "analyse", "--all", tmp_path, "--json")
    bare, good = sorted(json.loads(out)["runs"], key=lambda row: row["secret_bits"] or 0)
    assert code == 1 and "detections only" in bare["error"] and good["secret_bits"] > 0 and "note:" in err


@pytest.mark.parametrize("words", [["show"], ["show", "nope"], ["analyse"], ["a", "b"], ["search"], ["note", "1"],
                                   ["analyse", "1", "--proof", "nope"],
                                   ["analyse", "1", "--all"], ["analyse", "1", "--workers", "nope"]])
def test_bad_usage_is_one_line(recorded, capsys, words):
    code, out, err = printed(capsys, "runs", "-C", recorded, *words)
    assert code == 2 and not out and err.count("\n") == 1
