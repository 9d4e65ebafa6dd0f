"""Hashing in plain NumPy and Python integers."""
import functools
from types import SimpleNamespace

import numpy as np


def bits(words):
    return np.unpackbits(np.ascontiguousarray(words).view(np.uint8), bitorder="little")


def product(seed, key, out):
    if len(key) and len(out):
        whole = np.convolve(bits(seed).astype(np.int64), bits(key).astype(np.int64)) & 1
        part = whole[64 * len(key) : 64 * (len(key) + len(out))].astype(np.uint8)
        out ^= np.packbits(part, bitorder="little").view(np.uint64)


# ---------------------------------------------------------------------------------------------------- GF(2^128)


def gf128(a, b):
    """Product of two integers as elements of GF(2)[x] / (x^128 + x^7 + x^2 + x + 1)."""
    total = 0
    for i in range(128):
        if b >> i & 1:
            total ^= a << i
    for i in range(254, 127, -1):
        if total >> i & 1:
            total ^= 1 << i | 0b10000111 << (i - 128)
    return total


def polynomial(words, last, point_and_factor, out):
    low, high, factor_low, factor_high = map(int, point_and_factor)
    padded = [*map(int, words), 0]
    value = 0
    for i in range(0, len(words), 2):
        value = gf128(value ^ padded[i] ^ padded[i + 1] << 64, low | high << 64)
    value = gf128(gf128(value ^ int(last), low | high << 64), factor_low | factor_high << 64)
    out[0], out[1] = value & (1 << 64) - 1, value >> 64


# ----------------------------------------------------------------------------------------------------- GF(2^16)


def gf8(a, b):
    """Product in the field of AES, GF(2)[x] / (x^8 + x^4 + x^3 + x + 1)."""
    total = 0
    for i in range(8):
        total ^= (a << i) * (b >> i & 1)
    for i in range(14, 7, -1):
        total ^= (0x11B << (i - 8)) * (total >> i & 1)
    return total


@functools.cache
def field():
    """Tables of GF(2^16) = GF(2^8)[y] / (y^2 + y + b_7), an element being low + 256 high.

    Cantor's basis b: 1, and then the smaller root of each b^2 + b = the one before; y is the ninth.
    """
    basis = [1]
    for _ in range(7):
        basis.append(min(b for b in range(256) if gf8(b, b) ^ b == basis[-1]))

    def times(a, b):
        low, high = gf8(a & 255, b & 255), gf8(a >> 8, b >> 8)
        both = gf8(a >> 8, b & 255) ^ gf8(a & 255, b >> 8)
        return low ^ gf8(high, basis[7]) | (both ^ high) << 8

    generator = next(g for g in range(256, 65536) if is_generator(times, g))
    power, exponent, logarithm = 1, np.zeros(65535, np.uint16), np.zeros(65536, np.int64)
    for i in range(65535):
        exponent[i], logarithm[power] = power, i
        power = times(power, generator)
    squares = exponent[2 * logarithm % 65535]
    squares[0] = 0
    everything = np.arange(65536, dtype=np.uint16)
    for _ in range(8):
        basis.append(int(np.flatnonzero(squares ^ everything == basis[-1])[0]))
    places = np.zeros(1, np.uint16)
    for b in basis:
        places = np.concatenate([places, places ^ np.uint16(b)])
    y_powers = [1]
    for _ in range(15):
        y_powers.append(times(y_powers[-1], 256))
    return SimpleNamespace(exponent=exponent, logarithm=logarithm, places=places, y_powers=y_powers)


