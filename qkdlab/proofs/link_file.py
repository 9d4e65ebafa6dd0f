"""``qkdlab optimise LINK.toml``: best settings for the link that a simulation's configuration describes."""

import dataclasses
import math
from dataclasses import dataclass

from ..datatypes import as_table
from ..errors import BadInput
from ..settings import Settings, setting, to_table
from ..simulation.link_model import LinkModel
from .optimise import optimise
from .search import Plan

__all__ = ["OptimiseSettings", "optimise_tables"]


@dataclass(frozen=True, slots=True)
class OptimiseSettings(Settings):
    """For `qkdlab optimise`: what a block is, and what the source can do. Give one of n_pulses, n_key and seconds."""

    n_pulses: float | None = setting(None, help="pulses sent in a block", unit="pulses", low=1, high=1e15)
    n_key: float | None = setting(None, help="detections in the key basis that end a block; where no size is given, "
                                             "block_key_bits of [distill]", unit="bits", low=1, high=1e12)
    seconds: float | None = setting(None, help="time that a block takes", unit="s", low=0, high=1e9, open_low=True)
    eps_sec: float | None = setting(None, help="secrecy failure probability; absent: as in [distill]", low=1e-300, high=1)
    eps_cor: float | None = setting(None, help="probability that the keys differ unnoticed; absent: as in [distill]",
                                    low=1e-300, high=1)
    f_ec: float = setting(1.16, help="efficiency of error correction", low=1, high=100)
    tails: str | None = setting(None, help="concentration bound of the decoy counts; absent: as in [distill]",
                                choices=("hoeffding", "chernoff"))
    sampling: str | None = setting(None, help="bound from the test basis to the key basis; absent: as in [distill]",
                                   choices=("serfling", "hypergeometric", "gamma", "yin"))
    clamp: bool | None = setting(None, help="lower bounds of counts are cut at 0; absent: as in [distill]")
    weakest_intensity: float = setting(2e-4, help="the weakest pulse", unit="photons/pulse", low=0, high=0.1)
    brightest_intensity: float = setting(1.0, help="the signal stays below it", unit="photons/pulse", low=0.25, high=10)
    intensities: tuple[float, ...] | None = setting(None, help="three that are held; absent: chosen", low=0, high=10)
    key_basis_probability: float | None = setting(None, help="held; absent: chosen", low=0.02, high=0.999)
    bob: str = setting("active", help="active: Bob sends all light to one basis, as often as Alice prepares in it (Lim et "
                                      "al. 2014); passive: his beam splitter shares it out as [detectors] say",
                       choices=("active", "passive"))

    def check(self):
        given = [name for name in ("n_pulses", "n_key", "seconds") if getattr(self, name) is not None]
        if len(given) > 1:
            raise BadInput(f"only one of n_pulses, n_key and seconds is expected, not {' and '.join(given)}",
                           field=given[1], value=getattr(self, given[1]))

    def plan(self, distill, clock_hz):
        """As a :class:`Plan`, with what is absent taken from `distill` (DistillSettings)."""
        fields = {f.name for f in dataclasses.fields(Plan)}
        table = {name: value for name, value in to_table(self).items() if name in fields}
        if self.seconds is not None:
            table["n_pulses"] = self.seconds * clock_hz
        elif self.n_pulses is None and self.n_key is None:
            table["n_key"] = distill.block_key_bits
        return Plan(**{**{name: getattr(distill, name) for name in ("eps_sec", "eps_cor", "tails", "sampling", "clamp")},
                       **table})


def optimise_tables(tables, where=""):
    """Best settings, the rate and the bound: the contract of ``qkdlab optimise``.

    Parameters
    ----------
    tables : dict of str to settings object
        ``source`` (only its clock matters), ``channel``, ``detectors``, ``receiver`` (only the gate), ``distill``,
        ``optimise``; others are left alone.
    where : str
        The file, for complaints.

    Returns
    -------
    dict
        Plain values, ready for JSON; None where a value is undefined. Rates: ``rate`` in bits per pulse,
        ``rate_hz`` in bits per second.

    Raises
    ------
    BadInput
        Naming the table and the field.
    """
    settings, clock_hz = tables["optimise"], tables["source"].clock_hz
    try:
        link = LinkModel.of(tables["channel"], tables["detectors"], clock_hz, passive=settings.bob == "passive",
                            gate_ps=tables["receiver"].gate_ps)
    except BadInput as error:
        raise error.at(f"{where}: [detectors]") from None
    try:
        plan = settings.plan(tables["distill"], clock_hz)
        best = optimise(link, **{name: getattr(plan, name) for name in Plan.__dataclass_fields__})
    except BadInput as error:
        raise error.at(f"{where}: [optimise]") from None
    finite = math.isfinite(best.n_pulses)
    return as_table({
        "intensities": best.intensities, "probabilities": best.probabilities,
        "key_basis_probability": best.key_basis_probability, "rate": best.rate_per_pulse,
        "rate_hz": best.rate_per_pulse * clock_hz, "length": best.length, "reason": best.bound.reason,
        "n_pulses": best.n_pulses if finite else None, "seconds": best.n_pulses / clock_hz if finite else None,
        "bound": best.bound, "link": link, "plan": plan,
    })
