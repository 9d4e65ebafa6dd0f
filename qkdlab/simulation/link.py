"""A simulated link: Alice's source, the fibre, Eve, Bob's detectors and his clock, as a stream of Bob's time tags."""

import dataclasses
import math
from fractions import Fraction

import numpy as np

from ..choices import DrawnChoices
from ..datatypes import ReceiverSettings, SourceSettings, SynchronisationSettings, TimeTags
from ..entropy import entropy
from ..errors import BadInput
from ..settings import nearest
from . import clock as clocks
from .detectors import DARK, EVE, SIGNAL, DetectorBank, dark_counts, edge_ps, jittered
from .eve import Interceptor
from .expected import expected_gains_at_rate
from .photons import arrivals, brightest_mean, emitted, split_arrivals
from .settings import (
    SECTIONS,
    ChannelSettings,
    ClockSettings,
    DetectorSettings,
    EveSettings,
    ModulatorSettings,
    arrival_sigma_ps,
)

__all__ = ["SimulatedLink", "Truth", "link_from_tables"]

_AT_ONCE = 1 << 17           # photons simulated together: they stay in the processor's cache


@dataclasses.dataclass(frozen=True, slots=True)
class Truth:
    """Where the tags of one block come from. Nobody has this but a simulator."""

    slot: np.ndarray             # int64 (M,), -1 for dark counts and afterpulses
    origin: np.ndarray           # uint8 (M,): SIGNAL, DARK, AFTERPULSE or EVE of :mod:`.detectors`
    photons: np.ndarray          # uint8 (M,): how many photons Alice emitted in the slot, 0 where it is -1
    time_ps: np.ndarray          # int64 (M,): by Alice's clock


