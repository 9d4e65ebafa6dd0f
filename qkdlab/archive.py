"""An archive: a folder of runs with an index. The runs' files are the only truth; the index can be deleted at any time.

The index is an SQLite file in the folder, ``.qkdlab-index.db``: one row a run, one a result, one a number of a result, and
the words of notes for the search. It is brought up to date before each use, by the size and time of each file; an index of
another version of its layout, or a damaged one, is made anew. Where the folder cannot be written it is kept in memory.
"""

import contextlib
import json
import os
import pathlib
import sqlite3

from .datasets import open as open_recording
from .datasets import results
from .datasets.run import SUFFIX
from .errors import BadInput
from .session import Session

__all__ = ["INDEX", "Archive", "analyse", "analysed"]

INDEX = ".qkdlab-index.db"
SCHEMA = 1                       # raised whenever the tables change
TABLES = """
CREATE TABLE run (path TEXT PRIMARY KEY, bytes INTEGER, mtime_ns INTEGER, run_id TEXT, created TEXT, simulated INTEGER,
    tags INTEGER, seconds REAL, complete INTEGER, content_sha256 TEXT, operator TEXT, purpose TEXT, notes TEXT,
    error TEXT, about TEXT);
CREATE TABLE result (id TEXT, path TEXT REFERENCES run ON DELETE CASCADE, created TEXT, settings_sha256 TEXT,
    secret_bits INTEGER, reason TEXT, PRIMARY KEY (path, id));
CREATE TABLE scalar (path TEXT, result TEXT, name TEXT, value REAL,
    FOREIGN KEY (path, result) REFERENCES result (path, id) ON DELETE CASCADE);
CREATE INDEX scalar_name ON scalar (name, value);
CREATE INDEX run_run_id ON run (run_id);
CREATE VIRTUAL TABLE words USING fts5 (path UNINDEXED, name, operator, purpose, notes, log);
"""
ROW = ("path", "run_id", "created", "simulated", "tags", "seconds", "complete", "content_sha256", "operator", "purpose",
       "notes", "error")


class Archive:
    """A folder of runs, as a context manager.

    Parameters
    ----------
    folder : path-like
        Searched with all folders in it.

    Raises
    ------
    BadInput
        Where the folder does not exist.
    """

    def __init__(self, folder="."):
        self.folder = pathlib.Path(folder)
        if not self.folder.is_dir():
            raise BadInput("no such folder", where=self.folder)
        self._base = _index(self.folder / INDEX)
        self.refresh()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        """Close the index."""
        self._base.close()

    def refresh(self):
        """Bring the index up to date with the files."""
        known = {path: (size, time) for path, size, time in self._base.execute("SELECT path, bytes, mtime_ns FROM run")}
        for file in sorted(self.folder.rglob(f"*{SUFFIX}")):
            try:
                stat = file.stat()
            except OSError:                                 # gone meanwhile
                continue
            path = str(file.relative_to(self.folder))
            if known.pop(path, None) != (stat.st_size, stat.st_mtime_ns):
                self._take(path, stat)
        with self._base:
            for path in known:
                self._forget(path)

    def _forget(self, path):
        self._base.execute("DELETE FROM run WHERE path = ?", (path,))
        self._base.execute("DELETE FROM words WHERE path = ?", (path,))

    def _take(self, path, stat):
        """Read one run into the index. A file that cannot be read is listed with the reason; one that is no run is not."""
        file, found = self.folder / path, []
        try:
            run = results.about(file)
            found = results.read_results(file)
        except BadInput as error:
            run = {"error": error.why}
        row = {"path": path, "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns, "about": json.dumps(run),
               "error": None, **{name: run.get(name) for name in ROW[1:]}}
        with self._base:
            self._forget(path)
            self._base.execute(f"INSERT INTO run ({', '.join(row)}) VALUES ({', '.join(':' + n for n in row)})", row)
            log = " ".join(json.dumps(line) for line in run.get("log", ()))
            self._base.execute("INSERT INTO words VALUES (?, ?, ?, ?, ?, ?)",
                               (path, path, row["operator"], row["purpose"], row["notes"], log))
            for one in found:
                report = one["result"] or {}
                self._base.execute("INSERT INTO result VALUES (?, ?, ?, ?, ?, ?)", (
                    one["id"], path, one["created"], one["settings_sha256"], report.get("secret_bits"),
                    report.get("reason")))
                self._base.executemany("INSERT INTO scalar VALUES (?, ?, ?, ?)",
                                       ((path, one["id"], name, value) for name, value in _scalars(report)))

    def runs(self, words=None):
        """The runs, oldest first, with their latest result.

        Parameters
        ----------
        words : str, optional
            Only those whose name, operator, purpose, notes or log have all of these words (or beginnings of words).

        Returns
        -------
        list of dict
            ``path, run_id, created, simulated, tags, seconds, complete, content_sha256, operator, purpose, notes, error,
            results`` (how many), ``secret_bits`` and ``reason`` (of the latest result; None without one).
        """
        where, values = "", ()
        if words is not None:
            terms = " ".join('"' + word.replace('"', '""') + '"*' for word in words.split())
            if not terms:
                raise BadInput("some words are expected", field="search")
            where, values = "WHERE path IN (SELECT path FROM words WHERE words MATCH ?)", (terms,)
        rows = self._base.execute(f"SELECT {', '.join(ROW)} FROM run {where} ORDER BY created, path", values).fetchall()
        return [self._row(row) for row in rows]

    def _row(self, row):
        run = dict(zip(ROW, row, strict=True))
        run["simulated"], run["complete"] = (None if run[n] is None else bool(run[n]) for n in ("simulated", "complete"))
        latest = self._base.execute("SELECT secret_bits, reason FROM result WHERE path = ? ORDER BY id DESC",
                                    (run["path"],)).fetchall()
        secret, reason = latest[0] if latest else (None, None)
        return run | {"results": len(latest), "secret_bits": secret, "reason": reason}

    def scalars(self, name):
        """A number of all results, such as ``"qber_test"`` or ``"bound.s1"``: list of (path, result id, value)."""
        return self._base.execute("SELECT path, result, value FROM scalar WHERE name = ? ORDER BY path, result",
                                  (name,)).fetchall()

    def find(self, name):
        """The file of a run, by its id, the beginning or the end of its id, or its path.

        Raises
        ------
        BadInput
            Where there is none, or more than one.
        """
        rows = self._base.execute("SELECT path, run_id FROM run").fetchall()
        found = [path for path, _ in rows if name in (path, str(self.folder / path), path.removesuffix(SUFFIX))]
        if not found and len(name) >= 4:
            found = [path for path, run in rows if run and (run.startswith(name) or run.endswith(name))]
        if not found:
            raise BadInput("no such run in this folder; see `qkdlab runs`", where=self.folder, field="ID", value=name)
        if len(found) > 1:
            raise BadInput(f"more than one run is called so: {', '.join(sorted(found)[:5])}", where=self.folder, field="ID",
                           value=name)
        return self.folder / found[0]

    def show(self, name):
        """All that a run says of itself, and its results: read from its file.

        Returns
        -------
        dict
            As :func:`qkdlab.datasets.results.about`, with ``path`` and ``results``.
        """
        path = self.find(name)
        return {"path": str(path), **results.about(path), "results": results.read_results(path)}


