"""The command line. ``--json`` prints exactly one JSON object on stdout; progress goes to stderr.

Exit code 0: done. 1: ran, but no key (the output says why). 2: bad input or usage, one line on stderr.
"""

import argparse
import importlib.resources
import json
import pathlib
import sys

from .cli_archive import add_commands, changed_settings
from .errors import BadInput

__all__ = ["main"]


def main(argv=None):
    """Run one command; returns the exit code."""
    try:
        arguments = _parser().parse_args(argv)
        return arguments.run(arguments) or 0
    except BadInput as error:
        return _refuse(error)
    except KeyboardInterrupt:
        print("qkdlab: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0
    except OSError as error:                     # a folder that cannot be written, a full disk
        where = f"{error.filename}: " if error.filename else ""
        return _refuse(f"{where}{error.strerror or error}")


def _refuse(why):
    """One line, whatever a file's name holds."""
    print("qkdlab: " + " ".join(str(why).splitlines()), file=sys.stderr)
    return 2


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message):
        raise BadInput(f"{message}; see `{self.prog} --help`")


def _parser():
    parser = _Parser(prog="qkdlab", description="Decoy-state QKD: from time tags to a secret key. "
                                                "Without a command it plays the shipped recording to a key.")
    parser.set_defaults(run=_demo)
    commands = parser.add_subparsers(title="commands", metavar="", parser_class=_Parser)

    def command(name, run, help):
        sub = commands.add_parser(name, help=help, description=help)
        sub.set_defaults(run=run)
        return sub

    def json_flag(sub):
        sub.add_argument("--json", action="store_true", help="print one JSON object and nothing else on stdout")

    def form_flag(sub):
        sub.add_argument("--format", metavar="NAME", help="format of the file, where its bytes do not tell")

    sub = command("lab", _lab, "open JupyterLab on the notebooks")
    sub.add_argument("--port", type=int, help="port on loopback (default: a free one)")
    sub.add_argument("--no-browser", action="store_true", help="only print the address and serve")

    sub = command("app", _app, "open a page without any code: replay a recording, run the bench")
    sub.add_argument("name", nargs="?", default="replay", metavar="NAME", help="replay (default) or bench")
    sub.add_argument("--port", type=int, help="port on loopback (default: a free one)")
    sub.add_argument("--no-browser", action="store_true", help="only print the address and serve")
    sub.add_argument("--folder", help="where recordings are looked for (default: here)")

    sub = command("serve-device", _serve_device, "a simulated instrument on loopback that speaks the real one's bytes")
    sub.add_argument("name", metavar="NAME", nargs="?", help="which one; see --list")
    sub.add_argument("--list", action="store_true", help="print the names and what they stand for")
    sub.add_argument("--port", type=int, default=0, help="port on loopback (default: a free one)")
    sub.add_argument("--seed", type=int, default=0, help="whole number that fixes its physics (default: 0)")

    sub = command("bench-check", _bench_check, "ask each device of a bench file who it is; nothing is switched on")
    sub.add_argument("config", metavar="CONFIG.toml", nargs="?", help="the bench (default: the shipped one, simulated)")
    sub.add_argument("--schema", action="store_true", help="print the JSON schema of bench files, and do nothing else")
    json_flag(sub)

    sub = command("simulate", _simulate, "simulate a link and record it like a real one")
    sub.add_argument("config", metavar="CONFIG.toml", nargs="?", help="the link (default: a link of 50 km)")
    sub.add_argument("-o", "--output", metavar="RUN", help="what to write; must not exist")
    sub.add_argument("--template", action="store_true",
                     help="print a CONFIG.toml of every setting with its default, unit and meaning, and do nothing else")
    sub.add_argument("--seed", type=int, help="whole number that fixes everything (default: the system's entropy)")
    sub.add_argument("--seconds", type=float, default=1.0, help="link time to record (default: 1)")
    sub.add_argument("--format", choices=("h5", "ptu"), default="h5",
                     help="h5: one HDF5 file (default); ptu: a folder with a PicoQuant file, the sender's record and "
                          "the settings")
    sub.add_argument("--operator", default="", help="who records")
    sub.add_argument("--purpose", default="", help="what for")
    sub.add_argument("--notes", default="", help="anything else; found again by `qkdlab runs search`")

    sub.add_argument("--fault", action="append", metavar="NAME[:SETTING=VALUE,...]",
                     help="let something go wrong, and write the truth of each tag beside the recording, as "
                          "NAME.truth.h5; may be repeated")
    sub.add_argument("--faults", action="store_true", help="print what can go wrong, and do nothing else")
    sub.add_argument("--catalogue", metavar="DIR",
                     help="make the catalogue of small labelled recordings, one for each kind of fault and attack, in a "
                          "folder, and do nothing else")

    sub = command("distill", _distill, "turn a recording into a key and a report")
    sub.add_argument("recording", metavar="RUN")
    sub.add_argument("--proof", help="security analysis (default: the recording's own, else lim2014)")
    sub.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                     help="change one distillation setting, for example eps_sec=1e-10; may be repeated")
    sub.add_argument("--ledger", action="store_true",
                     help="print the security ledger too: every bit said aloud, every epsilon, every assumption")
    sub.add_argument("--follow", action="store_true",
                     help="the recording is still being written: go on as it grows, until it is finished or Ctrl-C")
    sub.add_argument("--idle", type=float, metavar="SECONDS", help="with --follow: end when nothing came for so long")
    json_flag(sub)

    sub = command("keylength", _keylength, "counts to a bound, every intermediate shown")
    sub.add_argument("counts", metavar="COUNTS", help="JSON, or a table (.csv) with a row for each basis and intensity")
    json_flag(sub)

    sub = command("optimise", _optimise, "best intensities, probabilities and basis bias for a link, and the rate")
    sub.add_argument("link", metavar="LINK.toml")
    json_flag(sub)

    sub = command("inspect", _inspect, "say what a time-tag file, an OTDR trace (.sor) or a table of counts holds")
    sub.add_argument("file", metavar="FILE")
    form_flag(sub)
    json_flag(sub)

    sub = command("characterise", _characterise, "dead time, afterpulsing, dark rate, jitter, pulse rate: from tags alone")
    sub.add_argument("file", metavar="FILE")
    sub.add_argument("--channel", type=int, help="report on this input only (default: all; the summary is the busiest's)")
    json_flag(sub)

    sub = command("randomness", _randomness, "test the bytes of a random source that were kept in a file")
    sub.add_argument("file", metavar="FILE")
    json_flag(sub)

    sub = command("bench", _bench, "kernel speeds beside their peers on this machine")
    sub.add_argument("names", nargs="*", metavar="NAME", help="which ones (default: all)")
    size = sub.add_mutually_exclusive_group()
    size.add_argument("--quick", dest="size", action="store_const", const="quick", default="normal",
                      help="smaller inputs, fewer turns: a minute")
    size.add_argument("--long", dest="size", action="store_const", const="long", help="also the largest inputs: some GB")
    sub.add_argument("--plot", metavar="FILE.svg", default="qkdlab-bench.svg",
                     help="where the picture goes (default: qkdlab-bench.svg)")
    json_flag(sub)

    sub = command("convert", _convert, "write a time-tag file in another format (by its ending)")
    sub.add_argument("input", metavar="IN")
    sub.add_argument("output", metavar="OUT")
    form_flag(sub)

    add_commands(command, json_flag)
    return parser


