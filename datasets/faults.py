"""What goes wrong with recordings, on demand: a menu of faults for :func:`qkdlab.datasets.generate.generate`.

A fault is a settings class. Its docstring says what it does, ``sees`` what a user sees of it, ``symptom`` what a
distillation reports. Faults of the physics change the settings of the simulated link as time goes on (:meth:`physics`),
faults of the electronics change tags that were made (:meth:`tags`), and both may be combined freely. Times are shares of
the recording, from 0 to 1.
"""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from qkdlab.choices import DrawnChoices, RecordedChoices
from qkdlab.errors import BadInput
from qkdlab.preamble import is_header
from qkdlab.settings import Settings, from_table, nearest, setting

__all__ = ["ADDED", "FAULTS", "Fault", "Stretch", "fault", "menu"]

ADDED = 4                    # origin of a tag that no detector made (the others: qkdlab.simulation.detectors)


@dataclass(slots=True)
class Stretch:
    """Tags of a block with their truth, in the order of the file."""

    time_ps: np.ndarray          # int64 (M,), Bob's clock
    channel: np.ndarray          # uint8 (M,)
    share: np.ndarray            # float64 (M,), when in the recording, 0 to 1
    truth: dict                  # name: ndarray (M,), see qkdlab.datasets.generate
    lost: int = 0                # clicks that the tagger says it lost

    def take(self, where):
        """The tags at these indices, in this order."""
        return Stretch(self.time_ps[where], self.channel[where], self.share[where],
                       {name: column[where] for name, column in self.truth.items()}, self.lost)


def _part(default, help):
    return setting(default, help=help, unit="of the recording", low=0, high=1)


@dataclass(frozen=True, slots=True)
class Fault(Settings):
    """Nothing goes wrong."""

    sees = "nothing unusual"
    symptom = "a key"
    ordered = True               # whether the tags stay in time order

    def choices(self, tables, slots, rng):
        """What Alice plays instead of choices drawn from the seed, or None."""
        return None

    def physics(self, tables, share, rng):
        """The settings of the link at a time; `tables` are those without this fault, by section."""
        return tables

    def tags(self, stretch, tables, rng):
        """The Stretch that the file gets."""
        return stretch

    def after(self, share):
        """Whether the recording has stopped by then, without having been closed."""
        return False


def _with(tables, section, **changes):
    return {**tables, section: tables[section].replace(**changes)}


# ------------------------------------------------------------------------------------------ electronics and computers


@dataclass(frozen=True, slots=True)
class LostData(Fault):
    """The tagger's buffer overflows: for a while nothing is recorded."""

    sees = "count rates fall to zero and come back"
    symptom = "a key from the rest; lost tags are counted in the report, where the tagger noticed"
    at: float = _part(0.4, "when it begins")
    length: float = _part(0.1, "how long it lasts")
    noticed: bool = setting(True, help="whether the tagger says how many clicks it lost")

    def tags(self, stretch, tables, rng):
        gone = (stretch.share >= self.at) & (stretch.share < self.at + self.length)
        kept = stretch.take(~gone)
        kept.lost += int(gone.sum()) if self.noticed else 0
        return kept


@dataclass(frozen=True, slots=True)
class MissingSyncs(Fault):
    """Clicks in the public headers, by which Bob finds the slot numbers, are missing."""

    sees = "fewer clicks in the headers; the clock stays locked"
    symptom = "the same key: slots that were found once are counted on; no key where the string is missing from the start"
    at: float = _part(0.4, "when it begins")
    length: float = _part(0.3, "how long it lasts")

    def tags(self, stretch, tables, rng):
        slot = stretch.truth["slot"]
        header = is_header(tables["synchronisation"], np.maximum(slot, 0)) & (slot >= 0)
        return stretch.take(~(header & (stretch.share >= self.at) & (stretch.share < self.at + self.length)))


