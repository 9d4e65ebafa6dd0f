"""``qkdlab bench``"""

import json
import pathlib
import sys

from ..errors import BadInput
from . import flags

__all__ = ["HELP", "arguments", "run"]

HELP = "kernel speeds beside their peers on this machine"


def arguments(parser):
    """What the command takes."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="which ones (default: all)")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", dest="size", action="store_const", const="quick", default="normal",
                      help="smaller inputs, fewer turns: a minute")
    size.add_argument("--long", dest="size", action="store_const", const="long", help="also the largest inputs: some GB")
    parser.add_argument("--plot", metavar="FILE.svg", default="qkdlab-bench.svg",
                        help="where the picture goes (default: qkdlab-bench.svg)")
    flags.json(parser)


def run(arguments):
    """Measure, print the table and save the picture."""
    import tqdm

    from .. import benchmarks
    from ..benchmarks.plot import svg
    from ..benchmarks.table import table

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
