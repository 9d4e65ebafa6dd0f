"""Keysight and Agilent attenuators: N776x, 8156x and 8157x in 816x mainframes (8163 programming guide, p. 182)."""

from qkdlab.instruments.instrument import ScpiInstrument
from qkdlab.instruments.interfaces import Attenuator
from qkdlab.instruments.parameters import parameter

__all__ = ["KeysightAttenuator", "connect"]


def connect(address, *, slot=1, channel=1, **settings):
    """The attenuator in a slot of the mainframe at `address` (LAN: ``tcp://host:5025``)."""
    return KeysightAttenuator(address, slot=slot, channel=channel, **settings)


class KeysightAttenuator(ScpiInstrument):
    """The attenuation is that of the filter plus an offset, so the limits move with the offset."""

    kinds = (Attenuator,)
    places = {"slot": 1, "channel": 1}

    attenuation_db = parameter(get=":INP{slot}:CHAN{channel}:ATT?", set=":INP{slot}:CHAN{channel}:ATT {value}dB",
                               unit="dB", low=":INP{slot}:CHAN{channel}:ATT? MIN", high=":INP{slot}:CHAN{channel}:ATT? MAX",
                               help="attenuation of the filter plus the offset")
    wavelength_nm = parameter(get=":INP{slot}:CHAN{channel}:WAV?", set=":INP{slot}:CHAN{channel}:WAV {value}", unit="nm",
                              scale=1e-9, low=":INP{slot}:CHAN{channel}:WAV? MIN",
                              high=":INP{slot}:CHAN{channel}:WAV? MAX", help="wavelength of the calibration")
    offset_db = parameter(get=":INP{slot}:CHAN{channel}:OFFS?", unit="dB", help="added to the attenuation of the filter")
    shutter_open = parameter(bool, get=":OUTP{slot}:CHAN{channel}:STAT?", set=":OUTP{slot}:CHAN{channel}:STAT {value}",
                             choices={True: "ON", False: "OFF"}, help="light passes")

    def safe_state(self):
        """Shutter closed, full attenuation."""
        self.force(shutter_open=False, attenuation_db=self.own_limits["attenuation_db"][1])
