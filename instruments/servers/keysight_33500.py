"""Waveform generator of the Keysight 33500 and 33600 series, SCPI on a raw socket (there port 5025).

Sources: the commands as two public drivers use them. Waveforms are kept and measured, not played; what the generator
does to the link is the amplitude of its first output, where it is told to drive the modulator.
"""


import numpy as np

from .scpi import ScpiDevice, ScpiError, block, number

__all__ = ["SERVES", "Keysight33500", "device"]

SERVES = "two-channel waveform generator, Keysight 33522B (SCPI on a socket)"
REAL_PORT = 5025
_SHAPES = ("SINusoid", "SQUare", "TRIangle", "RAMP", "PULSe", "PRBS", "NOISe", "ARB", "DC")
_LONGEST = 1 << 20


def device(world, *, name="keysight_33500", **options):
    """A :class:`Keysight33500`."""
    return Keysight33500(world, name, **options)


class Keysight33500(ScpiDevice):
    """Two channels with arbitrary waveforms, pulses and bursts.

    Parameters
    ----------
    world : World
    name : str
    drives_modulator : bool
        Output 1 makes the decoy levels: they are as agreed at an amplitude of V_pi into the load, and no light comes
        through while it is off. A waveform of one value only holds the modulator there: -1 is no drive, 1 the full one.
    """

    identity = "Agilent Technologies,33522B,SIMULATED,4.00-1.19-2.00-58-00"

    def __init__(self, world, name, drives_modulator=False):
        super().__init__(world, name)
        self._arbs = {(i, "EXP_RISE"): np.linspace(0, 1, 8) for i in (1, 2)}
        self._period_s = {1: 1e-3, 2: 1e-3}
        self._commands()
        self._pulse()
        if drives_modulator:
            world.modulator.generator, world.modulator.held = self._drive, self._held

    def _drive(self):
        on = self.tree.value("OUTPut#[:STATe]", 1, default=False)
        return self.tree.value(_AMPLITUDE, 1, default=0.1) / self.world.settings.v_pi_v if on else 0.0

    def _held(self):
        points = self._selected(1) if self.tree.value("[SOURce#:]FUNCtion", 1, default="SIN") == "ARB" else np.arange(2)
        return self._drive() * (points[0] + 1) / 2 if np.ptp(points) == 0 else None

    def _commands(self):
        tree = self.tree
        tree.choice("[SOURce#:]FUNCtion", _SHAPES, default="SIN")
        tree.number("[SOURce#:]FREQuency", unit="HZ", low=1e-6, high=30e6, default=1e3, convert=None,
                    get=lambda i: 1 / self._period_s[_channel(i)],
                    set=lambda i, hz: self._period_s.update({_channel(i): 1 / hz}))
        tree.number(_AMPLITUDE, unit="V", low=1e-3, high=10, default=0.1, convert={"VPP": float})
        tree.choice("[SOURce#:]VOLTage:UNIT", ("VPP", "VRMS", "DBM"), default="VPP")
        tree.number("[SOURce#:]VOLTage:OFFSet", unit="V", low=-5, high=5, default=0.0)
        for name, sign in (("HIGH", 1), ("LOW", -1)):
            tree.number(f"[SOURce#:]VOLTage:{name}", unit="V", low=-5, high=5, default=sign * 0.05,
                        get=lambda i, s=sign: self._level(i, s), set=lambda i, v, s=sign: self._set_level(i, s, v))
        tree.number("[SOURce#:]PHASe", low=-360, high=360, default=0.0)
        tree.command("[SOURce#:]PHASe:SYNChronize", lambda i: None)
        tree.flag("OUTPut#[:STATe]")
        tree.number("OUTPut#:LOAD", unit="OHM", low=1, high=9.9e37, default=50, convert=None)
        tree.flag("OUTPut:SYNC[:STATe]", default=True)
        tree.flag("OUTPut:TRIGger[:STATe]")
        tree.choice("TRIGger#:SOURce", ("IMMediate", "EXTernal", "BUS", "TIMer"), default="IMM")
        tree.command("*TRG", lambda: None)
        tree.command("SYSTem:BEEPer[:IMMediate]", lambda: None)
        tree.text("DISPlay:TEXT")
        tree.command("DISPlay:TEXT:CLEar", lambda: tree.values.pop(("DISPlay:TEXT", ()), None))
        tree.flag("[SOURce#:]BURSt[:STATe]")
        tree.choice("[SOURce#:]BURSt:MODE", ("TRIGgered", "GATed"), default="TRIG")
        tree.number("[SOURce#:]BURSt:NCYCles", low=1, high=9.9e37, default=1)
        tree.number("[SOURce#:]BURSt:INTernal:PERiod", unit="S", low=1e-6, high=8000, default=10e-3)
        tree.text("[SOURce#:]FUNCtion:ARBitrary", default="EXP_RISE", set=self._select)
        tree.number("[SOURce#:]FUNCtion:ARBitrary:SRATe", low=1e-6, high=250e6, default=40e3)
        tree.choice("[SOURce#:]FUNCtion:ARBitrary:ADVance", ("TRIGger", "SRATe"), default="SRAT")
        tree.choice("[SOURce#:]FUNCtion:ARBitrary:FILTer", ("NORMal", "STEP", "OFF"), default="STEP")
        tree.query("[SOURce#:]FUNCtion:ARBitrary:POINts", lambda i: str(len(self._selected(i))))
        tree.command("[SOURce#:]DATA:ARBitrary", lambda i, name, *data: self._load(i, name, data, None))
        tree.command("[SOURce#:]DATA:ARBitrary:DAC", lambda i, name, *data: self._load(i, name, data, 32767))
        tree.command("[SOURce#:]DATA:VOLatile:CLEar", self._forget)
        tree.query("[SOURce#:]DATA:VOLatile:CATalog",
                   lambda i: ",".join(f'"INT:\\{n}.ARB"' for c, n in self._arbs if c == i))

    def _pulse(self):
        tree, root = self.tree, "[SOURce#:]FUNCtion:"

        def period(i):
            return self._period_s[_channel(i)]

        tree.number(f"{root}PULSe:PERiod", unit="S", low=33e-9, high=1e6, default=1e-3, get=period,
                    set=lambda i, s: self._period_s.update({_channel(i): s}))
        tree.number(f"{root}PULSe:WIDTh", unit="S", low=16e-9, high=lambda i: period(i) - 16e-9, default=1e-4)
        tree.number(f"{root}PULSe:DCYCle", low=0.01, high=99.99, default=10.0,
                    get=lambda i: 100 * self._width(i) / period(i),
                    set=lambda i, percent: tree.values.update({(_WIDTH, (i,)): percent / 100 * period(i)}))
        tree.choice(f"{root}PULSe:HOLD", ("WIDTh", "DCYCle"), default="WIDT")
        for edge in ("[:BOTH]", ":LEADing", ":TRAiling"):
            tree.number(f"{root}PULSe:TRANsition{edge}", unit="S", low=8.4e-9, high=1e-6, default=10e-9)
        tree.number(f"{root}SQUare:DCYCle", low=0.01, high=99.99, default=50.0)
        tree.number(f"{root}RAMP:SYMMetry", low=0, high=100, default=100.0)

    def _width(self, i):
        return self.tree.value(_WIDTH, i, default=1e-4)

    # ------------------------------------------------------------------------------------------------------ levels

    def _level(self, i, sign):
        return self.tree.value(_OFFSET, i, default=0.0) + sign * self.tree.value(_AMPLITUDE, i, default=0.1) / 2

    def _set_level(self, i, sign, volts):
        other = self._level(i, -sign)
        if (volts - other) * sign < 1e-3 * (1 - 1e-9):
            raise ScpiError(-221, "high level must be above low level")
        self.tree.values[_AMPLITUDE, (i,)] = abs(volts - other)
        self.tree.values[_OFFSET, (i,)] = (volts + other) / 2

    # --------------------------------------------------------------------------------------------------- waveforms

    def _load(self, i, name, data, full_scale):
        """Points as numbers or as one block: of float32 from -1 to 1, or of int16 up to 32767."""
        if (_channel(i), name) in self._arbs:
            raise ScpiError(-221, f"{name}: this waveform is in memory already")
        if len(data) == 1 and data[0].startswith("#"):
            raw = block(data[0])
            kind = np.dtype(">i2" if full_scale else ">f4")
            if len(raw) % kind.itemsize:
                raise ScpiError(-161)
            points = np.frombuffer(raw, kind).astype(float)
        else:
            points = np.array([number(text) for text in data])
        points = points / (full_scale or 1)
        if not 8 <= len(points) <= _LONGEST:
            raise ScpiError(-222, f"8 to {_LONGEST} points are expected")
        if not np.all(np.abs(points) <= 1):
            raise ScpiError(-222, "a point is out of range")
        self._arbs[_channel(i), name] = points

    def _select(self, i, name):
        name = name.removeprefix("INT:\\").removesuffix(".ARB")
        if (_channel(i), name) not in self._arbs:
            raise ScpiError(-224, f"{name}: no such waveform in memory")
        self.tree.values["[SOURce#:]FUNCtion:ARBitrary", (i,)] = name

    def _selected(self, i):
        return self._arbs[_channel(i), self.tree.value("[SOURce#:]FUNCtion:ARBitrary", i, default="EXP_RISE")]

    def waveform(self, channel):
        """Points of the selected waveform, float64 (n,), -1 to 1."""
        return self._selected(channel)

    def _forget(self, i):
        self._arbs = {key: points for key, points in self._arbs.items() if key[0] != i or key[1] == "EXP_RISE"}
        self.tree.values.pop(("[SOURce#:]FUNCtion:ARBitrary", (i,)), None)

    def reset(self):
        self._period_s = {1: 1e-3, 2: 1e-3}
        for i in (1, 2):
            self._forget(i)


_AMPLITUDE, _OFFSET = "[SOURce#:]VOLTage", "[SOURce#:]VOLTage:OFFSet"
_WIDTH = "[SOURce#:]FUNCtion:PULSe:WIDTh"


def _channel(i):
    if i not in (1, 2):
        raise ScpiError(-114)
    return i
