import pytest
from fake_devices import TcpFake

from qkdlab.errors import BadInput
from qkdlab.instruments.agiltron_switch import connect
from qkdlab.instruments.errors import DeviceError


@pytest.mark.parametrize("acknowledges", [False, True])
def test_frames_of_four_bytes(acknowledges):
    state = {"port": 1, "stuck": False}

    def answer(frame):
        if frame == b"\x01\x11\x00\x00":
            return bytes([1, 0x11, 0, state["port"]])
        assert frame[:3] == b"\x01\x12\x00"
        state["port"] = state["port"] if state["stuck"] else frame[3]
        return frame if acknowledges else None

    with TcpFake(answer, size=4) as fake, connect(fake.address, ports=8) as switch:
        assert (switch.port, switch.ports) == (1, 8)
        switch.port = 8
        assert switch.port == 8 and b"\x01\x12\x00\x08" in fake.received
        with pytest.raises(BadInput, match="1 to 8"):
            switch.port = 9
        state["stuck"] = True
        with pytest.raises(DeviceError, match="port 2"):
            switch.port = 2
        assert fake.connections == 1