class SimulatedLink:
    """A source for :class:`qkdlab.Session` that is made of physics.

    Parameters
    ----------
    source : SourceSettings
    sync : SynchronisationSettings or None
    channel, detectors, clock, eve : ChannelSettings, DetectorSettings, ClockSettings, EveSettings
    receiver : ReceiverSettings
    modulator : ModulatorSettings, optional
        How Alice's intensities depart from the agreed ones; absent: not at all.
    seed : int or None
        Fixes everything, Alice's choices included: the same seed and the same blocks give the same tags. None: the
        operating system's entropy.
    choices : object as in :mod:`qkdlab.choices`, optional
        What Alice plays instead of choices drawn from the seed; its source and sync must be those given here.
    keep_truth : bool
        Keep a :class:`Truth` for each block in ``truth``.

    Attributes
    ----------
    source, sync, receiver, choices, channel, detectors, clock, eve
        As given.
    interceptor : Interceptor
        What Eve does in which slot.
    simulated : bool
        True.
    truth : list of Truth

    Raises
    ------
    BadInput
        Where the choices belong to other settings, or an argument is of another kind.
    """

    simulated = True

    def __init__(self, source, sync, channel, detectors, clock, eve, receiver, *, seed, choices=None, keep_truth=False,
                 modulator=None):
        kinds = {"source": SourceSettings, "sync": SynchronisationSettings, "channel": ChannelSettings,
                 "detectors": DetectorSettings, "clock": ClockSettings, "eve": EveSettings,
                 "receiver": ReceiverSettings, "modulator": ModulatorSettings}
        given = (source, sync, channel, detectors, clock, eve, receiver, modulator or ModulatorSettings())
        for (name, kind), value in zip(kinds.items(), given, strict=True):
            if not (name == "sync" and value is None):
                _is(kind, name, value)
        if seed is not None and (not isinstance(seed, int | np.integer) or seed < 0):
            raise BadInput("a whole number of at least 0 is expected", field="seed", value=seed)
        root = np.random.SeedSequence(int.from_bytes(entropy(32), "little") if seed is None else int(seed))
        physics, alice, eavesdropper = (np.random.default_rng(s) for s in root.spawn(3))
        if choices is None:
            choices = DrawnChoices(source, sync, entropy(32) if seed is None else alice.bytes(32))
        elif choices.source != source or choices.sync != sync:
            raise BadInput("belong to another source or another synchronisation string", field="choices")
        self.source, self.sync, self.receiver, self.clock, self.choices = source, sync, receiver, clock, choices
        self.truth = []
        self._physics = channel, detectors, eve, given[-1]
        given[-1].means(source)                              # refuses a wrong number of intensities
        self._witness = np.random.default_rng(root.spawn(1)[0])      # for the truth alone: it changes no tag
        self._keep_truth = keep_truth
        self._rng, self.interceptor = physics, Interceptor(eavesdropper.bytes(32))
        self._period = Fraction(10**12) / Fraction(source.clock_hz)
        self._now = clocks.true_time_ps(clock, 0)            # Alice's time, up to which all is simulated
        self._bank = DetectorBank(self._now)

    @property
    def channel(self):
        return self._physics[0]

    @property
    def detectors(self):
        return self._physics[1]

    @property
    def eve(self):
        return self._physics[2]

    @property
    def modulator(self):
        return self._physics[3]

    def update(self, *, channel=None, detectors=None, eve=None, source=None, modulator=None):
        """Change the physics from the next block on. Safe while another thread takes blocks.

        The source can only be changed before the first block: what Alice sends is agreed before she sends.

        Raises
        ------
        BadInput
            Where a setting is of another kind, or comes too late; nothing is changed then.
        """
        if source is not None and source != self.source:
            self._replace_source(source)
        old = self._physics
        new = tuple(a if a is not None else b for a, b in zip((channel, detectors, eve, modulator), old, strict=True))
        for kind, name, value in zip((ChannelSettings, DetectorSettings, EveSettings, ModulatorSettings),
                                     ("channel", "detectors", "eve", "modulator"), new, strict=True):
            _is(kind, name, value)
        new[3].means(self.source)
        self._physics = new

    def _replace_source(self, source):
        _is(SourceSettings, "source", source)
        if self._now != clocks.true_time_ps(self.clock, 0):
            raise BadInput("the link runs already: a new source takes a new link", field="source")
        if not isinstance(self.choices, DrawnChoices):
            raise BadInput("this link plays stored choices, which were made for its source", field="source")
        self.choices = DrawnChoices(source, self.sync, self.choices.key)
        self.source, self._period = source, Fraction(10**12) / Fraction(source.clock_hz)

    def expected_gains(self, gate_ps=None):
        """Closed form of the gains with the present physics, float64 (intensity, basis); see :mod:`.expected`.

        With the agreed intensities, and of Eve's attacks only with interception: the others show as departures.
        """
        return expected_gains_at_rate(self.source, *self._physics[:3], gate_ps).clicks

    def blocks(self, seconds, block_seconds=0.1):
        """Bob's tags, one TimeTags per block, in his clock; a further call goes on where the last one stopped.

        The last nanoseconds of a block come with the next one, where later tags cannot overtake them.

        Parameters
        ----------
        seconds : float
            Link time; infinite: until the caller stops.
        block_seconds : float

        Raises
        ------
        BadInput
            Where a time is negative or not a number.
        """
        if not seconds >= 0:
            raise BadInput("must be at least 0 s", field="seconds", value=seconds)
        if not 1e-9 <= block_seconds < math.inf:
            raise BadInput("must be at least 1e-9 s", field="block_seconds", value=block_seconds)
        return self._blocks(seconds, block_seconds)

    def _blocks(self, seconds, block_seconds):
        start, index, done_s = self._now, 0, 0.0
        while done_s < seconds * (1 - 1e-12):
            index += 1
            done_s = min(index * block_seconds, seconds)
            yield self._block(start + round(done_s * 1e12))

    def _block(self, end):
        """Tags up to Alice's time `end` (ps), made in pieces that fit the cache."""
        channel, detectors, eve, modulator = self._physics
        rate = brightest_mean(self.source, channel, detectors) * self.source.clock_hz + 4 * detectors.dark_rate_hz
        begin = self._now
        pieces = 1 + int(rate * (end - begin) * 1e-12 / _AT_ONCE)
        modulator = None if modulator == ModulatorSettings() else modulator
        parts = [self._piece(begin + (end - begin) * (i + 1) // pieces, channel, detectors, eve, modulator)
                 for i in range(pieces)]
        time, detector, slot, origin = (np.concatenate(column) for column in zip(*parts, strict=True))
        if self._keep_truth:
            self.truth.append(Truth(slot, origin & 3, origin >> 2, time))
        return TimeTags(clocks.read(self.clock, time), np.array(self.receiver.channels, np.uint8)[detector])

    def _piece(self, end, channel, detectors, eve, modulator):
        """Clicks up to about `end`: time, detector, slot, origin."""
        begin, rng = self._now, self._rng
        first, after = (max(0, math.ceil(t / self._period)) for t in (begin, end))
        slot, detector, origin = self._photons(first, after - first, channel, detectors, eve, modulator)
        base = round(first * self._period)               # exact: floats then only span this piece
        sigma = arrival_sigma_ps(channel, detectors)
        time = base + jittered((slot - first) * float(self._period), sigma, rng)
        time += np.array(detectors.delay_ps)[detector]
        dark_time, dark_detector = dark_counts(begin, end, detectors.dark_rate_hz, rng)
        candidates = (np.concatenate([time, dark_time]), np.concatenate([detector, dark_detector]),
                      np.concatenate([slot, np.full(len(dark_time), -1)]),
                      np.concatenate([origin, np.full(len(dark_time), DARK, np.uint8)]))
        if eve.blinded:
            sees = ~np.isin(candidates[1], eve.blinded)
            candidates = tuple(column[sees] for column in candidates)
        self._now = end
        return self._bank.clicks(detectors, candidates, end - edge_ps(sigma, detectors.delay_ps), rng)


    def _photons(self, first, n_slots, channel, detectors, eve, modulator):
        """Slot, detector and origin (+ 4 * photons that Alice emitted, where the truth is kept) of detected photons."""
        rest = channel, detectors, eve, self.interceptor, first, n_slots, self._rng, modulator
        slot, detector = arrivals(self.choices, *rest)
        origin = np.full(len(slot), SIGNAL, np.uint8)
        if self._keep_truth:
            origin[self.interceptor.intercepts(slot, eve.intercept_fraction)] = EVE
            if eve.faked_fraction:
                origin[self.interceptor.fake(slot, slot, eve.faked_fraction, 0.5)[0]] = EVE
            origin |= emitted(self.choices, channel, detectors, slot, self._witness, modulator) << 2
        if eve.split_fraction:
            more, where, photons = split_arrivals(self.choices, *rest)
            slot, detector = np.concatenate([slot, more]), np.concatenate([detector, where])
            origin = np.concatenate([origin, EVE | np.minimum(photons, 63) << 2 if self._keep_truth else photons])
        return slot, detector, origin


def _is(kind, name, value):
    if not isinstance(value, kind):
        raise BadInput(f"{kind.__name__} are expected", field=name, value=value)


def link_from_tables(tables, seed=None, choices=None, keep_truth=False):
    """A simulated link from settings by section.

    Parameters
    ----------
    tables : dict of str to settings object
        By the names of :data:`SECTIONS`, as :func:`qkdlab.settings.read_toml` gives them; what is absent takes its
        defaults.
    seed : int, optional
    choices : object as in :mod:`qkdlab.choices`, optional
    keep_truth : bool

    Returns
    -------
    SimulatedLink

    Raises
    ------
    BadInput
        Where a section is unknown.
    """
    for name in tables:
        if name not in SECTIONS:
            raise BadInput(f"unknown section; {nearest(name, SECTIONS)}", field=name)
    given = {name: tables.get(name, kind) for name, kind in SECTIONS.items()}
    given = {name: value() if isinstance(value, type) else value for name, value in given.items()}
    return SimulatedLink(given["source"], given["synchronisation"], given["channel"], given["detectors"],
                         given["clock"], given["eve"], given["receiver"], seed=seed, choices=choices,
                         keep_truth=keep_truth, modulator=given["modulator"])
