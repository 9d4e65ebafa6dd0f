"""What stands on the simulated table: modulator, attenuators, polarisation, detectors. Each is a few lines of physics.

The numbers are of the right size for such parts and are no maker's data.
"""

import math

import numpy as np

from .motion import Relaxing, Slewing

__all__ = ["Attenuator", "DetectorHead", "LaserDiode", "Modulator", "Polarisation", "retarder"]

NOMINAL_C = 25.0                 # temperature at which the modulator was adjusted


class Modulator:
    """A Mach-Zehnder intensity modulator that makes the decoy levels; its best bias wanders.

    The transmission at a drive phase theta is ``r + (1 - r) sin^2(theta)``, r the extinction ratio. The drive of each
    level is what makes the agreed intensity at the best bias; a bias that is off by V turns each phase by
    ``pi V / (2 V_pi)``. The signal sits on the crest and hardly moves, decoy and vacuum sit on the slope and in the
    trough.

    Parameters
    ----------
    clock : Clock
    agreed : sequence of float
        Intensities that both parties know, strongest first.
    settings : WorldSettings
    temperature_c : callable
        Of the modulator, now.
    """

    def __init__(self, clock, agreed, settings, temperature_c):
        self._clock, self._agreed, self._settings, self._temperature_c = clock, agreed, settings, temperature_c
        self._floor = 10 ** (-settings.extinction_db / 10)
        share = np.clip((np.array(agreed) / agreed[0] - self._floor) / (1 - self._floor), 0, 1)
        self._drive = np.arcsin(np.sqrt(share))
        self.pushed_v, self.bias_v = 0.0, settings.best_bias_v
        self.controller = self.generator = None      # a bias controller's voltage, a generator's share of the full drive
        self.held = None             # a generator's share of the full drive while it plays nothing but one level, or None

    @property
    def best_bias_v(self):
        """The bias at which the levels are as agreed; it drifts."""
        s = self._settings
        return (s.best_bias_v + self.pushed_v + s.bias_drift_v_per_s * self._clock.now()
                + s.bias_drift_v_per_k * (self._temperature_c() - NOMINAL_C))

    @property
    def error_v(self):
        """How far the bias is from the best one."""
        return (self.controller() if self.controller else self.bias_v) - self.best_bias_v

    def transmissions(self, error_v=None):
        """Of each level, float64 (intensity,), 1 on the crest."""
        error = self.error_v if error_v is None else error_v
        drive = self._drive * (self.generator() if self.generator else 1.0)
        phase = drive + math.pi / 2 * error / self._settings.v_pi_v
        return self._floor + (1 - self._floor) * np.sin(phase) ** 2

    def mean(self, shares):
        """Mean transmission of a pattern with these shares of the levels, or of the one level that is played alone."""
        held = self.held() if self.held else None
        if held is None:
            return float(np.dot(shares, self.transmissions()))
        phase = math.pi / 2 * (held + self.error_v / self._settings.v_pi_v)
        return self._floor + (1 - self._floor) * math.sin(phase) ** 2

    def intensities(self, error_v=None):
        """Mean photon numbers of the levels at full laser power, float64 (intensity,)."""
        return self._agreed[0] * self.transmissions(error_v)

    def tap(self, error_v=None):
        """Transmission without drive, as the slow photodiode of a bias controller sees it."""
        error = self.error_v if error_v is None else error_v
        return self._floor + (1 - self._floor) * math.sin(math.pi / 2 * error / self._settings.v_pi_v) ** 2


class LaserDiode:
    """A laser diode: no light below threshold, a straight line above.

    The threshold is 10 mA at 25 degC and grows by exp(dT / 60 K); 60 mA give the power of the agreed intensities.

    Parameters
    ----------
    nominal_w : float
    temperature_c : callable
    """

    NOMINAL_A, THRESHOLD_A = 0.060, 0.010

    def __init__(self, nominal_w, temperature_c):
        self._slope_w_per_a = nominal_w / (self.NOMINAL_A - self.THRESHOLD_A)
        self._temperature_c, self.current_a, self.on = temperature_c, 0.0, False

    def power_w(self):
        """Light that it gives now."""
        threshold = self.THRESHOLD_A * math.exp((self._temperature_c() - NOMINAL_C) / 60)
        return self._slope_w_per_a * max(0.0, self.current_a - threshold) if self.on else 0.0

    @property
    def voltage_v(self):
        """Across the diode."""
        return 0.9 + 5.0 * self.current_a if self.on else 0.0


class Attenuator:
    """A motor-driven filter and a shutter, somewhere in the line.

    Parameters
    ----------
    clock : Clock
    insertion_db : float
        Loss at attenuation 0.
    rate_db_per_s, lag_s : float
        How fast the filter turns.
    attenuation_db : float
        At power-on.
    """

    CLOSED_DB = 100.0

    def __init__(self, clock, insertion_db=0.0, rate_db_per_s=20.0, lag_s=0.02, attenuation_db=0.0):
        self.filter = Slewing(clock, attenuation_db, rate_db_per_s, lag_s)
        self.insertion_db, self.open, self.calibration = insertion_db, True, 1.0

    @property
    def loss_db(self):
        """All that it takes from the light now."""
        loss = self.insertion_db + self.filter.value * self.calibration
        return loss if self.open else max(loss, self.CLOSED_DB)


