"""Optical power meter of the Thorlabs PM100D/A/USB, PM400, PM101 family, SCPI.

Sources: PM100D, PM100USB and PM400 manuals; LOSS, UNIT and AVERage from memory of them.
"""

import math

from .scpi import ScpiDevice, ScpiError

__all__ = ["SERVES", "ThorlabsPM100", "device"]

SERVES = "optical power meter, Thorlabs PM100USB with an S154C head (SCPI)"
_FLAGS = 1 | 16 | 32 | 256       # power, response and wavelength settable, temperature sensor
_NOISE_W, _ZERO_W = 5e-12, 20e-12
_SAMPLE_S = 3e-3                 # one sample; a measurement takes AVERage:COUNt of them


def device(world, *, name="thorlabs_pm100", **options):
    """A :class:`ThorlabsPM100` that taps the line behind the attenuators."""
    return ThorlabsPM100(world, name, **options)


class ThorlabsPM100(ScpiDevice):
    """Reads the mean power behind the attenuators, before the fixed attenuation to single photons.

    Parameters
    ----------
    world : World
    name : str
    sensor : bool
        Whether a head is plugged in.
    """

    identity = "THORLABS,PM100USB,SIMULATED,1.4.0"

    def __init__(self, world, name, sensor=True):
        super().__init__(world, name)
        self._sensor, self._wavelength_nm, self._zero_w = sensor, world.settings.wavelength_nm, 0.0
        self._zero_until, self._last_w = -math.inf, 0.0
        self._commands()

    def _commands(self):
        tree = self.tree
        tree.query("SYSTem:SENSor:IDN", self._sensor_identity)
        tree.number("SENSe:CORRection:WAVelength", unit="NM", low=800, high=1700, default=1550.0,
                    get=lambda: self._wavelength_nm, set=lambda nm: setattr(self, "_wavelength_nm", nm))
        tree.number("SENSe:CORRection[:LOSS[:INPut[:MAGNitude]]]", unit="DB", low=-60, high=60, default=0.0)
        tree.number("SENSe:CORRection:BEAMdiameter", unit="MM", low=0.1, high=1000, default=3.0)
        tree.command("SENSe:CORRection:COLLect:ZERO[:INITiate]", self._start_zero)
        tree.command("SENSe:CORRection:COLLect:ZERO:ABORt", lambda: setattr(self, "_zero_until", -math.inf))
        tree.query("SENSe:CORRection:COLLect:ZERO:STATe", lambda: str(int(self._zeroing)))
        tree.query("SENSe:CORRection:COLLect:ZERO:MAGNitude", lambda: f"{self._zero_w:.6E}")
        tree.number("SENSe:AVERage:COUNt", low=1, high=10_000, step=1, default=1, show="{:.0f}".format)
        tree.number("SENSe:POWer[:DC]:RANGe[:UPPer]", unit="W", low=1e-9, high=3e-3, default=3e-3)
        tree.flag("SENSe:POWer[:DC]:RANGe:AUTO", default=True)
        tree.number("SENSe:POWer[:DC]:REFerence", unit="W", default=0.0)
        tree.choice("SENSe:POWer[:DC]:UNIT", ("W", "DBM"), default="W")
        for verb in ("MEASure", "READ"):
            tree.query(f"{verb}[:SCALar][:POWer]", self._measure)
        tree.query("MEASure[:SCALar]:CURRent[:DC]", lambda: f"{self._power_w() * self._response():.6E}")
        tree.query("MEASure[:SCALar]:TEMPerature", lambda: f"{self.reading('temperature', self.world.room_c):.6E}")
        tree.command("CONFigure[:SCALar][:POWer]", lambda: None)
        tree.query("CONFigure", lambda: "POW")
        tree.command("ABORt", lambda: None)
        tree.command("INITiate[:IMMediate]", self._measure)
        tree.query("FETCh", lambda: self._shown(self._last_w))

    def _sensor_identity(self):
        return f"S154C,17000001,01-Jan-2026,1,2,{_FLAGS}" if self._sensor else "no sensor,,,,,0"

    @property
    def _zeroing(self):
        return self.world.clock.now() < self._zero_until

    def remaining_s(self):
        return max(0.0, self._zero_until - self.world.clock.now())

    def _start_zero(self):
        """Whatever light there is now counts as none."""
        self._zero_w = 0.0
        self._zero_w = self._power_w()
        self._zero_until = self.world.clock.now() + 1.0

    def _response(self, nm=None):
        """Of an InGaAs diode in A/W: 1 at 1550 nm, in proportion to the wavelength nearby."""
        return (nm or self._wavelength_nm) / 1550.0

    def _power_w(self):
        """One measurement."""
        if not self._sensor:
            raise ScpiError(-241, "no sensor")
        count = self.tree.value("SENSe:AVERage:COUNt", default=1)
        light = self.world.power_w() + _ZERO_W + self.rng.normal(0, _NOISE_W / math.sqrt(count))
        wrong = self._response(self.world.settings.wavelength_nm) / self._response()
        loss_db = self.tree.value("SENSe:CORRection[:LOSS[:INPut[:MAGNitude]]]", default=0.0)
        self.world.clock.sleep(_SAMPLE_S * count if self.world.clock.speed == 0 else 0)
        return self.reading("power", light * wrong * 10 ** (loss_db / 10) - self._zero_w)

    def _measure(self):
        self._last_w = self._power_w()
        return self._shown(self._last_w)

    def _shown(self, watts):
        if self.tree.value("SENSe:POWer[:DC]:UNIT", default="W") == "DBM":
            return f"{10 * math.log10(max(watts, 1e-15) * 1e3):.6E}"
        top = 9.9E37                             # what SCPI shows beyond the range
        auto = self.tree.value("SENSe:POWer[:DC]:RANGe:AUTO", default=True)
        limit = 3e-3 if auto else self.tree.value("SENSe:POWer[:DC]:RANGe[:UPPer]", default=3e-3)
        return f"{watts if watts <= 1.1 * limit else top:.6E}"

    def reset(self):
        self._wavelength_nm, self._zero_w, self._zero_until = 1550.0, 0.0, -math.inf
