import subprocess
import sys
import threading

import pytest
from fake_devices import HttpFake, Script, TcpFake, ZmqFake, serial_port, until

from qkdlab.errors import BadInput
from qkdlab.instruments.errors import (
    DeviceError,
    GarbledReply,
    InstrumentDisconnected,
    InstrumentError,
    InstrumentInUse,
    InstrumentTimeout,
)
from qkdlab.instruments.transports import Block, Bytes, Fixed, Line, Message, block, open_transport

IDN = {b"*IDN?": b"Maker,Box,1,2\n"}


def ask_identity(transport):
    return transport.query("*IDN?")


def opened(address, *, framing=None, identify=ask_identity, timeout_s=60.0, session=""):
    return open_transport(address, framing=framing or Line(), identify=identify, timeout_s=timeout_s, session=session)


def test_a_line_goes_and_comes():
    with TcpFake(Script([(b":ATT?", b"12.5\r\n")], IDN)) as fake:
        line = opened(fake.address)
        assert line.identity == "Maker,Box,1,2"
        assert line.query(":ATT?") == "12.5"
        line.close()
        line.close()
        with pytest.raises(InstrumentDisconnected, match="closed"):
            line.query(":ATT?")


def test_a_late_answer_is_never_taken_for_the_next():
    release = threading.Event()

    def answer(request):
        if request == b"SLOW?":
            release.wait(60)
            return b"slow\n"
        return IDN.get(request, request + b"!\n")

    with TcpFake(answer) as fake:
        line = opened(fake.address)
        with pytest.raises(InstrumentTimeout, match="SLOW"):
            line.query("SLOW?", timeout_s=0.05)
        release.set()
        assert [line.query(text) for text in ("A?", "B?", "C?")] == ["A?!", "B?!", "C?!"]
        assert fake.connections == 2 and line.reopened == 1
        line.close()


def test_half_a_line_is_no_answer():
    with TcpFake(Script(always=IDN | {b"HALF?": b"12.", b"ATT?": b"7\n"})) as fake:
        line = opened(fake.address)
        with pytest.raises(InstrumentTimeout):
            line.query("HALF?", timeout_s=0.05)
        assert line.query("ATT?") == "7"
        line.close()


def test_a_line_in_two_pieces_is_one():
    def answer(request):
        return IDN.get(request, [b"12", b".5", b"\n"])

    with TcpFake(answer) as fake:
        line = opened(fake.address)
        assert line.query("ATT?") == "12.5"
        line.close()


def test_what_is_said_unasked_is_not_an_answer():
    with TcpFake(Script(always=IDN | {b"SET": b"1\n", b"ATT?": b"7\n"})) as fake:
        line = opened(fake.address)
        line.record()
        line.write("SET")
        until(line._connection.leftover)
        assert line.query("ATT?") == "7"
        assert [entry[2] for entry in line.transcript() if entry[1] == "?"] == [b"1\n"]
        line.close()


def test_a_greeting_is_not_the_identity():
    def identify(transport):
        until(transport._connection.leftover)            # the greeting is there
        return transport.query("*IDN?")

    with TcpFake(Script(always=IDN), greeting=b"Welcome to the box\r\n") as fake:
        line = opened(fake.address, identify=identify)
        assert line.identity == "Maker,Box,1,2" and fake.connections == 1
        fake.hang_up()
        assert line.query("*IDN?") == "Maker,Box,1,2"
        line.close()


def test_a_peer_that_dies_and_one_that_comes_back():
    with TcpFake(Script(always=IDN | {b"ATT?": b"7\n"})) as fake:
        line = opened(fake.address)
        fake.hang_up()
        assert line.query("ATT?") == "7"                 # noticed before anything was sent
        fake.answer = lambda request: fake.hang_up()
        with pytest.raises(InstrumentDisconnected):
            line.query("ATT?")
        fake.close()
        for _ in range(2):
            with pytest.raises(InstrumentDisconnected):
                line.query("ATT?")
        line.close()


def test_another_device_at_the_address_is_not_taken():
    with TcpFake(Script(always=IDN)) as fake:
        line = opened(fake.address)
        fake.hang_up()
        fake.answer = Script(always={b"*IDN?": b"Maker,Box,2,2\n"})
        with pytest.raises(InstrumentDisconnected, match="another device"):
            line.query("ATT?")
        line.close()


