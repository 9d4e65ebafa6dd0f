"""Meerstetter temperature controllers: MeCom frames over serial (57600 baud) or TCP (port 50000).

A frame is ``#``, address (2 hex digits), sequence (4), payload, CRC-16/XMODEM (4) over all before it, CR; a reply begins
with ``!``. Checked with the vectors of the maker's own calculator. The numbers of the parameters 1000, 1200, 2010, 3000
are from memory of the maker's document 5136; 104 and 105 were read there.
"""

import binascii
import itertools
import struct

from qkdlab.instruments.errors import DeviceError, GarbledReply
from qkdlab.instruments.instrument import Instrument
from qkdlab.instruments.interfaces import TemperatureController
from qkdlab.instruments.parameters import parameter

__all__ = ["MeCom", "MeerstetterTec", "connect"]

ERRORS = {1: "command not available", 2: "busy", 3: "communication error", 4: "format error",
          5: "parameter not available", 6: "parameter is read-only", 7: "value out of range", 8: "instance not available"}


def connect(address, *, device=0, instance=1, **settings):
    """Channel `instance` of the controller with the bus address `device`."""
    return MeerstetterTec(address, device=device, instance=instance, **settings)


class MeCom:
    """Frames to one device on the bus."""

    def __init__(self, device, sequence=0):
        self._device, self._numbers = device, itertools.count(sequence)

    def encode(self, payload):
        self._head = f"{self._device:02X}{next(self._numbers) & 0xFFFF:04X}"
        body = f"#{self._head}{payload}".encode("ascii")
        self._crc = b"%04X" % binascii.crc_hqx(body, 0)
        return body + self._crc + b"\r"

    def read(self, connection, deadline):
        frame = connection.read_until(b"\r", deadline)[:-1].lstrip(b"\n")
        body, crc = frame[:-4], frame[-4:].upper()
        if body[:1] != b"!" or body[1:7].decode("latin-1").upper() != self._head:
            raise GarbledReply(f"an answer to {self._head} was expected", reply=frame)
        # The acknowledgement of a set, which has no payload, may carry the checksum of the request.
        if crc != b"%04X" % binascii.crc_hqx(body, 0) and not (len(body) == 7 and crc == self._crc):
            raise GarbledReply("the checksum is wrong", reply=frame)
        payload = body[7:].decode("latin-1")
        if payload.startswith("+"):
            raise DeviceError(ERRORS.get(int(payload[1:], 16), "an unknown error"), reply=payload)
        return payload

    def is_blank(self, rest):
        return not rest.strip(b"\r\n")


def _value(number, form):
    """Functions that read and set parameter `number`, a float or an int by the struct code `form`."""
    def get(device):
        reply = device.ask(f"?VR{number:04X}{device.places['instance']:02X}")
        try:
            return struct.unpack(">" + form, bytes.fromhex(reply))[0]
        except (ValueError, struct.error):
            raise DeviceError("8 hex digits were expected", device=device.name, reply=reply) from None

    def set(device, value):
        packed = struct.pack(">" + form, int(value) if form == "i" else value)
        device.ask(f"VS{number:04X}{device.places['instance']:02X}{packed.hex().upper()}")

    return get, set


class MeerstetterTec(Instrument):
    """One cooler with its loop."""

    kinds = (TemperatureController,)
    places = {"device": 0, "instance": 1}

    temperature_c = parameter(get=_value(1000, "f")[0], unit="degC", help="temperature of the object")
    target_c = parameter(get=_value(3000, "f")[0], set=_value(3000, "f")[1], unit="degC", low=-50, high=150,
                         help="temperature to keep")
    regulating = parameter(bool, get=lambda device: str(_value(2010, "i")[0](device)), set=_value(2010, "i")[1],
                           help="current flows through the cooler")
    stable = parameter(bool, get=lambda device: _value(1200, "i")[0](device) == 2, help="the temperature has settled")
    status = parameter(int, get=_value(104, "i")[0], help="state of the device as a number")
    error = parameter(int, get=_value(105, "i")[0], help="number of the present error; 0: none")

    def _prepare(self):
        self.framing = MeCom(self.places["device"])

    def ask(self, text):
        return self.transport.query(text, framing=self.framing)          # devices on one bus share the line

    def _identify(self, transport):
        transport.query(f"?VR{104:04X}{1:02X}")
        return f"Meerstetter,TEC,{self.places['device']}"        # the number on the bus: no more was found to ask

    def safe_state(self):
        """The loop goes on: what it cools is safest at its temperature."""