@dataclass(frozen=True, slots=True)
class DuplicateTags(Fault):
    """The tagger writes some clicks twice."""

    sees = "count rates a little too high; characterise finds gaps far below the dead time"
    symptom = "the same key as without: two clicks of one detector in one slot are one"
    part: float = setting(0.01, help="clicks that are written twice", low=0, high=1)
    late_ps: int = setting(0, help="by how much the second one is later", unit="ps", low=0, high=10**6)

    @property
    def ordered(self):
        """A late second tag may come after the next stretch has begun."""
        return not self.late_ps

    def tags(self, stretch, tables, rng):
        twice = np.repeat(np.arange(len(stretch.time_ps)), 1 + (rng.random(len(stretch.time_ps)) < self.part))
        made = stretch.take(twice)
        added = np.diff(twice, prepend=-1) == 0
        made.truth["origin"] = np.where(added, np.uint8(ADDED), made.truth["origin"])
        made.time_ps = made.time_ps + added * self.late_ps
        return made.take(np.argsort(made.time_ps, kind="stable"))


@dataclass(frozen=True, slots=True)
class DisorderedTags(Fault):
    """Tags of different inputs reach the file a little out of order."""

    sees = "inspect says that tags are earlier than the one before them"
    symptom = "the same key as without: readers put them in order"
    ordered = False
    reach_ps: int = setting(5_000_000, help="how late a tag may reach the file", unit="ps", low=1, high=10**9)
    part: float = setting(0.02, help="tags that are late", low=0, high=1)

    def tags(self, stretch, tables, rng):
        n = len(stretch.time_ps)
        late = (rng.random(n) < self.part) * rng.integers(1, self.reach_ps + 1, n)
        return stretch.take(np.argsort(stretch.time_ps + late, kind="stable"))


@dataclass(frozen=True, slots=True)
class SwappedChannels(Fault):
    """Two cables are in each other's input."""

    sees = "an error rate near 100 % (one basis), or 50 % in both"
    symptom = "no key: the error rate in the test basis is above the abort line"
    first: int = setting(2, help="detector (key 0, key 1, test 0, test 1 are 0 to 3)", low=0, high=3)
    second: int = setting(3, help="the other detector", low=0, high=3)

    def tags(self, stretch, tables, rng):
        table = np.arange(256, dtype=np.uint8)
        inputs = tables["receiver"].channels
        a, b = inputs[self.first], inputs[self.second]
        table[[a, b]] = b, a
        stretch.channel = table[stretch.channel]
        return stretch


@dataclass(frozen=True, slots=True)
class ClockJump(Fault):
    """Bob's clock leaps ahead, as when a tagger loses its reference for a moment."""

    sees = "the lock is lost once and found again"
    symptom = "a key from before and after; a warning names the place"
    at: float = _part(0.5, "when")
    jump_ps: int = setting(2_000_123_456, help="by how much", unit="ps", low=0, high=10**12)

    def tags(self, stretch, tables, rng):
        stretch.time_ps = stretch.time_ps + np.where(stretch.share >= self.at, self.jump_ps, 0)
        return stretch


@dataclass(frozen=True, slots=True)
class TruncatedTail(Fault):
    """The recording program dies before the end."""

    sees = "inspect says that the recording is not complete"
    symptom = "a key from what is there, and a warning"
    at: float = _part(0.8, "when")

    def tags(self, stretch, tables, rng):
        return stretch.take(stretch.share < self.at)

    def after(self, share):
        return share >= self.at


# ---------------------------------------------------------------------------------------------- optics and detectors


@dataclass(frozen=True, slots=True)
class SpliceLoss(Fault):
    """A splice or connector gives way: sudden loss."""

    sees = "all count rates fall at once; an OTDR trace shows a step"
    symptom = "a shorter key"
    at: float = _part(0.5, "when")
    loss_db: float = setting(3.0, help="further loss", unit="dB", low=0, high=100)

    def physics(self, tables, share, rng):
        extra = self.loss_db if share >= self.at else 0.0
        return _with(tables, "channel", extra_loss_db=tables["channel"].extra_loss_db + extra)


