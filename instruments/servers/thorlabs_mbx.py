"""Modulator bias controller and internal attenuator of the Thorlabs MX and MBX reference transmitters.

Sources: the manual, p. 15-16 (VOA, syntax, error texts); the ``MZM`` tree from a driver. A value is set with a colon
before it (``VOA:ATTen: 7.5``); what was taken is answered with ``1``, what was not with a text. ``MZM:VOLTage?`` is
answered in V, though it is set in mV. The power ratio is read as crest over present transmission, which is our reading.
"""

import math
import re

from .device import Device
from .scpi import ScpiError, Tree

__all__ = ["SERVES", "ThorlabsMBX", "device"]

SERVES = "modulator bias controller and attenuator, Thorlabs MBX (SCPI-like, colon before the value)"
_TEXT = {-113: "Undefined header", -109: "Parameter error", -108: "Parameter error", -222: "Data out of range",
         -104: "Numeric data error", -131: "Data type error", -224: "Illegal parameter value", -221: "Execution error",
         -241: "Feature not present"}
_COMMAND = re.compile(r"([*A-Za-z0-9:]+?)(?:(\?)|:\s+(.*)|:?)\s*")
_LOCK_S, _CALIBRATION_S = 2.0, 6.0


def device(world, *, name="thorlabs_mbx", **options):
    """A :class:`ThorlabsMBX` at the modulator of a world, in automatic null."""
    return ThorlabsMBX(world, name, **options)


