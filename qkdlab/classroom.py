"""A class room: Alice, Bob and Eve at three notebooks, over one simulated link.

Alice's page holds the link, because she knows what she sends. She listens at one address; Bob and Eve call her there. Each
connection begins with a greeting that says what it is for:

========== ============================================================================================================
greeting   what then goes over it
========== ============================================================================================================
settings   the public settings, and nothing else
light      Bob's time tags, a stretch whenever he asks; what Eve did to the photons is in them
words      what the two parties say aloud (:mod:`qkdlab.parties`), for one run
eve        Eve says what she does to the pulses; she is told what she learns, and what everybody can hear
========== ============================================================================================================

Loopback by default: for several PCs Alice gives ``host="0.0.0.0"``. It is a game: whoever reaches the address can play Bob
or Eve, and the keys are good for nothing.
"""

import json
import socket
import struct
import threading

import numpy as np

from .accounting import Agreement
from .classical_channel import ChannelClosed, SocketChannel
from .classroom_line import HELLO_S, PORT, address_of, call, hang_up
from .datatypes import DistillSettings, ReceiverSettings, SourceSettings, SynchronisationSettings, TimeTags
from .errors import BadInput
from .parties import Alice, Bob
from .session import Session, _Receiver
from .settings import from_table, to_table
from .simulation import EveSettings, simulate
from .simulation.detectors import EVE

__all__ = ["PORT", "AliceDesk", "BobDesk", "EveDesk", "address_of"]

_PUBLIC = {"source": SourceSettings, "sync": SynchronisationSettings, "receiver": ReceiverSettings,
           "distill": DistillSettings}
_MOST_SECONDS = 1.0              # of light in one stretch
_STRETCH = struct.Struct("<d")


