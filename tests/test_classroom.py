"""Three desks over one simulated link: any order of starting, any of them closed, and clear words for all of it."""

import socket
import threading
import time

import pytest

from qkdlab.classical_channel import SocketChannel
from qkdlab.classroom import PORT, AliceDesk, BobDesk, EveDesk, address_of
from qkdlab.datatypes import SourceSettings
from qkdlab.errors import BadInput
from qkdlab.simulation import ChannelSettings, DetectorSettings, EveSettings

LINK = {"source": SourceSettings((0.5, 0.15, 0.001), (0.5, 0.25, 0.25), 0.7, clock_hz=20e6),
        "channel": ChannelSettings(distance_km=5.0), "detectors": DetectorSettings(key_basis_probability=0.7)}


@pytest.fixture
def alice():
    with AliceDesk(LINK, "127.0.0.1:0", seed=1) as desk:
        yield desk


def until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    assert condition()


def test_two_desks_make_one_key_and_again_another(alice):
    fingerprints = set()
    for _ in range(2):
        report = BobDesk(alice.address).run(seconds=0.3)
        until(lambda: not alice.present)
        assert report["secret_bits"] > 0 and report["bob_key_sha256"] == alice.sha256()
        fingerprints.add(alice.sha256())
    assert len(fingerprints) == 2 and "secret bits, fingerprint" in alice.news[-1] + alice.news[-2]


def test_bob_holds_nothing_of_what_was_sent(alice):
    source = BobDesk(alice.address).source
    assert source.choices == () and source.source == LINK["source"]
    assert not {"link", "truth", "seed", "eve", "channel"} & set(vars(source))


def test_eve_is_seen_when_she_intercepts_and_when_she_splits(alice):
    with EveDesk(alice.address) as eve:
        eve.set(intercept_fraction=1.0)
        caught = BobDesk(alice.address).run(seconds=0.1)
        assert caught["secret_bits"] == 0 and caught["qber_test"] > 0.2
        until(lambda: eve.results and eve.learned and alice.present == {"eve"})      # what flows comes on lines of its own
        assert eve.learned["touched"] == eve.learned["clicks"] > 1000
        assert eve.learned["known"] / eve.learned["touched"] == pytest.approx(0.5, abs=0.05)
        touched = eve.learned["touched"]
        eve.set(intercept_fraction=0.0, split_fraction=1.0)
        split = BobDesk(alice.address).run(seconds=0.2)
        assert split["secret_bits"] == 0 and split["qber_test"] < 0.06
        until(lambda: len(eve.results) == 2 and eve.learned["touched"] > touched)
        assert eve.last["known"] == eve.last["touched"] > 0 and not any(r["secret_bits"] for r in eve.results)


def test_when_eve_leaves_the_line_is_free(alice):
    eve = EveDesk(alice.address)
    eve.set(intercept_fraction=0.5)
    assert alice.link.eve.intercept_fraction == 0.5
    eve.close()
    eve.close()
    until(lambda: alice.link.eve == EveSettings() and "eve" not in alice.present)
    EveDesk(alice.address).close()


def test_there_is_one_eve_and_one_bob(alice):
    with EveDesk(alice.address), pytest.raises(BadInput, match="already as eve"):
        EveDesk(alice.address)
    first, second = BobDesk(alice.address), BobDesk(alice.address)
    first.start(seconds=None)
    until(lambda: {"light", "words"} <= alice.present)
    with pytest.raises(BadInput, match="already as words"):
        second.run(seconds=0.1)
    first.stop()
    assert first.wait(120) and first.report["tags"] > 0


@pytest.mark.parametrize("attack, words", [({"intercept_fraction": 3.0}, "at most 1"), ({"loudly": 1.0}, "unknown setting")])
def test_an_attack_that_cannot_be_is_refused(alice, attack, words):
    with EveDesk(alice.address) as eve:
        with pytest.raises(BadInput, match=words):
            eve.set(**attack)
        assert alice.link.eve == EveSettings()


def test_whoever_comes_before_alice_is_told():
    with AliceDesk(LINK, "127.0.0.1:0", seed=1) as desk:
        address = desk.address
    for page in BobDesk, EveDesk:
        with pytest.raises(BadInput, match="nobody answers there") as told:
            page(address)
        assert address in str(told.value)


def test_alice_closes_in_the_middle(alice):
    bob, eve, told = BobDesk(alice.address, pace=1.0), EveDesk(alice.address), []
    bob.subscribe(lambda event: told.append(event) if event.step in ("block", "error") else None)
    bob.start(seconds=None)
    until(lambda: told)
    alice.close()
    alice.close()
    assert bob.wait(120) and bob.report is None
    assert told[-1].step == "error" and "Alice has gone" in told[-1]["message"]
    until(lambda: not eve.connected)
    with pytest.raises(BadInput, match="Alice has gone"):
        eve.set(intercept_fraction=0.1)


def test_bob_closes_in_the_middle(alice):
    bob = BobDesk(alice.address)
    stretches, many = bob.source.blocks(10.0, 0.05), []
    many.append(next(stretches))
    stretches.close()
    until(lambda: alice.news[-1] == "Bob has put his detectors aside.")
    assert len(many[0]) and not alice.present
    assert BobDesk(alice.address).run(seconds=0.3)["tags"] > 0


def test_a_taken_address_is_told(alice):
    with pytest.raises(BadInput, match="another Alice"):
        AliceDesk(LINK, alice.address)


def test_strangers_do_no_harm(alice):
    for greeting in b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"", bytes(100):
        with socket.create_connection(address_of(alice.address)) as stranger:
            stranger.sendall(greeting)
    with socket.create_connection(address_of(alice.address)) as connection:
        channel = SocketChannel(connection)
        channel.send("greeting", b"mallory")
        assert b"nobody here" in channel.hear("welcome")
    with socket.create_connection(address_of(alice.address)) as connection:
        channel = SocketChannel(connection)
        channel.send("greeting", b"light")
        channel.hear("welcome")
        channel.send("more", b"\0" * 8)
        until(lambda: "cannot be" in " ".join(alice.news))
    assert BobDesk(alice.address).source.source == LINK["source"]


def test_an_address_at_which_somebody_else_answers():
    with socket.create_server(("127.0.0.1", 0)) as server:
        def answer():
            connection, _ = server.accept()
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" + b"x" * 100)
            connection.close()

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(BadInput, match="not Alice's page"):
            BobDesk("{}:{}".format(*server.getsockname()))


@pytest.mark.parametrize("text, meant", [
    ("10.0.0.7:5000", ("10.0.0.7", 5000)), ("school-pc", ("school-pc", PORT)), ("5000", ("127.0.0.1", 5000)),
    ("", ("127.0.0.1", PORT)), (None, ("127.0.0.1", PORT)), (5000, ("127.0.0.1", 5000)), (" pc:1 ", ("pc", 1)),
])
def test_addresses(text, meant):
    assert address_of(text) == meant


@pytest.mark.parametrize("text", ["a:b", "a:0", "a:70000", "a b:5", "a:-1", "127.0.0.1:1.5"])
def test_what_is_no_address(text):
    with pytest.raises(BadInput, match="an address such as"):
        BobDesk(text)
