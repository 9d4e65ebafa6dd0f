import pytest
from fake_devices import TcpFake

from qkdlab.errors import BadInput
from qkdlab.instruments.errors import DeviceError
from qkdlab.instruments.koheron_laser import connect

VALUES = {b"model": b"CTL200-0", b"serial": b"42", b"version": b"V0.17", b"ilmax": b"150.0", b"err": b"0"}


def talk(values):
    """Echo, value, and the prompt without a line's end, as the box does."""
    def answer(request):
        word, _, value = request.removesuffix(b"\r").partition(b" ")
        if value:
            values[word] = value
        return request + b"\n" + values.get(word, b"0") + b"\r\n>>"

    return answer


def test_echo_and_prompt_are_not_answers():
    values = dict(VALUES)
    with TcpFake(talk(values)) as fake:
        with connect(fake.address) as laser:
            assert laser.identity() == "Koheron,CTL200-0,42,V0.17"
            laser.current_a = 0.0425
            assert values[b"ilaser"] == b"42.5" and laser.current_a == 0.0425
            laser.emission = True
            assert laser.emission is True and values[b"lason"] == b"1"
            with pytest.raises(BadInput, match="0.15 A"):
                laser.current_a = 0.2
            laser.current_limit_a = 0.3
            assert laser.limits["current_a"] == (0, 0.3)
            laser.thermistor_target_ohm = 10000
            assert values[b"rtset"] == b"10000" and fake.connections == 1
        assert values[b"lason"] == b"0"


def test_the_error_register_is_read_and_cleared():
    values = dict(VALUES)
    with TcpFake(talk(values)) as fake, connect(fake.address) as laser:
        values[b"err"] = b"C0"
        with pytest.raises(DeviceError, match="laser on while interlocked, interlock"):
            laser.emission = True
        assert b"errclr\r\n" in fake.received
        values[b"err"] = b"0"
