"""``qkdlab convert``"""

import sys

from . import flags

__all__ = ["HELP", "arguments", "run"]

HELP = "write a time-tag file in another format (by its ending)"


def arguments(parser):
    """What the command takes."""
    parser.add_argument("input", metavar="IN")
    parser.add_argument("output", metavar="OUT")
    flags.form(parser)


def run(arguments):
    """Write the file; notes say what it does not hold."""
    from ..datasets import convert

    for note in convert(arguments.input, arguments.output, **flags.reader(arguments)):
        print(f"note: {note}", file=sys.stderr)
    print(f"wrote {arguments.output}", file=sys.stderr)
