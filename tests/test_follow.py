"""A recording that grows while it is read."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import h5py
import numpy as np
import pytest

from qkdlab import Session, datasets, simulate
from qkdlab.cli import main
from qkdlab.datasets import ptu, run
from qkdlab.datasets.follow import Waiting
from qkdlab.datatypes import TimeTags
from qkdlab.errors import BadInput
from qkdlab.settings import read_toml
from qkdlab.simulation import SECTIONS

POLL = 0.005


def tags(n, start=0):
    rng = np.random.default_rng(n)
    return TimeTags(start + np.cumsum(rng.integers(0, 10**8, n)), rng.integers(0, 4, n).astype(np.uint8))


class Reader(threading.Thread):
    """Takes the blocks of a followed file on another thread; `wait` until so many tags came."""

    def __init__(self, recording, **options):
        super().__init__(daemon=True)
        self.recording, self.options = recording, options
        self.blocks, self.error, self.tally = [], None, datasets.Tally()
        self.start()

    def run(self):
        try:
            for block in self.recording.stream(self.tally, self.options.get("block_tags", 1 << 20)):
                self.blocks.append(block)
        except BadInput as error:
            self.error = error

    def wait(self, count, patience_s=120):
        end = time.monotonic() + patience_s
        while sum(map(len, self.blocks)) < count:
            assert self.is_alive() and time.monotonic() < end, f"{sum(map(len, self.blocks))} of {count} tags came"
            time.sleep(0.002)

    def end(self):
        self.join(120)
        assert not self.is_alive() and self.error is None, self.error
        return (np.concatenate([b.time_ps for b in self.blocks]), np.concatenate([b.channel for b in self.blocks]))


@pytest.fixture
def growing(tmp_path):
    """A PTU file as bytes, its header's length, and a path to write it to bit by bit. The header promises nothing yet."""
    whole, known = tmp_path / "whole.ptu", tags(5000)
    ptu.write(whole, [known])
    _, start = ptu.read_header(whole)
    raw = whole.read_bytes()
    at = raw.index(b"TTResult_NumberOfRecords") + 40
    return tmp_path / "growing.ptu", raw[:at] + bytes(8) + raw[at + 8 :], start, known, raw[at : at + 8], at


def test_a_picoquant_file_grows_by_odd_bytes(growing):
    path, raw, start, known, *_ = growing
    stop = threading.Event()
    path.write_bytes(raw[: start + 4002])
    reader = Reader(datasets.follow(path, stop=stop, poll_seconds=POLL), block_tags=300)
    reader.wait(500)          # half of the records are overflows
    with path.open("ab") as file:
        for begin in range(start + 4002, len(raw), 1777):
            file.write(raw[begin : begin + 1777])
            file.flush()
            time.sleep(0.002)
    reader.wait(len(known))
    assert reader.is_alive()
    stop.set()
    times, channel = reader.end()
    assert np.array_equal(times, known.time_ps) and np.array_equal(channel, known.channel)
    assert max(map(len, reader.blocks)) <= 300 and reader.tally.complete


def test_it_ends_where_the_header_says_that_all_is_there(growing):
    path, raw, start, known, promised, at = growing
    path.write_bytes(raw[:-400])
    reader = Reader(datasets.follow(path, poll_seconds=POLL))
    reader.wait(4700)
    with path.open("r+b") as file:
        file.seek(len(raw) - 400)
        file.write(raw[-400:])
        file.seek(at)
        file.write(promised)
    assert len(reader.end()[0]) == len(known)


def test_a_finished_file_ends_at_once(growing, tmp_path):
    assert sum(map(len, datasets.follow(tmp_path / "whole.ptu").tag_blocks())) == len(growing[3])


def test_idle_time_ends_it_and_a_part_of_a_record_is_told(growing):
    path, raw, *_ = growing
    path.write_bytes(raw[:-2])
    tally, recording = datasets.Tally(), datasets.follow(path, idle_seconds=0.05, poll_seconds=POLL)
    assert recording.complete and not recording.warnings
    assert sum(map(len, recording.tag_blocks(tally=tally))) == 4999
    assert not tally.complete and "2 of 4 bytes" in tally.warnings[0]


def test_a_file_that_becomes_shorter_is_refused(growing):
    path, raw, start, *_ = growing
    path.write_bytes(raw)
    reader = Reader(datasets.follow(path, poll_seconds=POLL))
    reader.wait(5000)
    os.truncate(path, start + 40)
    reader.join(120)
    assert "shorter" in str(reader.error)


