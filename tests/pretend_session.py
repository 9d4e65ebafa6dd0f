"""A session that makes up its numbers: for tests of widgets, which need events but no physics."""

import math
import threading
import time
from dataclasses import dataclass

import numpy as np

from qkdlab.datatypes import DistillSettings, Event, SourceSettings
from qkdlab.settings import Settings, setting

# the values of events that a figure, a log and a readout are tested with
BLOCK = {
    "time_s": 0.5, "tags": 150_000, "rates_hz": [1e5, 9e4, 1e4, 2e4], "qber_test": 0.02, "qber_low": 0.01, "qber_high": 0.03,
    "gains": [1e-2, 2e-3, 0.0], "gains_expected": [1.1e-2, 2.1e-3, 1e-6], "sifted_key_bits": 1000,
    "sifted_test_bits": 100, "s1": 600.0, "phase_error": 0.04, "key_length": 0, "signed_length": -250.0, "reason": "x",
}
NOTHING = BLOCK | {"rates_hz": [0.0] * 4, "qber_test": None, "qber_low": None, "qber_high": None, "gains": [0.0] * 3,
                   "gains_expected": None, "sifted_key_bits": 0, "s1": None, "phase_error": None, "key_length": 0,
                   "signed_length": None, "time_s": 0.0}
PHASE = np.arange(-500.0, 500, 10)
CLOCK = {"locked": True, "gate_ps": 400, "phase_ps": PHASE, "histogram": np.tile(np.arange(100), (4, 1))}


def shown_by(plot, *events):
    """Feed events, (step, values), to a live plot; gives its columns by the source's name."""
    from qkdlab.widgets.live import feed
    from qkdlab.widgets.live_figure import LiveFigure

    live = LiveFigure(plot.figure)
    for step, values in events:
        feed(live, [plot], Event(step, 0, values))
    live.close()
    return {r.data_source.name: r.data_source.data for r in plot.figure.renderers if r.data_source.name}


@dataclass(frozen=True, slots=True)
class PretendChannel(Settings):
    distance_km: float = setting(20.0, help="length of the fibre", unit="km", low=0)


@dataclass(frozen=True, slots=True)
class PretendEve(Settings):
    intercept_fraction: float = setting(0.0, help="share of the pulses she measures and sends on", low=0, high=1)


class PretendLink:
    """What a workbench sees of a simulated link."""

    def __init__(self):
        self.source, self.channel, self.eve = SourceSettings(), PretendChannel(), PretendEve()

    def update(self, **parts):
        for name, value in parts.items():
            setattr(self, name, value)


class PretendSession:
    """Emits one made-up block every `pause_s`."""

    def __init__(self, source=None, pause_s=0.02):
        self.source = source or PretendLink()
        self.distill = DistillSettings(block_key_bits=400_000)
        self.report, self._callbacks, self._pause_s = None, [], pause_s
        self._stop, self._go, self._thread = threading.Event(), threading.Event(), None
        self._rng = np.random.default_rng(7)

    @property
    def running(self):
        return self._thread is not None and self._thread.is_alive()

    def subscribe(self, callback):
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    def emit(self, step, block=0, **values):
        for callback in list(self._callbacks):
            callback(Event(step, block, values))

    def start(self, seconds=None):
        self._stop.clear()
        self._go.set()
        self._thread = threading.Thread(target=self._work, args=(seconds,), daemon=True)
        self._thread.start()

    def stop(self):
        self._stop.set()
        self._go.set()

    def pause(self):
        self._go.clear()

    def resume(self):
        self._go.set()

    def wait(self, timeout=None):
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _work(self, seconds):
        self.emit("start", title="20 km of fibre, made up", simulated=True)
        phase = np.arange(-400.0, 400.0, 10.0)
        shape = np.exp(-0.5 * (phase / 90) ** 2)
        sifted, k = 0, 0
        while not self._stop.is_set() and (seconds is None or 0.1 * k < seconds):
            self._go.wait()
            k += 1
            histogram = self._rng.poisson(1200 * k * shape * np.array([[1], [0.9], [0.12], [0.1]]) + 2 * k)
            self.emit("clock", k, locked=True, rate_hz=1e8, offset_ppm=2.31, visibility=0.97, jitter_ps=92.0,
                      gate_ps=440.0, reason=None, phase_ps=phase, histogram=histogram)
            sifted += 12_000
            self.emit("block", k, **self._block(k, sifted))
            time.sleep(self._pause_s)
        for rounds in range(1, 97):
            self.emit("reconcile", leak_bits=48_231 * rounds // 96, rounds=rounds)
        self.emit("amplify", secret_bits=91_337, reason=None)
        self.report = {"secret_bits": 91_337, "alice_key_sha256": "ab" * 32, "bob_key_sha256": "ab" * 32,
                       "qber_key": 0.02, "qber_test": 0.021, "reason": None}
        self.emit("end", report=self.report)

    def _block(self, k, sifted):
        loss = 10 ** (-0.02 * self.source.channel.distance_km)
        q = 0.021 + 0.23 * self.source.eve.intercept_fraction + self._rng.normal() * 0.01 / math.sqrt(k)
        signed = 0.45 * sifted - 60_000 - 4e6 * max(0, q - 0.03)
        model = [1 - math.exp(-0.2 * loss * mu) + 2e-6 for mu in self.source.source.intensities]
        return {"time_s": 0.1 * k, "rates_hz": [60e3 * loss * f * self._rng.normal(1, 0.02)
                                                for f in (1, 0.95, 0.12, 0.11)],
                "qber_test": q, "qber_low": q - 0.02 / math.sqrt(k), "qber_high": q + 0.02 / math.sqrt(k),
                "gains": [g * self._rng.normal(1, 0.03) for g in model], "gains_expected": model,
                "sifted_key_bits": sifted, "sifted_test_bits": sifted // 10, "s1": 0.85 * sifted,
                "phase_error": 0.04, "key_length": max(0, int(signed)), "signed_length": signed,
                "leak_bits": 0.16 * sifted, "pa_bits": 200.0, "cor_bits": 51.0,
                "reason": None if signed > 0 else f"{int(-signed)} bits short of a key after the finite-size terms"}
