"""Bob's desk: a session whose light and whose words come from Alice's desk."""

import json

import numpy as np

from ..classical_channel import ChannelClosed
from ..datatypes import TimeTags
from ..errors import BadInput
from ..parties import Bob
from ..session import Session
from ..settings import from_table
from .line import MOST_SECONDS, PORT, PUBLIC, STRETCH, call

__all__ = ["BobDesk"]


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
            for name, kind in PUBLIC.items():
                setattr(self, name, from_table(kind, table[name], name))
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(f"what came back are no settings of a link ({error})", field="address",
                           value=self._address) from None

    def blocks(self, seconds, block_seconds):
        """As of :class:`qkdlab.simulation.SimulatedLink`."""
        left = seconds
        with call(self._address, "light") as channel:
            while left > 1e-9:
                channel.send("more", STRETCH.pack(min(block_seconds, left)))
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
        super().__init__(light, light.distill, pace=pace, block_seconds=min(block_seconds, MOST_SECONDS))

    def _distill(self, seconds):
        with call(self.address, "words") as channel:
            bob = Bob(self.agreement, channel, provenance={"simulated": True, "class room": True})
            self._tell("start", title="class room", simulated=True, records=None)
            try:
                receiver = self._receive(bob, bob.draw, seconds)
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
