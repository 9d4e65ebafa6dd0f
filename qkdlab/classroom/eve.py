"""Eve's desk: what she does to the pulses, and what she learns."""

import json
import threading

from ..classical_channel import ChannelClosed
from ..errors import BadInput
from ..settings import from_table, to_table
from ..simulation import EveSettings
from .line import PORT, call, hang_up

__all__ = ["EveDesk"]


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
            hang_up(self._channel.connection)

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
