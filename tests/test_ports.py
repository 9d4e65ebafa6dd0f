"""Ports that are still free when their service begins to listen."""

import contextlib
import socket

from qkdlab.ports import free_ports
from qkdlab.serving import checked_port


def test_free_ports_are_neighbours_that_no_outgoing_connection_is_given():
    for _ in range(20):
        first = free_ports(4)
        assert 20_000 <= first and first + 4 <= 32_000
        with contextlib.ExitStack() as held:
            for port in range(first, first + 4):
                held.enter_context(socket.create_server(("127.0.0.1", port)))


def test_the_port_of_a_server_that_takes_seconds_to_start_is_no_other():
    for _ in range(20):
        assert 20_000 <= checked_port(None) < 32_000
    assert checked_port(port := free_ports(1)) == port
