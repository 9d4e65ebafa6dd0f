"""A run on disk: a link recorded as a real one would be, for replay."""

import dataclasses
import hashlib
import pathlib
import sys

from . import datasets, simulation
from .choices import load_choices
from .datatypes import DistillSettings
from .entropy import entropy
from .errors import BadInput
from .proofs.link_file import OptimiseSettings
from .settings import Settings, read_toml, setting, to_table

__all__ = ["SECTIONS", "ChoicesSettings", "record", "record_with_faults"]


@dataclasses.dataclass(frozen=True, slots=True)
class ChoicesSettings(Settings):
    """What the sender plays instead of choices drawn slot by slot."""

    file: str | None = setting(None, help="NumPy file (.npy) of one symbol per slot, beside the configuration; "
                                          "absent: drawn from a key stream")
    repeat: bool = setting(False, help="whether the file is a pattern that is played again and again")


SECTIONS = {**simulation.SECTIONS, "distill": DistillSettings, "choices": ChoicesSettings, "optimise": OptimiseSettings}


def record(config, output, *, seconds, seed=None, form="h5", words=None):
    """Simulate a link and record it like a real one.

    Parameters
    ----------
    config : path-like or None
        TOML with the tables of :data:`SECTIONS`; what is absent takes its default.
    output : path-like
        The run to write; must not exist.
    seconds : float
        Link time.
    seed : int, optional
        Fixes everything; the system's entropy otherwise.
    form : {"h5", "ptu"}
        One HDF5 file, or a folder with a PicoQuant file, Alice's record and the settings.
    words : dict, optional
        ``operator``, ``purpose`` and ``notes`` of the run, for an HDF5 file.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    BadInput
        Naming file, field and value.
    """
    import tqdm

    tables = read_toml(config, SECTIONS) if config is not None else {name: cls() for name, cls in SECTIONS.items()}
    if not 0 < seconds < 1e7:
        raise BadInput("must be above 0 s and below 1e7 s", field="--seconds", value=seconds)
    if seed is not None and seed < 0:
        raise BadInput("must be a whole number of at least 0", field="--seed", value=seed)
    path = pathlib.Path(output)
    distill, stored, _ = (tables.pop(name) for name in ("distill", "choices", "optimise"))
    choices = None
    if stored.file is not None:
        choices = load_choices(pathlib.Path(config).parent / stored.file, tables["source"], tables["synchronisation"],
                               stored.repeat)
    link = simulation.simulate(tables, seed=seed, choices=choices)
    public_seed = entropy(32) if seed is None else hashlib.sha256(b"public seed %d" % seed).digest()
    about = dict(words or {})
    if form == "h5":
        about |= {"snapshot": {"simulation": {name: to_table(settings) for name, settings in tables.items()}},
                  "provenance": {"command": "simulate", "seed": seed, "seconds": seconds}}
    writer = datasets.writer(form, path, link, distill, public_seed, about)
    total = max(1, round(seconds / 0.1))
    with writer as run:
        for tags in tqdm.tqdm(link.blocks(seconds), total=total, unit=" blocks", file=sys.stderr, disable=None):
            run.append(tags)
    return path


def record_with_faults(config, output, faults, *, seconds, seed=None, form="h5"):
    """As :func:`record`, with things going wrong and the truth beside it: see :func:`qkdlab.datasets.generate.generate`.

    Raises
    ------
    BadInput
        Naming file, field and value.
    """
    import tqdm

    from .datasets.generate import generate

    tables = read_toml(config, SECTIONS) if config is not None else {name: cls() for name, cls in SECTIONS.items()}
    if tables["choices"].file is not None:
        raise BadInput("recordings with faults draw their choices; leave the file out", where=config, field="choices.file",
                       value=tables["choices"].file)
    settings = {name: tables[name] for name in simulation.SECTIONS}
    seed = int.from_bytes(entropy(8), "little") if seed is None else seed
    with tqdm.tqdm(total=100, unit=" %", file=sys.stderr, disable=None, leave=False) as bar:
        return generate(output, seconds=seconds, seed=seed, faults=faults, form=form, settings=settings,
                        distill=tables["distill"], progress=lambda share: bar.update(round(100 * share) - bar.n))
