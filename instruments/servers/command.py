"""``qkdlab serve-device``: one simulated device until it is stopped."""

import functools
import signal
import sys
import threading

from qkdlab.errors import BadInput

__all__ = ["listing", "serve"]


def listing():
    """Name and meaning of every device that can be served, a line each."""
    width = max(map(len, _served()))
    return "\n".join(f"{name:<{width}}  {module.SERVES}" for name, module in _served().items())


def serve(name, port=0, seed=0):
    """Serve a device of the menu on loopback; its address is the first line of stdout, further services follow.

    Ends with SIGINT or SIGTERM, and returns 0 then.

    Raises
    ------
    BadInput
        Where the name is unknown, the device has no port, or the port is taken.
    """
    from .bench import SimulatedBench
    from .world import World

    if name not in _served():
        raise BadInput(f"no such device; there are {', '.join(_served())}", field="NAME", value=name)
    if port is not None and not 0 <= port < 65536:
        raise BadInput("0 to 65535 is expected", field="--port", value=port)
    if seed < 0:
        raise BadInput("a whole number of at least 0 is expected", field="--seed", value=seed)
    stopped = threading.Event()
    before = {s: signal.signal(s, lambda *_: stopped.set()) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        with SimulatedBench(World(seed=seed), [name], ports={name: port or 0}) as bench:
            print(bench.address(name).partition("://")[2], flush=True)
            for service in getattr(bench.device(name), "services", {}):
                print(service, bench.address(name, service).partition("://")[2], flush=True)
            print(f"qkdlab: {_served()[name].SERVES}; Ctrl-C stops it", file=sys.stderr, flush=True)
            stopped.wait()
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    return 0


@functools.cache
def _served():
    """Modules of the devices that have a port, by name: some are a file, or an object in this process."""
    from . import menu

    modules = {name: menu.get(name) for name in menu.names()}
    return {name: module for name, module in modules.items() if getattr(module, "SERVED", True)}
