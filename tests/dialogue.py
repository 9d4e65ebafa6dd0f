"""Words with a simulated device, without sockets."""

from qkdlab.instruments.servers import World, menu


def still(seed=1, **options):
    """A world in which time passes only when somebody waits."""
    return World(seed=seed, speed=0, **options)


def plugged(name, world=None, **options):
    """A device of the menu."""
    return menu.get(name).device(world or still(), **options)


def ask(device, line, end="\n"):
    """One line to a device, what it says as text without the line's end."""
    return device.exchange(line.encode("latin-1") + end.encode()).decode("latin-1").rstrip("\r\n")


def sent(world):
    """Mean photon numbers that leave Alice now."""
    world.refresh()
    return world.emitted.intensities
