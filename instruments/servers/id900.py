"""Time controller of the IDQ ID900 and ID1000 family: SCPI over ZeroMQ, raw tags through the vendor's data link.

Sources: vendor manual "Time Controller Series", chapters 8 and 9, and the vendor's published examples. Every command is
answered, perhaps with an empty message; the answers of one message come on lines of their own. Times are whole
picoseconds ("TB"). Of the combiners only passing on and muting is simulated, not their windows.
"""

import json
import math

import numpy as np

from .datalink import DataLink
from .device import FAULTS, OVER_TEMPERATURE
from .recorder import Recorder
from .scpi import ScpiDevice, ScpiError, word

__all__ = ["ID900", "SERVES", "device"]

SERVES = "time controller, IDQ ID900 (SCPI over ZeroMQ, tags as PAIR streams)"
REAL_PORT = 5555
_INFINITE = 9.9e37
_PULSE_V = 1.0                   # height of a detector's pulse at the input
_BLOCK = r"NONE, STARt, INPUt1..4, DELAy1..8, TSCOmbine1..16, GEN1..4"


def device(world, *, name="id900", **options):
    """An :class:`ID900` behind the detectors of a world: INPUt1..4 are key 0, key 1, test 0, test 1."""
    return ID900(world, name, **options)


def _integer(value):
    return "INF" if value >= _INFINITE else f"{value:.0f}"


