"""Flags that several commands have."""

__all__ = ["form", "json", "page", "workers"]


def json(parser):
    """One JSON object instead of words."""
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else on stdout")


def form(parser):
    """The format of a file."""
    parser.add_argument("--format", metavar="NAME", help="format of the file, where its bytes do not tell")


def page(parser):
    """Where a page is served, and whether a browser opens on it."""
    parser.add_argument("--port", type=int, help="port on loopback (default: a free one)")
    parser.add_argument("--no-browser", action="store_true", help="only print the address and serve")


def workers(parser):
    """What shares the work."""
    parser.add_argument("--workers", default="serial", metavar="KIND",
                        help="serial (default), threads[:N], processes[:N], dask[:N] on this machine, or "
                             "dask:tcp://HOST:PORT")
