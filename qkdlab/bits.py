"""Bits: packed words and a length. The only place that packs."""

import hashlib

import numpy as np

__all__ = ["Bits", "BitsDigest"]


class Bits:
    """An immutable string of bits, packed into 64-bit words.

    Bit ``i`` is bit ``i % 64`` (counted from the least significant) of word ``i // 64``. Bits beyond the length are 0.
    The representation never shows the bits: they may be key material.

    Parameters
    ----------
    words : ndarray of uint64, shape ((length + 63) // 64,)
        Copied unless already read-only.
    length : int
        Number of bits.

    Raises
    ------
    ValueError
        Where the number of words does not fit the length, or a bit beyond the length is set.
    """

    __slots__ = ("words", "length")

    def __init__(self, words, length):
        length = int(length)
        words = np.asarray(words)
        if words.dtype != np.uint64 or words.ndim != 1:
            raise ValueError(f"words must be a 1-D uint64 array, got {words.dtype} of {words.ndim} dimensions")
        if length < 0 or len(words) != (length + 63) // 64:
            raise ValueError(f"{length} bits take {(max(length, 0) + 63) // 64} words, got {len(words)}")
        if length % 64 and int(words[-1]) >> (length % 64):
            raise ValueError(f"a bit beyond the length {length} is set")
        if words.flags.writeable or not words.flags.c_contiguous:
            words = words.copy()
            words.flags.writeable = False
        object.__setattr__(self, "words", words)
        object.__setattr__(self, "length", length)

    def __setattr__(self, name, value):
        raise AttributeError("Bits are immutable")

    def __reduce__(self):
        return Bits, (self.words, self.length)

    @classmethod
    def from_numpy(cls, a):
        """Pack an array of 0 and 1.

        Parameters
        ----------
        a : array_like of bool or integers, shape (n,)
            Each element 0 or 1.

        Raises
        ------
        ValueError
            Where an element is neither 0 nor 1, or `a` is not one-dimensional.
        """
        a = np.asarray(a)
        if a.size == 0:
            a = a.astype(np.uint8)
        if a.ndim != 1 or a.dtype.kind not in "bui":
            raise ValueError(f"a 1-D array of 0 and 1 is expected, got {a.dtype} of shape {a.shape}")
        if a.dtype.kind != "b" and a.size and (a.min() < 0 or a.max() > 1):
            raise ValueError(f"each bit must be 0 or 1, got {a.max() if a.max() > 1 else a.min()}")
        return cls.from_bytes(np.packbits(a.astype(np.uint8), bitorder="little").tobytes(), len(a))

    @classmethod
    def from_bytes(cls, data, length):
        """From packed bytes, least significant bit first; bits beyond `length` in the last byte are dropped."""
        need = (length + 7) // 8
        if length < 0 or len(data) < need:
            raise ValueError(f"{length} bits take {max(need, 0)} bytes, got {len(data)}")
        words = np.zeros((length + 63) // 64, np.uint64)
        raw = words.view(np.uint8)
        raw[:need] = np.frombuffer(data, np.uint8, need)
        if length % 8:
            raw[need - 1] &= (1 << length % 8) - 1
        words.flags.writeable = False
        return cls(words, length)

    def to_numpy(self):
        """The bits as a uint8 array of 0 and 1, shape (n,)."""
        return np.unpackbits(self.words.view(np.uint8), count=self.length, bitorder="little")

    def to_bytes(self):
        """Packed bytes, least significant bit first, ``(n + 7) // 8`` of them."""
        return self.words.tobytes()[: (self.length + 7) // 8]

    def sha256(self):
        """Hexadecimal SHA-256 of the packed bytes."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def popcount(self):
        """Number of ones."""
        return int(np.bitwise_count(self.words).sum()) if self.length else 0

    def __len__(self):
        return self.length

    def __eq__(self, other):
        if not isinstance(other, Bits):
            return NotImplemented
        return self.length == other.length and bool(np.array_equal(self.words, other.words))

    def __hash__(self):
        return hash((self.length, self.words.tobytes()))

    def __xor__(self, other):
        if not isinstance(other, Bits):
            return NotImplemented
        if len(self) != len(other):
            raise ValueError(f"bit strings of equal length are expected, got {len(self)} and {len(other)}")
        return Bits(self.words ^ other.words, self.length)

    def __getitem__(self, where):
        """A slice with step 1, as Bits."""
        if not isinstance(where, slice) or where.step not in (None, 1):
            raise TypeError("Bits are sliced with a step of 1; for single bits use to_numpy()")
        start, stop, _ = where.indices(self.length)
        length = max(stop - start, 0)
        first, by = divmod(start, 64)
        words = self.words[first : first + (by + length + 63) // 64] if length else self.words[:0]
        out = words >> np.uint64(by)
        if by:
            out[:-1] |= words[1:] << np.uint64(64 - by)
        out = out[: (length + 63) // 64]
        if length % 64:
            out[-1] &= np.uint64((1 << length % 64) - 1)
        return Bits(out, length)

    @staticmethod
    def concatenate(parts):
        """Several bit strings, one after the other."""
        parts = list(parts)
        length = sum(map(len, parts))
        words = np.zeros((length + 63) // 64 + 1, np.uint64)      # one to spare for the last shift
        at = 0
        for part in parts:
            first, by = divmod(at, 64)
            last = first + len(part.words)
            words[first:last] |= part.words << np.uint64(by)
            if by:
                words[first + 1 : last + 1] |= part.words >> np.uint64(64 - by)
            at += len(part)
        return Bits(words[:-1], length)

    def __repr__(self):
        return f"<Bits: {self.length} bits>"


class BitsDigest:
    """SHA-256 of bit strings one after the other, as of their concatenation, without keeping them.

    Attributes
    ----------
    length : int
        Bits so far.
    """

    def __init__(self):
        self._hash, self._rest, self.length = hashlib.sha256(), Bits.from_bytes(b"", 0), 0

    def add(self, bits):
        """The next Bits."""
        joined = Bits.concatenate((self._rest, bits))
        whole = len(joined) // 8 * 8
        self._hash.update(joined[:whole].to_bytes())
        self._rest, self.length = joined[whole:], self.length + len(bits)

    def hexdigest(self):
        """What ``Bits.concatenate(all).sha256()`` would give."""
        final = self._hash.copy()
        final.update(self._rest.to_bytes())
        return final.hexdigest()
