"""How fast the kernels are on this machine, beside their peers in the same run.

A benchmark is a module of this folder with ``cases(size)``, which yields :class:`~qkdlab.benchmarks.measure.Case`.
Sizes are ``"quick"``, ``"normal"`` and ``"long"``. A benchmark reports; it asserts nothing about time.
"""

from qkdlab.benchmarks.measure import measure
from qkdlab.benchmarks.surroundings import surroundings
from qkdlab.errors import BadInput
from qkdlab.registry import Registry

__all__ = ["BENCHMARKS", "run"]

BENCHMARKS = Registry("qkdlab.benchmarks", need="cases")


def run(names=(), size="normal", progress=lambda case: None):
    """Measure.

    Parameters
    ----------
    names : sequence of str
        Benchmarks to run; empty: all of them.
    size : str
        ``"quick"``: a minute, ``"normal"``: some minutes, ``"long"``: with the largest inputs, some GB of memory.
    progress : callable
        ``progress(name)`` before each case; what it raises ends the run.

    Returns
    -------
    dict
        ``machine`` and ``versions``, and ``rows``, one dict for each case (see :func:`measure`).

    Raises
    ------
    BadInput
        Where a name or the size is unknown.
    """
    if size not in ("quick", "normal", "long"):
        raise BadInput("quick, normal or long is expected", field="size", value=size)
    rows = []
    for name in names or BENCHMARKS.names():
        for case in BENCHMARKS.get(name).cases(size):
            progress(case.name)
            rows.append({"benchmark": name, **measure(case, alternations=5 if size == "quick" else 9)})
    return {**surroundings(), "rows": rows}
