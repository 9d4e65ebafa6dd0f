"""Any driver of pymeasure behind one of our interfaces (extra ``pymeasure``)."""

import importlib.util

from qkdlab.errors import BadInput
from qkdlab.instruments.foreign import adapt, driver_class

__all__ = ["connect"]


def connect(address, *, driver, kind, parameters, methods=None, safe=None, arguments=None, line=None, **settings):
    """A device by its pymeasure driver.

    Parameters
    ----------
    address : str
        ``visa://RESOURCE?library=@py``; or ``tcp://host:port``, which becomes a VISA socket.
    driver : str or class
        ``"pymeasure.instruments.thorlabs:ThorlabsPM100USB"``.
    kind : str
        Name of the interface, for example ``"PowerMeter"``.
    parameters : dict
        Our name to the driver's attribute with its unit, for example
        ``{"power_w": {"attribute": "power", "unit": "W", "read_only": True}}``.
    methods : dict, optional
        Our verbs to the driver's methods.
    safe : dict, optional
        Values that make the device safe.
    arguments : dict, optional
        For the driver's class, after its adapter.
    line : dict, optional
        Attributes of the VISA line; absent: lines that end by LF. Not every driver brings them along, and some bring
        those of a serial port, which a socket refuses: here they are given to the line alone.
    **settings
        First values, ``session``, ``simulated``.

    Raises
    ------
    BadInput
        Where the mapping does not make a device of this kind.
    """
    if importlib.util.find_spec("pymeasure") is None:
        raise BadInput("needs pymeasure: pip install 'qkdlab[pymeasure]'", where=address)
    resource, library = _resource(address)

    def make(_address):
        from pymeasure.adapters import VISAAdapter

        attributes = {"read_termination": "\n", "write_termination": "\n"} | (line or {})
        adapter = VISAAdapter(resource, visa_library=library, **attributes)
        try:
            return driver_class(driver, address)(adapter, **(arguments or {}))
        except BaseException:
            adapter.close()
            raise

    verbs = {"make": make, "get": getattr, "put": setattr, "ask_identity": _identity,
             "end": lambda device: device.adapter.close()}
    return adapt(address, kind, parameters, methods or {}, safe or {}, verbs, settings)


def _identity(device):
    """Asked on the line: a VISA resource opens on a dead address without a word."""
    return str(device.id if hasattr(type(device), "id") else device.ask("*IDN?")).strip()


def _resource(address):
    scheme, _, rest = str(address).partition("://")
    if scheme == "visa":
        resource, _, options = rest.partition("?")
        return resource, options.removeprefix("library=")
    host, _, port = rest.partition(":")
    if scheme != "tcp" or not port:
        raise BadInput("visa://RESOURCE or tcp://host:port is expected", field="address", value=address)
    return f"TCPIP0::{host}::{port}::SOCKET", "@py"
