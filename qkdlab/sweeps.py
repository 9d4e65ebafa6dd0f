"""The same analysis of a simulated link over a grid of settings; what is finished is kept, and never done again.

A sweep is a folder: ``sweep.json`` says what was asked, ``results.jsonl`` has one line a finished task, ``table.csv`` and
``plot.svg`` are made of it at the end. A task is known by the hash of all its settings: they alone fix its seed, so that it
gives the same numbers on any number of workers of any kind, today or after a restart.
"""

import csv
import dataclasses
import functools
import hashlib
import itertools
import json
import math
import os
import pathlib
import re
import tomllib

from . import provenance
from .chart import line_chart
from .errors import BadInput
from .executors import executor
from .proofs.link_file import optimise_tables
from .session import Session
from .settings import from_table, nearest, read_toml, to_table
from .simulation import SECTIONS as PHYSICS
from .simulation import simulate
from .store import SECTIONS

__all__ = ["ANALYSES", "Task", "read_results", "run_task", "sweep", "tasks", "values"]

UNUSED = ("choices",)                                # sections of a configuration that a sweep does not take
LOSS = ("link.loss_db", "channel.loss_db")           # the whole way as one number: no fibre, all loss extra
MOST_TASKS = 100_000


# ------------------------------------------------------------------------------------------------------------ what to do


@dataclasses.dataclass(frozen=True)
class Task:
    """One point of a sweep.

    Attributes
    ----------
    point : dict
        Name of each setting that varies to its value here.
    content : dict
        All that decides the result: plain values.
    """

    point: dict
    content: dict

    @functools.cached_property
    def key(self):
        """Hash of the content."""
        return hashlib.sha256(json.dumps(self.content, sort_keys=True).encode()).hexdigest()[:32]

    @property
    def seed(self):
        """Of the simulation: decided by the content alone."""
        return int.from_bytes(hashlib.sha256(b"sweep seed " + self.key.encode()).digest()[:8], "little")


def values(text):
    """Values of one setting: ``0:40:2`` (start, stop, step; the stop included) or a list of TOML values (``0.1, 0.2``).

    Raises
    ------
    BadInput
        Where it is neither.
    """
    number = r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*"
    if match := re.fullmatch(":".join([number] * 3), text):
        start, stop, step = (float(part) for part in match.groups())
        steps = math.floor((stop - start) / step + 1e-9) if step else -1
        if not 0 <= steps < MOST_TASKS:
            raise BadInput("the step must lead from start to stop", field="--vary", value=text)
        whole = all(re.fullmatch(r"[-+]?\d+", part) for part in match.groups())
        return [(int if whole else float)(round(start + i * step, 12)) for i in range(steps + 1)]
    try:
        found = tomllib.loads(f"x = [{text}]")["x"]
    except tomllib.TOMLDecodeError:
        found = [part.strip() for part in text.split(",")]          # words need no quotes
    if not found or any(v == "" for v in found):
        raise BadInput("START:STOP:STEP or a list of values is expected", field="--vary", value=text)
    return found


def tasks(tables, vary, *, seconds=1.0, seed=0, analysis="distill"):
    """The tasks of a sweep: every combination of the values, each checked.

    Parameters
    ----------
    tables : dict of str to settings object
        As :func:`qkdlab.settings.read_toml` gives them; what is absent takes its defaults.
    vary : dict of str to sequence
        ``"section.setting"`` to its values. ``link.loss_db`` stands for the whole loss of the way.
    seconds : float
        Link time of each simulation.
    seed : int
        Another seed is another sample of everything.
    analysis : str
        A name of :data:`ANALYSES`.

    Returns
    -------
    list of Task

    Raises
    ------
    BadInput
        Naming setting and value.
    """
    if analysis not in ANALYSES:
        raise BadInput(f"unknown analysis; {nearest(analysis, ANALYSES)}", field="analysis", value=analysis)
    if not 0 < seconds < 1e7:
        raise BadInput("must be above 0 s and below 1e7 s", field="seconds", value=seconds)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise BadInput("a whole number of at least 0 is expected", field="seed", value=seed)
    if math.prod(map(len, vary.values())) > MOST_TASKS:
        raise BadInput(f"more than {MOST_TASKS} combinations", field="vary")
    plain = {name: to_table(tables.get(name) or cls()) for name, cls in SECTIONS.items() if name not in UNUSED}
    made = []
    for combination in itertools.product(*vary.values()):
        point = dict(zip(vary, combination, strict=True))
        here = {name: dict(table) for name, table in plain.items()}
        for name, value in point.items():
            _put(here, name, value)
        here = {name: to_table(from_table(SECTIONS[name], table, f"[{name}]")) for name, table in here.items()}
        content = {"analysis": analysis, "seed": seed, "tables": here}
        made.append(Task(point, content | ({"seconds": seconds} if analysis == "distill" else {})))
    return made


def _put(tables, name, value):
    """Set one setting of plain tables."""
    if name in LOSS:
        tables["channel"] |= {"distance_km": 0.0, "extra_loss_db": value}
        return
    section, dot, field = name.partition(".")
    if section not in tables or not dot:
        known = [f"{s}.{f.name}" for s in tables for f in dataclasses.fields(SECTIONS[s])]
        raise BadInput(f"SECTION.SETTING is expected; {nearest(name, [*known, *LOSS[:1]])}", field="vary", value=name)
    tables[section][field] = value


# ------------------------------------------------------------------------------------------------------------- doing it


