"""Settings of a simulated link: the fibre, Bob's detectors, his clock, Eve."""

import math
from dataclasses import dataclass

import numpy as np

from ..datatypes import ReceiverSettings, SourceSettings, SynchronisationSettings
from ..errors import BadInput
from ..settings import Settings, setting

__all__ = ["SECTIONS", "ChannelSettings", "ClockSettings", "DetectorSettings", "EveSettings", "ModulatorSettings"]


@dataclass(frozen=True, slots=True)
class ChannelSettings(Settings):
    """The way from Alice to Bob's detectors."""

    distance_km: float = setting(50.0, help="length of the fibre", unit="km", low=0, high=1000)
    attenuation_db_per_km: float = setting(0.2, help="loss of the fibre per length", unit="dB/km", low=0, high=10)
    extra_loss_db: float = setting(0.0, help="loss of connectors and of Bob's optics", unit="dB", low=0, high=200)
    misalignment: float = setting(0.01, help="probability that a photon goes to the wrong detector of its basis",
                                  low=0, high=0.5)
    pulse_fwhm_ps: float = setting(100.0, help="duration of a pulse, full width at half maximum", unit="ps", low=0,
                                   high=1e6)

    @property
    def loss_db(self):
        """Total loss in dB."""
        return self.distance_km * self.attenuation_db_per_km + self.extra_loss_db

    @property
    def transmittance(self):
        """Probability that a photon reaches Bob's detectors."""
        return 10 ** (-self.loss_db / 10)


@dataclass(frozen=True, slots=True)
class DetectorSettings(Settings):
    """Four threshold detectors, two behind each exit of a passive basis choice."""

    efficiency: float = setting(0.2, help="probability that a photon that arrives makes a click", low=0, high=1)
    dark_rate_hz: float = setting(100.0, help="dark counts of each detector", unit="Hz", low=0, high=1e8)
    dead_time_ps: int = setting(50_000, help="blind after a click; clicks that are lost in it do not prolong it",
                                unit="ps", low=0, high=10**10)
    afterpulse_probability: float = setting(
        0.01, help="probability that a click leaves an afterpulse that comes after the dead time", low=0, high=0.5)
    afterpulse_decay_ps: float = setting(1e6, help="decay constant of afterpulsing", unit="ps", low=0, high=1e11)
    jitter_fwhm_ps: float = setting(100.0, help="timing jitter, full width at half maximum", unit="ps", low=0, high=1e6)
    delay_ps: tuple[int, ...] = setting((0, 0, 0, 0), help="delay of each detector against the others", unit="ps",
                                        low=-10**6, high=10**6)
    key_basis_probability: float = setting(0.9, help="share of the light that is measured in the key basis", low=0,
                                           high=1)

    def check(self):
        if len(self.delay_ps) != 4:
            raise BadInput("four delays are expected, one for each detector", field="delay_ps",
                           value=list(self.delay_ps))


@dataclass(frozen=True, slots=True)
class ClockSettings(Settings):
    """Bob's clock against Alice's: he reads ``t + frequency offset * t + drift / 2 * t^2 + offset_ps`` at her time t,
    in whole ticks. Her first pulse arrives at her time 0 (the flight is part of the offset); his recording begins at
    his time 0, before her first pulse where the offset is positive."""

    offset_ps: int = setting(1_234_567_890, help="what Bob's clock shows when the first pulse arrives", unit="ps",
                             low=-10**15, high=10**15)
    offset_ppm: float = setting(2.0, help="how much faster Bob's clock runs, in millionths", unit="ppm", low=-1000,
                                high=1000)
    drift_per_s: float = setting(1e-9, help="change of its relative frequency per second", unit="1/s", low=-1e-6,
                                 high=1e-6)
    tick_ps: int = setting(1, help="resolution of Bob's time tagger", unit="ps", low=1, high=10**6)


@dataclass(frozen=True, slots=True)
class EveSettings(Settings):
    """An eavesdropper who measures pulses in a basis chosen at random and sends on what she found; or does worse."""

    intercept_fraction: float = setting(0.0, help="share of the pulses that are intercepted and sent anew", low=0,
                                        high=1)
    split_fraction: float = setting(
        0.0, help="share of the pulses whose photons she counts: of several she keeps one and passes the others on without "
                  "loss, single ones she stops (photon-number splitting)", low=0, high=1)
    faked_fraction: float = setting(
        0.0, help="share of the pulses that she measures while Bob's detectors are blinded: he clicks where she tells, in "
                  "her basis (faked states)", low=0, high=1)
    blinded: tuple[int, ...] = setting((), help="detectors kept blind by bright light: they never click", low=0, high=3)


@dataclass(frozen=True, slots=True)
class ModulatorSettings(Settings):
    """How Alice's intensities depart from those that both parties agreed on."""

    relative: tuple[float, ...] = setting((), help="true over agreed mean photon number, one for each intensity; empty: 1",
                                          low=0, high=10)
    sent: tuple[float, ...] = setting((), help="true mean photon numbers, one for each intensity, in any order of size; "
                                               "empty: the agreed ones times `relative`", unit="photons/pulse", low=0,
                                      high=1000)
    pattern_effect: float = setting(0.0, help="part of the previous pulse's intensity that is mixed into each pulse", low=0,
                                    high=0.5)

    def means(self, source):
        """True mean photon numbers behind a pulse of each intensity, float64 (previous intensity, intensity)."""
        for name, given in (("relative", self.relative), ("sent", self.sent)):
            if given and len(given) != len(source.intensities):
                raise BadInput(f"one for each of the {len(source.intensities)} intensities is expected", field=name,
                               value=list(given))
        means = np.array(self.sent or source.intensities) * np.array(self.relative or 1.0)
        return (1 - self.pattern_effect) * means + self.pattern_effect * means[:, None]


SECTIONS = {
    "source": SourceSettings,
    "synchronisation": SynchronisationSettings,
    "channel": ChannelSettings,
    "detectors": DetectorSettings,
    "clock": ClockSettings,
    "eve": EveSettings,
    "modulator": ModulatorSettings,
    "receiver": ReceiverSettings,
}


def arrival_sigma_ps(channel, detectors):
    """Standard deviation of a photon's time tag around the pulse: pulse and jitter together, both Gaussian."""
    return math.hypot(channel.pulse_fwhm_ps, detectors.jitter_fwhm_ps) / math.sqrt(8 * math.log(2))
