"""Small labelled recordings, one command to make them all, each with what a distillation has to say of it."""

import pathlib
from dataclasses import dataclass

from qkdlab.datasets.generate import generate
from qkdlab.datatypes import DistillSettings, SourceSettings, SynchronisationSettings
from qkdlab.errors import BadInput
from qkdlab.settings import nearest
from qkdlab.simulation import ChannelSettings, ClockSettings, DetectorSettings

__all__ = ["CATALOGUE", "Entry", "SETTINGS", "make"]

SECONDS = 0.4
SETTINGS = {
    "source": SourceSettings(clock_hz=1e8, intensities=(0.5, 0.15, 0.001), probabilities=(0.4, 0.3, 0.3),
                             key_basis_probability=0.7),
    "synchronisation": SynchronisationSettings(frame_slots=1 << 16, header_slots=1 << 12),
    "channel": ChannelSettings(distance_km=50.0),
    "detectors": DetectorSettings(key_basis_probability=0.7, delay_ps=(0, 120, -80, 40)),
    "clock": ClockSettings(offset_ppm=4.7, drift_per_s=5e-9),
}
DISTILL = DistillSettings(eps_sec=1e-6)


@dataclass(frozen=True, slots=True)
class Entry:
    """One recording of the catalogue."""

    faults: tuple[str, ...]      # as for qkdlab.datasets.generate.generate
    says: str                    # words that are in the reason (no key) or in a warning; "" for none
    key: bool                    # whether there is a key
    honest: bool                 # whether the truth agrees with the proof's assumptions
    form: str = "h5"


CATALOGUE = {
    "clean": Entry((), "", True, True),
    "gaps-and-doubles": Entry(("lost-data", "duplicate-tags", "disordered-tags"), "", True, True),
    "missing-syncs": Entry(("missing-syncs",), "", True, True),
    "clock-jump": Entry(("clock-jump",), "the phase jumped", True, True),
    "truncated": Entry(("truncated-tail",), "header promises", True, True, "ptu"),
    "swapped-channels": Entry(("swapped-channels",), "abort line", False, True),
    "splice-loss": Entry(("splice-loss:loss_db=2",), "", True, True),
    "polarisation-walk": Entry(("polarisation-walk:radians=2.5",), "abort line", False, True),
    "drifting-modulator": Entry(("modulator-drift:relative=1.1/0.9/1", "pattern-effect:effect=0.02"), "", True, False),
    "saturation": Entry(("saturation:dead_time_ps=4000000",), "", True, False),
    "biased-rng": Entry(("rng-bias",), "stored choices are not what the source states", False, False),
    "intercept-resend": Entry(("intercept-resend",), "abort line", False, False),
    "photon-number-splitting": Entry(("photon-number-splitting",), "single-photon", False, False),
    "blinding": Entry(("blinding",), "Is it blind?", False, False),
    "faked-states": Entry(("faked-states",), "clicked together", False, False),
}


def make(folder, names=(), *, seed=2026, progress=None):
    """Make the catalogue.

    Parameters
    ----------
    folder : path-like
        Made where it does not exist; no file in it is replaced.
    names : sequence of str
        Which entries; empty: all.
    seed : int
    progress : callable, optional
        Called with the name of each entry before it is made.

    Returns
    -------
    dict of str to qkdlab.datasets.generate.Labelled

    Raises
    ------
    BadInput
        Naming an unknown entry, or a file that exists.
    """
    folder = pathlib.Path(folder)
    for name in names:
        if name not in CATALOGUE:
            raise BadInput(f"not in the catalogue; {nearest(name, CATALOGUE)}", field="catalogue", value=name)
    folder.mkdir(parents=True, exist_ok=True)
    made = {}
    for name in names or CATALOGUE:
        entry = CATALOGUE[name]
        if progress:
            progress(name)
        # Alice's record is a list where her generator is at fault: as long as the recording, so a shorter one.
        short = "rng-bias" in entry.faults
        made[name] = generate(folder / (name + (".h5" if entry.form == "h5" else "")), seconds=0.03 if short else SECONDS,
                              seed=seed, faults=entry.faults, form=entry.form, settings=SETTINGS, distill=DISTILL)
    return made
