"""``qkdlab runs``"""

import argparse
import functools
import json
import pathlib
import sys

from ..errors import BadInput
from . import flags
from .columns import number, table
from .distill import changed_settings

__all__ = ["HELP", "arguments", "run", "run_text", "runs_text"]

HELP = "list, search, show and analyse the runs of a folder"
DESCRIPTION = """list the runs of a folder; search their notes; show one; analyse some or all again

  qkdlab runs [FOLDER]              list
  qkdlab runs search WORDS          those whose name, operator, purpose, notes or log have these words
  qkdlab runs show ID               all that a run says of itself, and its results
  qkdlab runs note ID WORDS         add a line to its notes
  qkdlab runs verify ID...          compare the tags with the hash taken when they were recorded
  qkdlab runs analyse ID... | --all analyse with the stored settings or others, and keep the results

ID is a run's id, at least four characters of its beginning or end, or its file."""


def arguments(parser):
    """What the command takes."""
    parser.description, parser.formatter_class = DESCRIPTION, argparse.RawDescriptionHelpFormatter
    parser.add_argument("words", nargs="*", metavar="WORD", help="a folder, or what to do and with which runs: see above")
    parser.add_argument("-C", "--folder", default=".", help="where the runs are (default: here)")
    parser.add_argument("--all", nargs="?", const="", metavar="FOLDER", help="analyse every run of the folder")
    parser.add_argument("--again", action="store_true", help="also those that have a result under the same settings")
    parser.add_argument("--no-store", action="store_true", help="keep no results in the runs")
    parser.add_argument("--proof", help="security analysis (default: the run's own)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                        help="change one distillation setting; may be repeated")
    parser.add_argument("--plot", metavar="FILE.svg", default="qkdlab-runs.svg",
                        help="where the picture of several analysed runs goes (default: qkdlab-runs.svg)")
    flags.workers(parser)
    flags.json(parser)


def run(arguments):
    """Do what the first word says; list the runs where it is a folder, or nothing."""
    words = list(arguments.words)
    actions = {"search": _search, "show": _show, "note": _note, "verify": _verify, "analyse": _analyse}
    if words and words[0] in actions:
        return actions[words[0]](arguments, words[1:])
    if len(words) > 1:
        raise BadInput("a folder, or one of " + ", ".join(actions) + ", is expected", field="runs", value=words[0])
    return _list(arguments, words[0] if words else arguments.folder, None)


def _archive(folder):
    from ..archive import Archive

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
    from ..datasets.results import add_note

    with _archive(arguments.folder) as archive:
        add_note(archive.find(_one(arguments, words)), " ".join(words[1:]))


def _verify(arguments, words):
    from ..datasets.results import verify

    with _archive(arguments.folder) as archive:
        paths = [archive.find(word) for word in words or [_one(arguments, words)]]
    found = {str(path): verify(path) for path in paths}
    say = {True: "as recorded", False: "CHANGED since it was recorded", None: "no hash: not closed in order"}
    print(json.dumps(found) if arguments.json else "\n".join(f"{path}  {say[ok]}" for path, ok in found.items()))
    return 1 if False in found.values() else 0


def _analyse(arguments, words):
    """Runs through sessions on workers; each result is kept in its run by this process as it comes."""
    import tqdm

    from ..archive import analyse
    from ..datasets.results import add_result
    from ..executors import executor

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
    from ..archive import analysed
    from ..datasets import open as open_recording

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
        print(table(("run", "secret bits", "QBER key", "QBER test", "remark"), [
            (row["path"], number(row["secret_bits"]), _percent(row["qber_key"]), _percent(row["qber_test"]),
             row["reason"] or "") for row in shown]))
        total = sum(row["secret_bits"] or 0 for row in shown)
        print(f"{len(shown)} runs, {total:,} secret bits")
    if len(shown) > 1:
        _draw(shown, arguments.plot)
    return 0 if all(row["secret_bits"] for row in shown) else 1


def _draw(shown, path):
    """A picture of what each run gave, in the order of the table."""
    from ..chart import line_chart

    bits = {"secret bits": [(i, row["secret_bits"]) for i, row in enumerate(shown, 1)]}
    try:
        pathlib.Path(path).write_text(line_chart(bits, title="Key of each run", x_label="run, in the order of the table",
                                                 y_label="secret bits"), encoding="utf-8")
    except OSError as error:
        raise BadInput(error.strerror, where=path) from None
    print(f"saved {path}", file=sys.stderr)


# ----------------------------------------------------------------------------------------------------------------- words


def runs_text(runs):
    """Runs as a table."""
    rows = [(run["path"], (run["run_id"] or "")[-8:], (run["created"] or "")[:16].replace("T", " "),
             "" if run["tags"] is None else f"{run['tags']:,}", "" if run["seconds"] is None else f"{run['seconds']:.3f}",
             number(run["secret_bits"]) if run["results"] else "", _remark(run)) for run in runs]
    heads = ("file", "id", "created (UTC)", "tags", "seconds", "secret bits", "remark")
    return table(heads, rows) if rows else "no runs here"


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
        lines.append(f"  result          {one['created']}  {number(result.get('secret_bits'))} secret bits, QBER "
                     f"{_percent(result.get('qber_test'))}, settings {one['settings_sha256'][:12]}"
                     + (f", {result['reason']}" if result.get("reason") else ""))
    return "\n".join([*lines, *(f"  warning         {w}" for w in run["warnings"])])


def _percent(share):
    from ..report import percent

    return percent(share) or "-"
