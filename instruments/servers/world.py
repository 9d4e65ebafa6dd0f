"""One link as it stands in the laboratory: what the simulated devices turn, and what Bob's time tagger then sees."""

import math
import threading
from dataclasses import dataclass

import numpy as np

from qkdlab.datatypes import SourceSettings, TimeTags
from qkdlab.errors import BadInput
from qkdlab.settings import Settings, setting
from qkdlab.simulation import Emission, ModulatorSettings, detector_rates, expected_gains_at_rate, link_from_tables
from qkdlab.simulation import clock as clocks

from .motion import Clock, Relaxing
from .optics import NOMINAL_C, Attenuator, DetectorHead, LaserDiode, Modulator, Polarisation

__all__ = ["World", "WorldSettings"]

_STEP_S = 0.02                   # the physics is looked at anew so often while tags are made
_MOST_LOSS_DB = 200.0            # of ChannelSettings
_BRIGHTEST = 1000.0              # photons a pulse, of ModulatorSettings


@dataclass(frozen=True, slots=True)
class WorldSettings(Settings):
    """The laboratory around a link."""

    v_pi_v: float = setting(5.0, help="half-wave voltage of the intensity modulator", unit="V", low=0.1, high=100)
    best_bias_v: float = setting(1.3, help="bias at which the modulator's levels are as agreed", unit="V", low=-50, high=50)
    extinction_db: float = setting(30.0, help="extinction ratio of the modulator", unit="dB", low=3, high=80)
    bias_drift_v_per_s: float = setting(0.0, help="drift of the best bias with time", unit="V/s", low=-10, high=10)
    bias_drift_v_per_k: float = setting(0.05, help="drift of the best bias with the modulator's temperature",
                                        unit="V/K", low=-10, high=10)
    room_c: float = setting(23.0, help="mean temperature of the room", unit="degC", low=-20, high=60)
    room_swing_k: float = setting(0.0, help="amplitude of the room's daily swing", unit="K", low=0, high=30)
    laser_power_w: float = setting(1e-3, help="laser power that makes the agreed intensities", unit="W", low=1e-9, high=1)
    wavelength_nm: float = setting(1550.0, help="of the laser", unit="nm", low=300, high=2500)
    thermal_s: float = setting(20.0, help="thermal time constant of the transmitter", unit="s", low=0.01, high=1e5)
    open_switch_db: float = setting(60.0, help="isolation of an optical switch that points elsewhere", unit="dB", low=0,
                                    high=120)


