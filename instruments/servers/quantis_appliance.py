"""Random-number appliance IDQ Quantis Appliance: HTTP, ``/api/2.0/streambytes?size=N`` and relatives.

Source: three public clients. The real one speaks HTTPS; this one speaks HTTP on loopback, and its numbers come from a
seeded generator: they are for trying out programs and never for keys.
"""

import json
import re
import urllib.parse

import numpy as np

from .device import FAULTS, Device
from .quantum_noise import FAULTS as NOISE_FAULTS
from .quantum_noise import NoiseSource

__all__ = ["QuantisAppliance", "SERVES", "device"]

SERVES = "random-number appliance, IDQ Quantis Appliance (HTTP REST; seeded, never for keys)"
_MOST = 1 << 26


def device(world, *, name="quantis_appliance", **options):
    """A :class:`QuantisAppliance`."""
    return QuantisAppliance(world, name, **options)


class _Refusal(Exception):
    pass


class QuantisAppliance(Device):
    """One request, one answer; the connection stays open."""

    scheme = "http"
    faults = {**{k: v for k, v in FAULTS.items() if k != "stuck"}, **NOISE_FAULTS}

    def __init__(self, world, name):
        super().__init__(world, name)
        self._noise = NoiseSource(self)

    def frames(self, buffer):
        *requests, rest = bytes(buffer).split(b"\r\n\r\n")
        buffer[:] = rest
        return requests

    def answer(self, frame):
        match = re.match(rb"(\S+) (\S+) HTTP/1\.[01]", frame)
        if match is None:
            return _response("400 Bad Request", b"", "text/plain")
        if match[1] != b"GET":
            return _response("405 Method Not Allowed", b"", "text/plain")
        url = urllib.parse.urlsplit(match[2].decode("latin-1"))
        form = {key: values[-1] for key, values in urllib.parse.parse_qs(url.query).items()}
        make = {"/api/2.0/streambytes": self._bytes, "/api/2.0/hexbytes": self._hex, "/api/2.0/int": self._integers,
                "/api/2.0/short": self._integers, "/api/2.0/double": self._doubles}.get(url.path)
        if make is None:
            return _response("404 Not Found", b"", "text/plain")
        try:
            return make(form)
        except (_Refusal, ValueError, KeyError) as error:
            return _response("400 Bad Request", str(error).encode(), "text/plain")

    def _bytes(self, form):
        return _response("200 OK", self._noise.take(_count(form["size"])).tobytes(), "application/octet-stream")

    def _hex(self, form):
        length, quantity = _count(form["DataLength"]), _count(form.get("quantity", "1"))
        data = self._noise.take(_count(str(length * quantity))).tobytes()
        return _json([data[i * length : (i + 1) * length].hex() for i in range(quantity)])

    def _integers(self, form):
        low, high, n = int(form["min"]), int(form["max"]), _count(form.get("quantity", "1"))
        if not -(2**31) <= low <= high < 2**31:
            raise _Refusal("min and max: -2^31 <= min <= max < 2^31 is expected")
        # 64 bits an integer: what the remainder prefers is below 2^-32
        words = self._noise.take(8 * n).view(np.uint64)
        return _json([low + int(w) % (high - low + 1) for w in words])

    def _doubles(self, form):
        low, high, n = float(form.get("min", 0)), float(form.get("max", 1)), _count(form.get("quantity", "1"))
        if not low <= high < float("inf"):
            raise _Refusal("min and max: min <= max is expected")
        return _json((low + (high - low) * (self._noise.take(8 * n).view(np.uint64) / 2.0**64)).tolist())


def _count(text):
    n = int(text)
    if not 0 <= n <= _MOST:
        raise _Refusal(f"0 to {_MOST} is expected")
    return n


def _json(value):
    return _response("200 OK", json.dumps(value).encode(), "application/json")


def _response(status, body, kind):
    return (f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body
