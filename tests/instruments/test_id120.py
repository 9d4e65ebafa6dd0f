
import pytest
from fake_devices import Script, TcpFake, until

from qkdlab.instruments.id120 import connect


def test_the_tree_of_commands():
    script = Script([(b"BIAS:VOLTAGE 55120000", b""), (b"BIAS:VOLTAGE?", b"55120000\n"), (b"THRESHOLD:VOLTAGE 100000", b""),
                     (b"DEADTIME:TIME 1000", b""), (b"DEADTIME:TIME?", b"1000\n"), (b"REG:TEMP_SET_POINT -40000", b""),
                     (b"REG:MEASURED_TEMP?", b"-39950\n"), (b"REG:RUN TRUE", b""), (b"REG:RUN?", b"TRUE\n"),
                     (b"REG:STATE?", b"RUNNING\n"), (b"BIAS:ERROR_STATUS?", b"FALSE\n"),
                     (b"INFO:BIAS_BREAKDOWN_VOLTAGE?", b"53000000\n"), (b"COUNTERS:INTEGRATION_TIME 200", b""),
                     (b"COUNTERS:DETECTION_FREQ?", b"12345\n"), (b"COUNTERS:DETECTION_COUNT?", b"2469\n"),
                     (b"BIAS:VOLTAGE 0", b"")], {b"*IDN?": b"IDQuantique,ID120,002008,1.0\n"})
    with TcpFake(script) as fake:
        with connect(fake.address) as detector:
            detector.bias_v = 55.12
            assert detector.bias_v == 55.12
            detector.set(threshold_v=0.1, dead_time_s=1e-3)
            assert detector.dead_time_s == 1e-3
            detector.target_c = -40
            assert detector.temperature_c == pytest.approx(-39.95)
            detector.running = True
            assert detector.running is True and detector.state == "RUNNING" and detector.bias_error is False
            assert detector.breakdown_v == 53
            detector.integration_time_s = 0.2
            assert (detector.count_rate_hz, detector.counts) == (12345, 2469)
        until(lambda: not script.pairs)
        assert script.is_done()