def test_the_header_may_be_on_its_way(growing):
    path, raw, *_ = growing
    threading.Timer(0.05, lambda: path.write_bytes(raw[:100])).start()
    threading.Timer(0.15, lambda: path.write_bytes(raw)).start()
    recording = datasets.follow(path, idle_seconds=60, poll_seconds=POLL)
    recording.waiting.idle_seconds = 0.5
    assert sum(map(len, recording.tag_blocks())) == 5000


def test_what_never_becomes_a_recording_is_refused(tmp_path):
    path = tmp_path / "junk"
    path.write_bytes(b"neither this nor that")
    for name in (path, tmp_path / "nothing"):
        with pytest.raises(BadInput):
            datasets.follow(name, idle_seconds=0.05, poll_seconds=POLL)
    csv = tmp_path / "tags.csv"
    datasets.convert(ptu_file(tmp_path), csv)
    with pytest.raises(BadInput, match="cannot be followed"):
        datasets.follow(csv)


def ptu_file(folder):
    ptu.write(folder / "some.ptu", [tags(10)])
    return folder / "some.ptu"


@pytest.mark.parametrize("options", [{"idle_seconds": -1}, {"poll_seconds": 0}, {"stop": 5}])
def test_unfit_options(options):
    with pytest.raises(BadInput):
        Waiting(**options)


WRITER = """
import sys, time, numpy as np
from qkdlab.datasets import run
from qkdlab.datatypes import TimeTags
with run.RunWriter(sys.argv[1]) as writer:
    for i in range(40):
        n = 100 + 700 * (i % 5)
        writer.append(TimeTags(np.arange(n) + 10**6 * i, np.full(n, i % 4), 1))
        time.sleep(0.005)
"""


def test_a_run_grows_in_another_process(tmp_path):
    path = tmp_path / "run.h5"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)])
    try:
        end = time.monotonic() + 300
        while not path.exists():                     # a busy machine takes its time to start Python
            assert writer.poll() is None and time.monotonic() < end
            time.sleep(0.002)
        reader = Reader(datasets.follow(path, poll_seconds=POLL), block_tags=1000)
        times, channel = reader.end()
    finally:
        assert writer.wait(300) == 0
    lengths = [100 + 700 * (i % 5) for i in range(40)]
    assert np.array_equal(times, np.concatenate([np.arange(n) + 10**6 * i for i, n in enumerate(lengths)]))
    assert np.array_equal(channel, np.repeat(np.arange(40) % 4, lengths))
    assert sum(b.lost for b in reader.blocks) == 40 and len(reader.blocks) > 1


RACER = """
import sys, numpy as np
from qkdlab.datasets import run
from qkdlab.datatypes import TimeTags
at = 0
with run.RunWriter(sys.argv[1]) as writer:
    for i in range(300):
        n = 1 + i * 7919 % 9000
        writer.append(TimeTags(np.arange(at, at + n), np.arange(at, at + n) % 251))
        at += n
"""


def counts(blocks):
    """Number of tags, each of which has its number as its time."""
    at = 0
    for block in blocks:
        assert np.array_equal(block.time_ps, np.arange(at, at + len(block)))
        assert np.array_equal(block.channel, np.arange(at, at + len(block)) % 251)
        at += len(block)
    return at


def test_readers_beside_a_recorder_at_full_speed(tmp_path):
    """One follows, one opens the file again and again in the same process (where HDF5 shares what it has read)."""
    path, seen = tmp_path / "run.h5", []
    writer = subprocess.Popen([sys.executable, "-c", RACER, str(path)])
    try:
        while not path.exists() or path.stat().st_size < 10_000:
            assert writer.poll() is None or path.exists()
            time.sleep(0.002)
        followed = Reader(datasets.follow(path, poll_seconds=0.001), block_tags=3000)
        while followed.is_alive() and followed.error is None:
            seen.append(counts(datasets.open(path).tag_blocks()))
    finally:
        assert writer.wait(300) == 0
    followed.end()
    whole = sum(1 + i * 7919 % 9000 for i in range(300))
    assert counts(followed.blocks) == whole == counts(datasets.open(path).tag_blocks()) and seen == sorted(seen)


def test_a_run_that_is_closed_at_the_moment_it_is_opened(tmp_path, monkeypatch):
    """HDF5 compares its length with what its first bytes said before."""
    writer, real, closed = run.RunWriter(tmp_path / "run.h5").__enter__(), h5py.File, []
    writer.append(tags(100))

    def file(*given, **named):
        if not closed:
            closed.append(writer.__exit__(None, None, None))
            raise OSError("Unable to synchronously open file (truncated file: eof = 1)")
        return real(*given, **named)

    monkeypatch.setattr(h5py, "File", file)
    assert sum(map(len, datasets.follow(tmp_path / "run.h5").tag_blocks())) == 100 and closed