def test_a_dead_address_cannot_be_opened():
    with TcpFake(Script()) as fake:
        address = fake.address
    for dead in (address, address.replace("tcp", "http"), f"visa://TCPIP0::127.0.0.1::{address.split(':')[-1]}::SOCKET"
                 "?library=@py", "serial:///dev/there-is-no-such-port"):
        with pytest.raises(InstrumentDisconnected):
            opened(dead)
    with pytest.raises(InstrumentError):                 # ZeroMQ connects to nobody without a word
        opened(address.replace("tcp", "zmq"), framing=Message(), timeout_s=0.1)


def test_a_mute_device_cannot_be_opened():
    with TcpFake(lambda request: None) as fake:
        with pytest.raises(InstrumentTimeout, match="IDN"):
            opened(fake.address, timeout_s=0.05)
        fake.answer = Script(always=IDN)
        opened(fake.address).close()                     # the failure did not keep the claim


@pytest.mark.parametrize("address", ["tcp://", "tcp://host", "tcp://host:x", "usb://1", "", "serial://", "zmq://:5555",
                                     "serial:///dev/ttyS0?baud=fast", "serial:///dev/ttyS0?baut=9600"])
def test_addresses_that_are_none(address):
    with pytest.raises(BadInput):
        opened(address)


def test_two_threads_on_one_line_get_their_own_answers():
    with TcpFake(lambda request: IDN.get(request, request + b"!\n")) as fake:
        line, wrong = opened(fake.address), []

        def ask(name):
            for i in range(500):
                if line.query(f"{name}{i}") != f"{name}{i}!":
                    wrong.append((name, i))

        threads = [threading.Thread(target=ask, args=(name,)) for name in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong and fake.connections == 1
        line.close()


def test_the_second_session_is_refused_with_the_firsts_name():
    with TcpFake(Script(always=IDN)) as fake:
        first = opened(fake.address, session="Anna's notebook")
        with pytest.raises(InstrumentInUse, match="Anna's notebook") as caught:
            opened(fake.address, session="Ben")
        assert caught.value.holder == "Anna's notebook" and fake.connections == 1
        first.close()
        second = opened(fake.address, session="Ben")
        first.close()                                    # closing twice must not free what Ben now holds
        with pytest.raises(InstrumentInUse, match="Ben"):
            opened(fake.address)
        second.close()


def test_another_process_is_refused_too_and_a_dead_one_holds_nothing():
    code = ("import sys; from qkdlab.instruments.transports import Claim\n"
            "claim = Claim('tcp://held:1', 'the other room'); print('held', flush=True); sys.stdin.read()")
    from qkdlab.instruments.transports import Claim

    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(InstrumentInUse, match="the other room"):
            Claim("tcp://held:1")
        other.kill()
    Claim("tcp://held:1").release()


@pytest.mark.parametrize(("one", "other"), [
    ("tcp://127.0.0.1:5025", "tcp://LOCALHOST:5025"), ("tcp://127.0.0.1:5025", "tcp://127.0.0.1:5025/"),
    ("tcp://127.0.0.1:5025", "zmq://127.0.0.1:05025"), ("tcp://127.0.0.1:5025", "tcp://[::1]:5025"),
    ("tcp://10.0.0.1:5025", "visa://TCPIP::10.0.0.1::5025::socket?library=@py"), ("http://10.0.0.1:80/", "http://10.0.0.1"),
    ("visa://USB0::0x1313::0x804F::M5025::INSTR", "visa://USB::4883::0x804f::m5025::0?library=@py"),
    ("visa://TCPIP0::10.0.0.1::inst0::INSTR", "TCPIP::10.0.0.1::INSTR"), ("file:///dev/null", "/dev/null"),
    ("visa://GPIB0::15::INSTR", "visa://gpib::15"), ("visa://ASRL/dev/null::INSTR", "serial:///dev/null?baud=9600"),
    ("serial:///dev/null?baud=115200", "serial:///dev/../dev/null")])
def test_a_device_written_in_another_way_is_the_same_device(one, other):
    from qkdlab.instruments.transports import Claim

    first = Claim(one, "Anna")
    with pytest.raises(InstrumentInUse, match="Anna"):
        Claim(other)
    Claim(one.replace("5025", "5026").replace("null", "zero").replace("10.0.0.1", "10.0.0.2").replace("15", "16")).release()
    first.release()
    Claim(other).release()


def test_an_interrupted_exchange_leaves_no_answer_behind():
    with TcpFake(Script(always=IDN | {b"A?": b"a\n", b"B?": b"b\n"})) as fake:
        line = opened(fake.address)

        def interrupt(reply):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            line.query("A?", accept=interrupt)
        assert line.query("B?") == "b" and fake.connections == 2
        line.close()


def test_a_question_in_the_midst_of_another_gets_its_own_answer():
    """As of the handler of a signal that ends the process: the interrupted question is lost."""
    with TcpFake(Script(always=IDN | {b"A?": b"a\n", b"B?": b"b\n"})) as fake:
        line, heard = opened(fake.address), []

        def handler(reply):
            heard.extend(line.query(question) for question in ("B?", "A?"))
            return True

        line.query("A?", accept=handler)
        assert heard == ["b", "a"] and line.reopened == 1 and line.query("B?") == "b"
        line.close()


def test_the_record_keeps_exchanges_on_request_and_no_secrets():
    with TcpFake(Script(always=IDN | {b"A?": b"a\n", b"KEY?": b"0101\n"})) as fake:
        line = opened(fake.address)
        line.query("A?")
        assert line.transcript() == []
        line.record(4)
        for _ in range(3):
            line.query("A?")
        assert [entry[1:] for entry in line.transcript()] == [(">", "A?"), ("<", "a")] * 2
        line.query("KEY?", private=True)
        assert "0101" not in str(line.transcript()) and line.transcript()[-1][2] == "4 bytes"
        line.close()


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n", b"\n\r"])
def test_lines_with_any_end(end):
    with TcpFake(Script(always={b"*IDN?": b"Box" + end, b"A?": b"a" + end, b"B?": b"b" + end})) as fake:
        line = opened(fake.address, framing=Line(reply_end="\r\n"))
        assert [line.query(text) for text in ("A?", "B?", "A?")] == ["a", "b", "a"] and fake.connections == 1
        line.close()


def test_blocks_of_bytes():
    data = bytes(range(256)) * 300                       # holds every byte, also line ends
    assert block(b"abc") == b"#13abc" and block(b"") == b"#10"
    replies = IDN | {b"DATA?": block(data) + b"\n", b"END?": b"#0abc\n", b"BAD?": b"12.5\n", b"A?": b"a\n"}
    with TcpFake(Script(always=replies)) as fake:
        line = opened(fake.address)
        assert line.query("DATA?", framing=Block()) == data
        assert line.query("END?", framing=Block()) == b"abc"
        with pytest.raises(GarbledReply):
            line.query("BAD?", framing=Block())
        assert line.query("A?") == "a"
        line.close()


def test_frames_of_a_fixed_size():
    with TcpFake(lambda request: request[::-1], size=4) as fake:
        line = opened(fake.address, framing=Fixed(4), identify=lambda transport: transport.query(b"xobA").decode())
        assert line.identity == "Abox" and line.query(b"\x01\x11\x00\x02") == b"\x02\x00\x11\x01"
        line.close()


def test_zeromq_after_a_silence():
    def answer(request):
        return {"*IDN?": "Box", "A?": "a", "MUTE?": None}[request]

    with ZmqFake(answer) as fake:
        line = opened(fake.address, framing=Message())
        with pytest.raises(InstrumentTimeout):
            line.query("MUTE?", timeout_s=0.1)
        assert line.query("A?") == "a"
        line.close()


def test_http():
    def answer(path, query):
        return {"/id": b"Box", "/bytes": bytes(int(query.get("size", 0)))}.get(path, 404)

    with HttpFake(answer) as fake:
        line = opened(fake.address, framing=Bytes(), identify=lambda transport: transport.query("/id").decode())
        assert line.identity == "Box" and line.query("/bytes?size=5") == bytes(5)
        with pytest.raises(DeviceError, match="404"):
            line.query("/nothing")
        line.close()


def test_visa_by_way_of_a_socket():
    with TcpFake(Script(always=IDN | {b"ATT?": b"7\n", b"DATA?": block(b"a\nb") + b"\n"})) as fake:
        port = fake.address.rsplit(":", 1)[1]
        line = opened(f"visa://TCPIP0::127.0.0.1::{port}::SOCKET?library=@py")
        assert line.identity == "Maker,Box,1,2" and line.query("ATT?") == "7"
        assert line.query("DATA?", framing=Block()) == b"a\nb"
        with pytest.raises(InstrumentTimeout):
            line.query("", timeout_s=0.1, accept=lambda reply: False)
        assert line.query("ATT?") == "7"
        line.close()


def test_a_serial_port():
    release = threading.Event()

    def answer(request):
        if request == b"SLOW?":
            release.wait(60)
            return b"late\n"
        return IDN.get(request, request + b"!\n")

    with TcpFake(answer) as fake, serial_port(fake.address) as path:
        line = opened(f"serial://{path}?baud=115200")
        assert line.query("A?") == "A?!"
        with pytest.raises(InstrumentTimeout):
            line.query("SLOW?", timeout_s=0.05)
        release.set()
        assert line.query("B?") == "B?!"                 # the late answer came through the same wire
        line.close()
