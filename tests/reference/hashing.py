"""Hashing in plain NumPy and Python integers."""
import numpy as np


def bits(words):
    return np.unpackbits(np.ascontiguousarray(words).view(np.uint8), bitorder="little")


def product(seed, key, out):
    if len(key) and len(out):
        whole = np.convolve(bits(seed).astype(np.int64), bits(key).astype(np.int64)) & 1
        part = whole[64 * len(key) : 64 * (len(key) + len(out))].astype(np.uint8)
        out ^= np.packbits(part, bitorder="little").view(np.uint64)


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
