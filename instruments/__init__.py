"""Hardware, real or simulated, behind the same few verbs; one file a device.

A device's module offers ``connect(...)``, which returns an object of its kind. The kinds are typing Protocols: a driver
inherits nothing. The file's name is the name on the menu: ``instruments.menu.get("simulated_tagger").connect(link)``.
"""

import typing
from collections.abc import Iterator

from qkdlab.datatypes import TimeTags
from qkdlab.registry import Registry

__all__ = ["TimeTagger", "menu"]

menu = Registry("qkdlab.instruments", need="connect")


@typing.runtime_checkable
class TimeTagger(typing.Protocol):
    """A time-to-digital converter that streams detector clicks."""

    simulated: bool

    def identity(self) -> str:
        """Maker, model and serial number, as the device itself says."""

    def snapshot(self) -> dict:
        """Every setting with its value, for the run file."""

    def start(self) -> None:
        """Begin to record."""

    def blocks(self, block_seconds: float) -> Iterator[TimeTags]:
        """Stretches of tags in time order, each with what the device lost, until `stop`."""

    def stop(self) -> None:
        """End the recording; `blocks` yields what is left and ends. Safe from any thread."""

    def close(self) -> None:
        """Leave the device in a safe state."""