class AliceDesk:
    """Alice's desk: what she sends, the link, and the door at which Bob and Eve knock.

    Parameters
    ----------
    link : dict of str to settings object, optional
        By section, as :func:`qkdlab.simulate` takes it.
    address : str
        Where to listen; port 0 takes a free one.
    distill : DistillSettings, optional
    seed : int, optional
        Of the link; absent: the system's entropy.

    Attributes
    ----------
    news : list of str
        What happened, in words; the newest last.
    keys : list of SecretKey
        Alice's.

    Raises
    ------
    BadInput
        Where the address cannot be taken.
    """

    def __init__(self, link=None, address=f"127.0.0.1:{PORT}", *, distill=None, seed=None):
        host, port = ("127.0.0.1", 0) if str(address).endswith(":0") else address_of(address)
        self.link = simulate(link or {}, seed=seed, keep_truth=True)
        self.agreement = Agreement(self.link.source, self.link.sync, self.link.receiver, distill or DistillSettings())
        self.news, self.keys = [], []
        self._listeners, self._lock = [], threading.Lock()
        self._doors, self._taken = set(), {}
        self._learned = {"clicks": 0, "touched": 0, "known": 0, "seconds": 0.0}
        try:
            self._server = socket.create_server((host, port))
        except OSError as error:
            raise BadInput(f"this address cannot be taken ({error.strerror}): is another Alice at work on this computer? "
                           "Close her, or choose another port", field="address", value=address) from None
        self.address = "{}:{}".format(*self._server.getsockname()[:2])
        self._tell(f"Listening at {self.address}. Bob and Eve may come.")
        self._server.settimeout(0.2)             # not on every system does closing wake who waits at the door
        self._door = threading.Thread(target=self._accept, name="qkdlab-alice-door", daemon=True)
        self._door.start()

    def subscribe(self, callback):
        """Call ``callback()`` on a worker thread after each news."""
        self._listeners.append(callback)

    def close(self):
        """Close the door: Bob and Eve are told that Alice has gone. Closing twice does no harm."""
        if self._server.fileno() < 0:
            return
        hang_up(self._server)
        self._door.join(2)                       # until then the address is not free
        with self._lock:
            doors, self._doors = self._doors, set()
        for connection in doors:
            hang_up(connection)
        self._tell("Closed.")

    def __enter__(self):
        return self

    def __exit__(self, *reason):
        self.close()

    @property
    def present(self):
        """Who is there: some of ``"light"``, ``"words"`` (Bob) and ``"eve"``."""
        return set(self._taken)

    def sha256(self):
        """Fingerprint of Alice's newest key; None where there is none."""
        return self.keys[-1].bits.sha256() if self.keys else None

    # ------------------------------------------------------------------------------------------------- the door

    def _tell(self, words):
        self.news = [*self.news[-99:], words]
        for callback in list(self._listeners):
            callback()

    def _accept(self):
        while True:
            try:
                connection, _ = self._server.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            with self._lock:
                self._doors.add(connection)
            threading.Thread(target=self._serve, args=(connection,), name="qkdlab-alice-desk", daemon=True).start()

    def _serve(self, connection):
        """One caller, from the greeting to the end."""
        role, channel = None, SocketChannel(connection)
        try:
            connection.settimeout(HELLO_S)
            asked = channel.hear("greeting").decode("ascii", "replace")
            connection.settimeout(None)
            answers = {"settings": self._settings, "light": self._light, "words": self._words, "eve": self._eve_side}
            with self._lock:
                refusal = (f"'{asked[:20]}' is nobody here" if asked not in answers else
                           f"somebody is there already as {asked}: close that page first" if asked in self._taken else "")
                if not refusal and asked != "settings":
                    role = asked
                    self._taken[role] = channel
            channel.send("welcome", refusal.encode())
            if not refusal:
                answers[asked](channel)
        except (ChannelClosed, OSError):
            pass                                 # gone, or never one of us
        except Exception as error:
            self._tell(f"Something that cannot be came from {role or 'a caller'}: {error}")
        finally:
            with self._lock:
                self._doors.discard(connection)
                self._taken.pop(role, None)
            hang_up(connection)
            channel.close()
            self._left(role)

    def _left(self, role):
        if role == "eve":
            self.link.update(eve=EveSettings())
            self._tell("Eve has left: the line is free again.")
        elif role == "light":
            self._tell("Bob has put his detectors aside.")

    def _settings(self, channel):
        channel.send("settings", json.dumps({name: to_table(getattr(self.agreement, name)) for name in _PUBLIC}).encode())

    # ------------------------------------------------------------------------------------------------- what flows

    def _light(self, channel):
        """Send Bob the tags of each stretch that he asks for."""
        self._tell("Bob looks at the light.")
        while True:
            seconds, = _STRETCH.unpack(channel.hear("more"))
            if not 0 < seconds <= _MOST_SECONDS:
                raise ValueError(f"{seconds:g} s of light were asked for")
            eve, tags = self.link.eve, next(iter(self.link.blocks(seconds, seconds)))
            channel.send("times", tags.time_ps.astype("<i8"))
            channel.send("channels", tags.channel)
            self._note(seconds, eve)

    def _note(self, seconds, eve):
        """What Eve learned from the stretch that was sent last: simulators know."""
        truth, link = self.link.truth.pop(), self.link
        hers = np.sort(truth.slot[truth.origin == EVE])
        symbols, interceptor = link.choices.at(hers), link._interceptor
        # When the bases are announced she learns which of her guesses were right: where she sent on what Alice had sent.
        # Photons that she split off she has kept until then, and measures them all right.
        known = interceptor.splits(hers, eve.split_fraction)
        known |= interceptor.resend(hers, symbols, eve.intercept_fraction) == symbols
        now = {"clicks": int((truth.slot >= 0).sum()), "touched": len(hers), "known": int(known.sum()), "seconds": seconds}
        with self._lock:
            self._learned = {name: self._learned[name] + value for name, value in now.items()}
        self._tell_eve("learned", {"now": now, "all": self._learned})

    def _words(self, channel):
        """Serve one run of Bob's as Alice."""
        self._tell("Bob speaks with me.")
        alice = Alice(self.link.choices, self.agreement, channel, provenance={"simulated": True, "class room": True})
        before = len(self.keys)
        try:
            alice.serve()
        except (ChannelClosed, OSError):
            self._tell("Bob has gone in the middle of the run: there is no key.")
            return
        finally:
            self.keys = [*self.keys, *alice.keys]
        made = sum(len(key.bits) for key in self.keys[before:])
        leaked, messages = sum(channel.leaked.values()), channel.messages
        self._tell(f"The run has ended after {messages} messages; {leaked:,} bits of the sifted key were said aloud. " + (
            f"{made:,} secret bits, fingerprint {self.sha256()[:16]}." if made else "There is no key: Bob's page says why."))
        self._tell_eve("result", {"secret_bits": made, "leaked_bits": leaked})

    def _eve_side(self, channel):
        """Let Eve at the line, until she goes."""
        self._tell("Someone is at the line ...")
        while True:
            table = json.loads(channel.hear("attack"))
            try:
                self.link.update(eve=from_table(EveSettings, table))
                channel.send("done", b"")
            except BadInput as error:
                channel.send("done", str(error).encode())

    def _tell_eve(self, kind, values):
        channel = self._taken.get("eve")
        if channel is not None:
            try:
                channel.send(kind, json.dumps(values).encode())
            except OSError:
                pass                             # she is just leaving


