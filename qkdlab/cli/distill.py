"""``qkdlab distill``"""

import json
import sys

from ..errors import BadInput
from . import flags

__all__ = ["HELP", "arguments", "changed_settings", "play", "run"]

HELP = "turn a recording into a key and a report"


def arguments(parser):
    """What the command takes."""
    parser.add_argument("recording", metavar="RUN")
    parser.add_argument("--proof", help="security analysis (default: the recording's own, else lim2014)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                        help="change one distillation setting, for example eps_sec=1e-10; may be repeated")
    parser.add_argument("--ledger", action="store_true",
                        help="print the security ledger too: every bit said aloud, every epsilon, every assumption")
    parser.add_argument("--follow", action="store_true",
                        help="the recording is still being written: go on as it grows, until it is finished or Ctrl-C")
    parser.add_argument("--idle", type=float, metavar="SECONDS", help="with --follow: end when nothing came for so long")
    flags.json(parser)


def run(arguments):
    """Distil a recording, finished or still growing."""
    from ..datasets import follow
    from ..datasets import open as open_recording

    if arguments.idle is not None and not arguments.follow:
        raise BadInput("goes with --follow only", field="--idle")
    recording = follow(arguments.recording, idle_seconds=arguments.idle) if arguments.follow else open_recording(
        arguments.recording)
    distill = changed_settings(getattr(recording, "distill", None), arguments)
    if not arguments.json:
        return play(arguments.recording, distill, recording, ledger=arguments.ledger)
    report = _run(recording, distill)
    print(json.dumps(report, allow_nan=False))
    return 0 if report["secret_bits"] else 1


def _run(recording, distill):
    """A recording through a session, with a progress bar on stderr."""
    import tqdm

    from ..session import Session

    session = Session(recording, distill)
    bar = tqdm.tqdm(unit=" key bits", desc="sifting", file=sys.stderr, disable=None, leave=False)

    def show(event):
        if event.step == "block":
            bar.update(event["sifted_key_bits"] - bar.n)
        elif event.step == "reconcile":
            bar.set_description_str("correcting")
            bar.set_postfix(rounds=event["rounds"], leaked_bits=event["leak_bits"])

    session.subscribe(show)
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


def play(path, distill=None, recording=None, ledger=False):
    """Distil with every step told in words; returns the exit code."""
    from ..datasets import open as open_recording
    from ..report import as_text, ledger_text

    report = _run(recording or open_recording(path), distill)
    print(as_text(report))
    if ledger:
        print("", ledger_text(report["ledger"]), sep="\n")
    return 0 if report["secret_bits"] else 1


def changed_settings(distill, arguments):
    """Distillation settings with ``--set`` and ``--proof`` of a command line.

    Parameters
    ----------
    distill : DistillSettings or None
        None: the defaults.
    arguments : argparse.Namespace
    """
    from ..datatypes import DistillSettings
    from ..settings import from_table, to_table

    table = to_table(distill or DistillSettings()) | flags.assignments(arguments.set, "--set")
    if arguments.proof:
        table["proof"] = arguments.proof
    return from_table(DistillSettings, table, "distillation settings")
