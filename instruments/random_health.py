"""Whether random bytes may be what a healthy source delivers: the continuous tests of NIST SP 800-90B, section 4.4.

For bytes of full entropy (H = 8 bit) and a false alarm in 2^40 bytes or windows of a healthy source.
"""

import numpy as np

from qkdlab.instruments.errors import DeviceError

__all__ = ["HealthTest"]

REPEATS = 6                      # 4.4.1: 1 + ceil(40 / H)
WINDOW = 512                     # 4.4.2, for an alphabet larger than bits
PROPORTION = 19                  # 4.4.2: 1 + the smallest c with P(Binomial(512, 2^-8) <= c) >= 1 - 2^-40


class HealthTest:
    """Watches one source; the last bytes of a piece are kept, so that a run across two pieces is seen, and a window of the
    proportion test that is not full waits for the next ones: a source may be read a few bytes at a time."""

    def __init__(self):
        self.tested_bytes, self._tail, self._waiting = 0, b"", b""

    def check(self, data, device=""):
        """Pass on `data`, or DeviceError where it repeats itself as no random source does."""
        values = np.frombuffer(self._tail + data, np.uint8)
        self._tail = data[-(REPEATS - 1) :] if len(data) >= REPEATS - 1 else (self._tail + data)[-(REPEATS - 1) :]
        same = values[1:] == values[:-1]
        if len(same) >= REPEATS - 1:
            runs = np.convolve(same, np.ones(REPEATS - 1, np.int64), "valid")
            if runs.max() == REPEATS - 1:
                raise DeviceError(f"{REPEATS} equal bytes in a row: the random source is stuck", device=device)
        waiting = self._waiting + data
        full = len(waiting) // WINDOW * WINDOW
        windows, self._waiting = np.frombuffer(waiting, np.uint8)[:full].reshape(-1, WINDOW), waiting[full:]
        if len(windows) and (windows == windows[:, :1]).sum(axis=1).max() >= PROPORTION:
            raise DeviceError(f"one value {PROPORTION} times in {WINDOW} bytes: the random source is biased", device=device)
        self.tested_bytes += len(data)
        return data
