import numpy as np
import pytest
from fake_devices import HttpFake

from qkdlab.errors import BadInput
from qkdlab.instruments.errors import DeviceError
from qkdlab.instruments.quantis_appliance import connect


def test_bytes_and_their_health():
    state = {"short": 0, "stuck": False, "status": None}
    rng = np.random.default_rng(5)

    def answer(path, query):
        assert path == "/api/2.0/streambytes"
        size = int(query["size"]) - state["short"]
        return state["status"] or (bytes(size) if state["stuck"] else rng.bytes(size))

    with HttpFake(answer) as fake, connect(fake.address, simulated=True) as source:
        source.transport.record()
        first = source.read(100)
        assert len(first) == 100 and source.read(0) == b"" and source.simulated
        assert len(source.read((1 << 20) + 5)) == (1 << 20) + 5
        assert fake.received[-2:] == ["/api/2.0/streambytes?size=1048576", "/api/2.0/streambytes?size=5"]
        assert source.tested_bytes == 105 + (1 << 20)
        assert all(isinstance(entry[2], str) and ("bytes" in entry[2]) for entry in source.transport.transcript())
        for field, value, words in (("short", 1, "were asked"), ("stuck", True, "stuck"), ("status", 503, "503")):
            before = dict(state)
            state[field] = value
            with pytest.raises(DeviceError, match=words):
                source.read(64)
            state.update(before)
        for wrong in (-1, 1.5, True):
            with pytest.raises(BadInput):
                source.read(wrong)
