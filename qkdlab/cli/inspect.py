"""``qkdlab inspect``"""

import json

from . import flags

__all__ = ["HELP", "arguments", "run"]

HELP = "say what a time-tag file, an OTDR trace (.sor) or a table of counts holds"


def arguments(parser):
    """What the command takes."""
    parser.add_argument("file", metavar="FILE")
    flags.form(parser)
    flags.json(parser)


def run(arguments):
    """Print what the file holds."""
    from ..datasets import inspect
    from ..report import inspect_text

    info = inspect(arguments.file, **flags.reader(arguments))
    print(json.dumps(info, allow_nan=False) if arguments.json else inspect_text(arguments.file, info))
