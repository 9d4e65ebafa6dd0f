"""Tables by other people: what is read, what is assumed, what is refused."""

from fractions import Fraction

import numpy as np
import pytest

from qkdlab import datasets
from qkdlab.datasets import columns, csv, npz
from qkdlab.errors import BadInput


@pytest.mark.parametrize(("name", "unit"), [
    ("time_ps", 1), ("t_ps", 1), ("timestamp", None), ("Time (ns)", 1000), ("Timestamp [us]", 10**6), ("time_tag_ns", 1000),
    ("time/s", 10**12), ("ARRIVAL TIME fs", Fraction(1, 1000)), ("t", None)])
def test_names_of_times(name, unit):
    found = columns.find(["index", name, "Channel Number"], "x")
    assert (found.time, found.channel) == (name, "Channel Number")
    assert found.unit_ps == (unit or 1) and bool(found.assumed) == (unit is None)


@pytest.mark.parametrize(("names", "match"), [
    (["a", "b"], "time: one column"), (["time"], "channel: one column"), (["time", "t_ns", "ch"], "more than one"),
    (["time", "ch", "detector"], "more than one")])
def test_names_that_do_not_say(names, match):
    with pytest.raises(BadInput, match=match):
        columns.find(names, "x")


def times(path, **settings):
    recording = datasets.open(path, **settings)
    rows = [zip(b.time_ps.tolist(), b.channel.tolist(), strict=True) for b in recording.tag_blocks()]
    return [row for block in rows for row in block], recording.warnings


@pytest.mark.parametrize(("text", "tags", "assumed"), [
    ("time_ns;ch\n5;1\n7;2\n", [(5000, 1), (7000, 2)], 0),
    ("channel\ttimestamp\n1\t5\n2\t7\n", [(5, 1), (7, 2)], 1),
    ("# by a tagger\n% more\n\ntime (ns), detector, x\n1.5, 3, a\n2.25, 0, b\n", [(1500, 3), (2250, 0)], 0),
    ("1000,1\n2000,2\n", [(1000, 1), (2000, 2)], 2),
    ("1,1000\n2,2000\n", [(1000, 1), (2000, 2)], 2),
    ("3 1\n4 2\n", [(3, 1), (4, 2)], 2),
    ("\ufefftime_ps,channel\r\n5,1\r\n", [(5, 1)], 0),
    ('"time_us","channel"\n"5","1"\n', [(5_000_000, 1)], 0)])
def test_tables_of_others(tmp_path, text, tags, assumed):
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8", newline="")
    found, warnings = times(path, form="csv")
    assert found == tags and len(warnings) == assumed


def test_the_unit_as_an_option(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("1000,1\n2000,2\n")
    assert times(path, form="csv", unit="ns") == ([(10**6, 1), (2 * 10**6, 2)],
                                                  ("no column names: the first column is taken as the time",))
    with pytest.raises(BadInput, match="unit: one of fs, ps"):
        csv.read(path, unit="years")
    path.write_text("time_ns,ch\n1,1\n")
    with pytest.raises(BadInput, match="unit: the column is called 'time_ns'"):
        csv.read(path, unit="ps")


@pytest.mark.parametrize(("text", "match"), [
    ("time,ch\n1.5,1\n", "line 2: time: fractions without a unit"),
    ("time_ps,ch\n1.5,1\n", "line 2: time_ps: whole ps"),
    ("time_s,ch\n1.5,1\n9008.5,1\n", "line 3: time_s: a float64 does not hold"),
    ("time_s,ch\n1,1\n9300000,1\n", r"line 3: a time below 2\^63 ps"),
    ("time_ns,ch,x\n1.5,1,2\n3,4\n", "line 3: 3 fields"),
    ("time_ns,ch\n1.5,1\ninf,4\n", "line 3: time_ns"),
    ("time_ns,ch\n1.5,1\n2,256\n", "line 3: ch: a channel from 0 to 255"),
    ("time_ns,ch\n1,1\n2.5x,4\n", "line 3"),
    ("1,2,3\n4,5,6\n", "two columns are expected"),
    ("time_ps,channel", "no end")])
def test_spoilt_tables_are_named(tmp_path, text, match):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(BadInput, match=match):
        datasets.inspect(path, form="csv")


def test_arrays_of_others(tmp_path):
    stamps = np.array([2**60, 2**60 + 1], np.uint64)
    np.savez(tmp_path / "a.npz", timestamps=stamps, detectors=np.array([1, 2], np.int16), comment=np.array("x"))
    assert times(tmp_path / "a.npz") == ([(2**60, 1), (2**60 + 1, 2)],
                                         ("column 'timestamps' names no unit: its whole numbers are taken as ps",))
    np.savez(tmp_path / "b.npz", t_ns=np.array([1.5, 2.0]), ch=np.array([1.0, 3.0]))
    assert times(tmp_path / "b.npz") == ([(1500, 1), (2000, 3)], ())


@pytest.mark.parametrize(("stamps", "name", "match"), [
    (np.array([0.0, 2.0**53, 2.0**53 + 2]), "time_ps", "row 2: time_ps: a float64"),
    (np.array([0.0, float("nan")]), "time_ns", "row 1: time_ns"),
    (np.array([0, 2**63], np.uint64), "time_ps", "row 1: time_ps: beyond"),
    (np.array([0, 2**54]), "time_ns", "row 1: time_ns: beyond"),
    (np.array([1.0, 2.0]), "time", "fractions without a unit"),
    (np.array([1 + 2j]), "time_ps", "1-D array of numbers")])
def test_spoilt_arrays_are_named(tmp_path, stamps, name, match):
    np.savez(tmp_path / "a.npz", **{name: stamps}, channel=np.zeros(len(stamps), np.uint8))
    with pytest.raises(BadInput, match=match):
        npz.read(tmp_path / "a.npz").inspect()


def test_what_was_assumed_is_said(tmp_path):
    path = tmp_path / "plain.csv"
    path.write_text("1000,1\n2000,2\n")
    report = datasets.inspect(path)
    assert report["format"] == "csv" and report["channels"] == {"1": 1, "2": 1}
    assert report["warnings"] == ["no column names: the first column is taken as the time",
                                  "no unit: its whole numbers are taken as ps"]
