"""Ports on loopback for services that begin to listen a moment later."""

import contextlib
import random
import socket

from .errors import BadInput

__all__ = ["free_ports"]

NOT_LENT = range(20_000, 32_000)            # below what systems lend to outgoing connections: one that waits for its service
                                            # could even be connected to itself, and the service finds its port taken


def free_ports(n):
    """The first of `n` neighbouring ports that are free on loopback now, and that no outgoing connection is given."""
    for _ in range(100):
        first = random.randrange(NOT_LENT.start, NOT_LENT.stop - n)
        with contextlib.ExitStack() as held:
            try:
                for port in range(first, first + n):
                    held.enter_context(socket.socket()).bind(("127.0.0.1", port))
                return first
            except OSError:
                continue
    raise BadInput("no free ports on this computer", field="port")