def retarder(axis_rad, retardance_rad):
    """Rotation of the Stokes vector (S1, S2, S3) by a linear retarder, float64 (3, 3).

    Parameters
    ----------
    axis_rad : float
        Of the fast axis, in the laboratory.
    retardance_rad : float
    """
    n = np.array([math.cos(2 * axis_rad), math.sin(2 * axis_rad), 0.0])
    cross = np.array([[0, -n[2], n[1]], [n[2], 0, -n[0]], [-n[1], n[0], 0]])
    return (math.cos(retardance_rad) * np.eye(3) + math.sin(retardance_rad) * cross
            + (1 - math.cos(retardance_rad)) * np.outer(n, n))


class Polarisation:
    """Fibre and controllers in a row. Whatever the controllers' positions at power-on, the link starts aligned."""

    def __init__(self):
        self._controllers, self.fibre = {}, np.eye(3)

    def add(self, name, rotation):
        """A controller: `rotation` gives its float64 (3, 3) at any time."""
        self._controllers[name] = rotation, rotation().T

    def twist(self, axis_rad, angle_rad):
        """The fibre is touched: a further retarder."""
        self.fibre = retarder(axis_rad, angle_rad) @ self.fibre

    @property
    def error(self):
        """Probability that a state is found in the other detector of its basis, mean of the two bases (S1 and S2)."""
        whole = self.fibre
        for rotation, at_start in self._controllers.values():
            whole = rotation() @ at_start @ whole
        return min(1.0, max(0.0, (1 - (whole[0, 0] + whole[1, 1]) / 2) / 2))


class DetectorHead:
    """The avalanche diodes of the receiver, alike: bias, temperature, dead time and threshold make their figures.

    Above breakdown the efficiency grows as ``1 - exp(-excess / 8 V)`` and dark counts in proportion to the excess;
    dark counts double every 8 K; the breakdown voltage rises by 0.4 V/K. Pulses are 500 mV high at the nominal excess,
    with a spread of a fifth; a threshold in the noise (6 mV rms) counts the noise.

    Parameters
    ----------
    clock : Clock
    nominal : DetectorSettings
        What the diodes do as they were adjusted.
    room_c : callable
    """

    NOMINAL_C, BREAKDOWN_V, EXCESS_V, THRESHOLD_V = -40.0, 180.0, 10.0, 0.2
    HOTTEST_C = 40.0             # the protection cuts the bias above

    def __init__(self, clock, nominal, room_c, time_constant_s=15.0):
        self._nominal, self._room_c = nominal, room_c
        self.temperature = Relaxing(clock, self.NOMINAL_C, time_constant_s)
        self.set_point_c, self.cooling = self.NOMINAL_C, True
        self.bias_v = self.BREAKDOWN_V + self.EXCESS_V
        self.dead_time_ps, self.threshold_v, self.on = nominal.dead_time_ps, self.THRESHOLD_V, True

    def cool(self, on, set_point_c=None):
        """Run the cooler towards its set point, or let the head warm up."""
        self.cooling = on
        self.set_point_c = self.set_point_c if set_point_c is None else set_point_c
        self.temperature.go(self.set_point_c if on else self._room_c())

    @property
    def breakdown_v(self):
        return self.BREAKDOWN_V + 0.4 * (self.temperature.value - self.NOMINAL_C)

    @property
    def excess_v(self):
        """Bias above breakdown, at least 0; 0 where the protection has cut it."""
        return max(0.0, self.bias_v - self.breakdown_v) if self.on and self.temperature.value < self.HOTTEST_C else 0.0

    def settings(self):
        """DetectorSettings of the moment."""
        excess, nominal = self.excess_v, self._nominal
        seen = _above(self.threshold_v, 0.5 * excess / self.EXCESS_V) / _above(self.THRESHOLD_V, 0.5)
        gain = -math.expm1(-excess / 8) / -math.expm1(-self.EXCESS_V / 8)
        warm = 2 ** ((self.temperature.value - self.NOMINAL_C) / 8)
        noise_hz = 1e7 * math.exp(-0.5 * (self.threshold_v / 0.006) ** 2)
        return nominal.replace(efficiency=min(1.0, nominal.efficiency * gain * seen), dead_time_ps=self.dead_time_ps,
                               dark_rate_hz=min(1e8, nominal.dark_rate_hz * warm * excess / self.EXCESS_V * seen
                                                + noise_hz))


def _above(threshold_v, height_v):
    """Share of the pulses of this mean height that a threshold lets through."""
    return 0.5 * math.erfc((threshold_v - height_v) / (0.2 * max(height_v, 1e-3) * math.sqrt(2)))
