"""Random-number card IDQ Quantis PCIe: a character device that is read, here a FIFO.

Its bytes come from a seeded generator: they are for trying out programs and never for keys.
"""

import contextlib
import os
import pathlib
import threading

from .device import Device
from .quantum_noise import FAULTS, NoiseSource

__all__ = ["QuantisDevice", "SERVED", "SERVES", "device"]

SERVES = "random-number card, IDQ Quantis PCIe (a FIFO in place of /dev/qrandom0; seeded, never for keys)"
SERVED = False                   # no port: a file of a bench
_CHUNK = 4096


def device(world, *, name="quantis_device", **options):
    """A :class:`QuantisDevice`."""
    return QuantisDevice(world, name, **options)


class QuantisDevice(Device):
    """Whoever opens the FIFO reads bytes; who opens it again goes on where the last one stopped."""

    scheme = "file"
    faults = {"stall": "the card gives nothing", **FAULTS}

    def __init__(self, world, name):
        super().__init__(world, name)
        self._noise, self._stopped, self._thread = NoiseSource(self), threading.Event(), None

    def exchange(self, data=b""):
        """The next bytes of the card, without the FIFO; what is sent to it is ignored."""
        with self.world.lock:
            return b"" if self.broken("stall") is not None else self._noise.take(_CHUNK).tobytes()

    def open(self, path):
        """Make the FIFO and begin to serve it; gives its path."""
        path = pathlib.Path(path)
        os.mkfifo(path)
        self._thread = threading.Thread(target=self._serve, args=(path,), name=self.name, daemon=True)
        self._thread.start()
        return path

    def _serve(self, path):
        while not self._stopped.is_set():
            try:
                writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK)          # fails until somebody reads
            except OSError:
                self._stopped.wait(0.005)
                continue
            os.set_blocking(writer, False)
            with contextlib.suppress(BrokenPipeError):
                self._feed(writer)
            os.close(writer)

    def _feed(self, writer):
        left = b""
        while not self._stopped.is_set():
            left = left or self.exchange()
            try:
                left = left[os.write(writer, left) :] if left else b""
            except BlockingIOError:
                self._stopped.wait(0.001)
            if self.broken("stall") is not None:
                self._stopped.wait(0.005)

    def close(self):
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(5)
