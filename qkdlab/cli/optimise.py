"""``qkdlab optimise``"""

import json

from . import flags

__all__ = ["HELP", "arguments", "run"]

HELP = "best intensities, probabilities and basis bias for a link, and the rate"


def arguments(parser):
    """What the command takes."""
    parser.add_argument("link", metavar="LINK.toml")
    flags.json(parser)


def run(arguments):
    """Print the best settings."""
    from ..proofs.link_file import optimise_tables
    from ..report import optimise_text
    from ..settings import read_toml
    from ..store import SECTIONS

    result = optimise_tables(read_toml(arguments.link, SECTIONS), arguments.link)
    print(json.dumps(result, allow_nan=False) if arguments.json else optimise_text(result))
    return 0 if result["length"] else 1
