import threading

import pytest
from dialogue import still

from qkdlab.calibration import Store, bias_scan
from qkdlab.instruments import thorlabs_mbx
from qkdlab.instruments.servers import SimulatedBench
from qkdlab.widgets import CalibrationPanel


@pytest.fixture
def lab(tmp_path):
    world = still()
    with SimulatedBench(world, ["thorlabs_mbx"]) as bench, \
            thorlabs_mbx.connect(bench.address("thorlabs_mbx"), simulated=True) as box:
        hold, begun = threading.Event(), threading.Event()
        hold.set()

        def scan(progress):
            def told(share, **reading):
                begun.set()
                hold.wait(120)
                progress(share, **reading)

            return bias_scan(box, box, reading="tap_power_w", from_v=-6, to_v=8, wait=world.clock.sleep, progress=told)

        def broken(progress):
            raise OSError("the plug is out")

        now = [None]
        import time

        panel = CalibrationPanel(Store(tmp_path / "store"), {"modulator bias": scan, "dark counts": broken},
                                 clock=lambda: time.time() + (now[0] or 0))
        panel.box, panel.hold, panel.begun, panel.later = box, hold, begun, now
        yield panel
        panel.live.close()


def test_from_missing_to_fresh_to_expired(lab):
    assert "–" in lab.table.value and "never calibrated" in lab.table.value and "never calibrated" in lab.blocked()
    lab.buttons["modulator bias"].click()
    assert lab.wait(120) and lab.error is None and lab.bar.value == 1
    assert "✓" in lab.table.value and "fresh" in lab.table.value and "half-wave voltage Vπ = 5.0" in lab.table.value
    assert "(simulated devices)" in lab.table.value
    assert len(lab._source.data["x"]) == 41 and lab._figure.xaxis[0].axis_label == "bias (V)"
    assert lab._figure.yaxis[0].axis_label == "power (W)"
    assert "dark counts" in lab.blocked()
    lab.later[0] = 4000
    lab.refresh()
    assert "✗" in lab.table.value and "out of date" in lab.blocked()


def test_a_stop_keeps_nothing_and_brings_the_device_back(lab):
    lab.hold.clear()
    lab.run("modulator bias")
    assert lab.begun.wait(120) and lab.running and lab.buttons["dark counts"].disabled
    lab.run("dark counts")
    assert "Another" in lab.line.value
    lab.stop_button.click()
    lab.hold.set()
    assert lab.wait(120) and "stopped" in lab.line.value and lab.store.all() == []
    assert lab.box.bias_mode == "auto null" and not lab.buttons["dark counts"].disabled


def test_a_failure_is_told_in_words(lab):
    lab.run("dark counts")
    assert lab.wait(120) and "the plug is out" in lab.line.value and isinstance(lab.error, OSError)
