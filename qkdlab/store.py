"""A run on disk: a link recorded as a real one would be, for replay."""

import hashlib
import pathlib
import sys

from . import datasets, simulation
from .entropy import entropy
from .errors import BadInput
from .settings import read_toml

__all__ = ["record"]


def record(config, output, *, seconds, seed=None, form="h5"):
    """Simulate a link and record it like a real one.

    Parameters
    ----------
    config : path-like
        TOML with the tables of :data:`qkdlab.simulation.SECTIONS` and ``[distill]``; what is absent takes its default.
    output : path-like
        The run to write; must not exist.
    seconds : float
        Link time.
    seed : int, optional
        Fixes everything; the system's entropy otherwise.
    form : {"h5", "ptu"}
        One HDF5 file, or a folder with a PicoQuant file, Alice's record and the settings.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    BadInput
        Naming file, field and value.
    """
    import tqdm

    tables = read_toml(config, {**simulation.SECTIONS, "distill": datasets.DistillSettings})
    if not 0 < seconds < 1e7:
        raise BadInput("must be above 0 s and below 1e7 s", field="--seconds", value=seconds)
    if seed is not None and seed < 0:
        raise BadInput("must be a whole number of at least 0", field="--seed", value=seed)
    path = pathlib.Path(output)
    distill = tables.pop("distill")
    link = simulation.simulate(tables, seed=seed)
    public_seed = entropy(32) if seed is None else hashlib.sha256(b"public seed %d" % seed).digest()
    writer = datasets.writer(form, path, link, distill, public_seed)
    total = max(1, round(seconds / 0.1))
    with writer:
        for tags in tqdm.tqdm(link.blocks(seconds), total=total, unit=" blocks", file=sys.stderr, disable=None):
            writer.append(tags)
    return path