# ----------------------------------------------------------------------------------------------------------- Bob


class _RemoteLight:
    """Bob's end of the fibre, as a source for a session: public settings, and tags on demand."""

    simulated, choices = True, ()                # what was sent is Alice's alone

    def __init__(self, address):
        self._address = address
        with call(address, "settings") as channel:
            self._take_settings(channel.hear("settings"))

    def _take_settings(self, text):
        try:
            table = json.loads(text)
            for name, kind in _PUBLIC.items():
                setattr(self, name, from_table(kind, table[name], name))
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(f"what came back are no settings of a link ({error})", field="address",
                           value=self._address) from None

    def blocks(self, seconds, block_seconds):
        """As of :class:`qkdlab.simulation.SimulatedLink`."""
        left = seconds
        with call(self._address, "light") as channel:
            while left > 1e-9:
                channel.send("more", _STRETCH.pack(min(block_seconds, left)))
                times = np.frombuffer(channel.hear("times"), "<i8").astype(np.int64)
                yield TimeTags(times, np.frombuffer(channel.hear("channels"), np.uint8))
                left -= block_seconds


class BobDesk(Session):
    """Bob's desk: a session whose light and whose words come from Alice's desk.

    Everything of :class:`qkdlab.Session` that needs no record of what was sent works here: ``start``, ``stop``, ``wait``,
    ``subscribe``, the live plots. ``report`` is shorter: Bob's own view.

    Parameters
    ----------
    address : str
        Of Alice.
    pace : float, optional
        Seconds of link time per second of wall time; absent: as fast as it goes.

    Raises
    ------
    BadInput
        Where nobody answers there, or somebody else does.
    """

    def __init__(self, address=f"127.0.0.1:{PORT}", *, pace=None, block_seconds=0.1):
        self.address = address
        light = _RemoteLight(address)
        super().__init__(light, light.distill, pace=pace, block_seconds=min(block_seconds, _MOST_SECONDS))

    def _distill(self, seconds):
        with call(self.address, "words") as channel:
            bob = Bob(self.agreement, channel, provenance={"simulated": True, "class room": True})
            self._tell("start", title="class room", simulated=True, records=None)
            try:
                bob.hello()
                receiver = _Receiver(self, bob, bob.draw)
                for tags in self._blocks(seconds):
                    while not self._stop.is_set() and not self._go.wait(0.1):
                        pass
                    receiver.take(tags)
                    if self._stop.is_set():
                        break
                receiver.close()
                bob.bye()
            except ChannelClosed:
                raise BadInput("Alice has gone in the middle of the run: when her page is open again, start anew",
                               field="address", value=self.address) from None
            self.report = _bobs_report(bob, receiver, channel)
            self._tell("end", report=self.report)


