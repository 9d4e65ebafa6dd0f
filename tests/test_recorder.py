"""What a run notes besides the tags, and that a killed recorder loses the block under way at most."""

import json
import re
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

from qkdlab import datasets
from qkdlab.choices import DrawnChoices
from qkdlab.datasets import results, run
from qkdlab.datatypes import DistillSettings, ReceiverSettings, SourceSettings, SynchronisationSettings, TimeTags
from qkdlab.errors import BadInput

SOURCE, SYNC = SourceSettings(clock_hz=2e8), SynchronisationSettings(frame_slots=1 << 12, header_slots=1 << 8)


def tags(n=100, start=0):
    return TimeTags(start + np.arange(n) * 1000, np.arange(n) % 4)


@pytest.fixture
def noted(tmp_path):
    with run.RunWriter(tmp_path / "run.h5", operator="Ada", purpose="alignment", notes="shutter open\nfog", parents=["x"],
                       snapshot={"laser": {"power_dbm": -3.5}}, provenance={"fibre": "A"}, source=SOURCE) as writer:
        writer.append(tags())
        writer.log("alarm", detector=2, what="count rate")
        writer.append(tags(50, 10**6))
        writer.log("shutter closed")
        writer.snapshot_end({"laser": {"power_dbm": -3.6}})
    return writer


def test_all_that_is_noted_comes_back(noted):
    about = results.about(noted.path)
    assert about["run_id"] == noted.run_id and about["operator"] == "Ada" and about["purpose"] == "alignment"
    assert about["notes"] == "shutter open\nfog" and about["parents"] == ["x"] and about["provenance"] == {"fibre": "A"}
    assert about["snapshot"] == {"start": {"laser": {"power_dbm": -3.5}}, "end": {"laser": {"power_dbm": -3.6}}}
    assert [(e["event"], e.get("detector")) for e in about["log"]] == [("alarm", 2), ("shutter closed", None)]
    assert about["tags"] == 150 and about["blocks"] >= 2 and about["complete"] and about["closed"] >= about["created"]
    assert (about["first_ps"], about["last_ps"]) == (0, 10**6 + 49_000)
    assert set(about["settings"]) == {"source"} and about["surroundings"]["host"]
    assert re.fullmatch("[0-9a-f]{64}", about["content_sha256"])
    json.dumps(about, allow_nan=False)


def test_the_hash_is_of_the_tags_however_they_came(tmp_path, noted):
    with run.RunWriter(tmp_path / "other.h5") as writer:
        both = [tags(), tags(50, 10**6)]
        writer.append(TimeTags(*(np.concatenate([getattr(t, n) for t in both]) for n in ("time_ps", "channel"))))
    assert results.about(writer.path)["content_sha256"] == results.about(noted.path)["content_sha256"]
    assert results.verify(writer.path) is True


def test_a_changed_tag_is_found(noted):
    with h5py.File(noted.path, "r+") as file:
        file["bob/channel"][7] ^= 1
    assert results.verify(noted.path) is False


@pytest.mark.parametrize(("settings", "field"), [
    ({"snapshot": {"a": object()}}, "snapshot"), ({"provenance": {"a": float("nan")}}, "provenance"),
    ({"notes": 5}, "notes"), ({"operator": "a\0b"}, "operator"), ({"parents": [object()]}, "parents")])
def test_values_that_are_not_plain(tmp_path, settings, field):
    with pytest.raises(BadInput) as caught:
        run.RunWriter(tmp_path / "run.h5", **settings)
    assert caught.value.field == field and not list(tmp_path.iterdir())


def test_one_snapshot_at_the_end(tmp_path):
    with run.RunWriter(tmp_path / "run.h5") as writer:
        writer.snapshot_end({})
        with pytest.raises(BadInput, match="already"):
            writer.snapshot_end({})


def test_a_public_seed_is_drawn_where_a_key_can_be_made(tmp_path):
    seeds = set()
    for name in ("a.h5", "b.h5"):
        with run.RunWriter(tmp_path / name, source=SOURCE, sync=SYNC, choices=DrawnChoices(SOURCE, SYNC, bytes(32))):
            pass
        seeds.add(datasets.open(tmp_path / name).public_seed)
    assert None not in seeds and len(seeds) == 2


def test_results_are_added(noted):
    first = results.add_result(noted.path, {"settings_sha256": "ab", "secret_bits": 5, "bound": {"s1": 3.5}})
    second = results.add_result(noted.path, {"settings_sha256": "cd", "reason": "dark"})
    one, two = results.read_results(noted.path)
    assert (one["id"], two["id"]) == (first, second) and one["result"]["bound"] == {"s1": 3.5}
    assert two["settings_sha256"] == "cd" and results.about(noted.path)["tags"] == 150
    assert results.verify(noted.path)
    with pytest.raises(BadInput, match="plain"):
        results.add_result(noted.path, {"x": float("nan")})
    results.add_note(noted.path, "later thought")
    assert results.about(noted.path)["notes"] == "shutter open\nfog\nlater thought"
    with pytest.raises(BadInput):
        results.add_note(noted.path, "  ")


