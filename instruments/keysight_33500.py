"""Keysight and Agilent waveform generators 33500 and 33600 (commands as in two public drivers); LAN: port 5025."""

import re

import numpy as np

from qkdlab.errors import BadInput
from qkdlab.instruments.instrument import ScpiInstrument
from qkdlab.instruments.interfaces import PatternGenerator
from qkdlab.instruments.parameters import parameter

__all__ = ["Keysight33500", "connect"]


def connect(address, *, channel=1, **settings):
    """One output of the generator at `address` (``tcp://host:5025``)."""
    return Keysight33500(address, channel=channel, **settings)


class Keysight33500(ScpiInstrument):
    """One output. Voltages are those at a load of 50 ohm unless the generator was told otherwise."""

    kinds = (PatternGenerator,)
    places = {"channel": 1}

    output = parameter(bool, get="OUTP{channel}?", set="OUTP{channel} {value}", choices={True: "ON", False: "OFF"},
                       help="the output is connected")
    shape = parameter(str, get="SOUR{channel}:FUNC?", set="SOUR{channel}:FUNC {value}", moves_limits=True,
                      choices={"sine": "SIN", "square": "SQU", "pulse": "PULS", "pattern": "ARB"}, help="what is played")
    frequency_hz = parameter(get="SOUR{channel}:FREQ?", set="SOUR{channel}:FREQ {value}", unit="Hz",
                             low="SOUR{channel}:FREQ? MIN", high="SOUR{channel}:FREQ? MAX", help="repetitions per second")
    pulse_width_s = parameter(get="SOUR{channel}:FUNC:PULS:WIDT?", set="SOUR{channel}:FUNC:PULS:WIDT {value}", unit="s",
                              low=0, help="width of a pulse")
    low_v = parameter(get="SOUR{channel}:VOLT:LOW?", set="SOUR{channel}:VOLT:LOW {value}", unit="V", low=-10, high=10,
                      help="lower level")
    high_v = parameter(get="SOUR{channel}:VOLT:HIGH?", set="SOUR{channel}:VOLT:HIGH {value}", unit="V", low=-10, high=10,
                       help="upper level")
    phase_deg = parameter(get="SOUR{channel}:PHAS?", set="SOUR{channel}:PHAS {value}", unit="deg", low=-360, high=360,
                          help="phase against the other output")

    def load(self, name, samples, sample_rate_hz):
        """Play `samples` over and over.

        Parameters
        ----------
        name : str
            A letter, then up to 11 letters, digits or underscores.
        samples : array of float, shape (n,), n at least 8
            From -1 (lower level) to 1 (upper level).
        sample_rate_hz : float
        """
        samples = np.asarray(samples, float)
        if not re.fullmatch(r"[A-Za-z]\w{0,11}", str(name), re.ASCII):
            raise BadInput("a letter, then up to 11 letters, digits or _ are expected", where=self.name, field="name",
                           value=name)
        if samples.ndim != 1 or len(samples) < 8 or not (np.abs(samples) <= 1).all():
            raise BadInput("at least 8 numbers from -1 to 1 are expected", where=self.name, field="samples")
        if not 0 < sample_rate_hz < 1e12:
            raise BadInput("must be above 0", where=self.name, field="sample_rate_hz", value=sample_rate_hz)
        source = f"SOUR{self.places['channel']}"
        with self.transport.lock:
            self.tell(f"{source}:DATA:VOL:CLE")
            self.tell(f"{source}:DATA:ARB {name},{','.join(f'{x:.5g}' for x in samples)}")
            self.tell(f"{source}:FUNC:ARB {name}")
            self.tell(f"{source}:FUNC:ARB:SRAT {sample_rate_hz:.12g}")
            self.shape = "pattern"

    def safe_state(self):
        """Output off."""
        self.force(output=False)
