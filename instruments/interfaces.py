"""The kinds of devices of a QKD bench and their verbs. No logic here; a driver names its kinds in ``kinds``.

Every value has one unit, and the unit is in its name: ``attenuation_db``, ``power_w``, ``temperature_c``. Values that are
settings are :class:`qkdlab.instruments.parameters.parameter` in the drivers: assigning one sets the device.

``isinstance`` against these kinds would read the values from the device on Python 3.11: ask ``device.kinds`` instead.
"""

import typing
from collections.abc import Iterator

from qkdlab.datatypes import TimeTags

__all__ = ["Attenuator", "Device", "EnvironmentSensor", "IntensityModulator", "OpticalSwitch", "Otdr", "PatternGenerator",
           "PhaseModulator", "PolarisationController", "PowerMeter", "PulsedSource", "RandomSource",
           "SinglePhotonDetector", "TemperatureController", "TimeTagger"]


@typing.runtime_checkable
class Device(typing.Protocol):
    """What every device can do."""

    simulated: bool

    def identity(self) -> str:
        """Maker, model and serial number, as the device itself says."""

    def snapshot(self) -> dict:
        """Every setting for the run file: ``{name: {"value", "unit", "time"}}``, or ``{name: {"error"}}``."""

    def safe_state(self) -> None:
        """Bring the device where it does no harm: no light, full attenuation, no bias."""

    def close(self) -> None:
        """Let the device go. Safe to call twice."""

    def __enter__(self): ...

    def __exit__(self, *error): ...


class PulsedSource(Device, typing.Protocol):
    """A laser that a pattern generator drives."""

    emission: bool
    current_a: float
    current_limit_a: float


class PatternGenerator(Device, typing.Protocol):
    """Electrical pulses and arbitrary patterns."""

    output: bool
    frequency_hz: float
    pulse_width_s: float
    low_v: float
    high_v: float

    def load(self, name, samples, sample_rate_hz) -> None:
        """Play `samples` (floats from -1 to 1, low to high) over and over."""


class IntensityModulator(Device, typing.Protocol):
    """A Mach-Zehnder modulator with a bias that drifts."""

    bias_mode: str
    bias_v: float
    bias_locked: bool

    def calibrate(self, timeout_s=120.0) -> None:
        """Let the device find its bias anew; returns when it has, else raises InstrumentTimeout."""


class Attenuator(Device, typing.Protocol):
    """A variable optical attenuator. One with a shutter has ``shutter_open: bool`` too."""

    attenuation_db: float


class PolarisationController(Device, typing.Protocol):
    """Squeezers, paddles or wave plates; ``actuators`` names the settings that move them, in the light's order."""

    actuators: tuple[str, ...]


class PhaseModulator(Device, typing.Protocol):
    """A phase modulator at a known half-wave voltage."""

    voltage_v: float
    half_wave_v: float


class PowerMeter(Device, typing.Protocol):
    """Optical power at a wavelength."""

    power_w: float
    wavelength_nm: float

    def zero(self, timeout_s=30.0) -> None:
        """Take what it sees now, in the dark, as zero."""


class SinglePhotonDetector(Device, typing.Protocol):
    """A detector with its bias, threshold, dead time and cooler."""

    running: bool
    bias_v: float
    threshold_v: float
    dead_time_s: float
    temperature_c: float
    count_rate_hz: float


@typing.runtime_checkable
class TimeTagger(Device, typing.Protocol):
    """A time-to-digital converter that streams detector clicks."""

    def start(self) -> None:
        """Begin to record."""

    def blocks(self, block_seconds: float) -> Iterator[TimeTags]:
        """Stretches of tags in time order, each with what the device lost, until `stop`."""

    def stop(self) -> None:
        """End the recording; `blocks` yields what is left and ends. Safe from any thread."""


class RandomSource(Device, typing.Protocol):
    """A physical random number generator. Where ``simulated`` is true its bytes must never make a key marked as real."""

    def read(self, n_bytes: int) -> bytes:
        """Exactly `n_bytes` fresh bytes."""


class Otdr(Device, typing.Protocol):
    """A reflectometer."""

    def trace(self):
        """The latest trace of the fibre."""


class TemperatureController(Device, typing.Protocol):
    """A thermoelectric cooler with its loop."""

    target_c: float
    temperature_c: float
    regulating: bool
    stable: bool


class EnvironmentSensor(Device, typing.Protocol):
    """The room."""

    temperature_c: float
    humidity_percent: float


class OpticalSwitch(Device, typing.Protocol):
    """One input to one of ``ports`` outputs, counted from 1."""

    port: int
    ports: int
