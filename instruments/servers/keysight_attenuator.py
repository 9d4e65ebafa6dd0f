"""Variable optical attenuator of the Keysight (Agilent) N776xA and 8156x/8157x family, SCPI on a socket.

Sources: 8163 programming guide (``:INPut``, ``:OUTPut``), HP 8156A manual; ``OFFSet``, ``STATe`` and ``READ:POWer?``
from drivers. The attenuation that is set and shown is that of the filter plus the offset.
"""

import math

from .scpi import ScpiDevice

__all__ = ["SERVES", "KeysightAttenuator", "device"]

SERVES = "variable optical attenuator, Keysight N7761A (SCPI on a socket)"
REAL_PORT = 5025
_NM_PER_DB_ERROR = 1e-4          # relative error of the filter per nm between set and true wavelength


def device(world, *, name="keysight_attenuator", **options):
    """A :class:`KeysightAttenuator` in the line of a world."""
    return KeysightAttenuator(world, name, **options)


class KeysightAttenuator(ScpiDevice):
    """Filter of 0 to 60 dB behind 1.2 dB of insertion loss, a shutter, and a mode that keeps the output power.

    Parameters
    ----------
    world : World
    name : str
    insertion_db, highest_db, step_db, rate_db_per_s : float
    """

    identity = "Agilent Technologies,N7761A,SIMULATED,1.10"

    def __init__(self, world, name, insertion_db=1.2, highest_db=60.0, step_db=0.001, rate_db_per_s=100.0):
        super().__init__(world, name)
        self._stage = world.attenuator(name, insertion_db=insertion_db, rate_db_per_s=rate_db_per_s)
        self._stage.open = False                 # the shutter is closed after power-on
        self._highest_db, self._step_db = highest_db, step_db
        self._offset_db, self._wavelength_nm = 0.0, world.settings.wavelength_nm
        self._commands()

    def _commands(self):
        tree, stage = self.tree, self._stage
        tree.number("INPut#[:CHANnel#]:ATTenuation", unit="DB", step=self._step_db, default=lambda *_: self._offset_db,
                    low=lambda *_: self._offset_db, high=lambda *_: self._highest_db + self._offset_db,
                    get=lambda *_: stage.filter.target + self._offset_db,
                    set=lambda *a: self._turn(a[-1] - self._offset_db))
        tree.number("INPut#[:CHANnel#]:OFFSet", unit="DB", low=-200, high=200, default=0.0,
                    get=lambda *_: self._offset_db, set=lambda *a: setattr(self, "_offset_db", a[-1]))
        tree.number("INPut#[:CHANnel#]:WAVelength", unit="M", low=1260e-9, high=1640e-9, default=1550e-9,
                    get=lambda *_: self._wavelength_nm * 1e-9, set=self._tune)
        tree.flag("OUTPut#[:CHANnel#][:STATe]", get=lambda *_: stage.open, set=lambda *a: setattr(stage, "open", a[-1]))
        tree.number("OUTPut#[:CHANnel#]:POWer", unit="DBM", default=-10.0, get=lambda *_: self._out_dbm(),
                    set=lambda *a: self._turn(self._in_dbm() - stage.insertion_db - a[-1]))
        tree.query("READ#[:CHANnel#]:POWer", lambda *_: f"{self.reading('power', self._out_dbm()):.6E}")

    def _turn(self, filter_db):
        self._stage.filter.go(min(max(0.0, round(filter_db / self._step_db) * self._step_db), self._highest_db))

    def _tune(self, *arguments):
        self._wavelength_nm = arguments[-1] * 1e9
        off_nm = self._wavelength_nm - self.world.settings.wavelength_nm
        self._stage.calibration = 1 + _NM_PER_DB_ERROR * off_nm

    def _in_dbm(self):
        return 10 * math.log10(max(self.world.power_w(before=self.name), 1e-15) * 1e3)

    def _out_dbm(self):
        return self._in_dbm() - self._stage.loss_db

    def remaining_s(self):
        return self._stage.filter.remaining_s

    def reset(self):
        self._offset_db = 0.0
        self._tune(1550e-9)
        self._turn(0.0)
        self._stage.open = False
