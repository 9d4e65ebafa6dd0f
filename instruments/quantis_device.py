"""ID Quantique Quantis cards: a character device to read from (``/dev/qrandom0``)."""

import os
import stat

from qkdlab.errors import BadInput
from qkdlab.instruments.errors import DeviceError, InstrumentDisconnected
from qkdlab.instruments.instrument import Instrument
from qkdlab.instruments.interfaces import RandomSource
from qkdlab.instruments.parameters import parameter
from qkdlab.instruments.random_health import HealthTest
from qkdlab.instruments.transports import Held

__all__ = ["QuantisDevice", "connect"]


def connect(address="file:///dev/qrandom0", **settings):
    """The card behind a file. Anything but a character device counts as simulated."""
    return QuantisDevice(address, **settings)


class QuantisDevice(Instrument):
    """Reads as much as is asked, no more: what is not used is not drawn."""

    kinds = (RandomSource,)

    tested_bytes = parameter(int, get=lambda device: device._health.tested_bytes, unit="bytes",
                             help="bytes that were delivered and passed the health tests")

    def __init__(self, address, *, simulated=False, **settings):
        path = str(address).removeprefix("file://")
        super().__init__(address, simulated=simulated or not _is_character_device(path), **settings)

    def _open(self, session, timeout_s):
        self._path, self._health = str(self.address).removeprefix("file://"), HealthTest()

        def opening():
            self._reopen()
            return f"ID Quantique,Quantis,{self._path}", lambda: self._file.close()

        return Held(self.address, session, opening)

    def _reopen(self):
        try:
            self._file = open(self._path, "rb", buffering=0)    # noqa: SIM115  (open as long as the device is held)
        except OSError as error:
            raise InstrumentDisconnected(f"{error.strerror}: is the card in, is its module loaded?",
                                         device=self.name) from None

    def check(self):
        """InstrumentDisconnected where the card is gone."""
        with self.transport.lock:
            self._refuse_closed()
            if self._file.closed or not os.path.exists(self._path):
                self._file.close()
                self._reopen()

    def _refuse_closed(self):
        if self.transport.closed:
            raise InstrumentDisconnected("was closed: connect again", device=self.name)

    def read(self, n_bytes):
        """Exactly `n_bytes` fresh bytes that passed the health tests, else DeviceError."""
        if isinstance(n_bytes, bool) or not isinstance(n_bytes, int) or n_bytes < 0:
            raise BadInput("a number of bytes is expected", where=self.name, field="n_bytes", value=n_bytes)
        pieces, left = [], n_bytes
        with self.transport.lock:
            self.check()
            while left:
                try:
                    piece = self._file.read(min(left, 1 << 20))
                except OSError as error:
                    self._file.close()                   # a card that comes back is another file
                    raise InstrumentDisconnected(error.strerror or str(error), device=self.name) from None
                if not piece:
                    raise DeviceError(f"ended {left} bytes short", device=self.name)
                pieces.append(self._health.check(piece, self.name))
                left -= len(piece)
        return b"".join(pieces)


def _is_character_device(path):
    try:
        return stat.S_ISCHR(os.stat(path).st_mode)
    except OSError:
        return False