def _bobs_report(bob, receiver, channel):
    """What Bob knows at the end; numbers and reasons only."""
    reasons = [r.bound.reason for r in receiver.reports if r.bound.reason]
    return {"secret_bits": sum(r.secret_bits for r in receiver.reports), "bob_key_sha256": bob.sha256(),
            "qber_test": receiver.total.qber(1), "qber_key": receiver.total.qber(0),
            "leak_bits": sum(channel.leaked.values()),
            "tags": receiver.tags, "reason": reasons[-1] if reasons else None, "warnings": receiver.warnings}


# ----------------------------------------------------------------------------------------------------------- Eve


class EveDesk:
    """Eve's desk: what she does to the pulses on their way, and what she learns.

    Parameters
    ----------
    address : str
        Of Alice.

    Attributes
    ----------
    learned : dict
        ``clicks`` of Bob that came from light, how many of them Eve ``touched``, how many bits she has ``known`` once the
        bases were announced, over so many ``seconds``; since Alice's page was opened.
    results : list of dict
        ``secret_bits`` and ``leaked_bits`` of each run that ended while she listened.
    connected : bool

    Raises
    ------
    BadInput
        Where nobody answers there, or another Eve is at the line.
    """

    def __init__(self, address=f"127.0.0.1:{PORT}"):
        self.address, self.attack, self.connected = address, EveSettings(), True
        self.learned, self.last, self.results = {}, {}, []
        self._listeners, self._answer, self._answered = [], "", threading.Event()
        self._channel, self._lock = call(address, "eve"), threading.Lock()
        threading.Thread(target=self._listen, name="qkdlab-eve", daemon=True).start()

    def subscribe(self, callback):
        """Call ``callback(kind)`` on a worker thread when something came: ``"learned"``, ``"result"`` or ``"gone"``."""
        self._listeners.append(callback)

    def set(self, **attack):
        """Attack from the next stretch on; see :class:`qkdlab.simulation.EveSettings`.

        Raises
        ------
        BadInput
            Where an attack is unknown or a share lies outside 0 to 1, or Alice has gone.
        """
        settings = from_table(EveSettings, {**to_table(self.attack), **attack})
        with self._lock:
            self._answered.clear()
            try:
                self._channel.send("attack", json.dumps(to_table(settings)).encode())
            except (ChannelClosed, OSError, ValueError):
                self.connected = False
            if not self.connected or not self._answered.wait(20) or not self.connected:
                raise BadInput("Alice has gone: when her page is open again, connect anew", field="address",
                               value=self.address)
            if self._answer:
                raise BadInput(self._answer, field="attack")
            self.attack = settings

    def close(self):
        """Leave the line. Closing twice does no harm."""
        if self.connected:
            self.connected = False
            hang_up(self._channel._socket)

    def __enter__(self):
        return self

    def __exit__(self, *reason):
        self.close()

    def _listen(self):
        try:
            while True:
                kind, payload = self._channel.listen()
                if kind == "done":
                    self._answer = payload.decode("utf-8", "replace")
                    self._answered.set()
                    continue
                values = json.loads(payload)
                if kind == "learned":
                    self.last, self.learned = values["now"], values["all"]
                elif kind == "result":
                    self.results = [*self.results, values]
                self._tell(kind)
        except (ChannelClosed, OSError, ValueError):
            self.connected = False
            self._answered.set()
            self._channel.close()
            self._tell("gone")

    def _tell(self, kind):
        for callback in list(self._listeners):
            callback(kind)
