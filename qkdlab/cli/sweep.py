"""``qkdlab sweep``"""

import json
import pathlib
import sys

from ..errors import BadInput
from . import flags
from .columns import number, table

__all__ = ["HELP", "arguments", "run"]

HELP = "simulate a link over a grid of settings; goes on where it was stopped"


def arguments(parser):
    """What the command takes."""
    parser.add_argument("config", metavar="CONFIG.toml", nargs="?", help="the link (default: a link of 50 km)")
    parser.add_argument("--vary", action="append", default=[], metavar="NAME=VALUES", required=True,
                        help="for example link.loss_db=0:40:2 or detectors.efficiency=0.1,0.2; repeated: all combinations")
    parser.add_argument("-o", "--output", metavar="FOLDER", required=True, help="where results are kept as they finish")
    parser.add_argument("--seconds", type=float, default=1.0, help="link time of each point (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="another number is another sample (default: 0)")
    parser.add_argument("--analysis", default="distill", help="distill: a simulated session (default); optimise: the best "
                                                              "settings and their rate, without a simulation")
    flags.workers(parser)
    flags.json(parser)


def run(arguments):
    """Work through the grid, and print what came of each point."""
    import tqdm

    from .. import sweeps

    vary = {}
    for words in arguments.vary:
        name, equals, text = words.partition("=")
        if not equals:
            raise BadInput("NAME=VALUES is expected", field="--vary", value=words)
        vary[name.strip()] = sweeps.values(text)
    with tqdm.tqdm(unit=" points", file=sys.stderr, disable=None, leave=False) as bar:
        def show(done, of):
            bar.total = of
            bar.update(done - bar.n)

        rows = sweeps.sweep(arguments.config, vary, arguments.output, seconds=arguments.seconds, seed=arguments.seed,
                            workers=arguments.workers, analysis=arguments.analysis, progress=show)
    folder = pathlib.Path(arguments.output)
    if arguments.json:
        print(json.dumps({"folder": str(folder), "rows": rows}, allow_nan=False))
    else:
        heads = [*rows[0]["point"], "rate / (bit/s)", "remark"]
        print(table(heads, [(*map(str, row["point"].values()), number(row.get("values", {}).get("rate_hz")),
                             row.get("error") or row["values"].get("reason") or "") for row in rows]))
    print(f"wrote {folder / 'results.jsonl'}, table.csv and plot.svg", file=sys.stderr)
    if any("error" in row for row in rows):
        raise BadInput(f"{sum('error' in row for row in rows)} points failed; run it again to try them once more",
                       where=folder)
    return 0 if any(row["values"].get("rate_hz") for row in rows) else 1