# ------------------------------------------------------------------------------------------------------ commands


def _demo(arguments):
    with importlib.resources.as_file(importlib.resources.files("qkdlab.datasets") / "demo") as folder:
        print("Playing the shipped recording: 0.6 s of a decoy-state BB84 link over 50 km, as a time tagger writes it.\n")
        code = _play(folder, None)
    print("\nWhat next:\n"
          "  qkdlab lab                    open the notebooks: a first key, step by step; a live link with sliders\n"
          "  qkdlab inspect FILE           what a time-tag file holds\n"
          "  qkdlab distill RUN            your own recording to a key\n"
          "  qkdlab --help                 everything else")
    return code


def _lab(arguments):
    from .lab import open_lab

    return open_lab(port=arguments.port, browser=not arguments.no_browser)


def _app(arguments):
    from .app import open_app

    return open_app(arguments.name, port=arguments.port, browser=not arguments.no_browser, folder=arguments.folder)


def _serve_device(arguments):
    from .instruments.servers import command

    if arguments.list:
        print(command.listing())
        return 0
    if arguments.name is None:
        raise BadInput("which device? `qkdlab serve-device --list` names them")
    return command.serve(arguments.name, arguments.port, arguments.seed)


def _bench_check(arguments):
    from . import bench_check, bench_file

    if arguments.schema:
        print(json.dumps(bench_file.schema(), indent=1))
        return 0
    report = bench_check.check(arguments.config)
    print(json.dumps(report) if arguments.json else bench_check.as_text(report))
    return 0 if report["ok"] else 2


