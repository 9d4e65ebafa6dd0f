"""Eve: intercept and resend, photon-number splitting, faked states on blinded detectors."""

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
        # One stream for each attack, so that one does not choose the other's slots.
        self._split_words, self._faked_words = (self._key_words ^ np.uint32(mark) for mark in (0x5E1EC7ED, 0xFA4ED0FF))

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
        if round(fraction * 65536) == 0:
            return symbols
        # bit: her outcome in the other basis; intensity 0: intercepted
        draw = self._drawn(self._key_words, slots, _FAIR_BASIS, fraction)
        disturbed = (draw < 4) & ((draw ^ symbols) & 2 != 0)
        return np.where(disturbed, (symbols & 0xFC) | (draw & 3), symbols)

    def intercepts(self, slots, fraction):
        """Whether she intercepts each slot, bool (n,)."""
        return self._drawn(self._key_words, slots, _FAIR_BASIS, fraction) < 4

    def splits(self, slots, fraction):
        """Whether she splits the photons of each slot, bool (n,); `fraction` in steps of 2^-16."""
        return self._drawn(self._split_words, slots, _FAIR_BASIS, fraction) < 4

    def fake(self, slots, symbols, fraction, key_basis_probability):
        """Slots in which she makes Bob click, and where.

        She measures without error in a basis that she chooses as often as Bob's splitter would, and blinds his detectors
        but for one: the outcome she found is his (Lydersen et al., Nature Photonics 4, 686 (2010)).

        Parameters
        ----------
        slots : ndarray of int64, shape (n,)
        symbols : ndarray of uint8, shape (n,)
            What Alice prepared.
        fraction, key_basis_probability : float
            In steps of 2^-16 and 2^-15.

        Returns
        -------
        faked : ndarray of bool, shape (n,)
        detector : ndarray of uint8, shape (n,)
            2 * basis + outcome of her measurement.
        """
        draw = self._drawn(self._faked_words, slots, round(key_basis_probability * 32768), fraction)
        agree = (draw ^ symbols) & 2 == 0
        return draw < 4, np.where(agree, symbols, draw) & 1 | draw & 2

    def _drawn(self, words, slots, basis_threshold, fraction):
        draw = np.full(len(slots), 4, np.uint8)
        threshold = round(fraction * 65536)
        if threshold:
            slots = np.ascontiguousarray(slots, np.int64)
            _ext.encode.symbols_at(words, slots, basis_threshold, np.array([threshold, 65536]), draw)
        return draw
