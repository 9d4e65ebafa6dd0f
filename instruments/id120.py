"""ID Quantique ID120 single-photon detector (commands as in a public driver; USB-TMC, lines of text).

The dead time is in microseconds according to that driver; no document of the maker says so. ID210, ID230 and ID Qube
speak otherwise and no document of theirs was found.
"""

from qkdlab.instruments.instrument import Instrument
from qkdlab.instruments.interfaces import SinglePhotonDetector
from qkdlab.instruments.parameters import parameter

__all__ = ["Id120", "connect"]


def connect(address, **settings):
    """The detector at `address` (``visa://USB0::0x1DDC::0x0330::002008::INSTR``)."""
    return Id120(address, **settings)


class Id120(Instrument):
    """Voltages go in microvolts, temperatures in thousandths of a degree, the integration time in milliseconds."""

    kinds = (SinglePhotonDetector,)

    running = parameter(bool, get="REG:RUN?", set="REG:RUN {value}", choices={True: "TRUE", False: "FALSE"},
                        help="cooled and counting")
    bias_v = parameter(get="BIAS:VOLTAGE?", set="BIAS:VOLTAGE {value:.0f}", unit="V", scale=1e6, low=0, high=250,
                       help="bias of the photodiode, in steps of 80 mV")
    breakdown_v = parameter(get="INFO:BIAS_BREAKDOWN_VOLTAGE?", unit="V", scale=1e6, help="where avalanches begin")
    threshold_v = parameter(get="THRESHOLD:VOLTAGE?", set="THRESHOLD:VOLTAGE {value:.0f}", unit="V", scale=1e6, low=0,
                            high=1.047, help="level of a count, in steps of 0.5 mV")
    dead_time_s = parameter(get="DEADTIME:TIME?", set="DEADTIME:TIME {value:.0f}", unit="s", scale=1e6, low=40e-6, high=1,
                            help="time after a count without another, in steps of 40 us")
    target_c = parameter(get="REG:TEMP_SET_POINT?", set="REG:TEMP_SET_POINT {value:.0f}", unit="degC", scale=1e3, low=-50,
                         high=-10, help="temperature to keep")
    temperature_c = parameter(get="REG:MEASURED_TEMP?", unit="degC", scale=1e3, help="temperature of the photodiode")
    state = parameter(str, get="REG:STATE?", help="what the detector says of itself")
    bias_error = parameter(bool, get="BIAS:ERROR_STATUS?", help="the bias is not what was set")
    integration_time_s = parameter(get="COUNTERS:INTEGRATION_TIME?", set="COUNTERS:INTEGRATION_TIME {value:.0f}", unit="s",
                                   scale=1e3, low=0.2, high=100, help="time of a count, in steps of 0.2 s")
    count_rate_hz = parameter(get="COUNTERS:DETECTION_FREQ?", unit="Hz", help="counts per second")
    counts = parameter(int, get="COUNTERS:DETECTION_COUNT?", help="counts in the integration time")

    def safe_state(self):
        """No bias."""
        self.force(bias_v=0.0)
