import struct

import pytest
from fake_devices import TcpFake

from qkdlab.errors import BadInput
from qkdlab.instruments.errors import GarbledReply, InstrumentTimeout
from qkdlab.instruments.thorlabs_mpc320 import Apt, Message, connect

INFO = struct.pack("<I8sH4s60sHHH", 38000123, b"MPC320", 44, bytes([3, 0, 1, 0]), bytes(60), 1, 0, 3)


def long(number, data):
    return struct.pack("<HHBB", number, len(data), 0x81, 0x50) + data


class Paddles:
    """Answers as the protocol's document has it; reports unasked when a move is over."""

    def __init__(self):
        self.at, self.velocity, self.sent, self.stuck = {1: 0, 2: 0, 4: 0}, 50, [], False

    def __call__(self, request):
        number, first, _, destination, source = struct.unpack("<HBBBB", request[:6])
        self.sent.append(request)
        assert destination & 0x7F == 0x50 and source == 1
        if number == 0x0005:
            return long(0x0006, INFO)
        if number == 0x0490:
            return long(0x0464, bytes(14)) + long(0x0491, struct.pack("<HiHhI", first, self.at[first], 0, 0, 0))
        if number == 0x0453:
            mask, position = struct.unpack("<Hi", request[6:])
            if not self.stuck:
                self.at[mask] = position
            return long(0x0464, struct.pack("<HiHhI", mask, position, 0, 0, 0))
        if number == 0x0443:
            self.at[first] = 0
            return struct.pack("<HBBBB", 0x0444, first, 0, 1, 0x50)
        if number == 0x0531:
            return long(0x0532, struct.pack("<6H", 0, self.velocity, 685, 10, 20, 30))
        if number == 0x0530:
            self.velocity = struct.unpack("<6H", request[6:])[1]
        return None


@pytest.fixture
def paddles():
    return Paddles()


@pytest.fixture
def fake(paddles):
    with TcpFake(paddles) as fake:
        fake._cut = lambda rest: (None if len(rest) < 6 or len(rest) < _length(rest) else _length(rest))
        fake.size = 6                                    # requests are passed on whole
        yield fake


def _length(rest):
    return 6 + (rest[2] | rest[3] << 8 if rest[4] & 0x80 else 0)


def test_headers_of_the_protocols_document():
    assert Apt().encode(Message(0x0005)) == bytes.fromhex("05 00 00 00 50 01")
    assert Apt().encode(Message(0x0443, 1)) == bytes.fromhex("43 04 01 00 50 01")
    assert Apt().encode(Message(0x0453, data=struct.pack("<Hi", 1, 200000))) == bytes.fromhex(
        "53 04 06 00 D0 01 01 00 40 0D 03 00")          # the document's move to 200000, with this device's address


def test_paddles(fake, paddles):
    with connect(fake.address) as controller:
        assert controller.identity() == "Thorlabs,MPC320,38000123,1.0.3"
        controller.paddle_1_deg = 85
        controller.paddle_3_deg = 170
        assert paddles.at == {1: 685, 2: 0, 4: 1370}     # the third paddle is channel 4
        assert controller.paddle_1_deg == 85 and controller.paddle_3_deg == 170
        assert controller.velocity_percent == 50
        controller.velocity_percent = 100
        assert controller.velocity_percent == 100
        controller.home()
        assert paddles.at == {1: 0, 2: 0, 4: 0}
        controller.enable(1, 3)
        assert controller.paddle_2_deg == 0 and bytes.fromhex("10 02 05 01 50 01") in paddles.sent
        for wrong in (-1, 171):
            with pytest.raises(BadInput, match="0 to 170 deg"):
                controller.paddle_2_deg = wrong
        assert fake.connections == 1


def test_a_paddle_that_does_not_arrive(fake, paddles):
    with connect(fake.address) as controller:
        paddles.stuck = True
        with pytest.raises(InstrumentTimeout, match="moving to 10 deg"):
            controller.move(1, 10, timeout_s=0.1)


def test_a_message_for_somebody_else():
    with TcpFake(lambda request: bytes.fromhex("06 00 00 00 22 50"), size=6) as fake:
        with pytest.raises(GarbledReply):
            connect(fake.address)