class ThorlabsMBX(Device):
    """Holds the modulator's bias and attenuates by 1 to 20 dB.

    Parameters
    ----------
    world : World
    name : str
    lowest_db, highest_db : float
        Of the attenuator; they differ between firmwares.
    """

    def __init__(self, world, name, lowest_db=1.0, highest_db=20.0):
        super().__init__(world, name)
        self._voa = world.attenuator(name, rate_db_per_s=50.0, attenuation_db=lowest_db)
        self._lowest_db, self._highest_db, self._powered, self._power_mode = lowest_db, highest_db, True, False
        self._wanted_mw = 0.01
        self._mode, self._ratio, self._hold_mv, self._since_s = 2, 1000, 0.0, -math.inf
        self._calibrated_s, self._before_v, self._held_v = -math.inf, world.modulator.bias_v, None
        world.modulator.controller = self._bias_v
        self.tree = Tree()
        self._commands()

    def _commands(self):
        tree, show = self.tree, "{:.2f}".format
        tree.query("*IDN", lambda: "THORLABS,MBX1LP,SIMULATED,1.0")
        tree.number("VOA:ATTen", default=self._lowest_db, low=self._lowest_db, high=self._highest_db, show=show,
                    get=lambda: self._voa.filter.target, set=self._attenuate)
        tree.query("VOA:MEASured", lambda: show(self.reading("voa", self._voa.filter.value)))
        tree.query("VOA:ERRor", lambda: show(self._voa.filter.target - self._voa.filter.value))
        tree.query("VOA:SETpoint", lambda: str(int(abs(self._voa.filter.target - self._voa.filter.value) <= 0.1)))
        tree.flag("VOA:MODE", get=lambda: self._power_mode, set=lambda on: setattr(self, "_power_mode", on))
        tree.number("VOA:OUTput:MW", default=0.01, low=0.01, high=100, show="{:.4f}".format,
                    get=lambda: self._wanted_mw, set=self._hold_power)
        tree.flag("VOA:POWer", get=lambda: self._powered, set=self._power)
        tree.number("MZM:MODE", default=2, low=0, high=9, step=1, show="{:.0f}".format, get=lambda: self._mode,
                    set=self._change_mode)
        tree.query("MZM:SETpoint", lambda: str(int(self._locked)))
        tree.query("MZM:CALIBRATING", lambda: str(int(self._clock_s < self._calibrated_s)))
        tree.command("MZM:RESET", self._calibrate)
        tree.number("MZM:HOLD:RATIO", default=1000, low=250, high=10_000, step=1, show="{:.0f}".format,
                    get=lambda: self._ratio, set=lambda v: setattr(self, "_ratio", v))
        tree.number("MZM:HOLD:VOLTage", default=0, low=-10_000, high=10_000, show="{:.0f}".format,
                    get=lambda: self._hold_mv, set=lambda v: setattr(self, "_hold_mv", v))
        tree.query("MZM:VOLTage", lambda: f"{self.reading('bias', self._bias_v()):.3f}")
        tree.query("MZM:TAP:MW", lambda: f"{self.reading('tap', self._tap_mw()):.4f}")

    # ------------------------------------------------------------------------------------------------------- bytes

    def frames(self, buffer):
        """Lines that end with CR, LF, CRLF or LFCR."""
        *lines, rest = re.split(rb"[\r\n]", bytes(buffer))
        buffer[:] = rest
        return [line for line in lines if line.strip()]

    def answer(self, frame):
        try:
            match = _COMMAND.fullmatch(frame.decode("latin-1").strip())
            if match is None:
                raise ScpiError(-113)
            header, asks, value = match.groups()
            run, suffixes = self.tree.find(header.lstrip(":") + (asks or ""))
            try:
                reply = run(*suffixes, *([value] if value else []))
            except TypeError:
                raise ScpiError(-109) from None
            return (reply if asks else "1").encode() + b"\n"
        except ScpiError as error:
            return f"Err: {_TEXT.get(error.code, 'System error')}\n".encode()

    # -------------------------------------------------------------------------------------------------- attenuator

    def _attenuate(self, decibels):
        if self._power_mode or not self._powered:
            raise ScpiError(-221)
        self._voa.filter.go(decibels)

    def _hold_power(self, milliwatts):
        self._wanted_mw = milliwatts
        if self._power_mode:
            ahead_mw = 1e3 * self.world.power_w(before=self.name)
            wanted_db = 10 * math.log10(max(ahead_mw, 1e-12) / milliwatts)
            self._voa.filter.go(min(max(wanted_db, self._lowest_db), self._highest_db))

    def _power(self, on):
        self._powered = on
        if not on:
            self._voa.filter.go(self._lowest_db)

    # -------------------------------------------------------------------------------------------------------- bias

    @property
    def _clock_s(self):
        return self.world.clock.now()

    @property
    def _locked(self):
        return self._mode in (1, 2, 3, 4, 5, 6, 8, 9) and self._clock_s >= max(self._since_s + _LOCK_S, self._calibrated_s)

    def _bias_v(self):
        """The voltage at the modulator now."""
        if self._mode == 0:
            return 0.0
        if self._mode == 7:
            return self._hold_mv * 1e-3
        if not self._locked:
            return self._before_v
        if self._mode in (5, 6) and self._held_v is not None:
            return self._held_v
        modulator, half = self.world.modulator, self.world.settings.v_pi_v
        off = {1: half, 2: 0.0, 3: half / 2, 4: -half / 2, 5: half / 2, 6: -half / 2}.get(self._mode)
        if off is None:
            off = half * 2 / math.pi * math.asin(math.sqrt(100 / self._ratio)) * (1 if self._mode == 8 else -1)
        voltage = min(max(modulator.best_bias_v + off, -10.0), 10.0)
        if self._mode in (5, 6):
            self._held_v = voltage               # found once, then held whatever drifts
        return voltage

    def _change_mode(self, mode):
        self._before_v, self._held_v = self._bias_v(), None
        self._mode, self._since_s = int(mode), self._clock_s

    def _calibrate(self):
        self._before_v, self._held_v, self._calibrated_s = self._bias_v(), None, self._clock_s + _CALIBRATION_S

    def _tap_mw(self):
        return 0.05e3 * self.world.laser_power_w * self.world.modulator.tap()
