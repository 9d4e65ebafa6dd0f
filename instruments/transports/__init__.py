"""Addresses to lines: ``tcp://``, ``serial://``, ``zmq://``, ``visa://``, ``http://``."""

import urllib.parse

from qkdlab.errors import BadInput
from qkdlab.instruments.transports.connections import SerialConnection, TcpConnection
from qkdlab.instruments.transports.framing import Block, Bytes, Fixed, Line, Message, block
from qkdlab.instruments.transports.messages import HttpConnection, PairStream, VisaConnection, ZmqConnection
from qkdlab.instruments.transports.sessions import Claim, Held
from qkdlab.instruments.transports.transport import Transport
from qkdlab.settings import nearest

__all__ = ["Block", "Bytes", "Claim", "Fixed", "Held", "Line", "Message", "PairStream", "Transport", "block",
           "open_transport", "scheme_host_port"]

_SCHEMES = ("tcp", "serial", "zmq", "visa", "http", "https")


def open_transport(address, *, framing, identify, timeout_s=2.0, session=""):
    """The line to the device at an address, after it told its identity.

    Parameters
    ----------
    address : str
        ``tcp://host:port``, ``zmq://host:port``, ``serial:///dev/ttyUSB0?baud=115200&parity=N``,
        ``visa://RESOURCE?library=@py``, ``http://host:port``.
    framing : object
        How messages are cut, see :mod:`qkdlab.instruments.transports.framing`.
    identify : callable
        ``identify(transport)`` asks the device who it is and returns text; asked again after each reopening.
    timeout_s : float
        How long to wait for a connection, and for each reply unless said otherwise.
    session : str
        Name of who opens it.

    Returns
    -------
    Transport

    Raises
    ------
    BadInput
        Where the address cannot be understood.
    InstrumentInUse
        Where another session holds the address.
    InstrumentDisconnected, InstrumentTimeout, DeviceError
        Where no device answers, or another one.
    """
    return Transport(address, _dial(address), framing, identify, timeout_s=timeout_s, session=session)


def scheme_host_port(address):
    """The parts of ``tcp://host:port`` or ``zmq://host:port``."""
    try:
        parts = urllib.parse.urlsplit(address)
        scheme, host, port = parts.scheme, parts.hostname, parts.port
    except (ValueError, AttributeError, TypeError):
        raise BadInput("an address like tcp://host:port is expected", field="address", value=address) from None
    if not scheme or not host or not port:
        raise BadInput("an address like tcp://host:port is expected", field="address", value=address)
    return scheme, host, port


def _dial(address):
    """A function that makes a new connection until a deadline."""
    scheme, _, rest = str(address).partition("://")
    if scheme not in _SCHEMES:
        raise BadInput(f"unknown kind of address; {nearest(scheme, _SCHEMES)}", field="address", value=address)
    if scheme in ("tcp", "zmq"):
        _, host, port = scheme_host_port(address)
        kind = TcpConnection if scheme == "tcp" else ZmqConnection
        return lambda deadline: kind(host, port, deadline)
    if scheme in ("http", "https"):
        return lambda deadline: HttpConnection(address)
    path, _, query = rest.partition("?")
    if not path:
        raise BadInput("names no device", field="address", value=address)
    options = _options(address, query)
    kind = SerialConnection if scheme == "serial" else VisaConnection
    return lambda deadline: kind(path, deadline, **options)


_OPTIONS = {"serial": {"baud": int, "bits": int, "parity": str, "stop": float, "rtscts": lambda text: text == "1"},
            "visa": {"library": str}}


def _options(address, query):
    known = _OPTIONS[address.partition("://")[0]]
    options = dict(urllib.parse.parse_qsl(query))
    for name, text in options.items():
        if name not in known:
            raise BadInput(f"unknown option; {nearest(name, known)}", where=address, field=name, value=text)
        try:
            options[name] = known[name](text)
        except ValueError:
            raise BadInput("cannot be understood", where=address, field=name, value=text) from None
    return options
