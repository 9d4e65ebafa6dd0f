"""Single-photon detector IDQ ID120: USB-TMC text, here on a socket.

Source: a public driver; no manual was found. Voltages are in microvolt, temperatures in thousandths of degC, integration
times in ms. The dead time runs from 40 to 1 000 000 in steps of 40: the driver says microseconds, so that is the default
here; a diode that recovers within nanoseconds would hardly wait for a second, so `dead_time_unit_s` can be 1e-9.
``<X>:CAPABILITY?`` is answered with lowest, highest and step; its real form is not known.
"""

from .device import FAULTS, OVER_TEMPERATURE
from .scpi import ScpiDevice, number

__all__ = ["ID120", "SERVES", "device"]

SERVES = "single-photon detector, IDQ ID120 (SCPI-like; bias, temperature, dead time, threshold)"
_HOT_C = 40.0


def device(world, *, name="id120", **options):
    """An :class:`ID120` that sets the receiver's diodes, all alike."""
    return ID120(world, name, **options)


class ID120(ScpiDevice):
    """The head of the receiver. Its counter adds the four diodes.

    Parameters
    ----------
    world : World
    name : str
    dead_time_unit_s : float
    """

    identity = "IDQ,ID120-500-800nm,SIMULATED,1.0.2"
    faults = {**FAULTS, **OVER_TEMPERATURE}

    def __init__(self, world, name, dead_time_unit_s=1e-6):
        super().__init__(world, name)
        self._head, self._unit_ps, self._integration_ms, self._counted = world.head, dead_time_unit_s * 1e12, 1000, (-1, 0)
        head, tree = self._head, self.tree
        self._setting("THRESHOLD:VOLTAGE", 0, 1_047_000, 500, lambda: head.threshold_v * 1e6,
                      lambda v: setattr(head, "threshold_v", v * 1e-6))
        self._setting("DEADTIME:TIME", 40, 1_000_000, 40, lambda: max(40.0, head.dead_time_ps / self._unit_ps),
                      lambda v: setattr(head, "dead_time_ps", round(v * self._unit_ps)))
        self._setting("BIAS:VOLTAGE", 0, 250_000_000, 80_000, lambda: head.bias_v * 1e6,
                      lambda v: setattr(head, "bias_v", v * 1e-6))
        self._setting("COUNTERS:INTEGRATION_TIME", 1, 100_000, 1, lambda: self._integration_ms,
                      lambda v: setattr(self, "_integration_ms", int(v)))
        self._setting("REG:TEMP_SET_POINT", -50_000, -10_000, 1, lambda: head.set_point_c * 1e3,
                      lambda v: head.cool(head.cooling, v * 1e-3))
        tree.query("BIAS:ERROR_STATUS", lambda: str(int(self._hot)))
        tree.query("COUNTERS:DETECTION_FREQ", lambda: str(round(self._count() * 1000 / self._integration_ms)))
        tree.query("COUNTERS:DETECTION_COUNT", lambda: str(self._count()))
        tree.query("REG:MEASURED_TEMP", lambda: f"{self.reading('temperature', head.temperature.value * 1e3):.0f}")
        tree.command("REG:RUN", lambda on: head.cool(_true(on)))
        tree.query("REG:RUN", lambda: "TRUE" if head.cooling else "FALSE")
        tree.query("REG:STATE", self._state)
        tree.choice("OUTPUT#:POLARITY", ("POSITIVE", "NEGATIVE"), default="POSITIVE")
        tree.query("INFO:PRODUCT_NAME", lambda: "ID120")
        tree.query("INFO:BIAS_BREAKDOWN_VOLTAGE", lambda: f"{head.breakdown_v * 1e6:.0f}")

    def _setting(self, pattern, low, high, step, get, set):
        self.tree.number(pattern, default=low, low=low, high=high, step=step, show="{:.0f}".format, get=get, set=set)
        self.tree.query(f"{pattern}:CAPABILITY", lambda: f"{low},{high},{step}")

    @property
    def _hot(self):
        return self._head.temperature.value > _HOT_C

    def _state(self):
        if self._hot:
            return "ERROR"
        near = abs(self._head.temperature.value - self._head.set_point_c) < 0.5
        return "OFF" if not self._head.cooling else "STABLE" if near else "RUNNING"

    def _count(self):
        """Of the last full integration time."""
        clock, span_s = self.world.clock, self._integration_ms * 1e-3
        if clock.speed == 0:
            clock.advance(span_s)
        window = int(clock.now() / span_s + 1e-9)
        if window != self._counted[0]:
            self._counted = window, int(self.world.counts(span_s, self.rng).sum())
        return int(self.reading("count", self._counted[1]))

    def failed(self, kind, options):
        if kind == "over_temperature":
            self._head.temperature.jump(options.get("celsius", 55.0))


def _true(text):
    return text.strip().upper() == "TRUE" or (text.strip().upper() != "FALSE" and number(text) != 0)
