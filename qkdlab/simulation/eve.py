"""Eve: intercept and resend."""

import numpy as np

from .. import _ext

__all__ = ["Interceptor"]

_FAIR_BASIS = 1 << 14        # half, in units of 2^-15


class Interceptor:
    """Measures a fraction of the pulses in a random basis and sends on as many photons in the state that she found.

    Gains stay as they were; the QBER rises to a quarter of the fraction. What she does to a slot is drawn from a key
    stream at that slot's place, so that all photons of a pulse meet the same Eve whenever they are simulated.

    Parameters
    ----------
    key : bytes
        32 bytes from the simulation's generator.
    """

    def __init__(self, key):
        self._key_words = np.frombuffer(key, "<u4").astype(np.uint32)

    def resend(self, slots, symbols, fraction):
        """What leaves Eve's hands.

        Parameters
        ----------
        slots : ndarray of int64, shape (n,)
        symbols : ndarray of uint8, shape (n,)
            What Alice prepared.
        fraction : float
            Share of the pulses that are intercepted, in steps of 2^-16.

        Returns
        -------
        ndarray of uint8, shape (n,)
            Symbols with bit and basis of the state that Bob receives.
        """
        threshold = round(fraction * 65536)
        if threshold == 0:
            return symbols
        draw = np.empty(len(slots), np.uint8)        # bit: her outcome in the other basis; intensity 0: intercepted
        _ext.encode.symbols_at(self._key_words, slots, _FAIR_BASIS, np.array([threshold, 65536]), draw)
        disturbed = (draw < 4) & ((draw ^ symbols) & 2 != 0)
        return np.where(disturbed, (symbols & 0xFC) | (draw & 3), symbols)
