"""Flags that several commands have."""

from ..errors import BadInput

__all__ = ["assignments", "form", "json", "page", "reader", "workers"]


def json(parser):
    """One JSON object instead of words."""
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else on stdout")


def form(parser):
    """The format of a file, and what files of that format leave open."""
    parser.add_argument("--format", metavar="NAME", help="format of the file, where its bytes do not tell")
    parser.add_argument("--reader", action="append", default=[], metavar="NAME=VALUE",
                        help="what such a file does not say, for example tick_ps=81 or unit=ns; may be repeated")


def reader(arguments):
    """What :func:`form` took, as :func:`qkdlab.datasets.open` takes it."""
    return {"form": arguments.format} | assignments(arguments.reader, "--reader")


def assignments(words, option):
    """``NAME=VALUE`` words of an option as a dict: values as in TOML, words without quotes."""
    import tomllib

    table = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise BadInput("NAME=VALUE is expected", where=option, value=word)
        try:
            table[name.strip()] = tomllib.loads(f"x = {value}")["x"]
        except tomllib.TOMLDecodeError:
            table[name.strip()] = value.strip()
    return table


def page(parser):
    """Where a page is served, and whether a browser opens on it."""
    parser.add_argument("--port", type=int, help="port on loopback (default: a free one)")
    parser.add_argument("--no-browser", action="store_true", help="only print the address and serve")


def workers(parser):
    """What shares the work."""
    parser.add_argument("--workers", default="serial", metavar="KIND",
                        help="serial (default), threads[:N], processes[:N], dask[:N] on this machine, or "
                             "dask:tcp://HOST:PORT")
