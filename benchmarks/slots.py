"""Time tags to slots: the fold by a clock with its gate; and the whole way to clicks."""

import numpy as np

from qkdlab import _ext
from qkdlab.benchmarks.measure import Case, Peer
from qkdlab.datatypes import ReceiverSettings, SourceSettings, SynchronisationSettings, TimeTags
from qkdlab.postprocessing.synchronise import Synchroniser
from qkdlab.simulation.link import SimulatedLink
from qkdlab.simulation.settings import ChannelSettings, ClockSettings, DetectorSettings, EveSettings

__all__ = ["cases"]

PERIOD_PS, BINS = 1000, 512


def cases(size):
    """Four detectors with delays, pulses of 1 GHz, half of the tags in the gate."""
    n = 1_000_000 if size == "quick" else 8_000_000
    rng = np.random.default_rng(1)
    time_ps, detector = np.cumsum(rng.integers(0, 20_000, n)), rng.integers(0, 4, n, dtype=np.uint8)
    delay_ps = np.array([0, 30, -20, 700])
    call, _ = gating(time_ps, detector, delay_ps)
    yield Case("fold and gate", "tags", n / 1e6, call,
               (Peer("numpy", lambda: lambda: by_numpy(time_ps, detector, delay_ps)),), goal=400)
    tags = recording(0.2 if size == "quick" else 1.0)
    yield Case("tags to clicks", "tags", len(tags) / 1e6, lambda: to_clicks(tags), goal=50)


def recording(seconds):
    """Tags of a link of 10 dB at 1 GHz with detectors of 20 ns dead time: 24 million a second."""
    detectors = DetectorSettings(efficiency=0.8, dead_time_ps=20_000, jitter_fwhm_ps=50, delay_ps=(0, 350, -2200, 90),
                                 key_basis_probability=0.8)
    link = SimulatedLink(SourceSettings(), SynchronisationSettings(), ChannelSettings(distance_km=50), detectors,
                         ClockSettings(offset_ps=10**6, offset_ppm=12, drift_per_s=1e-8), EveSettings(),
                         ReceiverSettings(), seed=3)
    parts = list(link.blocks(seconds, 0.02))
    return TimeTags(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("time_ps", "channel")))


def to_clicks(tags, size=1 << 18):
    """Synchronise from nothing, gate, number the slots, settle double clicks; how many clicks."""
    machine = Synchroniser(SourceSettings(), SynchronisationSettings(), ReceiverSettings(), np.random.default_rng(1))
    clicks = sum(len(machine.push(TimeTags(tags.time_ps[at : at + size], tags.channel[at : at + size])))
                 for at in range(0, len(tags), size))
    return clicks + len(machine.finish())


def gating(time_ps, detector, delay_ps):
    """The kernel's call, which returns how many tags are in the gate, and where it writes them and the histogram."""
    rate = round(2**64 / (PERIOD_PS * (1 + 2e-6)))
    out = np.empty(len(time_ps), np.int64), np.empty(len(time_ps), np.uint8), np.zeros((4, BINS), np.int32)
    return lambda: _ext.match.gate(time_ps, detector, delay_ps, 0, 0, 0, rate, 2**62, 2**63, *out), out


def by_numpy(time_ps, detector, delay_ps):
    """In floating point, good for some hours at 1 GHz."""
    cycles = (time_ps - delay_ps[detector]) * (1 / (PERIOD_PS * (1 + 2e-6)))
    slot = np.floor(cycles)
    phase = cycles - slot
    counts = np.bincount(detector * np.intp(BINS) + (phase * BINS).astype(np.intp), minlength=4 * BINS)
    kept = (phase >= 0.25) & (phase < 0.75)
    return slot[kept].astype(np.int64), detector[kept], counts