@dataclass(frozen=True, slots=True)
class PolarisationWalk(Fault):
    """The fibre turns the polarisation, a little more as time goes on: a random walk on top of the misalignment."""

    sees = "the error rate creeps up"
    symptom = "a shorter key, or none: the error rate in the test basis is above the abort line"
    radians: float = setting(0.5, help="angle on the Poincare sphere by the end, root mean square", unit="rad", low=0,
                             high=10)
    steps: int = setting(100, help="steps of the walk in the whole recording", low=1, high=10**6)

    def physics(self, tables, share, rng):
        walk = rng.standard_normal(self.steps + 1)[: 1 + int(share * self.steps)]
        angle = self.radians * walk.sum() / math.sqrt(self.steps)
        floor, turned = tables["channel"].misalignment, math.sin(angle / 2) ** 2
        return _with(tables, "channel", misalignment=min(0.5, floor + (1 - 2 * floor) * turned))


@dataclass(frozen=True, slots=True)
class ModulatorDrift(Fault):
    """Alice's intensities move away from the agreed ones, in a straight line."""

    sees = "gains leave the expected ones, each intensity by another amount"
    symptom = "a key whose bound is no longer one: nothing in the counts tells drift from loss; calibrate"
    relative: tuple[float, ...] = setting((1.2, 0.8, 1.0), help="true over agreed intensities at the end", low=0, high=10)

    def physics(self, tables, share, rng):
        now = tuple(1 + share * (end - 1) for end in self.relative)
        return _with(tables, "modulator", relative=now)


@dataclass(frozen=True, slots=True)
class PatternEffect(Fault):
    """The modulator has not settled when the next pulse comes: each pulse remembers the one before."""

    sees = "weak intensities are too bright after strong ones"
    symptom = "a key, a little off: intensities are not what the proof takes them for"
    effect: float = setting(0.03, help="part of the previous pulse's intensity in each pulse", low=0, high=0.5)

    def physics(self, tables, share, rng):
        return _with(tables, "modulator", pattern_effect=self.effect)


@dataclass(frozen=True, slots=True)
class Saturation(Fault):
    """Too much light for detectors with a long dead time."""

    sees = "count rates near one per dead time, whatever the light"
    symptom = "a shorter key; characterise shows detectors dead for most of the time"
    dead_time_ps: int = setting(10_000_000, help="dead time", unit="ps", low=0, high=10**10)
    brighter_db: float = setting(3.0, help="less loss than agreed", unit="dB", low=0, high=100)

    def physics(self, tables, share, rng):
        loss = max(0.0, tables["channel"].extra_loss_db - self.brighter_db)
        tables = _with(tables, "channel", extra_loss_db=loss)
        return _with(tables, "detectors", dead_time_ps=self.dead_time_ps)


@dataclass(frozen=True, slots=True)
class RngBias(Fault):
    """Alice's random numbers are not fair: her record has too many ones."""

    sees = "nothing in the counts"
    symptom = "no key: the sender's stored choices are not what the source states"
    ones: float = setting(0.55, help="share of ones among her bits", low=0, high=1)

    def choices(self, tables, slots, rng):
        if slots > 1 << 28:
            raise BadInput("so long a list of choices is not made; at most 2^28 slots", field="seconds")
        fair = DrawnChoices(tables["source"], None, rng.bytes(32)).train(0, slots).symbols
        bits = (rng.random(slots) < self.ones).astype(np.uint8)
        return RecordedChoices(tables["source"], tables["synchronisation"], fair & 0xFE | bits)


# ---------------------------------------------------------------------------------------------------------------- Eve


@dataclass(frozen=True, slots=True)
class InterceptResend(Fault):
    """Eve measures pulses in a random basis and sends on what she found."""

    sees = "the error rate rises by a quarter of the intercepted share"
    symptom = "no key: the error rate in the test basis is above the abort line; or a shorter one, if she takes few"
    fraction: float = setting(1.0, help="share of the pulses", low=0, high=1)
    at: float = _part(0.0, "when she begins")

    def physics(self, tables, share, rng):
        return _with(tables, "eve", intercept_fraction=self.fraction if share >= self.at else 0.0)


