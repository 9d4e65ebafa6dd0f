"""Compiled kernels: arrays in, arrays out. They know bits and times, not protocols.

Each kernel exists once per instruction path (``portable``, ``avx2``, ``avx512``), built from the same source. The best
path that this processor has is taken at import; ``QKDLAB_KERNELS=portable`` (or ``avx2``, ``avx512``) in the
environment forces one, which is how the tests reach all of them.
"""

import importlib
import os

__all__ = ["cascade", "channel", "correlate", "decoy", "encode", "hashing", "lines", "match", "packed", "path", "paths",
           "records", "sift", "streams"]

try:
    from . import cpu
except ImportError as error:
    raise ImportError(
        "qkdlab's compiled kernels are missing: this is a source checkout that was not built. "
        "Run `make build` (or `pip install -e .`) in its top folder."
    ) from error

paths = cpu.supported()
path = os.environ.get("QKDLAB_KERNELS", paths[-1])
if path not in paths:
    raise ImportError(f"QKDLAB_KERNELS={path!r}: this processor has {', '.join(paths)}")


def __getattr__(name):
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    kernel = importlib.import_module(f"{__name__}.{path}.{name}")
    globals()[name] = kernel
    return kernel
