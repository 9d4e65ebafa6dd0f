"""A trace that a reflectometer has written (``.sor``, SR-4731), in place of the reflectometer."""

import os

from qkdlab.instruments.instrument import Instrument
from qkdlab.instruments.interfaces import Otdr
from qkdlab.instruments.transports import Held
from qkdlab.registry import Registry

__all__ = ["OtdrFile", "connect"]


def connect(path, **settings):
    """The trace in a file; BadInput where it is not one."""
    return OtdrFile(path, **settings)


class OtdrFile(Instrument):
    """Reads the file anew at each `trace`, as a measurement would."""

    kinds = (Otdr,)

    def _open(self, session, timeout_s):
        self.address = os.fspath(self.address).removeprefix("file://")

        def opening():
            self.trace()
            return f"file,{os.path.basename(self.address)}", lambda: None

        return Held("", session, opening)                # a file can be read by many

    def check(self):
        """A file does not go away."""

    def trace(self):
        """The trace as an OtdrTrace (see the reader ``sor`` on the menu of formats)."""
        return Registry("qkdlab.datasets", need="read").get("sor").read(self.address)
