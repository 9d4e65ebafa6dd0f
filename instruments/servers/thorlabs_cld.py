"""Laser and TEC controller of the Thorlabs CLD101x and LDC/TED/ITC4000 series, SCPI.

Source: programmers' reference 2012/2015, of which single pages were at hand; ``OUTPut2`` and ``SOURce2`` from memory.
"""

from .device import FAULTS, OVER_TEMPERATURE
from .scpi import ScpiDevice, ScpiError

__all__ = ["SERVES", "ThorlabsCLD", "device"]

SERVES = "laser diode and TEC controller, Thorlabs CLD1015 (SCPI)"
_INTERLOCK, _LIMIT, _PROTECTION, _WINDOW, _HOT = (1 << bit for bit in (2, 3, 8, 9, 14))
_HOTTEST_C, _WINDOW_K = 45.0, 1.0


def device(world, *, name="thorlabs_cld", **options):
    """A :class:`ThorlabsCLD` with the transmitter's laser; it is off after power-on."""
    return ThorlabsCLD(world, name, **options)


class ThorlabsCLD(ScpiDevice):
    """Drives a laser diode and holds the transmitter's temperature. Too hot, it switches the laser off.

    Parameters
    ----------
    world : World
    name : str
    """

    identity = "THORLABS,CLD1015,SIMULATED,1.3.0/1.3.0/1.0.0"
    faults = {**FAULTS, **OVER_TEMPERATURE, "interlock": "the interlock is open: no laser"}
    _HIGHEST_A = 1.5

    def __init__(self, world, name):
        super().__init__(world, name)
        self._diode, self._limit_a, self._cooling, self._set_c = world.laser(name), 0.15, False, 25.0
        self._power_mode = False
        tree = self.tree
        tree.flag("OUTPut#[:STATe]", get=self._output, set=self._switch)
        tree.number("SOURce#:CURRent[:LEVel][:IMMediate][:AMPLitude]", unit="A", low=0.0, high=lambda *_: self._limit_a,
                    default=0.0, get=lambda *_: self._diode.current_a, set=lambda *a: self._drive(a[-1]))
        tree.number("SOURce#:CURRent:LIMit[:AMPLitude]", unit="A", low=1e-3, high=self._HIGHEST_A, default=0.15,
                    get=lambda *_: self._limit_a, set=lambda *a: self._limit(a[-1]))
        tree.choice("SOURce#:FUNCtion:MODE", ("CURRent", "POWer"), default="CURR")
        tree.number("SOURce#:TEMPerature[:SPOint]", unit="C", low=-10, high=60, default=25.0,
                    get=lambda *_: self._set_c, set=lambda *a: self._set(a[-1]))
        tree.query("MEASure[:SCALar]:CURRent#[:DC]", lambda *_: self._shown("current", self._current_a()))
        tree.query("MEASure[:SCALar]:VOLTage#[:DC]", lambda *_: self._shown("voltage", self._diode.voltage_v))
        tree.query("MEASure[:SCALar]:POWer#", lambda *_: self._shown("power", self._diode.power_w()))
        for pattern in ("MEASure[:SCALar]:TEMPerature", "SENSe#:TEMPerature:DATA"):
            tree.query(pattern, lambda *_: self._shown("temperature", world.temperature.value))
        tree.choice("OUTPut#:PROTection:EXTernal:MODE", ("OFF", "PROTection", "ENABle"), default="PROT")
        for register in ("CONDition", "[EVENt]"):
            tree.query(f"STATus:MEASurement:{register}" if register[0] != "[" else "STATus:MEASurement[:EVENt]",
                       lambda: str(self._register()))

    def _shown(self, key, value):
        return f"{self.reading(key, value):.6E}"

    def _current_a(self):
        return self._diode.current_a if self._diode.on else 0.0

    # ------------------------------------------------------------------------------------------------------- laser

    def _output(self, output):
        self._protect()
        return self._diode.on if _one_or_two(output) == 1 else self._cooling

    def _switch(self, output, on):
        if _one_or_two(output) == 2:
            self._cooling = on
            self.world.cool(on, self._set_c)
        else:
            if on and self._register() & (_INTERLOCK | _HOT):
                raise ScpiError(-221, "interlock or temperature protection")
            self._diode.on = on

    def _drive(self, current_a):
        self._diode.current_a = current_a

    def _limit(self, current_a):
        self._limit_a = current_a
        self._diode.current_a = min(self._diode.current_a, current_a)

    # ------------------------------------------------------------------------------------------------- temperature

    def _set(self, celsius):
        self._set_c = celsius
        if self._cooling:
            self.world.cool(True, celsius)

    def _register(self):
        """Measurement conditions; being asked is one of the moments at which the protection looks."""
        self._protect()
        celsius = self.world.temperature.value
        hot = celsius > _HOTTEST_C
        return ((_INTERLOCK if self.broken("interlock") is not None else 0) | (_HOT | _PROTECTION if hot else 0)
                | (_LIMIT if self._diode.on and self._diode.current_a >= self._limit_a else 0)
                | (_WINDOW if self._cooling and abs(celsius - self._set_c) > _WINDOW_K else 0))

    def _protect(self):
        if self.broken("interlock") is not None or self.world.temperature.value > _HOTTEST_C:
            self._diode.on = False

    def failed(self, kind, options):
        if kind == "over_temperature":
            self.world.temperature.jump(options.get("celsius", 60.0))
        self._protect()

    def reset(self):
        self._diode.on, self._diode.current_a, self._limit_a = False, 0.0, 0.15
        self._cooling, self._set_c = False, 25.0
        self.world.cool(False, 25.0)


def _one_or_two(output):
    if output not in (1, 2):
        raise ScpiError(-114)
    return output
