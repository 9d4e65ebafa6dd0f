"""The commands over many runs: ``qkdlab runs`` and ``qkdlab sweep``."""

import functools
import json
import pathlib
import sys

from .errors import BadInput

__all__ = ["add_commands", "changed_settings"]

RUNS = """list the runs of a folder; search their notes; show one; analyse some or all again

  qkdlab runs [FOLDER]              list
  qkdlab runs search WORDS          those whose name, operator, purpose, notes or log have these words
  qkdlab runs show ID               all that a run says of itself, and its results
  qkdlab runs note ID WORDS         add a line to its notes
  qkdlab runs verify ID...          compare the tags with the hash taken when they were recorded
  qkdlab runs analyse ID... | --all analyse with the stored settings or others, and keep the results

ID is a run's id, at least four characters of its beginning or end, or its file."""


def add_commands(command, json_flag):
    """Add the commands to the command line's parser."""
    import argparse

    sub = command("runs", _runs, "list, search, show and analyse the runs of a folder")
    sub.description, sub.formatter_class = RUNS, argparse.RawDescriptionHelpFormatter
    sub.add_argument("words", nargs="*", metavar="WORD", help="a folder, or what to do and with which runs: see above")
    sub.add_argument("-C", "--folder", default=".", help="where the runs are (default: here)")
    sub.add_argument("--all", nargs="?", const="", metavar="FOLDER", help="analyse every run of the folder")
    sub.add_argument("--again", action="store_true", help="also those that have a result under the same settings")
    sub.add_argument("--no-store", action="store_true", help="keep no results in the runs")
    sub.add_argument("--proof", help="security analysis (default: the run's own)")
    sub.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                     help="change one distillation setting; may be repeated")
    _workers(sub)
    json_flag(sub)

    sub = command("sweep", _sweep, "simulate a link over a grid of settings; goes on where it was stopped")
    sub.add_argument("config", metavar="CONFIG.toml", nargs="?", help="the link (default: a link of 50 km)")
    sub.add_argument("--vary", action="append", default=[], metavar="NAME=VALUES", required=True,
                     help="for example link.loss_db=0:40:2 or detectors.efficiency=0.1,0.2; repeated: all combinations")
    sub.add_argument("-o", "--output", metavar="FOLDER", required=True, help="where results are kept as they finish")
    sub.add_argument("--seconds", type=float, default=1.0, help="link time of each point (default: 1)")
    sub.add_argument("--seed", type=int, default=0, help="another number is another sample (default: 0)")
    sub.add_argument("--analysis", default="distill", help="distill: a simulated session (default); optimise: the best "
                                                           "settings and their rate, without a simulation")
    _workers(sub)
    json_flag(sub)


def _workers(sub):
    sub.add_argument("--workers", default="serial", metavar="KIND",
                     help="serial (default), threads[:N], processes[:N], dask[:N] on this machine, or "
                          "dask:tcp://HOST:PORT")


# ------------------------------------------------------------------------------------------------------------------ runs


def _runs(arguments):
    words = list(arguments.words)
    actions = {"search": _search, "show": _show, "note": _note, "verify": _verify, "analyse": _analyse}
    if words and words[0] in actions:
        return actions[words[0]](arguments, words[1:])
    if len(words) > 1:
        raise BadInput("a folder, or one of " + ", ".join(actions) + ", is expected", field="runs", value=words[0])
    return _list(arguments, words[0] if words else arguments.folder, None)


def _archive(folder):
    from .archive import Archive

    return Archive(folder)


def _list(arguments, folder, search):
    with _archive(folder) as archive:
        runs = archive.runs(search)
    if arguments.json:
        print(json.dumps({"folder": str(folder), "runs": runs}, allow_nan=False))
    else:
        print(runs_text(runs))


def _search(arguments, words):
    return _list(arguments, arguments.folder, " ".join(words))


def _one(arguments, words):
    if not words:
        raise BadInput("the ID of a run is expected; see `qkdlab runs`", field="ID")
    return words[0]


