"""Key verification: a short hash that tells whether both parties hold the same key.

**The family.** The key is cut into elements m_1 ... m_L of GF(2^128); with two public random elements r and a ::

    tag = the low t bits of  a (m_1 r^(L+1) + m_2 r^L + ... + m_L r^2 + n r),    n = length of the key in bits

Two different keys, of equal or different lengths, give two different polynomials in r of degree at most L + 1, which
agree in at most L + 1 points: their values are equal with probability at most (L + 1) / 2^128 (evaluation of a
polynomial as a universal hash: den Boer, J. Comput. Secur. 2, 65, 1993; Taylor, CRYPTO '93; Shoup, CRYPTO '96).
Where the values differ, a times the difference is uniform over the field, so its low t bits vanish with probability
exactly 2^-t (Carter & Wegman, J. Comput. Syst. Sci. 18, 143, 1979). Together ::

    P(different keys, equal tags) <= 2^-t + (L + 1) 2^-128

**What it costs.** A tag tells Eve at most t bits of the key, whatever r and a are. :func:`tag_bits` is the smallest t
for which the bound above is within eps_cor for every key of up to 2^40 bits (L + 1 <= 2^33 + 1). The key-length
formulas already subtract log2(2 / eps_cor) for this very hash (Lim et al., PRA 89, 022307, 2014, eq. 1; Tomamichel,
Lim, Gisin, Renner, Nat. Commun. 3, 634, 2012): a hash of ceil(log2(1 / eps_cor)) bits is never longer. So t is charged
**once**, by that term, and must not be added to the leak of error correction as well. t is ceil(log2(1 / eps_cor)), or
one more where eps_cor is a power of 2 or exceeds one by less than the 2^-94 that the polynomial costs: t is then
log2(2 / eps_cor), to within 2^-43 bit at eps_cor = 1e-15. A report that counts all revealed bits names t besides.
"""

import functools
import math
from fractions import Fraction

import numpy as np

from .. import _ext
from ..bits import Bits
from ..errors import BadInput

__all__ = ["LONGEST_KEY", "SEED_BYTES", "collision_bound", "tag", "tag_bits"]

LONGEST_KEY = 1 << 40        # bits
SEED_BYTES = 32              # r and a, 16 bytes each, least significant byte first
_SMALLEST = 2.0**-80         # below this the 2^-94 of the polynomial would show in the length of the tag


def collision_bound(bits, n_bits=LONGEST_KEY):
    """Probability at most of equal tags of `bits` bits for two different keys of up to `n_bits` bits (a Fraction)."""
    return Fraction(1, 1 << bits) + Fraction((n_bits + 127) // 128 + 1, 1 << 128)


def tag_bits(eps_cor):
    """Length of the tag in bits: the smallest that keeps :func:`collision_bound` within `eps_cor`.

    Parameters
    ----------
    eps_cor : float
        Probability that different keys pass unnoticed, 2^-80 to 1.

    Raises
    ------
    BadInput
        Where `eps_cor` is outside.
    """
    if not isinstance(eps_cor, int | float | np.floating) or not _SMALLEST <= eps_cor <= 1:
        raise BadInput(f"a number from 2**-80 = {_SMALLEST:.3g} to 1 is expected", field="eps_cor", value=eps_cor)
    return _tag_bits(float(eps_cor))


@functools.lru_cache(maxsize=16)
def _tag_bits(eps_cor):
    target = Fraction(eps_cor)
    bits = max(1, 1 - math.frexp(eps_cor)[1])            # 2^-bits is within it
    while collision_bound(bits) > target:
        bits += 1
    return bits


def tag(key, seed, bits):
    """Hash of a key, to be compared with the other party's.

    Parameters
    ----------
    key : Bits
        At most 2^40 bits.
    seed : bytes
        32 uniformly random bytes, public, drawn after both keys are fixed and used for this one comparison.
    bits : int
        Length of the tag, 1 to 128: :func:`tag_bits` of the wanted eps_cor.

    Returns
    -------
    bytes
        The tag, least significant bit first, ``(bits + 7) // 8`` bytes; bits beyond its length are 0.

    Raises
    ------
    BadInput
        Where the key is too long, the seed has another length, or a type does not fit.
    """
    if not isinstance(key, Bits):
        raise BadInput(f"Bits are expected, got {type(key).__name__}", field="key")
    if len(key) > LONGEST_KEY:
        raise BadInput("at most 2**40 bits are expected", field="key", value=f"{len(key)} bits")
    if not isinstance(seed, bytes | bytearray) or len(seed) != SEED_BYTES:
        raise BadInput(f"{SEED_BYTES} bytes are expected", field="seed",
                       value=f"{len(seed)} bytes" if hasattr(seed, "__len__") else seed)
    if isinstance(bits, bool) or not isinstance(bits, int | np.integer) or not 1 <= bits <= 128:
        raise BadInput("1 to 128 bits are expected", field="bits", value=bits)
    value = np.zeros(2, np.uint64)
    _ext.hashing.polynomial(key.words, len(key), np.frombuffer(seed, "<u8").astype(np.uint64), value)
    return Bits.from_bytes(value.tobytes(), int(bits)).to_bytes()
