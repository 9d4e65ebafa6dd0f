"""Several simulated devices over one world, started and stopped together."""

import importlib
import pathlib
import tempfile

from qkdlab.errors import BadInput
from qkdlab.settings import nearest

from .server import HOST, Server
from .world import World

__all__ = ["SimulatedBench"]


class SimulatedBench:
    """A context manager: inside it the devices listen on loopback.

    Parameters
    ----------
    world : World, optional
        Absent: a new one of seed 0.
    names : iterable of str, or dict of str to str
        Names of the menu; a dict gives each device a name of its own: ``{"alice_voa": "exfo_attenuator"}``.
    ports : dict of str to int, optional
        By device name; a free port where it is absent.
    options : dict of str to dict, optional
        Further arguments of `device(world, ...)`, by device name.

    Attributes
    ----------
    world : World

    Raises
    ------
    BadInput
        On entering, where a name is not on the menu or a port is taken.
    """

    def __init__(self, world=None, names=(), *, ports=None, options=None):
        self.world = world or World()
        names = [names] if isinstance(names, str) else names
        self._wanted = dict(names) if isinstance(names, dict) else {name: name for name in names}
        self._ports, self._options = ports or {}, options or {}
        self._devices, self._addresses, self._server, self._folder = {}, {}, None, None

    def __enter__(self):
        try:
            self._server = Server()
            for name, kind in self._wanted.items():
                self._start(name, kind)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exception):
        self.close()

    def _start(self, name, kind):
        menu = importlib.import_module(__package__).menu
        device = menu.get(kind).device(self.world, name=name, **self._options.get(name, {}))
        self._devices[name] = device
        addresses = self._addresses[name] = {}
        if device.scheme == "file":
            self._folder = self._folder or tempfile.TemporaryDirectory(prefix="qkdlab-")
            addresses["main"] = device.open(pathlib.Path(self._folder.name) / name).as_uri()
        elif device.scheme != "python":
            for service, spoken in {"main": device, **getattr(device, "services", {})}.items():
                port = self._server.serve(spoken, self._ports.get(name, 0) if service == "main" else 0)
                addresses[service] = f"{spoken.scheme}://{HOST}:{port}"

    def close(self):
        """Stop all devices."""
        if self._server is not None:
            self._server.close()
        for device in reversed(self._devices.values()):
            device.close()
        if self._folder is not None:
            self._folder.cleanup()
        self._devices, self._addresses, self._server, self._folder = {}, {}, None, None

    def device(self, name):
        """The device called `name`, as an object with `exchange`, `fault` and its physics."""
        if name not in self._devices:
            raise BadInput(f"not on this bench; {nearest(name, self._devices or self._wanted)}", field="name", value=name)
        return self._devices[name]

    def address(self, name, service="main"):
        """Where a device listens: ``tcp://127.0.0.1:PORT``, ``zmq://...``, ``http://...`` or ``file://...``.

        `service` names a further port of the device (the ID900's ``datalink``).
        """
        self.device(name)
        if service not in self._addresses[name]:
            known = ", ".join(self._addresses[name]) or "none: use device(name) in this process"
            raise BadInput(f"no such service; known: {known}", where=name, field="service", value=service)
        return self._addresses[name][service]

    def fault(self, name, kind, times=None, **options):
        """Break a device; see :data:`.device.FAULTS`."""
        self.device(name).fault(kind, times, **options)

    def clear(self, name, kind=None):
        """Mend one fault of a device, or all."""
        self.device(name).clear(kind)

    def transcript(self, name):
        """What was said with a device: a list of :class:`.device.Exchange`."""
        return list(self.device(name).transcript)
