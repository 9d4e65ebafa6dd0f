"""TEC controller Meerstetter TEC-1091 and its family: the MeCom protocol, over TCP 50000 or a serial line.

Sources: the vendor's web tool (frames with their checksums) and the vendor's published code (an acknowledgement repeats
the checksum of the command); parameters 104 and 105 read there, 1000, 3000, 2010 and 1200 from memory of document 5136.
"""

import binascii
import re
import struct

from .device import FAULTS, OVER_TEMPERATURE, Device

__all__ = ["MeerstetterTEC", "SERVES", "checksum", "device"]

SERVES = "TEC controller, Meerstetter TEC-1091 (MeCom frames)"
REAL_PORT = 50000
_NO_COMMAND, _FORMAT, _UNKNOWN, _READ_ONLY, _RANGE, _INSTANCE = 1, 4, 5, 6, 7, 8
_READY, _RUN, _ERROR = 1, 2, 3
_HOTTEST_C, _OVERHEATED = 80.0, 70           # error number of an object that is too hot: ours


def device(world, *, name="meerstetter_tec", **options):
    """A :class:`MeerstetterTEC` under the transmitter of a world; its output is off after power-on."""
    return MeerstetterTEC(world, name, **options)


def checksum(data):
    """CRC-16/XMODEM as four hexadecimal digits."""
    return b"%04X" % binascii.crc_hqx(data, 0)


class _Refusal(Exception):
    pass


class MeerstetterTEC(Device):
    """One channel that heats and cools the transmitter.

    Parameters
    ----------
    world : World
    name : str
    address : int
        It also answers to address 0.
    """

    faults = {**FAULTS, **OVER_TEMPERATURE}

    def __init__(self, world, name, address=2):
        super().__init__(world, name)
        self._address, self._target_c, self._on, self._error = address, 25.0, False, 0
        # number: (is a float, how to read, how to write, lowest, highest)
        self._parameters = {
            100: (False, lambda: 1091, None, 0, 0), 101: (False, lambda: 100, None, 0, 0),
            102: (False, lambda: 10_001, None, 0, 0), 103: (False, lambda: 600, None, 0, 0),
            104: (False, self._status, None, 0, 0), 105: (False, lambda: self._error, None, 0, 0),
            1000: (True, lambda: self.reading("temperature", world.temperature.value), None, 0, 0),
            1200: (False, self._stable, None, 0, 0),
            2010: (False, lambda: int(self._on), self._switch, 0, 1),
            3000: (True, lambda: self._target_c, self._aim, -50.0, 150.0),
        }

    # ------------------------------------------------------------------------------------------------------- bytes

    def frames(self, buffer):
        *frames, rest = bytes(buffer).split(b"\r")
        buffer[:] = rest
        return [frame[frame.find(b"#") :] for frame in frames if b"#" in frame]

    def answer(self, frame):
        match = re.fullmatch(rb"#([0-9A-Fa-f]{2})([0-9A-Fa-f]{4})(.*)([0-9A-Fa-f]{4})", frame, re.S)
        if match is None or checksum(frame[:-4]) != match[4].upper():
            return b""                           # a frame that arrived broken is not answered
        if int(match[1], 16) not in (0, self._address):
            return b""
        head = b"!" + match[1] + match[2]
        try:
            payload = self._run(match[3].decode("latin-1"))
        except _Refusal as refusal:
            payload = b"+%02X" % refusal.args[0]
        if payload is None:
            return head + match[4] + b"\r"
        return head + payload + checksum(head + payload) + b"\r"

    def _run(self, payload):
        """The answer to a command, None for an acknowledgement."""
        if payload == "?IF":
            return b"TEC-1091 SW v6.00".ljust(20)
        match = re.fullmatch(r"(\?VR|VS)([0-9A-Fa-f]{4})([0-9A-Fa-f]{2})([0-9A-Fa-f]{8})?", payload)
        if match is None:
            raise _Refusal(_FORMAT if payload.startswith(("?VR", "VS")) else _NO_COMMAND)
        verb, number, instance, value = match.groups()
        if int(number, 16) not in self._parameters:
            raise _Refusal(_UNKNOWN)
        if int(instance, 16) != 1:
            raise _Refusal(_INSTANCE)
        if (value is None) != (verb == "?VR"):
            raise _Refusal(_FORMAT)
        floats, read, write, low, high = self._parameters[int(number, 16)]
        kind = ">f" if floats else ">i"
        if verb == "?VR":
            return struct.pack(kind, read()).hex().upper().encode()
        if write is None:
            raise _Refusal(_READ_ONLY)
        value = struct.unpack(kind, bytes.fromhex(value))[0]
        if not low <= value <= high:
            raise _Refusal(_RANGE)
        write(value)
        return None

    # -------------------------------------------------------------------------------------------------------- what

    def _switch(self, on):
        self._on = bool(on)
        self.world.cool(self._on, self._target_c)

    def _aim(self, celsius):
        self._target_c = celsius
        if self._on:
            self.world.cool(True, celsius)

    def _status(self):
        if self.world.temperature.value > _HOTTEST_C:
            self._error = _OVERHEATED
            self._switch(False)
        return _ERROR if self._error else _RUN if self._on else _READY

    def _stable(self):
        """0: not regulating, 1: not there yet, 2: stable."""
        if not self._on:
            return 0
        return 2 if abs(self.world.temperature.value - self._target_c) < 0.1 else 1

    def failed(self, kind, options):
        if kind == "over_temperature":
            self.world.temperature.jump(options.get("celsius", 95.0))
            self._status()

    def repaired(self, kind):
        if kind == "over_temperature":
            self._error = 0
