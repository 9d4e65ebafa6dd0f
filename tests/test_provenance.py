import re
import subprocess
import time

from qkdlab import provenance


def test_ids_are_uuids_of_version_7_and_sort_by_time():
    before = time.time_ns() // 10**6
    first = provenance.run_id()
    time.sleep(0.003)
    second = provenance.run_id()
    for one in (first, second):
        assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", one)
        assert before <= int(one.replace("-", "")[:12], 16) <= time.time_ns() // 10**6
    at_once = [provenance.run_id() for _ in range(10_000)]
    assert first < second < at_once[0] and at_once == sorted(set(at_once)), "also those of one millisecond"


def test_ids_sort_also_where_the_clock_is_set_back(monkeypatch):
    first = provenance.run_id()
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert first < provenance.run_id() < provenance.run_id()


def test_surroundings():
    about = provenance.surroundings()
    assert set(about) == {"host", "system", "processor", "python", "git", "packages_sha256"}
    assert re.fullmatch("[0-9a-f]{64}", about["packages_sha256"])


def test_commit_and_changes(tmp_path, monkeypatch):
    (tmp_path / "package").mkdir()
    file = tmp_path / "package" / "module.py"
    monkeypatch.setattr(provenance, "__file__", str(file))
    state = provenance.source_state.__wrapped__
    assert state() is None                                # no checkout
    file.write_text("1")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.invalid"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run([*git, *words], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    assert state() == {"commit": head, "dirty": False}
    file.write_text("2")
    assert state() == {"commit": head, "dirty": True}