def _distilled(content, seed):
    """A simulated session, as a flat row."""
    tables = {name: from_table(SECTIONS[name], table) for name, table in content["tables"].items()}
    link = simulate({name: tables[name] for name in PHYSICS}, seed=seed)
    link.public_seed = hashlib.sha256(b"public seed %d" % seed).digest()
    report = Session(link, tables["distill"]).run(content["seconds"])
    bound = report["bound"]
    return {"secret_bits": report["secret_bits"], "rate_hz": report["secret_bits"] / content["seconds"],
            "qber_key": report["qber_key"], "qber_test": report["qber_test"],
            "sifted_bits": sum(row[0] for row in report["counts"]["clicks"]), "s1": bound["s1"],
            "phase_error": bound["phase_error"], "leak_bits": report["leak_bits"], "f_ec": report["f_ec"],
            "tags": report["tags"], "reason": report["reason"], "bob_key_sha256": report["bob_key_sha256"],
            "settings_sha256": report["settings_sha256"]}


def _optimised(content, seed):
    """The best settings for the link, as a flat row."""
    best = optimise_tables({name: from_table(SECTIONS[name], table) for name, table in content["tables"].items()}, "sweep")
    return {name: best[name] for name in ("length", "rate", "rate_hz", "intensities", "probabilities",
                                          "key_basis_probability", "n_pulses", "seconds", "reason")}


ANALYSES = {"distill": _distilled, "optimise": _optimised}


def run_task(task):
    """Do one task.

    Returns
    -------
    dict
        ``key, point, seed, values``: flat plain values, nothing that depends on the machine or the time.
    """
    return {"key": task.key, "point": task.point, "seed": task.seed,
            "values": ANALYSES[task.content["analysis"]](task.content, task.seed)}


def sweep(config=None, vary=None, folder=None, *, seconds=1.0, seed=0, workers="serial", analysis="distill", progress=None):
    """Run a sweep, or what is left of it.

    Parameters
    ----------
    config : path-like, dict of settings objects, or None
        The link; None: all defaults.
    vary : dict of str to sequence
        See :func:`tasks`.
    folder : path-like, optional
        Where results are written as they finish; made if need be. Those that it has already are not computed again.
        Absent: nothing is written.
    seconds, seed, analysis
        See :func:`tasks`.
    workers : str
        See :func:`qkdlab.executors.executor`.
    progress : callable, optional
        ``progress(done, of)`` after each task.

    Returns
    -------
    list of dict
        One row a task, in the order of the grid: ``key, point, seed, values``, or ``error`` instead of ``values`` where a
        task failed (it is tried again the next time).

    Raises
    ------
    BadInput
        Naming file, setting and value.
    """
    tables = config if isinstance(config, dict) else {} if config is None else read_toml(config, SECTIONS)
    asked = tasks(tables, vary or {}, seconds=seconds, seed=seed, analysis=analysis)
    done = {}
    if folder is not None:
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        done = read_results(folder / "results.jsonl", mend=True)
        (folder / "sweep.json").write_text(json.dumps({
            "vary": vary, "seconds": seconds, "seed": seed, "analysis": analysis, "begun": provenance.now(),
            "surroundings": provenance.surroundings(), "tasks": [t.key for t in asked]}, indent=1) + "\n")
    rows = {t.key: done[t.key] for t in asked if t.key in done}
    left = list({t.key: t for t in asked if t.key not in rows}.values())
    tell = progress or (lambda done, of: None)
    tell(len(rows), len(asked))
    with executor(workers) as crew:
        for task, result in crew.run(run_task, left):
            failed = isinstance(result, Exception)
            row = {"key": task.key, "point": task.point, "seed": task.seed, "error": f"{type(result).__name__}: {result}"
                   } if failed else result
            rows[task.key] = row
            if folder is not None and not failed:
                _append(folder / "results.jsonl", row)
            tell(len(rows), len(asked))
    found = [rows[t.key] for t in asked]
    if folder is not None:
        write_table(folder / "table.csv", found)
        (folder / "plot.svg").write_text(plot(found), encoding="utf-8")
    return found


def _append(path, row):
    """One line, on disk before the next task counts as done."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(row, allow_nan=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_results(path, mend=False):
    """Finished tasks by key. A last line that a crash cut short does not count, and is removed with `mend`."""
    try:
        raw = pathlib.Path(path).read_bytes()
    except FileNotFoundError:
        return {}
    whole = raw[: raw.rfind(b"\n") + 1]
    if mend and len(whole) < len(raw):
        os.truncate(path, len(whole))
    rows = {}
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            row = json.loads(line)
            rows[row["key"]] = row
        except (ValueError, KeyError, TypeError):
            raise BadInput("not a result of a sweep", where=f"{path}: line {number}") from None
    return rows


# --------------------------------------------------------------------------------------------------------- showing it


def write_table(path, rows):
    """Rows as CSV: the settings that vary, the results, and what went wrong."""
    names = [*rows[0]["point"], *dict.fromkeys(n for row in rows for n in row.get("values", {})), "error"] if rows else []
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        for row in rows:
            flat = row["point"] | row.get("values", {}) | {"error": row.get("error", "")}
            writer.writerow({n: json.dumps(v) if isinstance(v, list) else v for n, v in flat.items()})


def plot(rows):
    """Key rate over the first setting that varies, a line for each combination of the others, as SVG."""
    lines, names = {}, list(rows[0]["point"]) if rows else []
    for row in rows:
        x, *others = row["point"].values() or (0,)
        number = isinstance(x, int | float) and not isinstance(x, bool)
        name = ", ".join(f"{n.partition('.')[2]} {v}" for n, v in zip(names[1:], others, strict=True))
        lines.setdefault(name, []).append((x if number else len(lines.get(name, ())),
                                           row.get("values", {}).get("rate_hz")))
    return line_chart(lines, title="Secret key rate", x_label=names[0] if names else "", y_label="bits per second",
                      log_y=True)
