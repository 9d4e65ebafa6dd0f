import binascii
import struct

import pytest
from fake_devices import TcpFake

from qkdlab.instruments.errors import DeviceError, GarbledReply
from qkdlab.instruments.meerstetter_tec import MeCom, connect


@pytest.mark.parametrize("device, sequence, payload, frame", [
    (0x7B, 0xEF32, "?VR03E8E6", b"#7BEF32?VR03E8E69AAD\r"),
    (0x7B, 0xEF32, "VS03E8E641C8CCCD", b"#7BEF32VS03E8E641C8CCCDE2C1\r"),
    (0xE6, 0xEA5F, "?VR07E57B", b"#E6EA5F?VR07E57BB3B5\r"),
    (0xE6, 0xEA5F, "VS07E57B00000019", b"#E6EA5FVS07E57B0000001958B0\r"),
])
def test_vectors_of_the_makers_calculator(device, sequence, payload, frame):
    assert MeCom(device, sequence).encode(payload) == frame
    assert struct.pack(">f", 25.1).hex().upper() == "41C8CCCD"


class Controller:
    def __init__(self):
        self.values = {1000: "41C8CCCD", 3000: "41C80000", 2010: "00000000", 1200: "00000002", 104: "00000002",
                       105: "00000000"}
        self.acknowledge_with_the_requests_crc, self.spoil = False, b""

    def __call__(self, frame):
        body, crc = frame[:-4], frame[-4:]
        assert crc == b"%04X" % binascii.crc_hqx(body, 0)
        head, payload = body[1:7], body[7:].decode()
        number = int(payload[3:7] if payload[0] == "?" else payload[2:6], 16)
        if number not in self.values:
            answer = "+05"
        elif payload.startswith("?VR"):
            answer = self.values[number]
        else:
            self.values[number], answer = payload[8:], ""
        reply = b"!" + head + answer.encode()
        if not answer and self.acknowledge_with_the_requests_crc:
            return reply + crc + b"\r"
        reply += b"%04X" % binascii.crc_hqx(reply, 0)
        return (reply.replace(self.spoil, b"0") if self.spoil else reply) + b"\r"


@pytest.fixture
def controller():
    return Controller()


@pytest.fixture
def fake(controller):
    with TcpFake(controller, end=b"\r") as fake:
        yield fake


@pytest.mark.parametrize("crc_of_the_request", [False, True])
def test_temperatures(fake, controller, crc_of_the_request):
    controller.acknowledge_with_the_requests_crc = crc_of_the_request
    with connect(fake.address, device=0x7B) as tec:
        assert tec.temperature_c == pytest.approx(25.1, abs=1e-6) and tec.target_c == 25
        tec.target_c = -20.5
        assert controller.values[3000] == struct.pack(">f", -20.5).hex().upper() and tec.target_c == -20.5
        assert tec.regulating is False and tec.stable is True and (tec.status, tec.error) == (2, 0)
        tec.regulating = True
        assert controller.values[2010] == "00000001"
        controller.values[1200] = "00000001"
        assert tec.stable is False
        heads = [frame[1:7] for frame in fake.received]
        assert len(set(heads)) == len(heads) and all(head.startswith(b"7B") for head in heads)


def test_errors_of_the_device_and_of_the_line(fake, controller):
    with connect(fake.address) as tec:
        del controller.values[1000]
        with pytest.raises(DeviceError, match="parameter not available"):
            _ = tec.temperature_c
        connections = fake.connections
        controller.spoil = b"41C8"
        with pytest.raises(GarbledReply, match="checksum"):
            _ = tec.target_c
        controller.spoil = b""
        assert tec.target_c == 25 and fake.connections == connections + 1
        controller.values[3000] = "41C8"
        with pytest.raises(DeviceError, match="8 hex digits"):
            _ = tec.target_c
        controller.values[3000] = "7FC00000"             # not a number
        with pytest.raises(DeviceError):
            _ = tec.target_c


def test_two_controllers_on_one_bus(fake):
    with connect(fake.address, device=2) as first, first.beside(device=3) as second:
        assert first.target_c == second.target_c == 25 and fake.connections == 1
        assert [frame[1:3] for frame in fake.received[-2:]] == [b"02", b"03"]
