import socket
import struct
import threading

import numpy as np
import pytest

from qkdlab.classical_channel import ChannelClosed, LocalChannel, SocketChannel


def over_tcp():
    """Two ends of a connection over loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname(), timeout=60)
        other, _ = server.accept()
    other.settimeout(60)
    return SocketChannel(one), SocketChannel(other)


def over_socketpair():
    one, other = socket.socketpair()
    one.settimeout(60), other.settimeout(60)
    return SocketChannel(one), SocketChannel(other)


@pytest.fixture(params=[LocalChannel.pair, over_tcp, over_socketpair], ids=["local", "tcp", "socketpair"])
def ends(request):
    alice, bob = request.param()
    yield alice, bob
    alice.close()
    bob.close()


def in_thread(work):
    """Run `work` on a thread; the returned function waits for it and gives its result or raises its exception."""
    outcome = []

    def run():
        try:
            outcome.append((work(), None))
        except Exception as error:
            outcome.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def result():
        thread.join(60)
        assert outcome, "the thread hangs"
        if outcome[0][1]:
            raise outcome[0][1]
        return outcome[0][0]

    return result


def test_messages_arrive_in_order_and_whole(ends):
    alice, bob = ends
    for payload in (b"one", b"", bytes(range(256)), b""):
        alice.send("parity", payload)
    bob.send("reply", b"four")
    assert [bob.hear("parity") for _ in range(4)] == [b"one", b"", bytes(range(256)), b""]
    assert alice.hear("reply") == b"four"


def test_counts_are_the_same_at_both_ends(ends):
    alice, bob = ends
    alice.send("parity", b"abc", key_bits=24)
    alice.send("parity", b"d", key_bits=3)
    alice.send("seed", b"0123")
    bob.send("positions", b"", key_bits=5)
    for kind in ("parity", "parity", "seed"):
        bob.hear(kind)
    alice.hear("positions")
    assert alice.sent == bob.heard == {"parity": 4, "seed": 4}
    assert alice.heard == bob.sent == {"positions": 0}
    assert alice.leaked == bob.leaked == {"parity": 27, "seed": 0, "positions": 5}
    assert alice.messages == bob.messages == 4


def test_arrays_are_payloads(ends):
    alice, bob = ends
    slots = np.arange(20, dtype=np.int64)
    alice.send("slots", slots)
    alice.send("slots", slots[::2])
    assert np.array_equal(np.frombuffer(bob.hear("slots"), np.int64), slots)
    assert np.array_equal(np.frombuffer(bob.hear("slots"), np.int64), slots[::2])


@pytest.mark.parametrize("payload", [5, "text", None, [1, 2]])
def test_other_payloads_are_refused_and_not_counted(ends, payload):
    with pytest.raises(TypeError):
        ends[0].send("parity", payload)
    assert ends[0].messages == 0


@pytest.mark.parametrize("kind, key_bits", [("a kind of 18 bytes", 0), ("", 0), ("parité", 0), ("parity", -1),
                                            ("parity", 1 << 32)])
def test_what_the_header_cannot_hold_is_refused(ends, kind, key_bits):
    with pytest.raises(ValueError):
        ends[0].send(kind, b"", key_bits=key_bits)
    assert ends[0].messages == 0


def test_kinds_of_sixteen_bytes_arrive(ends):
    ends[0].send("sixteen-letters!", b"x")
    assert ends[1].hear("sixteen-letters!") == b"x"


def test_wrong_kind_names_both_and_leaves_the_channel_usable(ends):
    alice, bob = ends
    alice.send("parity", b"abc", key_bits=2)
    alice.send("tag", b"xyz")
    with pytest.raises(ValueError, match="'seed' was expected, 'parity' came"):
        bob.hear("seed")
    assert bob.heard == {"parity": 3} and bob.leaked == {"parity": 2}      # heard is heard, and leaked
    assert bob.hear("tag") == b"xyz"


def test_listen_takes_any_kind(ends):
    alice, bob = ends
    alice.send("done", b"", key_bits=1)
    alice.send("parity", b"abc")
    assert [bob.listen(), bob.listen()] == [("done", b""), ("parity", b"abc")]
    assert bob.heard == {"done": 0, "parity": 3} and bob.leaked == {"done": 1, "parity": 0}


def test_threads_talk(ends):
    alice, bob = ends
    rounds = 300

    def answer():
        for _ in range(rounds):
            bob.send("pong", bob.hear("ping")[::-1], key_bits=1)
        return True

    done = in_thread(answer)
    for i in range(rounds):
        payload = i.to_bytes(2, "little") * (i % 7)
        alice.send("ping", payload)
        assert alice.hear("pong") == payload[::-1]
    assert done()
    assert alice.messages == bob.messages == 2 * rounds
    assert alice.leaked == bob.leaked == {"ping": 0, "pong": rounds}


def test_large_payload(ends):
    alice, bob = ends
    payload = np.random.default_rng(0).bytes(5_000_003)
    sent = in_thread(lambda: alice.send("seed", payload))
    assert bob.hear("seed") == payload
    sent()


def test_the_other_party_gone(ends):
    alice, bob = ends
    alice.send("parity", b"last")
    alice.close()
    assert bob.hear("parity") == b"last"           # what was said before is still heard
    for _ in range(2):
        with pytest.raises(ChannelClosed):
            bob.hear("parity")


def test_one_who_waits_is_told(ends):
    alice, bob = ends
    waiting = in_thread(lambda: bob.hear("parity"))
    alice.close()
    with pytest.raises(ChannelClosed):
        waiting()


def test_a_closed_end_neither_speaks_nor_hears(ends):
    alice, bob = ends
    bob.send("parity", b"x")
    alice.close()
    alice.close()
    with pytest.raises(ChannelClosed):
        alice.send("parity", b"")
    with pytest.raises(ChannelClosed):
        alice.hear("parity")
    assert alice.messages == 0


def test_with_statement_closes(ends):
    alice, bob = ends
    with pytest.raises(RuntimeError), alice:
        raise RuntimeError("a party that fails")
    with pytest.raises(ChannelClosed):
        bob.hear("parity")


@pytest.mark.parametrize("make", [over_tcp, over_socketpair])
def test_speaking_to_one_who_has_gone(make):
    alice, bob = make()
    alice.close()
    with pytest.raises(ChannelClosed):
        for _ in range(100):
            bob.send("parity", bytes(100_000))
    bob.close()


def test_cut_off_in_a_message():
    one, other = socket.socketpair()
    bob = SocketChannel(other)
    one.sendall(struct.pack("<16sIQ", b"parity", 0, 10) + b"short")
    one.close()
    with pytest.raises(ChannelClosed):
        bob.hear("parity")
    bob.close()


def test_a_header_that_cannot_be_ours():
    one, other = socket.socketpair()
    bob = SocketChannel(other)
    one.sendall(b"\xff" * 28)
    with pytest.raises(ValueError, match="announces"):
        bob.hear("parity")
    one.close()
    bob.close()
