"""The line to Alice's desk: addresses, greetings, what goes over it, hanging up."""

import socket
import struct

from ..classical_channel import ChannelClosed, SocketChannel
from ..datatypes import DistillSettings, ReceiverSettings, SourceSettings, SynchronisationSettings
from ..errors import BadInput

__all__ = ["HELLO_S", "MOST_SECONDS", "PORT", "PUBLIC", "STRETCH", "address_of", "call", "hang_up"]

PORT = 47_084                    # no well-known service; BB84
HELLO_S = 5.0                    # a caller who says nothing for so long is not one of us
PUBLIC = {"source": SourceSettings, "sync": SynchronisationSettings, "receiver": ReceiverSettings,
          "distill": DistillSettings}
MOST_SECONDS = 1.0               # of light in one stretch
STRETCH = struct.Struct("<d")    # how many seconds of light Bob asks for


def address_of(text):
    """Host and port of an address such as ``"127.0.0.1:47084"``; what is left out takes its default.

    Raises
    ------
    BadInput
        Where it is none.
    """
    host, _, port = (str(text).strip() if text is not None else "").rpartition(":")
    if not host:
        host, port = (port, "") if not port.isdigit() else ("", port)
    if not (port or str(PORT)).isdigit() or not 0 < int(port or PORT) < 1 << 16 or " " in host:
        raise BadInput(f"an address such as 127.0.0.1:{PORT} is expected", field="address", value=text)
    return host or "127.0.0.1", int(port or PORT)


def call(address, role):
    """A connection to Alice's desk that she has welcomed.

    Parameters
    ----------
    address : str
    role : str
        A greeting of :mod:`qkdlab.classroom`.

    Returns
    -------
    SocketChannel

    Raises
    ------
    BadInput
        Where nobody answers there, somebody else does, or Alice refuses.
    """
    host, port = address_of(address)
    try:
        connection = socket.create_connection((host, port), timeout=HELLO_S)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise BadInput(f"nobody answers there ({why}): is Alice's page open, and have its cells run? It says the address",
                       field="address", value=f"{host}:{port}") from None
    channel = SocketChannel(connection)
    try:
        channel.send("greeting", role.encode())
        refusal = channel.hear("welcome").decode("utf-8", "replace")
    except (ChannelClosed, OSError, ValueError):
        channel.close()
        raise BadInput("somebody answers there, but it is not Alice's page of a class room", field="address",
                       value=f"{host}:{port}") from None
    if refusal:
        channel.close()
        raise BadInput(refusal, field="address", value=f"{host}:{port}")
    connection.settimeout(None)
    return channel


def hang_up(connection):
    """Close a connection under whoever reads from it."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()
