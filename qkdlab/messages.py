"""The messages of sifting and verification as bytes. What comes from the other side is checked before it is used."""

import struct

import numpy as np

from .bits import Bits
from .postprocessing import sift
from .protocols import bb84

__all__ = ["read_answer", "read_clicks", "read_verified", "write_answer", "write_clicks"]


def write_clicks(n_slots, clicks):
    return struct.pack("<QQ", n_slots, len(clicks)) + Bits.from_numpy(clicks.basis).to_bytes() \
        + sift.encode_slots(clicks.slot)


def read_clicks(payload):
    n_slots, n = struct.unpack_from("<QQ", payload)
    end = 16 + (n + 7) // 8
    slots = sift.decode_slots(payload[end:])
    if len(slots) != n:
        raise ValueError(f"classical channel: {n} clicks were announced, {len(slots)} came")
    return n_slots, Bits.from_bytes(payload[16:end], n).to_numpy(), slots


def _planes(n_intensities):
    """Bits that name an intensity."""
    return max(n_intensities - 1, 0).bit_length()


def write_answer(reply, n_intensities):
    planes = [Bits.from_numpy((reply.intensity >> p) & 1).to_bytes() for p in range(_planes(n_intensities))]
    return b"".join([Bits.from_numpy(reply.keep).to_bytes(), *planes, Bits.from_numpy(reply.test_bits).to_bytes()])


def read_answer(payload, bob_basis, n_intensities):
    at = 0

    def take(n):
        nonlocal at
        start, at = at, at + (n + 7) // 8
        return Bits.from_bytes(payload[start:at], n).to_numpy()

    keep = take(len(bob_basis)).astype(bool)
    kept = int(keep.sum())
    intensity = np.zeros(kept, np.uint8)
    for plane in range(_planes(n_intensities)):
        intensity |= take(kept) << plane
    test_bits = take(int((bob_basis[keep] == 1).sum()))
    if at != len(payload) or (kept and intensity.max() >= n_intensities):
        raise ValueError("classical channel: a malformed answer to the announced clicks came")
    return bb84.Answer(keep, intensity, test_bits)


def read_verified(payload, counts):
    errors = np.frombuffer(payload[1:], "<i8")
    if errors.shape != (len(counts.clicks),) or (errors < 0).any() or (errors > counts.clicks[:, 0]).any():
        raise ValueError("classical channel: impossible numbers of key-basis errors came")
    return bool(payload[0]), errors
