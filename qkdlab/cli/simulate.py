"""``qkdlab simulate``"""

import sys

from ..errors import BadInput

__all__ = ["HELP", "arguments", "run"]

HELP = "simulate a link and record it like a real one"


def arguments(parser):
    """What the command takes."""
    parser.add_argument("config", metavar="CONFIG.toml", nargs="?", help="the link (default: a link of 50 km)")
    parser.add_argument("-o", "--output", metavar="RUN", help="what to write; must not exist")
    parser.add_argument("--template", action="store_true",
                        help="print a CONFIG.toml of every setting with its default, unit and meaning, and do nothing else")
    parser.add_argument("--seed", type=int, help="whole number that fixes everything (default: the system's entropy)")
    parser.add_argument("--seconds", type=float, default=1.0, help="link time to record (default: 1)")
    parser.add_argument("--format", choices=("h5", "ptu"), default="h5",
                        help="h5: one HDF5 file (default); ptu: a folder with a PicoQuant file, the sender's record and "
                             "the settings")
    parser.add_argument("--operator", default="", help="who records")
    parser.add_argument("--purpose", default="", help="what for")
    parser.add_argument("--notes", default="", help="anything else; found again by `qkdlab runs search`")
    parser.add_argument("--fault", action="append", metavar="NAME[:SETTING=VALUE,...]",
                        help="let something go wrong, and write the truth of each tag beside the recording, as "
                             "NAME.truth.h5; may be repeated")
    parser.add_argument("--faults", action="store_true", help="print what can go wrong, and do nothing else")
    parser.add_argument("--catalogue", metavar="DIR",
                        help="make the catalogue of small labelled recordings, one for each kind of fault and attack, in a "
                             "folder, and do nothing else")


def run(arguments):
    """Record a simulated link, with faults or without; or print a template or the faults; or make the catalogue."""
    from .. import store

    if arguments.template:
        from ..settings import template

        print(template(store.SECTIONS), end="")
        return
    if arguments.faults:
        from ..datasets.faults import menu

        print(menu())
        return
    if arguments.catalogue is not None:
        return _catalogue(arguments)
    if arguments.output is None:
        raise BadInput("the following arguments are required: -o/--output; see `qkdlab simulate --help`")
    words = {name: getattr(arguments, name) for name in ("operator", "purpose", "notes") if getattr(arguments, name)}
    if arguments.fault:
        if words:
            raise BadInput("goes without --fault only: labelled recordings keep no words", field=f"--{next(iter(words))}")
        made = store.record_with_faults(arguments.config, arguments.output, arguments.fault, seconds=arguments.seconds,
                                        seed=arguments.seed, form=arguments.format)
        print(f"recorded {made.path}, the truth in {made.truth}; next: qkdlab distill {made.path}", file=sys.stderr)
        return
    path = store.record(arguments.config, arguments.output, seconds=arguments.seconds, seed=arguments.seed,
                        form=arguments.format, words=words)
    print(f"recorded {path}; next: qkdlab distill {path}", file=sys.stderr)


def _catalogue(arguments):
    import tqdm

    from ..datasets.catalogue import CATALOGUE, make

    with tqdm.tqdm(total=len(CATALOGUE), unit=" recordings", file=sys.stderr, disable=None, leave=False) as bar:
        def show(name):
            bar.set_description_str(name)
            bar.update()

        made = make(arguments.catalogue, seed=2026 if arguments.seed is None else arguments.seed, progress=show)
    for labelled in made.values():
        print(labelled.path)