def _show(arguments, words):
    with _archive(arguments.folder) as archive:
        found = archive.show(_one(arguments, words))
    print(json.dumps(found, allow_nan=False) if arguments.json else run_text(found))


def _note(arguments, words):
    from .datasets.results import add_note

    with _archive(arguments.folder) as archive:
        add_note(archive.find(_one(arguments, words)), " ".join(words[1:]))


def _verify(arguments, words):
    from .datasets.results import verify

    with _archive(arguments.folder) as archive:
        paths = [archive.find(word) for word in words or [_one(arguments, words)]]
    found = {str(path): verify(path) for path in paths}
    say = {True: "as recorded", False: "CHANGED since it was recorded", None: "no hash: not closed in order"}
    print(json.dumps(found) if arguments.json else "\n".join(f"{path}  {say[ok]}" for path, ok in found.items()))
    return 1 if False in found.values() else 0


def _analyse(arguments, words):
    """Runs through sessions on workers; each result is kept in its run by this process as it comes."""
    import tqdm

    from .archive import analyse
    from .datasets.results import add_result
    from .executors import executor

    every = arguments.all is not None
    if every and words:
        raise BadInput("either IDs or --all is expected", field="analyse", value=words[0])
    with _archive(arguments.all or arguments.folder) as archive:
        if every:
            paths = [archive.folder / run["path"] for run in archive.runs() if run["error"] is None]
        else:
            paths = [archive.find(word) for word in words or [_one(arguments, words)]]
    reports, left = {}, []
    for path in paths:
        distill, known = _asked(path, arguments)
        if known is not None and not arguments.again:
            reports[str(path)] = known
        else:
            left.append((str(path), distill))
    with executor(arguments.workers) as crew, tqdm.tqdm(
            total=len(paths), initial=len(reports), unit=" runs", file=sys.stderr, disable=None, leave=False) as bar:
        for (path, _), report in crew.run(functools.partial(_analysed, analyse), left):
            if isinstance(report, BadInput):
                print(f"note: {report}", file=sys.stderr)
                report = {"secret_bits": None, "reason": report.why, "error": str(report)}
            elif isinstance(report, Exception):
                raise report
            elif not arguments.no_store:
                try:
                    add_result(path, report)
                except BadInput as error:
                    print(f"note: {error}", file=sys.stderr)
            reports[path] = report
            bar.update()
    return _told([(str(path), reports[str(path)]) for path in paths], arguments)


def _analysed(analyse, task):
    path, distill = task
    return analyse(path, distill, keep=False)


def _asked(path, arguments):
    """Distillation settings for a run with what the command line changes, and a result that it has under them."""
    from .archive import analysed
    from .datasets import open as open_recording

    if not (arguments.set or arguments.proof):
        distill = None
    else:
        distill = changed_settings(open_recording(path).distill, arguments)
    try:
        return distill, analysed(path, distill)
    except BadInput:                     # tags alone: the analysis will say so
        return distill, None


def _told(reports, arguments):
    shown = [{"path": path, **{name: report.get(name) for name in
                               ("secret_bits", "qber_key", "qber_test", "reason", "alice_key_sha256", "bob_key_sha256",
                                "settings_sha256", "error")}} for path, report in reports]
    if arguments.json:
        print(json.dumps({"runs": shown}, allow_nan=False))
    else:
        print(_table(("run", "secret bits", "QBER key", "QBER test", "remark"), [
            (row["path"], _number(row["secret_bits"]), _percent(row["qber_key"]), _percent(row["qber_test"]),
             row["reason"] or "") for row in shown]))
        total = sum(row["secret_bits"] or 0 for row in shown)
        print(f"{len(shown)} runs, {total:,} secret bits")
    return 0 if all(row["secret_bits"] for row in shown) else 1


def changed_settings(distill, arguments):
    """Distillation settings with ``--set`` and ``--proof`` of a command line.

    Parameters
    ----------
    distill : DistillSettings or None
        None: the defaults.
    arguments : argparse.Namespace
    """
    import tomllib

    from .datatypes import DistillSettings
    from .settings import from_table, to_table

    table = to_table(distill or DistillSettings())
    for change in arguments.set:
        name, equals, value = change.partition("=")
        if not equals:
            raise BadInput("NAME=VALUE is expected", where="--set", value=change)
        try:
            table[name.strip()] = tomllib.loads(f"x = {value}")["x"]
        except tomllib.TOMLDecodeError:
            table[name.strip()] = value.strip()
    if arguments.proof:
        table["proof"] = arguments.proof
    return from_table(DistillSettings, table, "distillation settings")