def is_generator(times, g):
    def power(n):
        result, square = 1, g
        while n:
            result, square, n = times(result, square) if n & 1 else result, times(square, square), n >> 1
        return result

    return all(power(65535 // p) != 1 for p in (3, 5, 17, 257))


def multiply(a, b):
    f = field()
    return np.where((a == 0) | (b == 0), 0, f.exponent[(f.logarithm[a] + f.logarithm[b]) % 65535]).astype(np.uint16)


def from_cells(cells):
    """Elements in the order of their places; a group of 256 cells holds 64 x 256 places, the upper part in a cell."""
    elements = cells[:, :64].astype(np.uint16) | cells[:, 64:].astype(np.uint16) << 8
    return elements.reshape(-1, 256, 64).transpose(0, 2, 1).reshape(-1)


def to_cells(elements):
    lanes = elements.reshape(-1, 64, 256).transpose(0, 2, 1).reshape(-1, 64)
    return np.concatenate([lanes & 255, lanes >> 8], axis=1).astype(np.uint8)


def move(words, start, out):
    n = 64 * len(out)
    padded = np.concatenate([np.zeros(n, np.uint8), bits(words), np.zeros(n, np.uint8)])
    start = min(max(start, -n), 64 * len(words)) + n
    out[:] = np.packbits(padded[start : start + n], bitorder="little").view(np.uint64)


def transform(words, start, work, spectra, at, count=1):
    """The definition: the sum of c_q w^q at each place w, a byte being a polynomial in y."""
    if count > 1:
        transform(words, start + 256 * len(spectra), work, spectra, at + 1, count - 1)
    data = np.zeros(4 * len(spectra), np.uint64)
    move(words, start, data)
    data = data.view(np.uint8)
    f = field()
    w = f.places[: 64 * len(spectra)]
    values = np.zeros(len(w), np.uint16)
    for q in np.flatnonzero(data):
        c = np.bitwise_xor.reduce([f.y_powers[j] for j in range(8) if data[q] >> j & 1])
        powers = f.exponent[q * f.logarithm[w] % 65535]
        powers[0] = q == 0
        values ^= multiply(np.uint16(c), powers)
    spectra[:, at] = to_cells(values)


def multiply_add(seed, key, out):
    n_key = key.shape[1]
    for a in range(out.shape[1]):
        for b in range(n_key):
            s, k = from_cells(seed[:, a - b + n_key - 1]), from_cells(key[:, b])
            out[:, a] ^= to_cells(multiply(s, k))


def interpolate(spectra, at, work, out, count=1):
    """Divided differences stage by stage, then s_i(x) multiplied out; each coefficient solved for its powers of y."""
    if count > 1:
        interpolate(spectra, at + 1, work, out[4 * len(spectra) :], count - 1)
        out = out[: 8 * len(spectra)]
    f, c = field(), from_cells(spectra[:, at])
    k = len(c).bit_length() - 1
    for i in range(k):
        u, v = np.moveaxis(c.reshape(-1, 2, 1 << i), 1, 0)
        v ^= u
        u ^= multiply(v, f.places[: 2 * len(u) : 2, None])
    subspace = [1]                      # exponents j of s_i = sum of x^(2^j), here as a polynomial in the index j
    for i in range(k):
        low, high = np.moveaxis(c.reshape(-1, 2, 1 << i), 1, 0)
        whole = np.concatenate([low, np.zeros_like(high)], axis=1)
        for j in range(len(subspace)):
            if subspace[j]:
                whole[:, 1 << j : (1 << j) + (1 << i)] ^= high
        c = whole.reshape(-1)
        subspace = [a ^ b for a, b in zip(subspace + [0], [0] + subspace, strict=True)]
    sums = np.zeros(8 * len(c) + 8, np.uint8)
    for j, coefficient in enumerate(powers_of_y(c)):
        sums[j : j + 8 * len(c) : 8] ^= coefficient
    out ^= np.packbits(sums[: 8 * len(c)], bitorder="little").view(np.uint64)


def powers_of_y(elements):
    """Coefficients of 1, y, ..., y^15 by elimination over GF(2)."""
    rows = [(1 << j, p) for j, p in enumerate(field().y_powers)]
    for bit in range(16):
        pivot = next(r for r in rows if r[1] & (1 << bit + 1) - 1 == 1 << bit)      # not one of the earlier pivots
        rows = [r if r is pivot or not r[1] >> bit & 1 else (r[0] ^ pivot[0], r[1] ^ pivot[1]) for r in rows]
    combination = {p.bit_length() - 1: c for c, p in rows}
    result = np.zeros((16, len(elements)), np.uint8)
    for bit in range(16):
        for j in range(16):
            if combination[bit] >> j & 1:
                result[j] ^= (elements >> bit & 1).astype(np.uint8)
    return result
