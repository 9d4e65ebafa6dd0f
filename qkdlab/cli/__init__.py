"""The command line: one module a command. ``--json`` prints exactly one JSON object on stdout; progress goes to stderr.

A command is a module of this folder with ``HELP`` (one line), ``arguments(parser)`` that says what it takes, and
``run(arguments)`` that gives its exit code. What it needs of the workbench it imports in ``run``: the help must be quick.
Exit code 0: done. 1: ran, but no key (the output says why). 2: bad input or usage, one line on stderr.
"""

import argparse
import sys

from ..errors import BadInput
from . import (
    app,
    bench,
    bench_check,
    characterise,
    convert,
    demo,
    distill,
    inspect,
    keylength,
    lab,
    optimise,
    randomness,
    runs,
    serve_device,
    simulate,
    sweep,
)

__all__ = ["main"]

COMMANDS = (lab, app, serve_device, bench_check, simulate, distill, keylength, optimise, inspect, characterise, randomness,
            bench, convert, runs, sweep)          # in the order of the help


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
    parser.set_defaults(run=demo.run)
    commands = parser.add_subparsers(title="commands", metavar="", parser_class=_Parser)
    for command in COMMANDS:
        name = command.__name__.rpartition(".")[2].replace("_", "-")
        sub = commands.add_parser(name, help=command.HELP, description=command.HELP)
        sub.set_defaults(run=command.run)
        command.arguments(sub)
    return parser