def _simulate(arguments):
    from . import store

    if arguments.template:
        from .settings import template

        print(template(store.SECTIONS), end="")
        return
    if arguments.faults:
        from .datasets.faults import menu

        print(menu())
        return
    if arguments.catalogue is not None:
        return _catalogue(arguments)
    if arguments.output is None:
        raise BadInput("the following arguments are required: -o/--output; see `qkdlab simulate --help`")
    if arguments.fault:
        made = store.record_with_faults(arguments.config, arguments.output, arguments.fault, seconds=arguments.seconds,
                                        seed=arguments.seed, form=arguments.format)
        print(f"recorded {made.path}, the truth in {made.truth}; next: qkdlab distill {made.path}", file=sys.stderr)
        return
    path = store.record(arguments.config, arguments.output, seconds=arguments.seconds, seed=arguments.seed,
                        form=arguments.format,
                        words={n: getattr(arguments, n) for n in ("operator", "purpose", "notes") if getattr(arguments, n)})
    print(f"recorded {path}; next: qkdlab distill {path}", file=sys.stderr)


def _catalogue(arguments):
    import tqdm

    from .datasets.catalogue import CATALOGUE, make

    with tqdm.tqdm(total=len(CATALOGUE), unit=" recordings", file=sys.stderr, disable=None, leave=False) as bar:
        def show(name):
            bar.set_description_str(name)
            bar.update()

        made = make(arguments.catalogue, seed=2026 if arguments.seed is None else arguments.seed, progress=show)
    for labelled in made.values():
        print(labelled.path)


def _distill(arguments):
    from .datasets import follow
    from .datasets import open as open_recording

    if arguments.idle is not None and not arguments.follow:
        raise BadInput("goes with --follow only", field="--idle")
    recording = follow(arguments.recording, idle_seconds=arguments.idle) if arguments.follow else open_recording(
        arguments.recording)
    distill = changed_settings(getattr(recording, "distill", None), arguments)
    if not arguments.json:
        return _play(arguments.recording, distill, recording, ledger=arguments.ledger)
    report = _run(recording, distill)
    print(json.dumps(report, allow_nan=False))
    return 0 if report["secret_bits"] else 1


