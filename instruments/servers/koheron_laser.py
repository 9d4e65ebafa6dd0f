"""Laser diode controller Koheron CTL200 and CTL101: a serial console that echoes.

Source: a public driver, for the commands and the shape of the dialogue: each command comes back, then one line with
the value (also after setting it), then the prompt ``>>`` without a line end. The error register ``err`` is shown in
hexadecimal; its name, that of ``errclr`` and its bits are as that driver has them. A thermistor of 10 kohm with B =
3950 K measures the transmitter.
"""

import math

from .device import FAULTS, OVER_TEMPERATURE, Device

__all__ = ["KoheronLaser", "SERVES", "device"]

SERVES = "laser diode controller, Koheron CTL200 (serial console with echo and prompt)"
_COLD, _HOT, _UNKNOWN, _PARAMETER, _REFUSED, _INTERLOCK = (1 << bit for bit in range(2, 8))
_HOTTEST_C, _COLDEST_C, _SUPPLY_A = 45.0, 5.0, 0.2


def device(world, *, name="koheron_laser", **options):
    """A :class:`KoheronLaser` with the transmitter's laser; it is off after power-on."""
    return KoheronLaser(world, name, **options)


def _ohm(celsius):
    return 10e3 * math.exp(3950 * (1 / (celsius + 273.15) - 1 / 298.15))


def _celsius(ohm):
    return 1 / (1 / 298.15 + math.log(ohm / 10e3) / 3950) - 273.15


class KoheronLaser(Device):
    """Drives a laser diode and holds the transmitter's temperature.

    Parameters
    ----------
    world : World
    name : str
    """

    faults = {**FAULTS, **OVER_TEMPERATURE, "interlock": "the interlock is open: no laser"}

    def __init__(self, world, name):
        super().__init__(world, name)
        self._diode, self._errors, self._set_ohm = world.laser(name), 0, 10e3
        self._numbers = {"ilmax": 120.0, "pgain": 1000.0, "igain": 100.0, "dgain": 0.0, "ldelay": 100.0}
        self._flags = {"tecon": False, "tprot": True, "lckon": False}
        self._limits = {"ilmax": (0.0, 1e3 * _SUPPLY_A), "ldelay": (0.0, 10_000.0)}

    # ------------------------------------------------------------------------------------------------------- bytes

    def frames(self, buffer):
        *lines, rest = bytes(buffer).split(b"\n")
        buffer[:] = rest
        return [line.rstrip(b"\r") for line in lines]

    def answer(self, frame):
        return frame + b"\r\n" + self._line(frame.decode("latin-1").split()).encode() + b"\r\n>>"

    def _line(self, words):
        self._protect()
        if not words:
            return ""
        name, given = words[0], words[1:]
        try:
            if name in self._flags or name == "lason":
                return self._flag(name, given)
            if name in self._numbers or name in ("ilaser", "rtset"):
                return self._number(name, float(given[0]) if given else None)
        except ValueError:
            self._errors |= _PARAMETER
            return "Invalid parameter"
        value = self._value(name)
        if value is None:
            self._errors |= _UNKNOWN
            return "Unknown command"
        return value

    def _value(self, name):
        """What can only be read."""
        world, diode = self.world, self._diode
        off_k = world.temperature.value - world.room_c
        values = {
            "vlaser": lambda: self._shown(name, diode.voltage_v), "iphd": lambda: self._shown(name, diode.power_w() * 0.5),
            "rtact": lambda: self._shown(name, _ohm(world.temperature.value)),
            "itec": lambda: self._shown(name, -0.05 * off_k if self._flags["tecon"] else 0.0),
            "vtec": lambda: self._shown(name, -0.1 * off_k if self._flags["tecon"] else 0.0),
            "ain1": lambda: "0.000000", "ain2": lambda: "0.000000", "version": lambda: "V0.15", "model": lambda: "CTL200",
            "serial": lambda: "SIMULATED", "err": lambda: f"{self._errors:x}", "errclr": self._forget,
        }
        return values[name]() if name in values else None

    def _shown(self, key, value):
        return f"{self.reading(key, value):.6f}"

    # -------------------------------------------------------------------------------------------------------- what

    def _flag(self, name, given):
        if given:
            on = {"0": False, "1": True}.get(given[0])
            if on is None:
                raise ValueError(given[0])
            if name == "lason":
                self._diode.on = on
                self._protect()
            else:
                self._flags[name] = on
                self._regulate()
        return str(int(self._diode.on if name == "lason" else self._flags[name]))

    def _number(self, name, value):
        if value is not None:
            low, high = {"ilaser": (0.0, self._numbers["ilmax"]), "rtset": (1e3, 50e3)}.get(
                name, self._limits.get(name, (0.0, 1e6)))
            if not low <= value <= high:
                raise ValueError(value)
            if name == "ilaser":
                self._diode.current_a = value * 1e-3
            elif name == "rtset":
                self._set_ohm = value
                self._regulate()
            else:
                self._numbers[name] = value
                self._diode.current_a = min(self._diode.current_a, self._numbers["ilmax"] * 1e-3)
        shown = {"ilaser": self._diode.current_a * 1e3, "rtset": self._set_ohm, **self._numbers}[name]
        return f"{shown:.6f}"

    def _regulate(self):
        self.world.cool(self._flags["tecon"], _celsius(self._set_ohm))

    def _protect(self):
        celsius = self.world.temperature.value
        if self.broken("interlock") is not None:
            self._errors |= _INTERLOCK | (_REFUSED if self._diode.on else 0)
            self._diode.on = False
        if self._flags["tprot"] and not _COLDEST_C < celsius < _HOTTEST_C:
            self._errors |= _HOT if celsius > _COLDEST_C else _COLD
            self._diode.on = False

    def _forget(self):
        self._errors = 0
        return "0"

    def failed(self, kind, options):
        if kind == "over_temperature":
            self.world.temperature.jump(options.get("celsius", 60.0))
        self._protect()
