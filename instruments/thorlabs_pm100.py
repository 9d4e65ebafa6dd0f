"""Thorlabs power meters PM100D/A/USB, PM400, PM101 (manuals of the PM100D, PM100USB and PM400)."""

from qkdlab.instruments.instrument import ScpiInstrument
from qkdlab.instruments.interfaces import PowerMeter
from qkdlab.instruments.parameters import parameter

__all__ = ["ThorlabsPm100", "connect"]


def connect(address, **settings):
    """The power meter at `address` (USB: ``visa://USB0::0x1313::0x8078::P0001234::INSTR``)."""
    return ThorlabsPm100(address, **settings)


class ThorlabsPm100(ScpiInstrument):
    """The range of wavelengths is that of the sensor head and is asked from the device."""

    kinds = (PowerMeter,)

    power_w = parameter(get="MEAS:POW?", unit="W", help="optical power")
    wavelength_nm = parameter(get="SENS:CORR:WAV?", set="SENS:CORR:WAV {value}", unit="nm", low="SENS:CORR:WAV? MIN",
                              high="SENS:CORR:WAV? MAX", help="wavelength that the reading is corrected for")
    auto_range = parameter(bool, get="SENS:POW:RANG:AUTO?", set="SENS:POW:RANG:AUTO {value}", help="choose the range itself")
    range_w = parameter(get="SENS:POW:RANG:UPP?", set="SENS:POW:RANG:UPP {value}", unit="W", low=0,
                        help="largest power of the range")
    averages = parameter(int, get="SENS:AVER:COUN?", set="SENS:AVER:COUN {value}", low=1, help="readings averaged in one")
    zero_offset = parameter(get="SENS:CORR:COLL:ZERO:MAGN?", help="what zeroing subtracts, in the sensor's own unit")
    sensor = parameter(str, get="SYST:SENS:IDN?", help="name, serial number and calibration of the sensor head")

    def zero(self, timeout_s=30.0):
        """Take what it sees now, in the dark, as zero; InstrumentTimeout where that takes longer, and it is given up."""
        self.tell("SENS:CORR:COLL:ZERO:INIT")
        try:
            self.wait_until(lambda: self.ask("SENS:CORR:COLL:ZERO:STAT?").strip() == "0", timeout_s, "zeroing")
        except BaseException:
            self.tell("SENS:CORR:COLL:ZERO:ABOR")
            raise