def _run(recording, distill, listen=None):
    """A recording through a session, with a progress bar on stderr."""
    import tqdm

    from .session import Session

    session = Session(recording, distill)
    bar = tqdm.tqdm(unit=" key bits", desc="sifting", file=sys.stderr, disable=None, leave=False)

    def show(event):
        if event.step == "block":
            bar.update(event["sifted_key_bits"] - bar.n)
        elif event.step == "reconcile":
            bar.set_description_str("correcting")
            bar.set_postfix(rounds=event["rounds"], leaked_bits=event["leak_bits"])

    session.subscribe(show)
    if listen:
        session.subscribe(listen)
    try:
        return session.run()
    except KeyboardInterrupt:
        if not getattr(recording, "following", False):
            raise
        session.stop()                     # a recording that grows has no other end: make a key of what came
        session.wait()
        if session.report is None:
            raise
        return session.report
    finally:
        bar.close()


def _play(path, distill, recording=None, ledger=False):
    """Distil with every step told in words."""
    from .datasets import open as open_recording
    from .report import as_text, ledger_text

    report = _run(recording or open_recording(path), distill)
    print(as_text(report))
    if ledger:
        print("", ledger_text(report["ledger"]), sep="\n")
    return 0 if report["secret_bits"] else 1


def _keylength(arguments):
    from . import proofs
    from .datasets import counts
    from .report import keylength_text

    table = counts.read(arguments.counts)
    for note in table.warnings:
        print(f"note: {note}", file=sys.stderr)
    result = proofs.keylength(table.document, where=arguments.counts)
    print(json.dumps(result, allow_nan=False) if arguments.json else keylength_text(result))
    return 0 if result["length"] else 1


def _optimise(arguments):
    from .proofs.link_file import optimise_tables
    from .report import optimise_text
    from .settings import read_toml
    from .store import SECTIONS

    result = optimise_tables(read_toml(arguments.link, SECTIONS), arguments.link)
    print(json.dumps(result, allow_nan=False) if arguments.json else optimise_text(result))
    return 0 if result["length"] else 1


def _inspect(arguments):
    from .datasets import inspect
    from .report import inspect_text

    info = inspect(arguments.file, arguments.format)
    print(json.dumps(info, allow_nan=False) if arguments.json else inspect_text(arguments.file, info))


def _characterise(arguments):
    from .datasets import open as open_recording
    from .postprocessing.characterise import characterise
    from .report import characterise_text

    recording = open_recording(arguments.file)
    inputs = recording.receiver.channels if recording.receiver else ()
    try:
        table = characterise(recording.tag_blocks(), channel=arguments.channel,
                             pairs=[inputs[:2], inputs[2:]] if inputs else None,
                             nominal_hz=recording.source.clock_hz if recording.source else None)
    except BadInput as error:
        raise (error if error.where else error.at(arguments.file)) from None
    print(json.dumps(table, allow_nan=False) if arguments.json else characterise_text(arguments.file, table))


def _randomness(arguments):
    from . import randomness

    with open(arguments.file, "rb") as file:
        data = file.read(randomness.MOST_BYTES)
    try:
        found = randomness.assess(data)
    except BadInput as error:
        raise error.at(arguments.file) from None
    print(json.dumps(found, allow_nan=False) if arguments.json else randomness.text(arguments.file, found))
    return 0 if found["passed"] else 1


def _bench(arguments):
    import tqdm

    from . import benchmarks
    from .benchmarks.plot import svg
    from .benchmarks.table import table

    with tqdm.tqdm(unit=" cases", file=sys.stderr, disable=None, leave=False) as bar:
        def show(name):
            bar.set_description_str(name)
            bar.update()

        report = benchmarks.run(arguments.names, arguments.size, show)
    try:
        pathlib.Path(arguments.plot).write_text(svg(report))
    except OSError as error:
        raise BadInput(error.strerror, where=arguments.plot) from None
    print(json.dumps(report, allow_nan=False) if arguments.json else table(report))
    print(f"saved {arguments.plot}", file=sys.stderr)


def _convert(arguments):
    from .datasets import convert

    for note in convert(arguments.input, arguments.output, arguments.format):
        print(f"note: {note}", file=sys.stderr)
    print(f"wrote {arguments.output}", file=sys.stderr)