class World:
    """A QKD link with knobs. Devices turn them; tags, counts and powers follow.

    Parameters
    ----------
    link : qkdlab.simulation.SimulatedLink, optional
        A new one (no block taken yet): the physics as adjusted; its fibre loss, misalignment and detectors are the
        starting point. Absent: the default link with the weakest intensity at what the modulator can reach.
    seed : int
        Fixes tags, noise and everything else that is drawn.
    speed : float
        World seconds per second; 0: see :class:`.motion.Clock`.
    settings : WorldSettings, optional

    Attributes
    ----------
    lock : threading.RLock
        Held by whoever reads or turns something.
    clock, modulator, polarisation, head
        See :mod:`.motion` and :mod:`.optics`.
    emitted : qkdlab.simulation.Emission
        What Alice sends, at the last look at the knobs.
    temperature : Relaxing
        Of the transmitter (laser and modulator), degC.
    attenuators, lasers, switches : dict
        By device name. A laser is a function that gives its power in W now; without any, the nominal one is on. A
        switch is a function that says whether it lets the light through.
    """

    def __init__(self, link=None, *, seed=0, speed=1.0, settings=None):
        self.lock, self.clock, self.seed = threading.RLock(), Clock(speed), seed
        self.settings = settings or WorldSettings()
        self.link = link or link_from_tables({"source": SourceSettings(intensities=(0.5, 0.1, 0.0005))}, seed)
        self._channel, self._making = self.link.channel, threading.Lock()
        self._alice_ps = clocks.true_time_ps(self.link.clock, 0)
        self.temperature = Relaxing(self.clock, NOMINAL_C, self.settings.thermal_s)
        self.modulator = Modulator(self.clock, self.link.source.intensities, self.settings,
                                   lambda: self.temperature.value)
        self.polarisation = Polarisation()
        self.head = DetectorHead(self.clock, self.link.detectors, lambda: self.room_c)
        self.attenuators, self.lasers, self.switches = {}, {}, {}
        self.refresh()

    def rng(self, name):
        """A generator of its own for each device, fixed by the seed and the name."""
        return np.random.default_rng([self.seed, *name.encode()])

    # -------------------------------------------------------------------------------------------- the state now

    @property
    def room_c(self):
        """Temperature of the room; it swings once a day."""
        s = self.settings
        return s.room_c + s.room_swing_k * math.sin(2 * math.pi * self.clock.now() / 86400)

    @property
    def laser_power_w(self):
        """Of all lasers that are on."""
        return sum(power() for power in self.lasers.values()) if self.lasers else self.settings.laser_power_w

    @property
    def attenuation_db(self):
        """Loss of attenuators and switches in the line."""
        blocked = sum(self.settings.open_switch_db for through in self.switches.values() if not through())
        return blocked + sum(a.loss_db for a in self.attenuators.values())

    def power_w(self, before=None):
        """Mean optical power behind the attenuators, where a power meter taps the line, or before the attenuator
        called `before`. (The fixed attenuation to single photons and the fibre come after it.)"""
        shares = self.link.source.achieved_probabilities
        power = self.laser_power_w * self.modulator.mean(shares)
        if before is None:
            return power * 10 ** (-self.attenuation_db / 10)
        names = list(self.attenuators)
        ahead = names[: names.index(before)]
        return power * 10 ** (-sum(self.attenuators[name].loss_db for name in ahead) / 10)

    def attenuator(self, name, **options):
        """Put an :class:`.optics.Attenuator` into the line."""
        self.attenuators[name] = Attenuator(self.clock, **options)
        return self.attenuators[name]

    def laser(self, name):
        """Put an :class:`.optics.LaserDiode` at the transmitter; with the first one the nominal light goes out."""
        diode = LaserDiode(self.settings.laser_power_w, lambda: self.temperature.value)
        self.lasers[name] = diode.power_w
        return diode

    def cool(self, on, set_point_c):
        """Hold the transmitter at a temperature, or let it go to the room's."""
        self.temperature.go(set_point_c if on else self.room_c)

    def drift_bias(self, volts):
        """The best bias of the modulator moves by so much, at once."""
        with self.lock:
            self.modulator.pushed_v += volts

    def refresh(self):
        """Bring the link to the state of the knobs, and return it."""
        with self.lock:
            base = self._channel
            loss_db = min(base.extra_loss_db + self.attenuation_db, _MOST_LOSS_DB)
            wrong = base.misalignment + (1 - 2 * base.misalignment) * self.polarisation.error
            laser = self.laser_power_w / self.settings.laser_power_w
            # Beyond a half the simulator has no word for the error: a link turned by 90 degrees looks unpolarised.
            sent = tuple(np.minimum(self.modulator.intensities() * laser, _BRIGHTEST).tolist())
            self.link.update(channel=base.replace(extra_loss_db=loss_db, misalignment=min(wrong, 0.5)),
                             detectors=self.head.settings(), modulator=ModulatorSettings(sent=sent))
            self.emitted = Emission(self.link.source, sent)
            return self.link

    # -------------------------------------------------------------------------------------------- what Bob sees

    @property
    def tagger_ps(self):
        """What the tagger's clock shows at the end of the tags taken so far, int, ps."""
        return int(clocks.read(self.link.clock, np.array([self._alice_ps]))[0])

    def take(self, seconds):
        """The next tags of the link, TimeTags in Bob's clock.

        Link time runs only here; it need not be world time. One tagger at a time: what one has taken, another does
        not see.
        """
        if not 0 < seconds < math.inf:
            raise BadInput("must be above 0 s", field="seconds", value=seconds)
        steps = max(1, math.ceil(seconds / _STEP_S - 1e-9))
        each, parts = seconds / steps, []
        with self._making:                       # not `lock`: other devices are not to wait for tags
            for _ in range(steps):
                parts.append(next(self.refresh().blocks(each, each)))
                self._alice_ps += round(each * 1e12)
        if len(parts) == 1:
            return parts[0]
        return TimeTags(np.concatenate([p.time_ps for p in parts]), np.concatenate([p.channel for p in parts]),
                        sum(p.lost for p in parts))

    def seconds_until(self, tagger_ps):
        """Seconds of link time until the tagger's clock shows `tagger_ps`; 0 where it does already."""
        return max(0, round(clocks.true_time_ps(self.link.clock, tagger_ps)) - self._alice_ps) * 1e-12

    def rates(self):
        """:class:`qkdlab.simulation.expected.DetectorRates` of the moment, by closed form."""
        link = self.refresh()
        return detector_rates(self.emitted, link.channel, link.detectors, link.eve)

    def counts(self, seconds, rng):
        """What a counter on each detector would show after so long, int64 (4,): drawn about the closed form, with the
        variance that the dead time leaves (live^2 of Poisson's), without making the tags."""
        rates = self.rates()
        mean = rates.click_hz * seconds
        drawn = rng.poisson(mean)
        return np.rint(np.maximum(0.0, mean + (drawn - mean) * rates.live)).astype(np.int64)

    def gains(self):
        """:class:`qkdlab.simulation.expected.ExpectedGains` of the moment, by closed form."""
        link = self.refresh()
        return expected_gains_at_rate(self.emitted, link.channel, link.detectors, link.eve)
