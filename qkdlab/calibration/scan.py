"""What all scans share: a refusal of silly ranges, the device's settings brought back at the end, and progress."""

import contextlib
import math
import time

import numpy as np

from ..errors import BadInput
from .record import Calibration

__all__ = ["Stopped", "made", "points_between", "positive", "restored", "silent"]

MOST_POINTS = 10_000             # of a scan: more is a slip of the finger


class Stopped(Exception):  # noqa: N818  (not an error: somebody wanted it so)
    """Raised by a `progress` callback to end a scan early. The device's settings are brought back."""


def silent(share, **reading):
    """The progress callback that says nothing: `share` goes from 0 to 1; `reading` holds the newest row of the table."""


def points_between(from_, to, points, *, device=None, setting="", unit="", least=2):
    """The points of a scan, checked against the device before anything is moved.

    Raises
    ------
    BadInput
        Naming the field, the value and what is possible.
    """
    for name, end in (("from", from_), ("to", to)):
        if isinstance(end, bool | str) or not math.isfinite(end):
            raise BadInput("a finite number is expected", where="scan", field=name, value=end)
    if isinstance(points, bool) or points != int(points) or not least <= points <= MOST_POINTS:
        raise BadInput(f"a whole number from {least} to {MOST_POINTS} is expected", where="scan", field="points",
                       value=points)
    if not from_ < to:
        raise BadInput(f"must be above {f'{from_:g} {unit}'.rstrip()}, where the scan starts", where="scan", field="to",
                       value=to)
    described = getattr(type(device), setting, None)
    if hasattr(described, "check"):
        for end in (from_, to):
            described.check(device, end)
    return np.linspace(float(from_), float(to), int(points))


def positive(value, field, unit="s", high=math.inf):
    """`value` as a finite float above 0 and at most `high`, else BadInput."""
    if isinstance(value, bool | str) or not math.isfinite(value) or not 0 < value <= high:
        span = "" if math.isinf(high) else f" and at most {high:g}"
        raise BadInput(f"must be above 0{span} {unit}".rstrip(), field=field, value=value)
    return float(value)


@contextlib.contextmanager
def restored(device, *settings):
    """Bring these settings of a device back to where they were, whatever happens: also on an error or a stop.

    They are set in the given order. Gives the dict of the old values; a name taken out of it stays as it is now.
    """
    before = {name: getattr(device, name) for name in settings}
    try:
        yield before
    finally:
        with contextlib.ExitStack() as stack:            # one that fails does not keep the others from it
            for name, value in reversed(before.items()):
                stack.callback(setattr, device, name, value)


def made(name, values, *, devices, valid_for_s, limits=None, table=None, note="", now=None):
    """A :class:`Calibration` of the present moment; `devices` maps roles to device objects."""
    return Calibration(
        name, values, time.time() if now is None else now, positive(valid_for_s, "valid_for_s"), limits or {},
        {role: _identity(device) for role, device in devices.items()},
        any(bool(getattr(device, "simulated", False)) for device in devices.values()),
        {column: np.asarray(row, float).tolist() for column, row in (table or {}).items()}, note)


def _identity(device):
    identity = getattr(device, "identity", None)
    return identity() if callable(identity) else type(device).__name__
