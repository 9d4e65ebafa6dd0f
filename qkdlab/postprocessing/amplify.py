"""Privacy amplification: a shorter key of which Eve knows nothing, by a random Toeplitz matrix over GF(2).

With a uniform seed two different keys collide with probability exactly 2^-length: Toeplitz matrices are a universal_2
family (Carter & Wegman, J. Comput. Syst. Sci. 18, 143, 1979; Krawczyk, CRYPTO '94), which is all that the leftover hash
lemma asks for (Renner, PhD thesis, ETH 2005, theorem 5.5.1). The arithmetic is exact at every size: nothing is rounded.
"""

import math
import operator

import numpy as np

from .. import _ext
from ..bits import Bits
from ..errors import BadInput

__all__ = ["amplify"]


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
    # as many as fill its last block, the hash begins where a block of the product begins.
    plan = _plan(n, length)
    if plan is None:
        out = _direct(key.words, seed.words, n, length)
    else:
        out = _by_transform(key.words, seed.words, n, length, plan)
    return Bits.from_bytes(out, length)


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


def _direct(key, seed, n, length):
    """Word by word: for short keys, or few bits out."""
    hashing, out = _ext.hashing, np.zeros((length + 63) // 64, np.uint64)
    high_key, high_seed = np.empty(len(key), np.uint64), np.empty(len(key) + len(out), np.uint64)
    hashing.move(key, n - 64 * len(key), high_key)
    hashing.move(seed, -1, high_seed)
    step = max(1, _WORDS_AT_ONCE // len(key))
    for i in range(0, len(out), step):
        hashing.product(high_seed[i : i + step + len(key)], high_key, out[i : i + step])
    return out.tobytes()


# ---------------------------------------------------------------------------------------------------- long keys

# Products of 64-bit words, and of transformed blocks, that take as long as one transform of 2^14 places (measured).
_WORD_PRODUCTS = {"portable": 5_000, "avx2": 20_000, "avx512": 8_000}[_ext.path]
_BLOCK_PRODUCTS = {"portable": 6, "avx2": 5, "avx512": 17}[_ext.path]
# Products of words, and of cells of transformed blocks, and transforms in one call: some 0.1 s on the slowest path, so that
# Ctrl-C does not wait for longer; and not much less, for threads that hash at a time wait for each other between calls.
_WORDS_AT_ONCE = 1 << 22
_CELLS_AT_ONCE = 1 << 19
_BLOCKS_AT_ONCE = 64
_KEY_BLOCKS = 128           # key blocks held transformed at a time: bounds the memory


def _plan(n, length):
    """log2 of the block's places for the least work, or None where the direct product is less."""
    best, least = None, ((n + 63) // 64) * ((length + 63) // 64) / _WORD_PRODUCTS
    for k in (14, 15, 16):
        n_key, n_out = _blocks(n, k), _blocks(length, k)
        cost = (1 << k - 14) * (2 * (n_key + n_out) * k / 14 + n_key * n_out / _BLOCK_PRODUCTS)
        if cost < least:
            best, least = k, cost
    return best


def _blocks(n_bits, k):
    """Blocks of ``2**(k + 2)`` bits that hold `n_bits`: products of two fit the 2**k places, eight bits to a place."""
    return -(-n_bits // (4 << k))


def _by_transform(key, seed, n, length, k):
    """Key and seed cut into blocks; block products summed where they are pointwise, after the additive transform."""
    size, cells, hashing = 4 << k, 1 << k - 6, _ext.hashing        # bits in a block
    n_key, n_out = _blocks(n, k), _blocks(length, k)
    at_once = -(-n_key // -(-n_key // _KEY_BLOCKS))                # in equal parts; the last may reach beyond the key
    work, keys, seeds, sums = _aligned((8, size // 8), (cells, at_once, 128), (cells, at_once + n_out, 128),
                                       (cells, n_out + 1, 128))
    work = work.reshape(-1).view(np.uint64)

    # Block a = 0 ... n_out of the product is the sum over key blocks b of seed block a - b + n_key - 1 by key block b.
    sums[:] = 0
    for first in range(0, n_key, at_once):
        for b in range(0, at_once, _BLOCKS_AT_ONCE):
            hashing.transform(key, (first + b - n_key) * size + n, work, keys, b, min(_BLOCKS_AT_ONCE, at_once - b))
        for b in range(0, at_once + n_out, _BLOCKS_AT_ONCE):
            hashing.transform(seed, (n_key - first - at_once + b) * size - 1, work, seeds, b,
                              min(_BLOCKS_AT_ONCE, at_once + n_out - b))
        step = max(1, _CELLS_AT_ONCE // (at_once * (n_out + 1)))
        for c in range(0, cells, step):
            hashing.multiply_add(seeds[c : c + step], keys[c : c + step], sums[c : c + step])

    # It is twice as long as a block: its upper half meets the lower half of the next one.
    words, out = size // 64, np.zeros((n_out + 2) * size // 64, np.uint64)
    for a in range(0, n_out + 1, _BLOCKS_AT_ONCE):
        b = min(a + _BLOCKS_AT_ONCE, n_out + 1)
        hashing.interpolate(sums, a, work, out[a * words : (b + 1) * words], b - a)
    return out[words:].view(np.uint8)[: (length + 7) // 8]


def _aligned(*shapes):
    """Uninitialised arrays of bytes that begin on a line of the cache (their sizes being multiples of one)."""
    sizes = [math.prod(shape) for shape in shapes]
    whole = np.empty(sum(sizes) + 63, np.uint8)
    at = -whole.__array_interface__["data"][0] % 64
    for shape, size in zip(shapes, sizes, strict=True):
        yield whole[at : at + size].reshape(shape)
        at += size
