"""Time tags of the qutools quTAU (and of the quPSI and the ID800 of the same family): as :mod:`qkdlab.datasets.qutag`, but
the times count units of 80.9553 ps, the bin of their TDC-GPX chip. The files of both look alike and name no unit: say
``form="qutau"``.
"""

from fractions import Fraction

from qkdlab.datasets import qutag

__all__ = ["SIGNATURE", "TICK_PS", "read", "recognises"]

SIGNATURE = b""
TICK_PS = Fraction(809_553, 10_000)


def read(path, *, tick_ps=TICK_PS):
    """Open a file of a quTAU: see :func:`qkdlab.datasets.qutag.read`."""
    return qutag.open_recording("qutau", path, tick_ps)


def recognises(head, size, path):
    """Only by the ending ``.qutau``: nothing in the file tells."""
    return path.suffix.lower() == ".qutau" and qutag.fits(head, size)
