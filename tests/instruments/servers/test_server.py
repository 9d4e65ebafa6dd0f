"""Devices behind real sockets on loopback."""

import contextlib
import json
import socket
import threading
import time
import types

import numpy as np
import pytest
import zmq
from dialogue import still
from fake_devices import until

from qkdlab.errors import BadInput
from qkdlab.instruments.servers import SimulatedBench, World, device
from qkdlab.ports import free_ports


@contextlib.contextmanager
def tcp(bench, name, timeout=60):
    host, port = bench.address(name).split("//")[1].split(":")
    with socket.create_connection((host, int(port)), timeout) as line:
        yield line


def say(line, data):
    line.sendall(data)
    return line.recv(4096)


@contextlib.contextmanager
def req(address, timeout_ms=60_000):
    with zmq.Context() as context:
        line = context.socket(zmq.REQ)
        line.linger, line.rcvtimeo = 0, timeout_ms
        line.connect(address.replace("zmq", "tcp"))

        def ask(text):
            line.send_string(text)
            return line.recv_string()

        try:
            yield ask
        finally:
            line.close()


def test_several_devices_over_one_world():
    with SimulatedBench(still(), ["keysight_attenuator", "thorlabs_pm100"]) as bench:
        with tcp(bench, "keysight_attenuator") as voa, tcp(bench, "thorlabs_pm100") as meter:
            say(voa, b"OUTP ON;*OPC?\n")
            before = float(say(meter, b"MEAS:POW?\r\n"))
            say(voa, b"INP:ATT 3.0103;*OPC?\n")
            assert float(say(meter, b"MEAS:POW?\n")) == pytest.approx(before / 2, rel=1e-3)
        assert [e.data for e in bench.transcript("keysight_attenuator")][::2] == [b"OUTP ON;*OPC?", b"INP:ATT 3.0103;*OPC?"]


def test_names_of_their_own_and_two_of_a_kind():
    names = {"alice": "keysight_attenuator", "bob": "keysight_attenuator"}
    with SimulatedBench(still(), names, options={"bob": {"insertion_db": 5.0}}) as bench:
        with tcp(bench, "alice") as a, tcp(bench, "bob") as b:
            say(a, b"INP:ATT 7;*OPC?\n")
            assert float(say(b, b"INP:ATT?\n")) == 0 and float(say(a, b"INP:ATT?\n")) == 7
        assert set(bench.world.attenuators) == {"alice", "bob"}


def test_loopback_only_and_a_port_that_is_taken():
    port = free_ports(1)                                     # which nobody else is lent while it is closed
    with SimulatedBench(still(), ["thorlabs_osw"], ports={"thorlabs_osw": port}) as bench:
        assert bench.address("thorlabs_osw") == f"tcp://127.0.0.1:{port}"
        with pytest.raises(BadInput, match="cannot listen"), \
                SimulatedBench(still(), ["thorlabs_osw"], ports={"thorlabs_osw": port}):
            pass
        with pytest.raises(BadInput, match="cannot listen"), SimulatedBench(still(), ["id900"], ports={"id900": port}):
            pass
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), 60):
        pass
    with SimulatedBench(still(), ["thorlabs_osw"], ports={"thorlabs_osw": port}) as bench:
        assert bench.address("thorlabs_osw").endswith(f":{port}")


def test_what_is_not_there_is_named():
    with SimulatedBench(still(), ["thorlabs_osw", "swabian"]) as bench:
        with pytest.raises(BadInput, match="thorlabs_osw"):
            bench.address("thorlabs_ows")
        with pytest.raises(BadInput, match="in this process"):
            bench.address("swabian")
        with pytest.raises(BadInput, match="main"):
            bench.address("thorlabs_osw", "datalink")
    with pytest.raises(BadInput, match="did you mean"), SimulatedBench(still(), ["id9000"]):
        pass


