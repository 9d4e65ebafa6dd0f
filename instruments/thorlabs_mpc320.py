"""Thorlabs MPC320 and MPC220 motorised paddles: the APT protocol (issue 25) over USB serial, 115200 baud."""

import struct
import typing

from qkdlab.instruments.errors import GarbledReply
from qkdlab.instruments.instrument import Instrument
from qkdlab.instruments.interfaces import PolarisationController
from qkdlab.instruments.parameters import parameter

__all__ = ["Apt", "Message", "ThorlabsMpc320", "connect"]

COUNTS_PER_DEGREE = 1370 / 170
HW_REQ_INFO, HW_GET_INFO, SET_ENABLED, REQ_ENABLED, GET_ENABLED = 0x0005, 0x0006, 0x0210, 0x0211, 0x0212
MOVE_HOME, MOVE_HOMED, MOVE_ABSOLUTE, MOVE_STOP = 0x0443, 0x0444, 0x0453, 0x0465
REQ_STATUS, GET_STATUS, POL_SET, POL_REQ, POL_GET = 0x0490, 0x0491, 0x0530, 0x0531, 0x0532
HOST, DEVICE = 0x01, 0x50


def connect(address, **settings):
    """The paddles at `address` (``serial:///dev/ttyUSB0?baud=115200&rtscts=1``)."""
    return ThorlabsMpc320(address, **settings)


class Message(typing.NamedTuple):
    """One APT message; `data` is empty in a short one, whose two bytes are `first` and `second`."""

    id: int
    first: int = 0
    second: int = 0
    data: bytes = b""


class Apt:
    """Six bytes of header, and data where the destination has its highest bit set; all little-endian."""

    def encode(self, message):
        if message.data:
            return struct.pack("<HHBB", message.id, len(message.data), DEVICE | 0x80, HOST) + message.data
        return struct.pack("<HBBBB", message.id, message.first, message.second, DEVICE, HOST)

    def read(self, connection, deadline):
        header = connection.read_exactly(6, deadline)
        number, first, second, destination, source = struct.unpack("<HBBBB", header)
        if destination & 0x7F != HOST:
            raise GarbledReply("not a message for the host", reply=header.hex(" "))
        size = first | second << 8
        return Message(number, data=connection.read_exactly(size, deadline)) if destination & 0x80 else \
            Message(number, first, second)

    def is_blank(self, rest):
        return True                                      # the device reports unasked; replies are told apart by their id


def _paddle(number):
    mask = 1 << number - 1                               # the third paddle is channel 4
    return parameter(get=lambda device: device.status(mask)[0] / COUNTS_PER_DEGREE,
                     set=lambda device, degrees: device.move(mask, degrees), unit="deg", low=0, high=170,
                     step=1 / COUNTS_PER_DEGREE,
                     help=f"angle of paddle {number}, in steps of 0.124 deg; returns when it is there")


class ThorlabsMpc320(Instrument):
    """Three paddles (two of the MPC220)."""

    kinds = (PolarisationController,)
    framing = Apt()
    actuators = ("paddle_1_deg", "paddle_2_deg", "paddle_3_deg")

    paddle_1_deg, paddle_2_deg, paddle_3_deg = (_paddle(number) for number in (1, 2, 3))
    velocity_percent = parameter(get=lambda device: device.polarisation()[1], unit="%", low=10, high=100,
                                 set=lambda device, percent: device.set_velocity(percent), help="of 400 degrees per second")

    def _identify(self, transport):
        info = transport.query(Message(HW_REQ_INFO), accept=lambda message: message.id == HW_GET_INFO).data
        if len(info) < 18:
            raise GarbledReply("84 bytes of information were expected", reply=info.hex(" "))
        serial, model = struct.unpack_from("<I8s", info)
        minor, interim, major = info[14:17]
        return f"Thorlabs,{model.rstrip(bytes(1)).decode('latin-1').strip()},{serial},{major}.{interim}.{minor}"

    def _request(self, number, first, answer, accept=lambda message: True):
        return self.transport.query(Message(number, first), accept=lambda m: m.id == answer and accept(m))

    def status(self, mask):
        """(position in counts, velocity, motor current in mA, status bits) of one channel."""
        reply = self._request(REQ_STATUS, mask, GET_STATUS, lambda m: m.data[:2] == struct.pack("<H", mask)).data
        return struct.unpack("<iHhI", reply[2:14])

    def move(self, mask, degrees, timeout_s=10.0):
        """Move one paddle and return when it is there, to one count."""
        target = round(degrees * COUNTS_PER_DEGREE)
        self.transport.write(Message(MOVE_ABSOLUTE, data=struct.pack("<Hi", mask, target)))
        self.wait_until(lambda: abs(self.status(mask)[0] - target) <= 1, timeout_s, f"moving to {degrees:g} deg")

    def home(self, timeout_s=30.0):
        """Find the origin of all paddles anew."""
        for mask in (1, 2, 4):
            self.transport.query(Message(MOVE_HOME, mask), timeout_s=timeout_s,
                                 accept=lambda m, mask=mask: m.id == MOVE_HOMED and m.first == mask)

    def polarisation(self):
        """(unused, velocity in %, home, jog steps of the three paddles in counts)."""
        return struct.unpack("<6H", self._request(POL_REQ, 0, POL_GET).data[:12])

    def set_velocity(self, percent):
        """Change the velocity and leave the other five numbers."""
        with self.transport.lock:
            unused, _, *rest = self.polarisation()
            self.transport.write(Message(POL_SET, data=struct.pack("<6H", unused, round(percent), *rest)))

    def enable(self, *numbers):
        """Let these paddles (1, 2, 3) be moved, and no others."""
        self.transport.write(Message(SET_ENABLED, sum(1 << number - 1 for number in numbers), 1))

    def safe_state(self):
        """The paddles stop."""
        for mask in (1, 2, 4):
            self.transport.write(Message(MOVE_STOP, mask, 2))
