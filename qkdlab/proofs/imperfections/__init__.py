"""Devices that are not quite what the proofs assume: effects for which a quantitative treatment is published.

================= ========================================== ======================================================
effect            what must be known of it                   treatment here
================= ========================================== ======================================================
intensity         an interval [mu-, mu+] of each intensity   :func:`intensity_intervals`: worst-case Poisson weights
detector mismatch smallest over largest efficiency           :func:`efficiency_mismatch`: larger phase error;
                                                             :func:`equalising`: clicks of the better are dropped
Trojan horse      mean photons that come back out to Eve     :func:`trojan_horse`: larger phase error
dead time         how long a detector is blind               :func:`observed_rate`, :func:`true_rate`; and
                                                             :func:`all_ready`: clicks while all were ready
afterpulsing      afterpulses per click                      :func:`with_afterpulses`: more clicks, half of them wrong
================= ========================================== ======================================================

The first three take what an analysis of a block needs, or its :class:`~qkdlab.datatypes.Bound`, and give a bound: the
same one where the imperfection is nil, never a longer key where it is larger. Each says in the bound what is assumed of
the effect. The last two are about counting and planning; a proof sees their outcome as errors and as loss.

Not treated, since no rate formula covers them: correlations between pulses, imperfect phase randomisation, flaws of the
prepared states, blinding.
"""

from .afterpulsing import with_afterpulses
from .dead_time import all_ready, observed_rate, share_kept, true_rate
from .intensity import Intervals, intensity_intervals
from .mismatch import efficiency_mismatch, equalising
from .trojan_horse import coin_imbalance, trojan_horse, trojan_phase_error

__all__ = [
    "Intervals",
    "all_ready",
    "coin_imbalance",
    "efficiency_mismatch",
    "equalising",
    "intensity_intervals",
    "observed_rate",
    "share_kept",
    "trojan_horse",
    "trojan_phase_error",
    "true_rate",
    "with_afterpulses",
]
