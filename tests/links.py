"""A link whose photon-number statistics are known exactly: what the analyses are measured against."""

import numpy as np

from qkdlab.datatypes import DecoyCounts

EXAMPLE_A = {
    "proof": "lim2014", "intensities": [0.5, 0.1, 0], "probabilities": [0.6, 0.25, 0.15],
    "key": {"n": [20_000_000, 1_750_000, 60_000], "m": [400_000, 52_000, 28_000]},
    "test": {"n": [2_000_000, 175_000, 6_000], "m": [40_000, 5_200, 2_800]},
    "eps_sec": 1e-9, "eps_cor": 1e-15, "f_ec": 1.16,
}
EXAMPLE_B = {
    **EXAMPLE_A, "proof": "rusca2018", "intensities": [0.5, 0.15], "probabilities": [0.7, 0.3],
    "key": {"n": [20_000_000, 2_600_000], "m": [200_000, 28_000]},
    "test": {"n": [2_000_000, 260_000], "m": [20_000, 2_800]},
}
SOURCES = {
    "lim2014": ((0.5, 0.1, 0.0), (0.6, 0.25, 0.15)), "ma2005": ((0.5, 0.1, 0.0), (0.6, 0.25, 0.15)),
    "linear": ((0.5, 0.2, 0.05, 0.0), (0.5, 0.25, 0.15, 0.1)),
    "rusca2018": ((0.5, 0.15), (0.7, 0.3)), "wiesemann2024": ((0.5, 0.15), (0.7, 0.3)),
}


class Link:
    """Threshold detection of phase-randomised pulses: each photon arrives with `eta`, a dark count comes with `y0`."""

    def __init__(self, intensities, probabilities, *, loss_db=20.0, y0=1e-6, e_mis=0.01, key_basis=0.9):
        self.mu, self.p = np.array(intensities), np.array(probabilities)
        self.eta, self.y0, self.e_mis = 10 ** (-loss_db / 10), y0, e_mis
        self.bases = np.array([key_basis**2, (1 - key_basis) ** 2])

    def yields(self, photons):
        """Probability of a detection and of an error, given the photon number."""
        photons = np.asarray(photons, dtype=float)
        dark_only = self.y0 * (1 - self.eta) ** photons
        signal = -np.expm1(photons * np.log1p(-self.eta))
        return signal + dark_only, self.e_mis * signal + dark_only / 2

    def gains(self):
        """Probability of a detection and of an error by intensity."""
        dark_only = self.y0 * np.exp(-self.eta * self.mu)
        signal = -np.expm1(-self.eta * self.mu)
        return signal + dark_only, self.e_mis * signal + dark_only / 2

    def counts(self, pulses):
        """Expected counts, rounded."""
        sent = pulses * np.outer(self.p, self.bases)
        gain, wrong = self.gains()
        return DecoyCounts(*(np.rint(a).astype(np.int64) for a in (sent, sent * gain[:, None], sent * wrong[:, None])))

    def truth(self, pulses, photons):
        """Expected detections and errors from pulses of this photon number, by basis."""
        weight = (self.p * np.exp(-self.mu) * self.mu**photons / [1, 1, 2][photons]).sum()
        found, wrong = self.yields(photons)
        return pulses * self.bases * weight * found, pulses * self.bases * weight * wrong

    def sample(self, pulses, rng):
        """A run: counts by (intensity, basis, photon number), detections and errors."""
        photons = np.arange(12)
        poisson = np.exp(-self.mu[:, None]) * self.mu[:, None] ** photons / np.cumprod(np.maximum(photons, 1))
        found, wrong = self.yields(photons)
        chance = self.p[:, None, None] * self.bases[:, None] * (poisson * found)[:, None, :]
        n = rng.poisson(pulses * chance)
        return n, rng.binomial(n, wrong / found)
