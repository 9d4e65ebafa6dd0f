"""Labelled recordings: simulated like the real thing, with the truth of each tag in a file beside it.

The truth is one HDF5 file, ``NAME.truth.h5``, with one entry for each tag, in the order of the recording:

========= ====== ==================================================================================================
slot      int64  Alice's slot in which the tag fell, -1 where she did not send
intensity uint8  what she prepared in it: index into the intensities,
basis     uint8  basis,
bit       uint8  and bit
photons   uint8  how many photons she emitted in it (63: or more)
origin    uint8  0 signal, 1 dark count, 2 afterpulse, 3 sent by Eve, 4 added by a fault
========= ====== ==================================================================================================

and the attributes ``seed``, ``seconds``, ``faults``, ``settings`` (JSON). It holds Alice's choices: keep it like a raw key.
"""

import hashlib
import json
import pathlib
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from qkdlab import simulation
from qkdlab.datasets.faults import Stretch, fault
from qkdlab.datasets.folder import FolderWriter
from qkdlab.datasets.newfile import refuse_existing
from qkdlab.datasets.run import RunWriter
from qkdlab.datatypes import DistillSettings, TimeTags
from qkdlab.errors import BadInput
from qkdlab.settings import nearest, to_table
from qkdlab.simulation.photons import true_means

__all__ = ["COLUMNS", "Labelled", "generate", "read_truth", "truth_path"]

COLUMNS = {"slot": "<i8", "intensity": "u1", "basis": "u1", "bit": "u1", "photons": "u1", "origin": "u1"}
AT_ONCE = 1 << 18            # tags in one block of the file: the format writes a chunk anew for each block
STEPS = 200                  # in which the physics of a recording may change
FORMS = {"h5": ".h5", "ptu": ""}


@dataclass(frozen=True, slots=True)
class Labelled:
    """What was made."""

    path: pathlib.Path
    truth: pathlib.Path
    tags: int


def truth_path(path):
    """Where the truth of a recording lies."""
    path = pathlib.Path(path)
    return path.with_name(f"{path.stem if path.suffix == '.h5' else path.name}.truth.h5")


def generate(path, *, seconds, seed, faults=(), form="h5", settings=None, distill=None, progress=None):
    """Make a recording of a simulated link with faults, and the truth beside it.

    Parameters
    ----------
    path : path-like
        Must not exist; neither must the truth.
    seconds : float
        Link time.
    seed : int
        Fixes everything.
    faults : sequence of Fault or str
        From :data:`qkdlab.datasets.faults.FAULTS`, by name or ``name:setting=value,...``; applied in this order.
    form : {"h5", "ptu"}
        One HDF5 file, or a folder with a PicoQuant file.
    settings : dict of str to settings object, optional
        By section, as for :func:`qkdlab.simulation.simulate`; what is absent takes its defaults.
    distill : DistillSettings, optional
        Noted in the recording.
    progress : callable, optional
        Called with the share that is done.

    Returns
    -------
    Labelled

    Raises
    ------
    BadInput
        Naming file, field and value; no file is left then.
    """
    path, truth = refuse_existing(path), refuse_existing(truth_path(path))
    faults = [fault(given) for given in faults]
    if form not in FORMS:
        raise BadInput(f"unknown form of a recording; {nearest(str(form), FORMS)}", field="form", value=form)
    if form == "ptu" and not all(f.ordered for f in faults):
        raise BadInput("a PicoQuant file holds tags in order only; take the form h5", field="form", value=form)
    if not 0 < seconds < 1e7:
        raise BadInput("must be above 0 s and below 1e7 s", field="seconds", value=seconds)
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise BadInput("a whole number of at least 0 is expected", field="seed", value=seed)
    maker = _Maker(seconds, int(seed), faults, settings or {})
    try:
        with _TruthWriter(truth, maker) as labels:
            return Labelled(path, truth, maker.record(path, form, distill or DistillSettings(), labels, progress))
    except BaseException:
        truth.unlink(missing_ok=True)
        path.unlink(missing_ok=True) if path.is_file() else None
        raise


