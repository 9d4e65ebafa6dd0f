"""``qkdlab bench-check``"""

import json

from . import flags

__all__ = ["HELP", "arguments", "run"]

HELP = "ask each device of a bench file who it is; nothing is switched on"


def arguments(parser):
    """What the command takes."""
    parser.add_argument("config", metavar="CONFIG.toml", nargs="?", help="the bench (default: the shipped one, simulated)")
    parser.add_argument("--schema", action="store_true", help="print the JSON schema of bench files, and do nothing else")
    flags.json(parser)


def run(arguments):
    """Check a bench, or print the schema."""
    from .. import bench_check, bench_file

    if arguments.schema:
        print(json.dumps(bench_file.schema(), indent=1))
        return 0
    report = bench_check.check(arguments.config)
    print(json.dumps(report) if arguments.json else bench_check.as_text(report))
    return 0 if report["ok"] else 2