@dataclass(frozen=True, slots=True)
class PhotonNumberSplitting(Fault):
    """Eve keeps one photon of each pulse that has several and stops single ones; the signal's gain stays."""

    sees = "decoy gains collapse; no errors"
    symptom = "no key: the decoy bound leaves no single photons"
    fraction: float = setting(1.0, help="share of the pulses", low=0, high=1)

    def physics(self, tables, share, rng):
        return _with(tables, "eve", split_fraction=self.fraction)


@dataclass(frozen=True, slots=True)
class Blinding(Fault):
    """Bright light keeps some detectors from clicking."""

    sees = "detectors fall silent, dark counts included"
    symptom = "no key: a detector is all but blind against the other one of its basis"
    detectors: tuple[int, ...] = setting((1,), help="which (key 0, key 1, test 0, test 1 are 0 to 3)", low=0, high=3)
    at: float = _part(0.0, "when it begins")

    def physics(self, tables, share, rng):
        return _with(tables, "eve", blinded=self.detectors if share >= self.at else ())


@dataclass(frozen=True, slots=True)
class FakedStates(Fault):
    """Eve measures every pulse, blinds all detectors and makes the one click that has her outcome."""

    sees = "few errors, and detectors of both bases never click together"
    symptom = ("no key: far fewer coincidences between the bases than chance would make; a key whose bound is none, if she "
               "fakes few")
    fraction: float = setting(1.0, help="share of the pulses", low=0, high=1)

    def physics(self, tables, share, rng):
        return _with(tables, "eve", faked_fraction=self.fraction)


FAULTS = {
    "lost-data": LostData, "missing-syncs": MissingSyncs, "duplicate-tags": DuplicateTags,
    "disordered-tags": DisorderedTags, "swapped-channels": SwappedChannels, "clock-jump": ClockJump,
    "truncated-tail": TruncatedTail, "splice-loss": SpliceLoss, "polarisation-walk": PolarisationWalk,
    "modulator-drift": ModulatorDrift, "pattern-effect": PatternEffect, "saturation": Saturation, "rng-bias": RngBias,
    "intercept-resend": InterceptResend, "photon-number-splitting": PhotonNumberSplitting, "blinding": Blinding,
    "faked-states": FakedStates,
}


def fault(given):
    """A fault from its name, or from ``NAME:setting=value,setting=value``, or as it is.

    Raises
    ------
    BadInput
        Naming the nearest known name or setting.
    """
    if isinstance(given, Fault):
        return given
    if not isinstance(given, str):
        raise BadInput("the name of a fault is expected", field="faults", value=given)
    name, _, rest = given.partition(":")
    if name not in FAULTS:
        raise BadInput(f"no such fault; {nearest(name, FAULTS)}", field="faults", value=name)
    table, kinds = {}, {field.name: field for field in dataclasses.fields(FAULTS[name])}
    for change in filter(None, rest.split(",")):
        key, equals, value = change.partition("=")
        if not equals:
            raise BadInput("setting=value is expected", field=f"fault {name}", value=change)
        key, value = key.strip(), _value(value.strip())
        several = key in kinds and isinstance(kinds[key].default, tuple)
        table[key] = [value] if several and isinstance(value, float) else value
    return from_table(FAULTS[name], table, f"fault {name}")


def _value(text):
    """A number, a truth value, or several numbers with slashes between them."""
    if text in ("true", "false"):
        return text == "true"
    try:
        parts = [float(part) for part in text.split("/") if part] if "/" in text else float(text)
    except ValueError:
        return text
    return parts


def menu():
    """The faults in words, for a help text."""
    lines = []
    for name, kind in FAULTS.items():
        what = " ".join((kind.__doc__ or "").split())
        lines += [f"{name}: {what}", f"    you see: {kind.sees}", f"    distill: {kind.symptom}"]
        lines += [f"    {field.name}: {field.metadata['help']} (default {_shown(field.default)})"
                  for field in dataclasses.fields(kind)]
    return "\n".join(lines)


def _shown(value):
    if isinstance(value, tuple):
        return "/".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else value
