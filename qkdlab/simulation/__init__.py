"""The physics of a link: from Alice's choices to Bob's time tags, with every imperfection a setting."""

from . import splitting
from .emission import Emission
from .expected import detector_rates, expected_gains, expected_gains_at_rate, split_gains
from .link import SimulatedLink, Truth, link_from_tables
from .link_model import LIM2014, LinkModel, expected_counts
from .settings import SECTIONS, ChannelSettings, ClockSettings, DetectorSettings, EveSettings, ModulatorSettings

__all__ = [
    "LIM2014",
    "SECTIONS",
    "ChannelSettings",
    "ClockSettings",
    "DetectorSettings",
    "Emission",
    "EveSettings",
    "LinkModel",
    "ModulatorSettings",
    "SimulatedLink",
    "Truth",
    "detector_rates",
    "expected_counts",
    "expected_gains",
    "expected_gains_at_rate",
    "link_from_tables",
    "simulate",
    "split_gains",
    "splitting",
]


def simulate(tables=None, seed=None, *, choices=None, keep_truth=False):
    """A simulated link from settings by section (see :func:`link_from_tables`); all defaults where none are given."""
    return link_from_tables(tables or {}, seed, choices, keep_truth)
