"""``qkdlab lab``"""

from . import flags

__all__ = ["HELP", "arguments", "run"]

HELP = "open JupyterLab on the notebooks"


def arguments(parser):
    """What the command takes."""
    parser.add_argument("notebook", nargs="?", default="lab/live-session", metavar="NOTEBOOK",
                        help="which one to show first, for example tutorials/01-first-key")
    flags.page(parser)


def run(arguments):
    """Serve until stopped."""
    from ..lab import open_lab

    return open_lab(port=arguments.port, browser=not arguments.no_browser, notebook=arguments.notebook)
