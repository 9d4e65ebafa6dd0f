"""ID Quantique Quantis Appliance: random bytes over HTTP (as in three public clients)."""

from qkdlab.errors import BadInput
from qkdlab.instruments.errors import DeviceError
from qkdlab.instruments.instrument import Instrument
from qkdlab.instruments.interfaces import RandomSource
from qkdlab.instruments.parameters import parameter
from qkdlab.instruments.random_health import HealthTest
from qkdlab.instruments.transports import Bytes

__all__ = ["QuantisAppliance", "connect"]

AT_ONCE = 1 << 20                # bytes in one request


def connect(address, **settings):
    """The appliance at `address` (``https://host``). A simulated one must be opened with ``simulated=True``."""
    return QuantisAppliance(address, **settings)


class QuantisAppliance(Instrument):
    """Its bytes are never kept in a record of exchanges. It has no word for who it is."""

    kinds = (RandomSource,)
    framing = Bytes()
    timeout_s = 10.0

    tested_bytes = parameter(int, get=lambda device: device._health.tested_bytes, unit="bytes",
                             help="bytes that were delivered and passed the health tests")

    def _prepare(self):
        self._health = HealthTest()

    def _identify(self, transport):
        self._fetch(transport, 1)
        return "ID Quantique,Quantis Appliance"

    def _fetch(self, transport, size):
        data = transport.query(f"/api/2.0/streambytes?size={size}", private=True)
        if len(data) != size:
            raise DeviceError(f"{size} bytes were asked for", device=self.name, reply=f"{len(data)} bytes")
        return data

    def read(self, n_bytes):
        """Exactly `n_bytes` fresh bytes that passed the health tests, else DeviceError."""
        if isinstance(n_bytes, bool) or not isinstance(n_bytes, int) or n_bytes < 0:
            raise BadInput("a number of bytes is expected", where=self.name, field="n_bytes", value=n_bytes)
        sizes = [AT_ONCE] * (n_bytes // AT_ONCE) + [n_bytes % AT_ONCE] * bool(n_bytes % AT_ONCE)
        return b"".join(self._health.check(self._fetch(self.transport, size), self.name) for size in sizes)
