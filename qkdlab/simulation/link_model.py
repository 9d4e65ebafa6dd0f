"""A link in a few numbers, for planning: what counts to expect before anything is built or simulated.

The channel of Lim, Curty, Walenta, Xu and Zbinden, PRA 89, 022307 (2014), section IV, read with one correction: the
printed error probability has the transmittance of the fibre where that of the whole system is meant. For a pulse of
mean photon number k, transmittance eta with detector efficiency, and p_dc dark counts in each of a basis' two detectors:

    D_k = 1 - (1 - 2 p_dc) exp(-eta k)                         a click without afterpulses
    R_k = (1 + p_ap) D_k                                       a detection
    e_k = p_dc + e_mis (1 - exp(-eta k)) + p_ap D_k / 2        a detection with the wrong bit

Double clicks are left out, and afterpulses fall where the clicks did: good while ``eta k`` is well below 1. The closed
forms of :mod:`.expected` and the simulation itself know better.
"""

from dataclasses import dataclass

import numpy as np

from ..datatypes import DecoyCounts
from ..settings import Settings, setting

__all__ = ["LIM2014", "LinkModel", "expected_counts"]


@dataclass(frozen=True, slots=True)
class LinkModel(Settings):
    """Loss, noise and receiver of a link."""

    transmittance: float = setting(help="probability that a photon that was sent makes a click", low=0, high=1)
    dark_probability: float = setting(0.0, help="dark counts of each detector per pulse (in its gate)", low=0, high=0.1)
    misalignment: float = setting(0.0, help="probability that a photon goes to the wrong detector", low=0, high=0.5)
    afterpulse_probability: float = setting(0.0, help="afterpulses per click", low=0, high=0.5)
    dead_time_pulses: float = setting(0.0, help="dead time of a detector", unit="pulse periods", low=0, high=1e6)
    passive: bool = setting(False, help="whether Bob's basis is chosen by a beam splitter: the light is shared out, and "
                                        "all four detectors make dark counts; otherwise he sends all light one way")
    receiver_key_basis: float | None = setting(None, help="how often Bob measures in the key basis; absent: as often as "
                                                          "Alice prepares in it", low=0, high=1)

    @classmethod
    def of(cls, channel, detectors, clock_hz, *, passive=False, gate_ps=None):
        """From the settings of a simulated link.

        Parameters
        ----------
        channel, detectors : ChannelSettings, DetectorSettings
        clock_hz : float
        passive : bool
            Bob's beam splitter stays as `detectors` have it; otherwise he follows Alice's choice of bases.
        gate_ps : float, optional
            Full width of the gate; absent: the whole period. Light beside the gate is not taken off.
        """
        gate_s = gate_ps * 1e-12 if gate_ps else 1 / clock_hz
        return cls(channel.transmittance * detectors.efficiency, detectors.dark_rate_hz * gate_s,
                   channel.misalignment, detectors.afterpulse_probability, detectors.dead_time_ps * 1e-12 * clock_hz,
                   passive, detectors.key_basis_probability if passive else None)

    def over(self, loss_db):
        """The same link with `loss_db` more."""
        return self.replace(transmittance=self.transmittance * 10 ** (-loss_db / 10))

    def gains(self, intensities, probabilities, key_basis_probability):
        """Detections and errors per pulse where both chose the same basis.

        Parameters
        ----------
        intensities, probabilities : array_like, shape (K,)
            The probabilities matter for the dead time only: nothing else depends on the other pulses.
        key_basis_probability : float
            Alice's.

        Returns
        -------
        found, wrong : ndarray, shape (K, 2)
            By (intensity, basis), for a pulse that Alice sent with this intensity in this basis.
        """
        mu, p = np.asarray(intensities, dtype=float), np.asarray(probabilities, dtype=float)
        bob = key_basis_probability if self.receiver_key_basis is None else self.receiver_key_basis
        share = np.array([bob, 1 - bob])
        light, chosen = (share, np.ones(2)) if self.passive else (np.ones(2), share)
        signal = -np.expm1(-np.outer(mu, light) * self.transmittance)
        clicks = signal + 2 * self.dark_probability * (1 - signal)
        found = (1 + self.afterpulse_probability) * clicks
        wrong = self.dark_probability + self.misalignment * signal + self.afterpulse_probability * clicks / 2
        live = 1 / (1 + chosen * (p @ found) / 2 * self.dead_time_pulses)       # each of two detectors: R / (1 + R t)
        return found * chosen * live, wrong * chosen * live


def expected_counts(links, shares, intensities, probabilities, key_basis_probability, n_pulses):
    """Expected counts of a block, summed over its time slots before they are rounded.

    Parameters
    ----------
    links : sequence of LinkModel
        One for each time slot; one alone for a link that does not change.
    shares : array_like, shape (len(links),)
        Which part of the pulses is sent in each.
    intensities, probabilities, key_basis_probability
        As in :meth:`LinkModel.gains`.
    n_pulses : float
        All pulses of the block.

    Returns
    -------
    DecoyCounts
    """
    found, wrong = (sum(share * gain for share, gain in zip(shares, gains, strict=True)) for gains in zip(
        *(link.gains(intensities, probabilities, key_basis_probability) for link in links), strict=True))
    sent = n_pulses * np.outer(probabilities, [key_basis_probability, 1 - key_basis_probability])
    n, m = (np.rint(sent * gain).astype(np.int64) for gain in (found, wrong))
    return DecoyCounts(np.rint(sent), n, np.minimum(m, n))


LIM2014 = LinkModel(transmittance=0.1, dark_probability=6e-7, misalignment=5e-3, afterpulse_probability=4e-2)
"""Detectors and optics of Lim et al., section IV, without any fibre (theirs has 0.2 dB/km)."""
