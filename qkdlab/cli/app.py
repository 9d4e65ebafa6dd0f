"""``qkdlab app``"""

from . import flags

__all__ = ["HELP", "arguments", "run"]

HELP = "open a page without any code: replay a recording, run the bench"


def arguments(parser):
    """What the command takes."""
    parser.add_argument("name", nargs="?", default="replay", metavar="NAME", help="replay (default) or bench")
    flags.page(parser)
    parser.add_argument("--folder", help="where recordings are looked for (default: here)")


def run(arguments):
    """Serve until stopped."""
    from ..app import open_app

    return open_app(arguments.name, port=arguments.port, browser=not arguments.no_browser, folder=arguments.folder)
