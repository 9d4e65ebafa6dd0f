"""Calibrations: functions of instruments that find a number, say how well they know it, and for how long it holds.

Each returns a :class:`Calibration`; a :class:`Store` keeps them, says which are fresh, and :func:`blocker` why one that is
not stops the key::

    store = Store("calibrations")
    store.add(bias_scan(box, box, reading="tap_power_w", from_v=-6, to_v=8))
    Session(link, blockers=[lambda: blocker(store, ["modulator bias", "dark counts"])])

To add one, write one file here.
"""

from .bias import bias_lock, bias_scan
from .counters import collect, detector_counter, tagger_counter
from .detectors import dark_counts, detector_balance
from .intensities import intensity_ratios, intensity_ratios_from_counts, level_player
from .loss import loss_by_otdr, loss_by_power_meter
from .polarisation import polarisation_compensation
from .record import Calibration, Limit, Value
from .scan import Stopped
from .store import Drift, Status, Store, bench_blockers, blocker
from .timing import clock_offset, gate_delay

__all__ = ["Calibration", "Drift", "Limit", "Status", "Stopped", "Store", "Value", "bench_blockers", "bias_lock",
           "bias_scan", "blocker", "clock_offset", "collect", "dark_counts", "detector_balance", "detector_counter",
           "gate_delay", "intensity_ratios", "intensity_ratios_from_counts", "level_player", "loss_by_otdr",
           "loss_by_power_meter", "polarisation_compensation", "tagger_counter"]
