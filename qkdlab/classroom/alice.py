"""Alice's desk: the link, and the door at which Bob and Eve knock."""

import json
import socket
import threading

import numpy as np

from ..accounting import Agreement
from ..classical_channel import ChannelClosed, SocketChannel
from ..datatypes import DistillSettings
from ..errors import BadInput
from ..parties import Alice
from ..settings import from_table, to_table
from ..simulation import EveSettings, simulate
from ..simulation.detectors import EVE
from .line import HELLO_S, MOST_SECONDS, PORT, PUBLIC, STRETCH, address_of, hang_up

__all__ = ["AliceDesk"]


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
        self._door.join(20)                      # until then the address is not free
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
        channel.send("settings", json.dumps({name: to_table(getattr(self.agreement, name)) for name in PUBLIC}).encode())

    # ------------------------------------------------------------------------------------------------- what flows

    def _light(self, channel):
        """Send Bob the tags of each stretch that he asks for."""
        self._tell("Bob looks at the light.")
        while True:
            seconds, = STRETCH.unpack(channel.hear("more"))
            if not 0 < seconds <= MOST_SECONDS:
                raise ValueError(f"{seconds:g} s of light were asked for")
            eve, tags = self.link.eve, next(iter(self.link.blocks(seconds, seconds)))
            channel.send("times", tags.time_ps.astype("<i8"))
            channel.send("channels", tags.channel)
            self._note(seconds, eve)

    def _note(self, seconds, eve):
        """What Eve learned from the stretch that was sent last: simulators know."""
        truth, link = self.link.truth.pop(), self.link
        hers = np.sort(truth.slot[truth.origin == EVE])
        symbols, interceptor = link.choices.at(hers), link.interceptor
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