def _scalars(table, prefix=""):
    """Numbers of nested tables by dotted name."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _scalars(value, f"{prefix}{name}.")
        elif isinstance(value, int | float):
            yield prefix + name, float(value)


def _index(path):
    """The open index: the one that is there, else a new one, else one in memory."""
    for attempt in (path, path, ":memory:"):
        base = None
        try:
            base = sqlite3.connect(attempt, timeout=20)
            base.execute("PRAGMA journal_mode = WAL")
            base.execute("PRAGMA foreign_keys = ON")
            version = base.execute("PRAGMA user_version").fetchone()[0]
            if version != SCHEMA:
                if version or base.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    raise sqlite3.DatabaseError("an index of another version")
                base.executescript(f"BEGIN; {TABLES} PRAGMA user_version = {SCHEMA}; COMMIT;")
            with base:                                       # a folder that cannot be written shows here
                base.execute("UPDATE run SET path = path WHERE 0")
            return base
        except sqlite3.Error:
            if base is not None:
                base.close()
            for ending in ("", "-wal", "-shm"):
                with contextlib.suppress(OSError):
                    os.unlink(f"{path}{ending}")
    raise BadInput("no index can be made, not even in memory: is this SQLite without FTS5?", where=path)


# ------------------------------------------------------------------------------------------------------------- analysis


def analyse(path, distill=None, *, keep=True):
    """Analyse a run, with its stored settings or others, and keep the result in its file.

    Parameters
    ----------
    path : path-like
        A run, or any recording that a key can be made of where nothing is to be kept.
    distill : DistillSettings, optional
        Absent: the run's own.
    keep : bool

    Returns
    -------
    dict
        The session's report. The same run with the same settings gives the same keys, as the seeds of the hashes are
        expanded from the run's public seed.

    Raises
    ------
    BadInput
        Where no key can be made of it, or nothing can be added to the file.
    """
    report = Session(open_recording(path), distill).run()
    if keep:
        results.add_result(path, report)
    return report


def analysed(path, distill=None):
    """The latest stored report of a run under these settings, or None."""
    recording = open_recording(path)
    settings = Session(recording, distill).agreement.digest()
    same = [one["result"] for one in results.read_results(path) if one["settings_sha256"] == settings]
    return same[-1] if same else None
