"""EXFO FVA-3100 and FVA-3150 attenuators (manuals, p. 51, 89, 95). Steps of 0.005 dB.

The device takes no command while one of its own programs runs. ``ATT?`` counts the calibration offset in and
``INP:ATT?`` does not: only the first is used here. ``D 0`` opens the shutter and ``D 1`` closes it; ``OUTP:STAT``, used
here, reads the other way round.
"""

import time

from qkdlab.instruments.errors import DeviceError
from qkdlab.instruments.instrument import ScpiInstrument
from qkdlab.instruments.interfaces import Attenuator
from qkdlab.instruments.parameters import parameter

__all__ = ["ExfoAttenuator", "connect"]

BUSY_S = 10.0                    # longest turn of the filter


def connect(address, **settings):
    """The attenuator at `address` (``visa://GPIB0::15::INSTR``, ``serial:///dev/ttyS0?baud=9600``)."""
    return ExfoAttenuator(address, **settings)


class ExfoAttenuator(ScpiInstrument):
    """The limits are asked from the device: they hold its insertion loss."""

    kinds = (Attenuator,)

    attenuation_db = parameter(get="ATT?", set="ATT {value} DB", unit="dB", low="ATT? MIN", high="ATT? MAX",
                               help="attenuation with the calibration offset")
    offset_db = parameter(get="INP:OFFS?", unit="dB", help="calibration offset")
    shutter_open = parameter(bool, get="OUTP:STAT?", set="OUTP:STAT {value}", help="light passes")

    def tell(self, text):
        """As others do, but while the filter turns ("program currently running") wait and say it again."""
        stop = time.monotonic() + BUSY_S
        while True:
            try:
                return super().tell(text)
            except DeviceError as error:
                if not str(error.reply).startswith("-284") or time.monotonic() > stop:
                    raise
                time.sleep(0.02)

    def safe_state(self):
        """Shutter closed, full attenuation."""
        self.force(shutter_open=False, attenuation_db=self.own_limits["attenuation_db"][1])