class _Maker:
    """A link whose settings change as the faults say, and whose tags pass through them."""

    def __init__(self, seconds, seed, faults, settings):
        self.seconds, self.seed, self.faults = seconds, seed, faults
        self.tables = {name: settings.get(name, kind()) for name, kind in simulation.SECTIONS.items()}
        for name in settings:
            if name not in self.tables:
                raise BadInput(f"unknown section; {nearest(name, self.tables)}", field="settings", value=name)
        self._rngs = [np.random.default_rng([seed, number, 0xFA17]) for number in range(len(faults) + 1)]
        slots = int(seconds * self.tables["source"].clock_hz) + 1
        choices = [made for f, rng in zip(faults, self._rngs, strict=False)
                   if (made := f.choices(self.tables, slots, rng)) is not None]
        self.link = simulation.simulate(self._physics(0.0), seed=seed, choices=choices[-1] if choices else None,
                                        keep_truth=True)
        self._period_ps = Fraction(10**12) / Fraction(self.link.source.clock_hz)

    def _physics(self, share):
        """Settings of the link at a time. A fault's own draws are the same at each call."""
        tables = self.tables
        for number, f in enumerate(self.faults):
            tables = f.physics(tables, share, np.random.default_rng([self.seed, number, 0xF1B2E]))
        return tables

    def record(self, path, form, distill, labels, progress):
        """Make all of it; returns the number of tags."""
        link, made = self.link, 0
        about = {"source": link.source, "sync": link.sync, "receiver": link.receiver, "choices": link.choices,
                 "simulated": True, "distill": distill,
                 "public_seed": hashlib.sha256(b"public seed %d" % self.seed).digest()}
        if form == "h5":
            about |= {"ordered": all(f.ordered for f in self.faults),
                      "provenance": {"faults": [_named(f) for f in self.faults]}}
        writer = RunWriter(path, **about) if form == "h5" else FolderWriter(path, **about)
        held = []
        with writer as run:
            for step in range(STEPS):
                share = step / STEPS
                now = self._physics(share)
                link.update(**{name: now[name] for name in ("channel", "detectors", "eve", "modulator")})
                for tags in link.blocks(self.seconds / STEPS, self.seconds):
                    held.append(self._faulty(tags))
                if sum(len(stretch.time_ps) for stretch in held) >= AT_ONCE or step == STEPS - 1:
                    made, held = made + self._write(run, labels, held), []
                if progress:
                    progress((step + 1) / STEPS)
            if form == "h5" and any(f.after(1.0) for f in self.faults):
                run.abandon()
        if form == "ptu" and any(f.after(1.0) for f in self.faults):
            with (path / "bob.ptu").open("r+b") as file:                 # in the middle of a record
                file.truncate((path / "bob.ptu").stat().st_size - 4002)
        return made

    def _write(self, run, labels, held):
        """Stretches as one block of the file, and their truth; returns the number of tags."""
        time_ps, channel = (np.concatenate([getattr(stretch, name) for stretch in held]) for name in ("time_ps", "channel"))
        run.append(TimeTags(time_ps, channel, sum(stretch.lost for stretch in held)))
        labels.append({name: np.concatenate([stretch.truth[name] for stretch in held]) for name in COLUMNS})
        return len(time_ps)

    def _faulty(self, tags):
        truth = self.link.truth.pop()
        share = truth.time_ps / (self.seconds * 1e12)
        stretch = Stretch(tags.time_ps, tags.channel, share, self._labels(truth), tags.lost)
        for f, rng in zip(self.faults, self._rngs, strict=False):
            stretch = f.tags(stretch, self.tables, rng)
        return stretch

    def _labels(self, truth):
        """The columns of the truth: noise gets the slot in which it fell, and what Alice did there."""
        link, slot = self.link, truth.slot.copy()
        noise = np.flatnonzero(slot < 0)
        # In floats, but for the whole slots of a round base: a period is then exact to 1e-16 of this block.
        base = int(truth.time_ps[0] // self._period_ps) if len(slot) else 0
        since = truth.time_ps[noise] - round(base * self._period_ps)
        slot[noise] = base + np.rint(since / float(self._period_ps)).astype(np.int64)
        slot[noise[~link.choices.covers(slot[noise])]] = -1
        sent = slot >= 0
        symbols = np.zeros(len(slot), np.uint8)
        symbols[sent] = link.choices.at(slot[sent])
        photons = truth.photons.copy()
        noise = noise[slot[noise] >= 0]
        photons[noise] = self._unseen(truth, slot[noise], symbols[noise])
        return {"slot": slot, "intensity": symbols >> 2, "basis": symbols >> 1 & 1, "bit": symbols & 1,
                "photons": photons, "origin": truth.origin}

    def _unseen(self, truth, slot, symbols):
        """Photons emitted in slots with noise: as known from a signal in the same slot, or those that were lost."""
        link = self.link
        mean, _ = true_means(link.choices, link.modulator, slot, symbols)
        photons = np.minimum(self._rngs[-1].poisson(mean * (1 - link.channel.transmittance * link.detectors.efficiency)), 63)
        known = np.flatnonzero(truth.slot >= 0)
        known = known[np.argsort(truth.slot[known], kind="stable")]
        if len(known):
            at = np.minimum(np.searchsorted(truth.slot[known], slot), len(known) - 1)
            same = truth.slot[known][at] == slot
            photons[same] = truth.photons[known][at][same]
        return photons


class _TruthWriter:
    def __init__(self, path, maker):
        self._path, self._maker = path, maker

    def __enter__(self):
        import h5py

        self._file = h5py.File(self._path, "x")
        attributes = {"qkdlab": "truth", "seed": self._maker.seed, "seconds": self._maker.seconds,
                      "faults": json.dumps([_named(f) for f in self._maker.faults]),
                      "settings": json.dumps({name: to_table(s) for name, s in self._maker.tables.items()})}
        for name, value in attributes.items():
            self._file.attrs[name] = value
        for name, kind in COLUMNS.items():
            # lzf: a fifth of the time of gzip for a quarter more bytes
            self._file.create_dataset(name, (0,), kind, maxshape=(None,), chunks=(1 << 15,), shuffle=True,
                                      compression="lzf")
        return self

    def append(self, columns):
        for name, column in columns.items():
            stored = self._file[name]
            start = len(stored)
            stored.resize((start + len(column),))
            stored[start:] = column

    def __exit__(self, *exception):
        self._file.close()


def _named(f):
    from qkdlab.datasets.faults import FAULTS

    name = next((name for name, kind in FAULTS.items() if type(f) is kind), type(f).__name__)
    return {"fault": name, **to_table(f)}


def read_truth(path):
    """The truth of a recording.

    Parameters
    ----------
    path : path-like
        Of the recording or of the truth itself.

    Returns
    -------
    dict
        The columns by name (ndarray), and ``seed, seconds, faults, settings`` as plain values.

    Raises
    ------
    BadInput
        Where there is no truth.
    """
    import h5py

    path = pathlib.Path(path)
    path = path if path.name.endswith(".truth.h5") else truth_path(path)
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("qkdlab") != "truth":
                raise BadInput("an HDF5 file, but not a truth of qkdlab", where=path)
            found = {name: file[name][:] for name in COLUMNS}
            return found | {"seed": int(file.attrs["seed"]), "seconds": float(file.attrs["seconds"]),
                            **{name: json.loads(file.attrs[name]) for name in ("faults", "settings")}}
    except FileNotFoundError:
        raise BadInput("no such file", where=path) from None
    except (OSError, KeyError) as error:
        raise BadInput(f"damaged, or not a truth: {error}", where=path) from None
