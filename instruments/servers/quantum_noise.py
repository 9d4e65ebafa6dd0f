"""What the simulated random sources give: bits of a seeded generator, which can be made to fail. Never key material."""

import numpy as np

__all__ = ["FAULTS", "NoiseSource"]

FAULTS = {"bias": "a bit is 1 with `probability` (default 0.6)", "repeat": "the same 16 bytes again and again"}


class NoiseSource:
    """Bytes for a device.

    Parameters
    ----------
    device : Device
        Its generator and its faults are used.
    """

    def __init__(self, device):
        self._device = device

    def take(self, n):
        """The next n bytes, uint8 (n,)."""
        device = self._device
        if device.broken("repeat") is not None:
            return np.resize(np.arange(16, dtype=np.uint8) * 17, n)
        bias = device.broken("bias")
        if bias is not None:
            return np.packbits(device.rng.random(8 * n) < bias.get("probability", 0.6))
        return device.rng.integers(0, 256, n, np.uint8)
