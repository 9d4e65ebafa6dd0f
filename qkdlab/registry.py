"""A folder of modules as a menu: the file's name is the menu's name, and it is imported when it is asked for.

Packages from outside join through the entry-point group of the same name (``qkdlab.proofs``, ``qkdlab.datasets``, ...).
"""

import importlib
import importlib.metadata
import pkgutil

from .errors import BadInput
from .settings import nearest

__all__ = ["Registry"]


class Registry:
    """The menu of one package.

    Parameters
    ----------
    package : str
        Full name, for example ``"qkdlab.proofs"``.
    need : str
        A module belongs to the menu if its source file defines this name at the top; others are helpers of the room.
    """

    def __init__(self, package, need):
        self.package, self.need = package, need

    def names(self):
        """Sorted names on the menu."""
        own = {name for name in self._files() if hasattr(self._own(name), self.need)}
        return sorted(own | {p.name for p in importlib.metadata.entry_points(group=self.package)})

    def get(self, name):
        """The module called `name`.

        Raises
        ------
        BadInput
            Naming the nearest known name.
        """
        for point in importlib.metadata.entry_points(group=self.package):
            if point.name == name:
                return point.load()
        if name in self._files() and hasattr(self._own(name), self.need):
            return self._own(name)
        raise BadInput(f"unknown name; {nearest(name, self.names())}", where=self.package, value=name)

    def _files(self):
        return {m.name for m in pkgutil.iter_modules(importlib.import_module(self.package).__path__)}

    def _own(self, name):
        return importlib.import_module(f"{self.package}.{name}")
