"""Simulated devices on the wire: each speaks the bytes of the real one, and one physics model moves them all.

A device's module says in ``SERVES`` what it stands for and offers ``device(world, **options)``. The file's name is the
name on the menu. :class:`SimulatedBench` puts several devices over one :class:`World` on loopback::

    with SimulatedBench(World(seed=1), ["id900", "keysight_attenuator"]) as bench:
        bench.address("id900")                  # zmq://127.0.0.1:PORT
        bench.fault("keysight_attenuator", "stall")

The bytes follow the makers' manuals where one was found; a module says so where its source is weaker.
"""

from qkdlab.registry import Registry

from .bench import SimulatedBench
from .world import World

__all__ = ["SimulatedBench", "World", "menu"]

menu = Registry("qkdlab.instruments.servers", need="device")
