"""Adaptive decoys: settings for the next block from what the last one showed.

Why this is safe, and what it takes
-----------------------------------
The bounds treat the intensities, their probabilities and the basis bias as constants of a block, known to Eve and not
under her control. They suppose nothing of the channel. So *any* settings may be used in a block, whoever proposed them,
if all of the following hold; the program can only see to the first three.

1. **Between blocks only.** Settings are frozen (:class:`Adaptation` cannot be changed) and both parties compare their
   ``digest`` before the first pulse of the block. Nothing of the block itself enters its settings, nor when it ends.
2. **One block, one set of settings.** Counts taken with different settings are never added up and never bounded together.
3. **The estimate is for planning.** Loss and noise fitted here never enter a bound. A wrong guess, or an Eve who steers
   it, costs key, never secrecy: the key comes from that block's own counts, whatever was expected of them.
4. **Public and authenticated.** Only counts that were announced are used, from a block whose messages were authenticated
   and whose announcements ended before the next block starts.
5. **Calibrated intensities.** The bounds believe the mean photon numbers they are told. Intensities are therefore held
   unless the source was calibrated over the whole range (``hold_intensities=False``); a modulator takes time to settle,
   and pulses sent meanwhile belong to no block.
6. **Every block counts.** A block is analysed once and its epsilons are added to those of all other blocks, whether it
   gave key or not; blocks are not dropped because of how they went.

Re-optimising from estimates between blocks follows from Lim et al. (2014), whose optimum it is; that parameters must not
depend on the data of the block they are used in: Tupkary, Tan, Nahar, Kamin and Lutkenhaus, arXiv:2502.10340.
"""

from dataclasses import dataclass

import numpy as np

from ..datatypes import SourceSettings
from ..errors import BadInput
from ..settings import digest
from .optimise import Optimum, result
from .search import Plan, Search

__all__ = ["Adaptation", "adapt", "estimate_link"]

_DARKEST, _CLEAREST = 1e-12, 0.1             # dark counts per pulse that a fit may give
_FEWEST = 100                                # detections of the signal that an estimate needs


@dataclass(frozen=True, slots=True)
class Adaptation:
    """Frozen settings for one block."""

    source: SourceSettings       # to be used from the first to the last pulse of the next block
    changed: bool                # whether they differ from those of the block before
    link: object                 # LinkModel: loss and noise as estimated
    expected: Optimum            # what to expect if the link stays as it was
    gain: float                  # expected bits per pulse over those with the old settings, less 1 (inf from none)
    digest: str                  # of `source`: to be compared by both parties before the block


def estimate_link(counts, source, link):
    """Loss, dark counts and misalignment behind a block's public counts, by greatest likelihood.

    Detections are Poisson numbers around what :class:`~qkdlab.simulation.LinkModel` expects; afterpulsing, dead time and
    the kind of receiver are taken as known. For planning only.

    Parameters
    ----------
    counts : DecoyCounts
        With the pulses sent.
    source : SourceSettings
        The settings of that block.
    link : LinkModel
        What is known of the receiver; its transmittance and noise are where the fit starts.

    Returns
    -------
    LinkModel

    Raises
    ------
    BadInput
        If the pulses sent were not counted, or too few were detected.
    """
    from scipy.optimize import minimize

    sent, n, m = (np.array(a, dtype=float) for a in (counts.sent, counts.clicks, counts.errors))
    if len(n) != len(source.intensities):
        raise BadInput(f"one row for each of the {len(source.intensities)} intensities is expected", field="counts",
                       value=n.tolist())
    if not (sent > 0).all() or (n > sent).any():
        raise BadInput("pulses sent are expected, at least as many as detections", field="counts.sent",
                       value=counts.sent.tolist())
    if n[0].sum() < _FEWEST:
        raise BadInput(f"at least {_FEWEST} detections of the signal are expected", field="counts", value=n.tolist())
    settings = source.intensities, source.achieved_probabilities, source.achieved_key_basis_probability

    def at(x):
        return link.replace(transmittance=float(np.exp(min(x[0], 0.0))),
                            dark_probability=float(np.clip(np.exp(x[1]), _DARKEST, _CLEAREST)))

    def unlikely(x):
        expected = np.maximum(sent * at(x).gains(*settings)[0], 1e-300)
        return float((expected - n * np.log(expected)).sum() - (n - n * np.log(np.maximum(n, 1))).sum())

    start = [np.log(max(link.transmittance, 1e-9)), np.log(max(link.dark_probability, 1e-9))]
    fit = minimize(unlikely, start, method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-9, "maxfev": 600})
    fit = at(minimize(unlikely, fit.x, method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-9, "maxfev": 600}).x)
    # Errors are linear in the misalignment: what dark counts and afterpulses do not explain, over what it explains.
    none, all_wrong = ((sent * fit.replace(misalignment=e).gains(*settings)[1]).sum() for e in (0.0, 0.5))
    return fit.replace(misalignment=float(np.clip(0.5 * (m.sum() - none) / (all_wrong - none), 0, 0.5)))


def adapt(counts, source, link, *, hold_intensities=True, least_gain=0.01, **plan):
    """Settings for the next block.

    Parameters
    ----------
    counts : DecoyCounts
        Public counts of the block before, with the pulses sent; that block must be closed.
    source : SourceSettings
        Its settings: three intensities.
    link : LinkModel
        What is known of the receiver (see :func:`estimate_link`).
    hold_intensities : bool
        Change probabilities and basis bias only. Otherwise the weakest intensity alone is held.
    least_gain : float
        Settings stay as they are unless this much more key is expected, or where none is expected at all: every
        change costs a calibration, and noise should not be chased.
    **plan
        Fields of :class:`~qkdlab.proofs.optimise.Plan` for the next block: `n_pulses` or `n_key`, `eps_sec`, ...

    Returns
    -------
    Adaptation

    Raises
    ------
    BadInput
        Naming the field.
    """
    seen = estimate_link(counts, source, link)
    held = {"intensities": source.intensities} if hold_intensities else {"weakest_intensity": source.intensities[-1]}
    plan = Plan(**{**held, **plan})
    amount = plan.n_key or plan.n_pulses
    now = np.array([*source.intensities, *source.achieved_probabilities, source.achieved_key_basis_probability])
    climb = Search.of([[seen]], None, [amount], plan)
    before = float(climb.worth(now[None])[0])
    climb.cold(6, (now,))
    climb.polish()
    best = result([seen], climb.shares, climb.settings[0], plan, amount)
    gain = float(climb.best[0]) / before - 1 if before > 0 else np.inf
    changed = best.length > 0 and gain > least_gain
    if not changed:
        return Adaptation(source, False, seen, result([seen], climb.shares, now, plan, amount), 0.0, digest(source))
    new = best.source(source.clock_hz)
    return Adaptation(new, True, seen, best, gain, digest(new))