def test_nothing_is_added_while_it_is_recorded(tmp_path):
    code = f"""
import sys, time
from qkdlab.datasets import run
with run.RunWriter({str(tmp_path / 'run.h5')!r}):
    print("on", flush=True)
    sys.stdin.readline()
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "on\n"
        with pytest.raises(BadInput, match="still being recorded|another program"):
            results.add_result(tmp_path / "run.h5", {})
    finally:
        process.communicate("\n")
    assert process.returncode == 0 and results.add_result(tmp_path / "run.h5", {})


KILLED = """
import sys, numpy as np
from qkdlab.datasets import run
from qkdlab.datatypes import TimeTags
with run.RunWriter(sys.argv[1], notes="to be killed") as writer:
    i = 0
    while True:
        n = 1 + i * 977 % 9000
        writer.append(TimeTags(np.arange(n) + 10**6 * i, np.full(n, i % 4)))
        print(writer.tags, flush=True)
        i += 1
"""


@pytest.mark.parametrize("blocks", [1, 7, 40])
def test_a_killed_recorder_loses_at_most_the_block_under_way(tmp_path, blocks):
    path = tmp_path / "run.h5"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True)
    acknowledged = [int(process.stdout.readline()) for _ in range(blocks)]
    time.sleep(0.003 * (blocks % 3))
    process.send_signal(signal.SIGKILL)
    acknowledged += [int(line) for line in process.communicate()[0].split()]
    recording = datasets.open(path)
    assert "not closed in order" in recording.warnings[0] and not recording.complete
    found = list(recording.tag_blocks())
    times, count = np.concatenate([b.time_ps for b in found]), sum(map(len, found))
    lengths = [1 + i * 977 % 9000 for i in range(len(acknowledged) + 1)]
    assert count in (acknowledged[-1], acknowledged[-1] + lengths[-1])
    assert np.array_equal(times, np.concatenate([np.arange(n) + 10**6 * i for i, n in enumerate(lengths)])[:count])
    assert results.about(path)["notes"] == "to be killed" and results.verify(path) is None
    with pytest.raises(BadInput, match="convert"):
        results.add_result(path, {})
    notes = datasets.convert(path, tmp_path / "whole.h5")
    assert any("not closed" in note for note in notes)
    whole = results.about(tmp_path / "whole.h5")
    assert whole["complete"] and whole["tags"] == count and whole["notes"] == "to be killed"
    assert whole["parents"] == [results.about(path)["run_id"]]


def test_key_material_is_never_in_the_file(tmp_path):
    """A whole session, stored: no stretch of the keys is in the file, neither packed nor as text."""
    from qkdlab import Session, simulate

    tables = {"source": SourceSettings(clock_hz=2e8, probabilities=(0.6, 0.25, 0.15), intensities=(0.5, 0.15, 0.001),
                                       key_basis_probability=0.7),
              "synchronisation": SynchronisationSettings(frame_slots=65536, header_slots=4096)}
    link, path = simulate(tables, seed=1), tmp_path / "run.h5"
    link.update(channel=link.channel.replace(distance_km=0.0), detectors=link.detectors.replace(efficiency=0.5))
    with datasets.writer("h5", path, link) as writer:
        for block in link.blocks(0.1):
            writer.append(block)
    keys = []
    from qkdlab import parties

    amplified = parties.amplify
    parties.amplify = lambda *arguments, **named: keys.append(amplified(*arguments, **named)) or keys[-1]
    try:
        report = Session(datasets.open(path)).run()
    finally:
        parties.amplify = amplified
    assert report["secret_bits"] > 0 and keys
    results.add_result(path, report)
    with h5py.File(path) as file:
        stored = file["results"][next(iter(file["results"]))][:].tobytes()
    for raw in (path.read_bytes(), stored):
        for key in keys:
            packed = key.to_bytes()
            assert packed[:8] not in raw and packed.hex()[:16].encode() not in raw.lower()


def test_settings_fit(tmp_path):
    public = {"source": SOURCE, "sync": SYNC, "receiver": ReceiverSettings(gate_ps=300), "distill": DistillSettings()}
    with run.RunWriter(tmp_path / "run.h5", **public):
        pass
    assert set(results.about(tmp_path / "run.h5")["settings"]) == {"source", "synchronisation", "receiver", "distill"}
