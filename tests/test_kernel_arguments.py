"""Arrays that do not fit are refused by the kernels themselves, or do no harm: with `make sanitize` nothing is read or
written out of place. What the functions above them say of bad input is tested with each of them."""

import numpy as np
import pytest
from kernel_calls import calls

CALLS = calls(500, frame_tiles=2)


def called(kernel, name, arguments):
    """What the call returns, or None where it is refused."""
    module, function = name.split(".")
    try:
        return getattr(kernel(module), function)(*arguments) or 0
    except (ValueError, OverflowError):
        return None


def arrays(arguments):
    return [i for i, value in enumerate(arguments) if isinstance(value, np.ndarray)]


def changed(arguments, i, value):
    """The same call with one argument changed; the others are copies, which the call may write on."""
    fresh = [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]
    fresh[i] = value
    return fresh


@pytest.mark.parametrize("name", CALLS)
def test_as_it_should_be(kernel, name):
    assert called(kernel, name, CALLS[name](kernel(name.split(".")[0]))) is not None


@pytest.mark.parametrize("name", CALLS)
def test_other_kinds_of_arrays_are_refused(kernel, name):
    arguments = CALLS[name](kernel(name.split(".")[0]))
    for i in arrays(arguments):
        array = arguments[i]
        other = np.float32 if array.dtype != np.float32 else np.int16
        for wrong in (array.astype(other), array[None], np.repeat(array, 2, axis=-1)[..., ::2], array.tolist(), "text", 1.5):
            if isinstance(wrong, np.ndarray) and wrong.shape == array.shape and wrong.flags.c_contiguous \
                    and wrong.dtype == array.dtype:
                continue                          # one element has no stride
            module, function = name.split(".")
            with pytest.raises((ValueError, TypeError)):
                getattr(kernel(module), function)(*changed(arguments, i, wrong))


@pytest.mark.parametrize("name", CALLS)
def test_other_lengths_do_no_harm(kernel, name):
    arguments = CALLS[name](kernel(name.split(".")[0]))
    for i in arrays(arguments):
        array = arguments[i]
        for axis in range(array.ndim):
            shorter = [np.take(array, range(n), axis=axis) for n in (0, 1, array.shape[axis] // 2, array.shape[axis] - 1)]
            for wrong in (*shorter, np.concatenate([array, array], axis=axis)):
                called(kernel, name, changed(arguments, i, np.ascontiguousarray(wrong)))


@pytest.mark.parametrize("name", CALLS)
def test_other_values_do_no_harm(kernel, name):
    """Indices beyond the end, sums beyond the room; numbers as large as the type, times as large as 2^61 ps (a month)."""
    arguments, rng = CALLS[name](kernel(name.split(".")[0])), np.random.default_rng(2)
    for i in arrays(arguments):
        array = arguments[i]
        values = (-1, 2.0, 1e300, np.inf, np.nan) if array.dtype.kind == "f" else (
            0, 1, 9, 255, -5, -(2**61), 2**61, np.iinfo(array.dtype).max if array.dtype != np.int64 else 2**60)
        for value in values:
            if array.dtype.kind == "f" or np.iinfo(array.dtype).min <= value <= np.iinfo(array.dtype).max:
                called(kernel, name, changed(arguments, i, np.full_like(array, value)))
                some = array.copy()
                some[rng.random(array.shape) < 0.1] = value
                called(kernel, name, changed(arguments, i, some))


