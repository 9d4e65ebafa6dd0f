import json
import pathlib
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from qkdlab import _ext, benchmarks, cli
from qkdlab.benchmarks import amplify, decoy, records, slots, streams
from qkdlab.benchmarks.measure import Case, Peer, measure
from qkdlab.benchmarks.plot import svg
from qkdlab.benchmarks.table import table
from qkdlab.bits import Bits
from qkdlab.datatypes import TimeTags
from qkdlab.errors import BadInput


class Stopwatch:
    """A clock that only calls turn on."""

    def __init__(self):
        self.now, self.log = 0.0, []

    def __call__(self):
        return self.now

    def call(self, name, seconds):
        def run():
            self.now += next(seconds)
            self.log.append(name)

        return run


def absent():
    raise ImportError("no such thing", name="nowhere")


def endless(*seconds):
    while True:
        yield from seconds


def test_ratios_are_taken_within_a_turn():
    """A machine that is ten times slower in some turns, for both sides, does not show in the ratio."""
    clock = Stopwatch()
    ours = clock.call("ours", iter([1.0] + [0.1, 1.0, 0.1, 1.0, 0.1]))         # the first is not measured
    slow = clock.call("slow", iter([0.4, 4.0, 0.4, 4.0, 0.4]))
    case = Case("work", "bits", 2.0, ours, (Peer("slow", lambda: slow), Peer("absent", absent)), goal=10,
                goal_over=(2, "slow"), facts={"f": 1.03, "none": None}, clock=clock)
    row = measure(case, 5)
    assert clock.log == ["ours"] + ["ours", "slow"] * 5
    assert row["rate"] == pytest.approx(20)
    assert row["peers"]["slow"] == {"rate": pytest.approx(5), "ratio": pytest.approx(4)}
    assert row["peers"]["absent"] == {"missing": "not installed (nowhere)"}
    assert (row["goal"], row["goal_over"]) == (10, (2, "slow"))


def test_short_calls_are_repeated_and_less_work_counts_less():
    clock = Stopwatch()
    case = Case("work", "bits", 1.0, clock.call("ours", endless(0.006)),
                (Peer("peer", lambda: clock.call("peer", endless(0.05)), 0.1),), clock=clock)
    row = measure(case, 3)
    assert clock.log == ["ours"] + (["ours"] * 4 + ["peer"]) * 3
    assert row["peers"]["peer"]["ratio"] == pytest.approx(0.5 / 0.006)


def report():
    rows = [
        {"name": "a <b>", "unit": "bits", "rate": 100.0, "peers": {"p&q": {"rate": 1.0, "ratio": 100.0},
                                                                    "gone": {"missing": "not installed (gone)"}},
         "goal": 80, "goal_over": (200, "p&q"), "facts": {"f": 1.03, "parts": {"one": 1}, "none": None}},
        {"name": "c", "unit": "tags", "rate": 0.5, "peers": {}, "goal": None, "goal_over": (2, "gone"), "facts": {}},
    ]
    machine = {"processor": "abacus", "cores": 10, "load": 0.0, "system": "wood", "instructions": "portable"}
    return {"machine": machine, "versions": {"numpy": "2"}, "rows": rows}


def test_table_says_all():
    text = table(report())
    for part in ("abacus, 10 cores", "numpy 2", "100 bits", "p&q 100", "gone: not installed (gone)", "80: reached",
                 "200 x p&q: 50% of it", "2 x gone", "f 1.03, parts (one 1), none -"):
        assert part in text


def test_picture_is_well_formed():
    root = ElementTree.fromstring(svg(report()))
    texts = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert {"a <b>", "a <b> / p&q", "100 M bits/s", "100 x", "c"} <= set(texts)
    assert not any("gone" in text for text in texts)
    _, *bars = (element.get("width") for element in root.iter() if element.tag.endswith("rect"))
    assert len(bars) == 3
    assert all(float(width) > 0 for width in bars)


def test_menu():
    assert benchmarks.BENCHMARKS.names() == [
        "amplify", "blocks", "cascade", "decoy", "detections", "encode", "records", "slots", "streams"]
    with pytest.raises(BadInput, match="did you mean|encode"):
        benchmarks.run(["encoder"])
    with pytest.raises(BadInput, match="quick, normal or long"):
        benchmarks.run(["encode"], "short")


@pytest.mark.parametrize("form", ["text", "json"])
def test_command(tmp_path, capsys, form):
    picture = tmp_path / "speeds.svg"
    assert cli.main(["bench", "encode", "--quick", "--plot", str(picture), *(["--json"] if form == "json" else [])]) == 0
    out, error = capsys.readouterr()
    if form == "json":
        found = json.loads(out)
        assert found["machine"]["instructions"] == _ext.path
        assert found["versions"]["numpy"] == np.__version__
        (row,) = found["rows"]
        assert row["benchmark"] == row["name"] == "encode"
        assert row["rate"] > 0
        assert row["peers"]["numpy"]["ratio"] > 0
    else:
        assert "encode" in out
        assert "numpy" in out
    assert str(picture) in error
    ElementTree.parse(picture)


def test_command_refuses_a_place_that_cannot_be_written(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(benchmarks, "run", lambda *_: report())
    assert cli.main(["bench", "--plot", str(tmp_path / "nowhere" / "x.svg")]) == 2
    assert "nowhere" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------- peers do the same work


def test_toeplitz_peers():
    rng = np.random.default_rng(1)
    for n, m in (1, 1), (1000, 300), (5000, 5000):
        key, seed = (rng.integers(0, 2, length, dtype=np.uint8) for length in (n, n + m - 1))
        ours = amplify.amplify(Bits.from_numpy(key), m, Bits.from_numpy(seed)).to_numpy()
        assert np.array_equal(ours, amplify.by_fourier(key, m, seed))
        assert np.array_equal(ours, amplify.by_convolution(key, seed))


def test_decoy_settings_are_the_analysis_own():
    (case,) = decoy.cases("quick")
    assert len(case.call().rate_per_pulse) == round(1e6 * case.amount)
    assert case.facts["with a key"] != "0%"
    case.peers[0].prepare()()


def test_records_peer(tmp_path):
    path = tmp_path / "tags.ptu"
    records._write(pathlib.Path(path), 20_000)
    theirs = records.by_ptufile(path)()
    blocks = list(records.open_recording(path).tag_blocks())
    times = np.concatenate([block.time_ps for block in blocks])
    assert records._read(path) == len(times) == 20_000
    assert np.array_equal(theirs["time"][theirs["channel"] >= 0], times)


def test_tag_peers():
    rng = np.random.default_rng(2)
    a, b = (TimeTags(np.cumsum(rng.integers(0, 2000, 5000)), rng.integers(0, 4, 5000, dtype=np.uint8)) for _ in range(2))
    merged = streams.streams.merge(a, b)
    for got, expected in zip(streams.by_sorting(a, b), (merged.time_ps, merged.channel), strict=True):
        assert np.array_equal(got, expected)
    assert streams.by_searching(a.time_ps, b.time_ps) == streams.streams.coincidences(a.time_ps, b.time_ps, 500)
    delay = np.array([0, 30, -20, 700])
    call, out = slots.gating(a.time_ps, a.channel, delay)
    kept = call()
    slot, detector, counts = slots.by_numpy(a.time_ps, a.channel, delay)
    assert np.array_equal(out[0][:kept], slot)
    assert np.array_equal(out[1][:kept], detector)
    assert np.array_equal(out[2].ravel(), counts)
