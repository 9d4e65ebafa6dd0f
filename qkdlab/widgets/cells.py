"""Which notebook cell made what: a cell that is run again ends what it made before.

The name in the cell is bound anew then, and the old controls leave the page: nobody could stop the old run any more.
"""

import weakref

from IPython import get_ipython

__all__ = ["replace_former"]

_made = weakref.WeakKeyDictionary()            # what was made -> (cell, execution) that made it


def replace_former(thing):
    """Remember that the present cell makes this; close what an earlier execution of the same cell made.

    Parameters
    ----------
    thing : object with ``close()``
        Held weakly.
    """
    cell, execution = _executing()
    if cell is None:
        return
    for other, (its_cell, its_execution) in list(_made.items()):
        if its_cell == cell and its_execution != execution:
            del _made[other]
            other.close()
    _made[thing] = cell, execution


def _executing():
    """Id of the cell and of the request that is being executed; (None, None) where the front end names no cell."""
    kernel = getattr(get_ipython(), "kernel", None)
    request = kernel.get_parent("shell") if kernel is not None else {}
    cell = request.get("metadata", {}).get("cellId")
    return (cell, request["header"]["msg_id"]) if cell else (None, None)
