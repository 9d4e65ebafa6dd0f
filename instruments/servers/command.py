"""``qkdlab serve-device``: one simulated device until it is stopped."""

import signal
import sys
import threading

from qkdlab.errors import BadInput

__all__ = ["listing", "serve"]


def listing():
    """Name and meaning of every device that can be served, a line each."""
    names = [name for name in _menu().names() if _served(name)]
    width = max(map(len, names))
    return "\n".join(f"{name:<{width}}  {_menu().get(name).SERVES}" for name in names)


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

    known = [each for each in _menu().names() if _served(each)]
    if name not in known:
        raise BadInput(f"no such device; there are {', '.join(known)}", field="NAME", value=name)
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
            print(f"qkdlab: {_menu().get(name).SERVES}; Ctrl-C stops it", file=sys.stderr, flush=True)
            stopped.wait()
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    return 0


def _menu():
    from . import menu

    return menu


def _served(name):
    """Whether a device has a port: some are a file, or a module in this process."""
    return getattr(_menu().get(name), "SERVED", True)