def test_a_reader_who_comes_while_a_run_begins_does_not_end_it(tmp_path, monkeypatch):
    """HDF5 gives up its lock for a moment on the way into single-writer mode."""
    begin, begun = run.RunWriter._begin, []

    def disturbed(writer, h5py):
        begin(writer, h5py)
        begun.append(writer)
        if len(begun) < 3:
            raise RuntimeError("Unable to start swmr writing (unable to lock file, errno = 11)")

    monkeypatch.setattr(run.RunWriter, "_begin", disturbed)
    with run.RunWriter(tmp_path / "run.h5") as writer:
        writer.append(tags(100))
    assert sum(map(len, datasets.open(tmp_path / "run.h5").tag_blocks())) == 100 and len(begun) == 3


@pytest.fixture(scope="module")
def link_tables():
    import pathlib

    return read_toml(pathlib.Path(__file__).with_name("link.toml"), SECTIONS)


def recorded(path, link, seconds, pause_s=0.0):
    with datasets.writer("h5", path, link, public_seed=b"s" * 32) as writer:
        for block in link.blocks(seconds, 0.02):
            writer.append(block)
            time.sleep(pause_s)


def test_a_session_over_a_growing_run_gives_the_key_of_the_finished_one(tmp_path, link_tables):
    path = tmp_path / "run.h5"
    thread = threading.Thread(target=recorded, args=(path, simulate(link_tables, seed=3), 0.1, 0.02))
    thread.start()
    live = Session(datasets.follow(path, poll_seconds=POLL)).run()
    thread.join()
    replay = Session(datasets.open(path)).run()
    assert live["secret_bits"] > 0 and live["bob_key_sha256"] == replay["bob_key_sha256"]


def test_nothing_is_announced_early_while_a_real_link_still_detects(tmp_path, link_tables):
    """As with a live link: the proofs assume that detections do not depend on what was announced."""
    link = simulate(link_tables, seed=3)
    recorded(tmp_path / "run.h5", link, 0.1)
    followed = datasets.follow(tmp_path / "run.h5")
    object.__setattr__(followed, "simulated", False)
    session, sifted = Session(followed), []
    session.subscribe(lambda e: sifted.append(e["sifted_key_bits"]) if e.step == "block" else None)
    report = session.run()
    assert report["secret_bits"] > 0 and max(sifted) == 0


def test_stop_ends_a_session_that_waits(tmp_path, link_tables):
    path = tmp_path / "run.h5"
    writer = datasets.writer("h5", path, simulate(link_tables, seed=3), public_seed=b"s" * 32)
    with writer:
        for block in simulate(link_tables, seed=3).blocks(0.1, 0.05):
            writer.append(block)
        session, seen = Session(datasets.follow(path, poll_seconds=POLL)), threading.Event()
        session.subscribe(lambda e: seen.set() if e.step == "clock" else None)
        session.start()
        assert seen.wait(60)
        session.stop()
        assert session.wait(60) and session.report["tags"] > 0


def test_from_the_command_line(tmp_path, link_tables, capsys):
    path = tmp_path / "run.h5"
    thread = threading.Thread(target=recorded, args=(path, simulate(link_tables, seed=3), 0.1, 0.02))
    thread.start()
    assert main(["distill", str(path), "--follow", "--idle", "20", "--json"]) == 0
    thread.join()
    assert json.loads(capsys.readouterr().out)["secret_bits"] > 0
    assert main(["distill", str(path), "--idle", "3"]) == 2 and "--follow" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to send")
def test_ctrl_c_makes_a_key_of_what_came(tmp_path, link_tables):
    path = tmp_path / "run.h5"
    link = simulate(link_tables, seed=3)
    with datasets.writer("h5", path, link, public_seed=b"s" * 32) as writer:
        for block in link.blocks(0.1, 0.05):
            writer.append(block)
        process = subprocess.Popen([sys.executable, "-c", TOLD, "distill", str(path), "--follow", "--json"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stderr.readline() == "a block\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=300)
    report = json.loads(out)
    assert report["secret_bits"] > 0 and process.returncode == 0, err


TOLD = """
import signal, sys
from qkdlab import cli, session
signal.signal(signal.SIGINT, signal.default_int_handler)      # a test run in the background ignores it, and hands that down
tell = session.Session._tell
def told(self, step, block=0, **values):
    tell(self, step, block, **values)
    if step == "block":
        print("a block", file=sys.stderr, flush=True)
session.Session._tell = told
sys.exit(cli.main())
"""