class ID900(ScpiDevice):
    """Counters, delays, histograms and raw tags.

    Parameters
    ----------
    world : World
    name : str
    replay : sequence of TimeTags, optional
        Send these again and again, each as one sub-acquisition and as fast as they are taken, in place of new ones.
        Their channel numbers 0 to 3 are INPUt1 to INPUt4.
    buffer_tags : int
        Without sub-acquisitions tags are sent when so many have come together (the real box: some 1e8).
    folder : path-like
        Where the data link may save files.

    Attributes
    ----------
    services : dict
        The ``datalink``: the program that runs on the user's PC beside the real box (there on port 6060).
    """

    scheme = "zmq"
    identity = "IDQ,ID900,SIMULATED,2.1.0"
    joiner, terminator = "\n", b""
    faults = {**FAULTS, **OVER_TEMPERATURE, "lost": "the next `tags` raw tags are lost, and counted in RAW#:ERRORS?"}

    def __init__(self, world, name, replay=None, buffer_tags=1 << 24, folder="."):
        super().__init__(world, name)
        self.recorder = Recorder(self, buffer_tags, replay)
        self.link = DataLink(world, f"{name}:datalink", folder)
        self.services = {"datalink": self.link}
        self._counted = {}                       # input: (window or last time, counts)
        self.lost = dict.fromkeys(range(1, 5), 0)
        self._repeats = False
        self._commands()

    # ----------------------------------------------------------------------------------------------------- commands

    def _commands(self):
        tree = self.tree
        tree.choice("DEVIce:RESolution", ("HIRES",), default="HIRES")
        tree.query("DEVIce:RESolution:BWIDth", lambda: str(self.world.link.clock.tick_ps))
        tree.command("DEVIce:CONFIguration:LOAD", self._load)
        tree.command("DEVIce:SAMPling:RECAlibrate", lambda: self.clear("over_temperature"))
        for block, numbered in (("STARt", False), ("INPUt#", True)):
            self._input(block, (lambda *s: s[0]) if numbered else (lambda *s: 0))
        self._blocks()
        self._record()
        for pattern, shown in (("MINimum", 0), ("BWIDth", 100), ("BCOUnt", 1000)):
            tree.number(f"HISTogram#:{pattern}", unit="TB", default=shown, low=0 if pattern == "MINimum" else 1, step=1,
                        high=16383 if pattern == "BCOUnt" else _INFINITE, show=_integer)
        tree.query("HISTogram#:DATA", lambda i: json.dumps(self.recorder.histogram(i).tolist()))
        tree.command("HISTogram#:FLUSh", lambda i: self.recorder.flush(i))
        tree.query("HISTogram#:STATe", lambda i: self.recorder.stage)
        tree.query("RAW#:ERRORS", lambda i: str(self.reading(("lost", i), self.lost[i])))
        tree.command("RAW#:ERRORS:CLEAR", lambda i: self.lost.update({i: 0}))
        tree.flag("RAW#:SEND", show=lambda on: "ON" if on else "OFF")

    def _input(self, block, index):
        tree, on_off = self.tree, lambda on: "ON" if on else "OFF"
        tree.flag(f"{block}:ENABle", default=True, show=on_off)
        tree.number(f"{block}:THREshold", unit="V", default=0.1, low=-2.0, high=2.0, show="{:.3f}V".format)
        tree.choice(f"{block}:EDGE", ("RISING", "FALLING"), default="RISING")
        tree.choice(f"{block}:COUPling", ("AC", "DC"), default="DC")
        tree.choice(f"{block}:SELEct", ("UNSHAPED", "SHAPED"), default="UNSHAPED")
        tree.query(f"{block}:COUNter", lambda *s: str(self._count(index(*s))))
        tree.choice(f"{block}:COUNter:MODE", ("ACCUm", "CYCLe"), default="CYCL")
        tree.number(f"{block}:COUNter:INTEgrationtime", default=1e9, low=1e6, high=1e12, step=1, show=_integer)
        tree.command(f"{block}:RESEt", lambda *s: self._counted.pop(index(*s), None))
        tree.query(f"{block}:HIRES:ERROR", lambda *s: str(self._hires_error(index(*s))))
        tree.command(f"{block}:HIRES:ERROR:CLEAR", lambda *s: None)

    def _blocks(self):
        tree = self.tree
        tree.number("DELAy#:VALUe", unit="TB", default=0, low=0, high=1e12, step=1, show=_integer)
        for pattern in ("DELAy#:LINK", "TSCOmbine#:FIRst:LINK", "TSCOmbine#:WINDow:BEGIn:LINK", "TSCOmbine#:WINDow:END:LINK",
                        "GEN#:TRIGger:LINK", "HISTogram#:REF:LINK", "HISTogram#:STOP:LINK", "HISTogram#:ENABle:LINK",
                        "RAW#:REF:LINK", "RAW#:STOP:LINK"):
            tree.text(pattern, set=lambda i, name, p=pattern: self._wire(p, i, name),
                      get=lambda i, p=pattern: self.wired(p, i))
        tree.choice("TSCOmbine#:OPIN", ("ONLYFIR",), default="ONLYFIR")
        tree.choice("TSCOmbine#:OPOUt", ("ONLYFIR", "MUTE"), default="ONLYFIR")
        tree.flag("TSCOmbine#:WINDow:ENABle", show=lambda on: "ON" if on else "OFF")
        for end in ("BEGIn", "END"):
            tree.number(f"TSCOmbine#:WINDow:{end}:DELAy", unit="TB", default=0, low=0, high=1e12, step=1, show=_integer)
            tree.choice(f"TSCOmbine#:WINDow:{end}:EDGE", ("RISING", "FALLING"), default="RISING")
        tree.number("GEN#:PPERiod", unit="TB", default=1e6, low=1000, high=1e15, step=1, show=_integer)
        tree.number("GEN#:PWIDth", unit="TB", default=1e5, low=100, high=1e15, step=1, show=_integer)
        tree.number("GEN#:PNUMber", default=_INFINITE, low=1, high=_INFINITE, show=_integer)
        tree.command("GEN#:PLAY", lambda i: tree.values.update({("GEN", (i,)): True}))
        tree.command("GEN#:STOP", lambda i: tree.values.pop(("GEN", (i,)), None))

    def _record(self):
        tree = self.tree
        tree.choice("RECord:TRIGger:ARM:MODE", ("MANUal",), default="MANU")
        tree.flag("RECord:ENABle", show=lambda on: "ON" if on else "OFF")
        tree.number("RECord:NUMber", default=1, low=1, high=_INFINITE, show=_integer)
        for name, low in (("DURation", 1e9), ("PWIDth", 2e11), ("PPERiod", 2e11)):
            tree.number(f"RECord:{name}", unit="TB", default=1e12, low=low, high=_INFINITE, step=1, show=_integer,
                        set=lambda value, n=name: self._timing(n, value),
                        get=lambda n=name: tree.value(f"RECord:{n}", default=1e12))
        tree.command("RECord:PLAY", self._play)
        tree.command("RECord:STOP", self.recorder.stop)
        tree.query("RECord:STAGe", lambda: self.recorder.stage)

    def _timing(self, name, value):
        self.tree.values[f"RECord:{name}", ()] = value
        self._repeats = name != "DURation"

    def _play(self):
        value = self.tree.value
        if not value("RECord:ENABle", default=False):
            raise ScpiError(-221, "RECord:ENABle is OFF")
        times, width_ps = value("RECord:NUMber", default=1), value("RECord:DURation", default=1e12)
        period_ps = width_ps
        if self._repeats:
            width_ps, period_ps = (value(f"RECord:{n}", default=1e12) for n in ("PWIDth", "PPERiod"))
            if period_ps < width_ps + 40_000:
                raise ScpiError(-221, "PPERiod must be 40 ns above PWIDth")
        if width_ps >= _INFINITE:
            width_ps = math.inf
        self.recorder.play(width_ps, period_ps, math.inf if times >= _INFINITE else int(times), self._repeats)

    def _load(self, preset):
        word(preset, ("COUNT",))
        self._reset()

    def _wire(self, pattern, index, name):
        self.tree.values[pattern, (index,)] = _block(name)

    def wired(self, pattern, index):
        """The block that an input of another block is linked to."""
        # The vendor's examples record without naming the stop: a raw output has its own input from the start.
        own = f"INPU{index}" if pattern == "RAW#:STOP:LINK" else "NONE"
        return self.tree.value(pattern, index, default=own)

    def value(self, pattern, *suffixes, default=None):
        """A setting, for the recorder."""
        return self.tree.value(pattern, *suffixes, default=default)

    # ------------------------------------------------------------------------------------------------- what it sees

    def seen(self, index):
        """Whether pulses of an input (0: STARt) are counted at all."""
        block, suffix = ("INPUt#", (index,)) if index else ("STARt", ())
        height = self.value(f"{block}:THREshold", *suffix, default=0.1)
        return self.value(f"{block}:ENABle", *suffix, default=True) and 0.005 < height < _PULSE_V

    def _rates(self, seconds):
        """Counts of STARt and INPUt1..4 over so long, drawn."""
        start = seconds * self.world.link.source.clock_hz / self.recorder.frame_slots
        return np.array([round(start), *self.world.counts(seconds, self.rng)])

    def _count(self, index):
        block, suffix = ("INPUt#", (index,)) if index else ("STARt", ())
        if not 0 <= index <= 4:
            raise ScpiError(-114)
        clock = self.world.clock
        span_s = self.value(f"{block}:COUNter:INTEgrationtime", *suffix, default=1e9) * 1e-9
        if clock.speed == 0:
            clock.advance(span_s)
        if self.value(f"{block}:COUNter:MODE", *suffix, default="CYCL") == "CYCL":
            window = math.floor(clock.now() / span_s + 1e-9)
            if self._counted.get(index, (None,))[0] != window:
                self._counted[index] = window, self._rates(span_s)[index]
        else:
            since, before = self._counted.get(index, (clock.now() - span_s, 0))
            self._counted[index] = clock.now(), before + self._rates(max(0.0, clock.now() - since))[index]
        return int(self.reading(("count", index), self._counted[index][1] if self.seen(index) else 0))

    def _hires_error(self, index):
        if self.broken("over_temperature") is not None:
            return 1
        return 1001 if index and self.world.rates().click_hz[index - 1] > 25e6 else 0

    def reset(self):
        self.recorder.stop()
        self._counted.clear()
        self._repeats = False

    def close(self):
        self.recorder.close()
        self.link.close()


def _block(name):
    """The name of a block in its short form, ``INPU2``."""
    text = name.upper()
    head, digits = text.rstrip("0123456789"), text[len(text.rstrip("0123456789")) :]
    for known, last in (("NONE", 0), ("STARt", 0), ("INPUt", 4), ("DELAy", 8), ("TSCOmbine", 16), ("GEN", 4)):
        short = "".join(c for c in known if not c.islower())
        if head in (short, known.upper()) and (bool(digits) == bool(last)) and (not digits or 1 <= int(digits) <= last):
            return short + digits
    raise ScpiError(-224, f"{name}: {_BLOCK}")
