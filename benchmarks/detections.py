"""Detections of a long fibre: the cost goes with detections, not with pulses."""

import numpy as np

from qkdlab.benchmarks.measure import Case, Peer
from qkdlab.choices import DrawnChoices
from qkdlab.datatypes import SourceSettings
from qkdlab.simulation.eve import Interceptor
from qkdlab.simulation.photons import arrivals, brightest_mean, poisson_slots
from qkdlab.simulation.settings import ChannelSettings, DetectorSettings, EveSettings

__all__ = ["cases"]


def cases(size):
    """1e6 photons (at the brightest intensity) out of 1e12 and out of 1e9 pulses; and only where they fall."""
    n = 100_000 if size == "quick" else 1_000_000
    few, many = _link(n, n * 1000), _link(n, n * 10**6)
    yield Case("detections, 1e-6 a pulse", "detections", n / 1e6, many,
               (Peer("1e-3 a pulse", lambda: few),), goal_over=(1 / 1.5, "1e-3 a pulse"))
    rng = np.random.default_rng(1)
    yield Case("slots of detections, 1e-3 a pulse", "detections", n / 1e6, lambda: poisson_slots(n * 1000, 1e-3, rng),
               (Peer("numpy geometric", lambda: lambda: np.cumsum(rng.geometric(1e-3, n))),))


def _link(detections, pulses):
    source, detectors, eve = SourceSettings(), DetectorSettings(), EveSettings()
    mean = detections / pulses / brightest_mean(source, ChannelSettings(distance_km=0), detectors)
    channel = ChannelSettings(distance_km=0, extra_loss_db=-10 * float(np.log10(mean)))
    choices, interceptor = DrawnChoices(source, None, bytes(32)), Interceptor(bytes(32))
    rng = np.random.default_rng(1)
    return lambda: arrivals(choices, channel, detectors, eve, interceptor, 0, pulses, rng)