# ----------------------------------------------------------------------------------------------------------------- sweep


def _sweep(arguments):
    import tqdm

    from . import sweeps

    vary = {}
    for words in arguments.vary:
        name, equals, text = words.partition("=")
        if not equals:
            raise BadInput("NAME=VALUES is expected", field="--vary", value=words)
        vary[name.strip()] = sweeps.values(text)
    with tqdm.tqdm(unit=" points", file=sys.stderr, disable=None, leave=False) as bar:
        def show(done, of):
            bar.total = of
            bar.update(done - bar.n)

        rows = sweeps.sweep(arguments.config, vary, arguments.output, seconds=arguments.seconds, seed=arguments.seed,
                            workers=arguments.workers, analysis=arguments.analysis, progress=show)
    folder = pathlib.Path(arguments.output)
    if arguments.json:
        print(json.dumps({"folder": str(folder), "rows": rows}, allow_nan=False))
    else:
        heads = [*rows[0]["point"], "rate / (bit/s)", "remark"]
        print(_table(heads, [(*map(str, row["point"].values()), _number(row.get("values", {}).get("rate_hz")),
                              row.get("error") or row["values"].get("reason") or "") for row in rows]))
    print(f"wrote {folder / 'results.jsonl'}, table.csv and plot.svg", file=sys.stderr)
    if any("error" in row for row in rows):
        raise BadInput(f"{sum('error' in row for row in rows)} points failed; run it again to try them once more",
                       where=folder)
    return 0 if any(row["values"].get("rate_hz") for row in rows) else 1


# ----------------------------------------------------------------------------------------------------------------- words


def runs_text(runs):
    """Runs as a table."""
    rows = [(run["path"], (run["run_id"] or "")[-8:], (run["created"] or "")[:16].replace("T", " "),
             "" if run["tags"] is None else f"{run['tags']:,}", "" if run["seconds"] is None else f"{run['seconds']:.3f}",
             _number(run["secret_bits"]) if run["results"] else "", _remark(run)) for run in runs]
    heads = ("file", "id", "created (UTC)", "tags", "seconds", "secret bits", "remark")
    return _table(heads, rows) if rows else "no runs here"


def _remark(run):
    if run["error"]:
        return f"not readable: {run['error']}"
    marks = [] if run["complete"] else ["not closed in order"]
    return ", ".join([*marks, *([run["notes"].splitlines()[0]] if run["notes"] else [])])


def run_text(run):
    """One run in words."""
    lines = [run["path"]]
    for name in ("run_id", "created", "closed", "complete", "simulated", "operator", "purpose", "notes", "tags", "blocks",
                 "lost", "seconds", "content_sha256", "parents"):
        if run[name] not in (None, "", []):
            lines.append(f"  {name:<16}{run[name]}")
    for name in ("versions", "surroundings", "settings", "snapshot", "provenance"):
        lines += [f"  {name} {part:<{15 - len(name)}} {json.dumps(value)}" for part, value in run[name].items() if value]
    lines += [f"  log             {json.dumps(event)}" for event in run["log"]]
    for one in run["results"]:
        result = one["result"]
        lines.append(f"  result          {one['created']}  {_number(result.get('secret_bits'))} secret bits, QBER "
                     f"{_percent(result.get('qber_test'))}, settings {one['settings_sha256'][:12]}"
                     + (f", {result['reason']}" if result.get("reason") else ""))
    return "\n".join([*lines, *(f"  warning         {w}" for w in run["warnings"])])


def _table(heads, rows):
    rows = [tuple(map(str, row)) for row in (heads, *rows)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(heads))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def _number(value):
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def _percent(value):
    return "-" if value is None else f"{100 * value:.2f} %"
