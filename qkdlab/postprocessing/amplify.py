"""Privacy amplification: a shorter key of which Eve knows nothing, by a random Toeplitz matrix over GF(2).

With a uniform seed two different keys collide with probability exactly 2^-length: Toeplitz matrices are a universal_2
family (Carter & Wegman, J. Comput. Syst. Sci. 18, 143, 1979; Krawczyk, CRYPTO '94), which is all that the leftover hash
lemma asks for (Renner, PhD thesis, ETH 2005, theorem 5.5.1). The arithmetic is exact at every size: nothing is rounded.
"""

import hashlib
import operator

import numpy as np

from .. import _ext
from ..bits import Bits
from ..errors import BadInput

__all__ = ["amplify", "expand_seed"]


def amplify(key, length, seed):
    """Hash `key` to `length` bits: ``out[i] = XOR_j T[i, j] key[j]`` with ``T[i, j] = seed[i - j + n - 1]``.

    Parameters
    ----------
    key : Bits
        n bits, equal on both sides by now.
    length : int
        Bits of the secret key, 0 to n, as a proof allows.
    seed : Bits or array_like of 0 and 1
        Exactly ``max(n + length - 1, 0)`` bits, uniformly random, independent of the key, and public only after the
        key was fixed. It may be used for one key only.

    Returns
    -------
    Bits
        `length` bits.

    Raises
    ------
    BadInput
        Where `length` is negative or above n, the seed has another length, or a type does not fit.
    """
    n, length, seed = _checked(key, length, seed)
    if length == 0:
        return Bits.from_numpy([])
    # Bit i + n - 1 of the polynomial product seed(x) key(x) is out[i]. With the seed moved up by one bit and the key by
    # as many as fill its last word, out begins on a word boundary of the product.
    n_words, out = len(key.words), np.zeros((length + 63) // 64, np.uint64)
    padded = _shifted(seed.words, 1, n_words + len(out))
    shifted = _shifted(key.words, 64 * n_words - n, n_words)
    _ext.hashing.product(padded, shifted, out)
    return Bits.from_bytes(out.tobytes(), length)


def expand_seed(seed, n_bits):
    """A long seed from a short one: the first `n_bits` bits of SHAKE256.

    For replays and for links that cannot carry a whole Toeplitz seed. A seed made this way is only computationally
    indistinguishable from a uniform one: the key is then no longer secure information-theoretically, which whoever
    uses it must name among the assumptions.

    Parameters
    ----------
    seed : bytes
        Public.
    n_bits : int
        At least 0.

    Returns
    -------
    Bits
        `n_bits` bits, the same on every machine.
    """
    if not isinstance(seed, bytes | bytearray | memoryview):
        raise BadInput(f"bytes are expected, got {type(seed).__name__}", field="seed")
    n_bits = _whole(n_bits, "n_bits")
    return Bits.from_bytes(hashlib.shake_256(b"qkdlab seed 1:" + bytes(seed)).digest((n_bits + 7) // 8), n_bits)


def _checked(key, length, seed):
    if not isinstance(key, Bits):
        raise BadInput(f"Bits are expected, got {type(key).__name__}", field="key")
    n, length = len(key), _whole(length, "length")
    if length > n:
        raise BadInput(f"a key of {n} bits cannot be amplified to more", field="length", value=length)
    if not isinstance(seed, Bits):
        try:
            seed = Bits.from_numpy(seed)
        except (ValueError, TypeError) as error:
            raise BadInput(f"Bits or an array of 0 and 1 is expected: {error}", field="seed") from None
    need = max(n + length - 1, 0)
    if len(seed) != need:
        raise BadInput(f"{n} bits to {length} take a seed of n + length - 1 = {need} bits", field="seed",
                       value=f"{len(seed)} bits")
    return n, length, seed


def _whole(value, field):
    try:
        if isinstance(value, bool):
            raise TypeError
        value = operator.index(value)
    except TypeError:
        raise BadInput("a whole number is expected", field=field, value=value) from None
    if value < 0:
        raise BadInput("must be at least 0", field=field, value=value)
    return value


def _shifted(words, by, n_words):
    """`n_words` words that hold `words` moved up by `by` bits (below 64)."""
    out = np.zeros(n_words, np.uint64)
    out[: len(words)] = words[:n_words] << np.uint64(by)
    if by:
        out[1 : len(words) + 1] |= words[: n_words - 1] >> np.uint64(64 - by)
    return out
