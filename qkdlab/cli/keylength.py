"""``qkdlab keylength``"""

import json
import sys

from . import flags

__all__ = ["HELP", "arguments", "run"]

HELP = "counts to a bound, every intermediate shown"


def arguments(parser):
    """What the command takes."""
    parser.add_argument("counts", metavar="COUNTS",
                        help="JSON, or a table (.csv) with a row for each basis and intensity")
    flags.json(parser)


def run(arguments):
    """Print the bound."""
    from .. import proofs
    from ..datasets import counts
    from ..report import keylength_text

    table = counts.read(arguments.counts)
    for note in table.warnings:
        print(f"note: {note}", file=sys.stderr)
    result = proofs.keylength(table.document, where=arguments.counts)
    print(json.dumps(result, allow_nan=False) if arguments.json else keylength_text(result))
    return 0 if result["length"] else 1
