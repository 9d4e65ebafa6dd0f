"""``qkdlab randomness``"""

import json

from ..errors import BadInput
from . import flags

__all__ = ["HELP", "arguments", "run"]

HELP = "test the bytes of a random source that were kept in a file"


def arguments(parser):
    """What the command takes."""
    parser.add_argument("file", metavar="FILE")
    flags.json(parser)


def run(arguments):
    """Print the tests' outcome; 1 where one failed."""
    from .. import randomness

    with open(arguments.file, "rb") as file:
        data = file.read(randomness.MOST_BYTES)
    try:
        found = randomness.assess(data)
    except BadInput as error:
        raise error.at(arguments.file) from None
    print(json.dumps(found, allow_nan=False) if arguments.json else randomness.text(arguments.file, found))
    return 0 if found["passed"] else 1