def test_faults_on_the_wire(monkeypatch):
    passed_s = 0.0
    monkeypatch.setattr(device, "time", types.SimpleNamespace(monotonic=lambda: time.monotonic() + passed_s))
    with SimulatedBench(still(), ["thorlabs_pm100"]) as bench:
        with tcp(bench, "thorlabs_pm100", 0.1) as line:
            bench.fault("thorlabs_pm100", "stall")
            with pytest.raises(TimeoutError):
                say(line, b"*IDN?\n")
            bench.clear("thorlabs_pm100")
            bench.fault("thorlabs_pm100", "delay", times=1, seconds=1000.0)
            with pytest.raises(TimeoutError):                # the late answer is still on its way ...
                say(line, b"*IDN?\n")
            passed_s = 1000.0
            line.settimeout(60)
            answers = say(line, b"MEAS:POW?\n")              # ... and takes the next one's place
            assert answers.startswith(b"THORLABS")
            while answers.count(b"\n") < 2:
                answers += line.recv(4096)
            bench.fault("thorlabs_pm100", "disconnect")
        with tcp(bench, "thorlabs_pm100") as line:
            assert say(line, b"*IDN?\n") == b""
        with tcp(bench, "thorlabs_pm100") as line:
            assert say(line, b"*IDN?\n").startswith(b"THORLABS")


def test_messages_nobody_asked_for_arrive():
    with SimulatedBench(World(speed=50.0), ["thorlabs_mpc320"]) as bench, tcp(bench, "thorlabs_mpc320") as line:
        line.sendall(bytes.fromhex("530406 00 d001 0100 00040000"))
        assert line.recv(64) == bytes.fromhex("64040100 0150")


def test_zmq_answers_every_message_and_survives_a_stall():
    with SimulatedBench(still(), ["id900"]) as bench:
        with req(bench.address("id900")) as ask:
            assert ask("*IDN?").startswith("IDQ,ID900") and ask("INPU1:THRE 100mV") == "" and ask("NONSENSE") == ""
            bench.fault("id900", "delay", times=1, seconds=0.05)
            assert ask("INPU1:THRE?;:INPU2:THRE?") == "0.100V\n0.100V"
        bench.fault("id900", "stall")
        with req(bench.address("id900"), 50) as ask, pytest.raises(zmq.Again):
            ask("*IDN?")
        bench.clear("id900")
        bench.fault("id900", "disconnect")
        with req(bench.address("id900"), 50) as ask:
            with pytest.raises(zmq.Again):
                ask("*IDN?")
            until(lambda: bench.device("id900").broken("disconnect") is None)
        with req(bench.address("id900")) as ask:
            assert ask("*IDN?").startswith("IDQ")


def test_tags_over_pair_sockets():
    with SimulatedBench(still(), ["id900"]) as bench, req(bench.address("id900")) as ask, \
            req(bench.address("id900", "datalink")) as link, zmq.Context() as context, \
            context.socket(zmq.PAIR) as stream:
        port = free_ports(1)
        stream.linger, stream.rcvtimeo = 0, 60_000
        answer = json.loads(link(f"start-stream --address 127.0.0.1 --channel 2 --stream-port {port}"))
        assert answer == {"id": 1}
        stream.connect(f"tcp://127.0.0.1:{port}")
        for line in ("DELA1:LINK INPU3", "DELA1:VALU 500", "RAW2:STOP:LINK DELA1", "RAW2:REF:LINK NONE", "RAW2:SEND ON",
                     "REC:TRIG:ARM:MODE MANUal", "REC:ENAB ON", "REC:NUM 1", "REC:DUR 50000000000", "REC:PLAY"):
            assert ask(line) == ""
        words = []
        while data := stream.recv():
            words.append(np.frombuffer(data, "<u8"))
        times = np.concatenate(words).astype(np.int64)
        assert ask("SYST:ERR?").startswith("0,")
        world = World(seed=1, speed=0)
        expected = world.take(world.seconds_until(50_000_000_000))         # a stretch is of the tagger's own clock
        assert np.array_equal(times, expected.time_ps[expected.channel == 2] + 500)
        assert json.loads(link("stop --id 1")) == {"id": 1}
        assert "no such id" in json.loads(link("stop --id 1"))["error"]["description"]


def test_a_closed_bench_leaves_no_port_and_no_thread():
    before = set(threading.enumerate())                      # those of other tests may end meanwhile
    bench = SimulatedBench(still(), ["id900", "quantis_appliance", "quantis_device"])
    with bench:
        pass
    bench.close()
    assert set(threading.enumerate()) <= before
