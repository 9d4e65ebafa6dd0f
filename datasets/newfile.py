"""A new file: whole or not at all, and never in the place of another."""

import contextlib
import os
import pathlib
import tempfile

from qkdlab.errors import BadInput

__all__ = ["new_file", "refuse_existing", "umask"]


def refuse_existing(path):
    """The path, or BadInput where something is there already or its folder is missing."""
    path = pathlib.Path(path)
    if path.exists() or path.is_symlink():
        raise BadInput("exists already and is not replaced: choose another name or move it away", where=path)
    if not path.parent.is_dir():
        raise BadInput(f"the folder {path.parent} does not exist", where=path)
    return path


@contextlib.contextmanager
def new_file(path):
    """A binary file that can be written and sought in; it gets its name when the block ends without an exception.

    Parameters
    ----------
    path : path-like

    Raises
    ------
    BadInput
        Where the path exists or its folder does not.
    """
    path = refuse_existing(path)
    handle, part = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(part, 0o666 & ~umask())
        _name(part, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part)


def _name(part, path):
    """Give the finished file its name. A hard link, unlike a rename, fails where the name was taken meanwhile."""
    try:
        os.link(part, path)
    except FileExistsError:
        refuse_existing(path)
    except OSError:                       # a file system without hard links
        refuse_existing(path)
        os.rename(part, path)


def umask():
    """The permission bits that this process takes away from what it makes."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
