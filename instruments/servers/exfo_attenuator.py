"""Variable optical attenuator EXFO FVA-3100/3150, as it speaks over GPIB and RS-232.

Sources: manuals, p. 51, 89 and 95. ``D 0`` opens the shutter and ``D 1`` closes it. ``ATT`` includes the correction
(CAL); ``INP:ATT?`` does not. While the filter turns, nothing can be set.
"""

from .scpi import ScpiDevice, ScpiError

__all__ = ["ExfoAttenuator", "SERVES", "device"]

SERVES = "variable optical attenuator, EXFO FVA-3100 (D 0 opens, D 1 closes)"


def device(world, *, name="exfo_attenuator", **options):
    """An :class:`ExfoAttenuator` in the line of a world."""
    return ExfoAttenuator(world, name, **options)


class ExfoAttenuator(ScpiDevice):
    """Filter of 0 to 65 dB in steps of 0.005 dB behind an insertion loss, with a shutter.

    Parameters
    ----------
    world : World
    name : str
    insertion_db, highest_db, rate_db_per_s : float
    """

    identity = "EXFO E.O. Engineering,FVA-3100,SIMULATED,1.30"
    STEP_DB = 0.005

    def __init__(self, world, name, insertion_db=2.0, highest_db=65.0, rate_db_per_s=30.0):
        super().__init__(world, name)
        self._stage = world.attenuator(name, insertion_db=insertion_db, rate_db_per_s=rate_db_per_s)
        self._stage.open, self._correction_db, self._highest_db = False, 0.0, highest_db
        tree, stage, show = self.tree, self._stage, "{:.3f}".format
        tree.number("ATT", unit="DB", step=self.STEP_DB, default=lambda: self._correction_db, show=show,
                    low=lambda: self._correction_db, high=lambda: self._highest_db + self._correction_db,
                    get=lambda: stage.filter.target + self._correction_db, set=self._turn)
        tree.query("INPut:ATTenuation", lambda: show(stage.filter.target))
        tree.number("INPut:OFFSet", unit="DB", low=-99.999, high=99.999, default=0.0, show=show,
                    get=lambda: self._correction_db, set=self._correct)
        tree.flag("D", get=lambda: not stage.open, set=lambda closed: self._shutter(not closed))
        tree.flag("OUTPut:STATe", get=lambda: stage.open, set=self._shutter)

    def _at_rest(self):
        if self._stage.filter.moving:
            raise ScpiError(-284)

    def _turn(self, attenuation_db):
        self._at_rest()
        self._stage.filter.go(attenuation_db - self._correction_db)

    def _correct(self, decibels):
        self._at_rest()
        self._correction_db = decibels

    def _shutter(self, is_open):
        self._at_rest()
        self._stage.open = is_open

    def remaining_s(self):
        return self._stage.filter.remaining_s

    def reset(self):
        self._stage.filter.go(0.0)
        self._correction_db, self._stage.open = 0.0, False
