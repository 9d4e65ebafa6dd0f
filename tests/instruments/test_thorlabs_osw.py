import pytest
from fake_devices import Script, TcpFake

from qkdlab.errors import BadInput
from qkdlab.instruments.errors import DeviceError
from qkdlab.instruments.thorlabs_osw import connect


def test_switching():
    script = Script([(b"S?", b"1\r\n"), (b"S?", b"1\r\n"), (b"S 2", b""), (b"S?", b"2\r\n"), (b"S 1", b""),
                     (b"S?", b"2\r\n")])
    with TcpFake(script) as fake, connect(fake.address) as switch:
        assert switch.port == 1 and switch.ports == 2
        switch.port = 2
        with pytest.raises(DeviceError, match="port 1"):
            switch.port = 1
        with pytest.raises(BadInput, match="1 to 2"):
            switch.port = 3
        assert script.is_done()


def test_the_first_query_may_go_unanswered():
    with TcpFake(Script([(b"S?", b""), (b"S?", b"2\r\n"), (b"S?", b"2\r\n")])) as fake:
        with connect(fake.address, timeout_s=2.0) as switch:
            assert switch.port == 2
    with TcpFake(lambda request: b"hello\r\n") as fake, pytest.raises(DeviceError, match="hello"):
        connect(fake.address)
