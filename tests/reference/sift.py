import numpy as np


def select(basis, code, slot, bit, intensity, slot_out, words, intensity_out):
    kept = basis == code
    n = int(kept.sum())
    slot_out[:n], intensity_out[:n] = slot[kept], intensity[kept]
    packed = np.packbits(bit[kept] & 1, bitorder="little")
    words.view(np.uint8)[: len(packed)] |= packed
    steps = np.all(np.concatenate([[-1], slot[:-1]]) < slot) if len(slot) else True
    return n, bool(steps and np.all(bit < 2) and np.all(basis < 2) and np.all(intensity < 8))


def encode_slots(slots, out):
    written, last = 0, -1
    for i, slot in enumerate(slots.tolist()):
        if slot <= last:
            return i, 0
        gap, last = slot - last - 1, slot
        digits = [gap >> s & 127 for s in range(0, max(gap.bit_length(), 1), 7)]
        for more, digit in zip([128] * (len(digits) - 1) + [0], digits, strict=True):
            out[written] = digit | more
            written += 1
    return len(slots), written


def decode_slots(data, out):
    written, last, start = 0, -1, 0
    while start < len(data):
        stop = start
        while stop < len(data) and data[stop] & 128:
            stop += 1
        digits = data[start : stop + 1].tolist()
        slot = last + 1 + sum((digit & 127) << 7 * i for i, digit in enumerate(digits))
        if stop == len(data) or len(digits) > 9 or (len(digits) > 1 and digits[-1] == 0) or slot >= 1 << 63:
            return start, written
        out[written], last = slot, slot
        written, start = written + 1, stop + 1
    return len(data), written
