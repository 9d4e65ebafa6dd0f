"""A satellite's pass: loss and background change from slot to slot, and the block is the pass.

Counts are summed over the slots, then bounded once: bounds of single slots would each pay for few counts (Sidhu,
Brougham, McArthur, Pousa and Oi, npj Quantum Inf. 8, 18 (2022)). That is sound, because Alice chooses bit, basis and
intensity in the same way in all of them, and the analysis supposes nothing of the channel.

Near the horizon light is weak and noise is not: slots that only add errors are better left out. **Which slots count is
part of the plan**, fixed before the pass from the orbit, not from what was counted: picking slots by their clicks or
errors would be picking the data.
"""

from dataclasses import dataclass

import numpy as np

from ..errors import BadInput
from .optimise import Optimum, result
from .search import Plan, Search

__all__ = ["PassOptimum", "optimise_pass"]

_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class PassOptimum:
    """Best settings for a pass and the slots to use."""

    used: np.ndarray             # bool (T,)
    optimum: Optimum             # n_pulses and rate_per_pulse: of the pulses sent in these slots
    rate_per_pulse: float        # length over the pulses that could have been sent in all slots


def optimise_pass(link, transmittance, n_pulses, *, dark_probability=None, choose=True, **plan):
    """Best settings and slots for one pass.

    Parameters
    ----------
    link : LinkModel
        The receiver; its transmittance (detectors, optics) multiplies that of the slots.
    transmittance : array_like, shape (T,)
        Of the way from Alice to Bob in each slot.
    n_pulses : array_like, shape (T,) or float
        Pulses that can be sent in each slot.
    dark_probability : array_like, shape (T,), optional
        Dark and background counts per detector and pulse in each slot; absent: those of `link`.
    choose : bool
        Leave out slots that cost more than they give; otherwise all are used.
    **plan
        Further fields of :class:`~qkdlab.proofs.optimise.Plan`.

    Returns
    -------
    PassOptimum

    Raises
    ------
    BadInput
        Naming the field.
    """
    eta = np.atleast_1d(np.asarray(transmittance, dtype=float))
    pulses = _per_slot("n_pulses", n_pulses, eta.shape)
    dark = _per_slot("dark_probability", link.dark_probability if dark_probability is None else dark_probability, eta.shape)
    if not (pulses > 0).all():
        raise BadInput("pulses are expected in every slot", field="n_pulses", value=float(pulses.min()))
    total = float(pulses.sum())
    plan = Plan(n_pulses=total, **plan)
    links = [link.replace(transmittance=link.transmittance * a, dark_probability=b) for a, b in zip(eta, dark, strict=True)]
    whole = Search.of([links], pulses / total, [total], plan)
    order = np.argsort(-(eta / np.maximum(dark, 1e-300)), kind="stable") if choose else np.arange(len(eta))
    best, number = _climb(whole, order, len(eta), choose)
    used = np.zeros(len(eta), bool)
    used[order[:number]] = True
    within = float(pulses[used].sum())
    optimum = result([a for a, u in zip(links, used, strict=True) if u], pulses[used] / within, best, plan, within)
    return PassOptimum(used, optimum, optimum.length / total)


def _climb(whole, order, number, choose):
    """Settings for some slots and slots for these settings, in turn: the settings (7,) and how many of `order` to use."""
    settings, height = None, -np.inf
    for _ in range(_ROUNDS):
        part = whole.within(order[:number])
        part.cold(2 if settings is None else 1, () if settings is None else (settings,))
        part.polish(3)
        if not part.best[0] > height * (1 + 1e-6 * np.sign(height)):
            break
        settings, height, kept = part.settings[0], part.best[0], number
        if not choose:
            break
        number = _fewest(whole, order, settings)
        if number == kept:
            break
    part = whole.within(order[:kept])
    part.cold(0, (settings,))
    part.polish()
    return part.settings[0], kept


def _fewest(whole, order, settings):
    """How many slots of `order` give these settings most."""
    numbers = np.unique(np.linspace(1, len(order), 64).astype(int))
    for _ in range(3):
        worth = [whole.within(order[:n]).worth(settings[None])[0] for n in numbers]
        at = int(np.argmax(worth))
        low, high = numbers[max(at - 1, 0)], numbers[min(at + 1, len(numbers) - 1)]
        if high - low <= 2:
            break
        numbers = np.unique(np.linspace(low, high, 32).astype(int))
    return int(numbers[at])


def _per_slot(field, values, shape):
    """One number for each slot."""
    values = np.asarray(values, dtype=float)
    if values.shape not in ((), shape):
        raise BadInput(f"one for each of the {shape[0]} slots is expected", field=field, value=values.shape)
    return np.broadcast_to(values, shape)
