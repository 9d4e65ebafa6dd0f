import pytest
from fake_devices import Script, TcpFake

from qkdlab.instruments.errors import DeviceError, InstrumentTimeout
from qkdlab.instruments.oz_epc import connect

VOLTAGES = b"Voltage(mV): CH1 +2200 CH2 +5000 CH3 -1000 CH4 -4000\r\nDone\r\n"


def test_voltages_frequencies_and_modes():
    script = Script([(b"V?\r", VOLTAGES), (b"V?\r", VOLTAGES), (b"V?\r", VOLTAGES), (b"V1,-2500\r", b"Done\r\n"),
                     (b"F?\r", b"Frequency(Hz): CH1 007  CH2 017  CH3 037  CH4 071\r\nDone\r\n"),
                     (b"F4,100\r", b"OK\r\nDone\r\n"), (b"MAC\r", b"Done\r\n"), (b"M?\r", b"Working Mode: AC\r\nDone\r\n"),
                     (b"MDC\r", b"Done\r\n"), (b"M?\r", b"Working Mode: DC\r\nDone\r\n")])
    with TcpFake(script) as fake, connect(fake.address) as controller:
        assert (controller.squeezer_1_v, controller.squeezer_4_v) == (2.2, -4.0)
        controller.squeezer_1_v = -2.5
        assert controller.frequency_4_hz == 71
        controller.frequency_4_hz = 100
        controller.mode = "scrambling"
        assert controller.mode == "scrambling"
        controller.mode = "fixed"
        assert controller.mode == "fixed"
        assert script.is_done() and fake.connections == 1
        assert all(name in controller.parameters() for name in controller.actuators)


def test_an_answer_without_its_done_is_none():
    with TcpFake(Script([(b"V?\r", VOLTAGES), (b"F?\r", b"Frequency(Hz): CH1 007\r\n")], {b"V?\r": VOLTAGES})) as fake:
        with connect(fake.address) as controller:
            patience_s, controller.transport.timeout_s = controller.transport.timeout_s, 0.1
            with pytest.raises(InstrumentTimeout):
                _ = controller.frequency_1_hz
            controller.transport.timeout_s = patience_s
            assert controller.squeezer_2_v == 5
    with TcpFake(lambda request: b"who?\r\nDone\r\n") as fake, pytest.raises(DeviceError, match="who"):
        connect(fake.address)
