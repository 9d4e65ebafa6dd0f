import numpy as np


def keystream(key_words, counter, rounds=12, nonce=(0, 0)):
    """The 16 words of each block in `counter` (Python integers), uint32 (n, 16)."""
    state = np.zeros((len(counter), 16), np.uint32)
    state[:, :4] = np.frombuffer(b"expand 32-byte k", "<u4")
    state[:, 4:12] = key_words
    state[:, 12] = [c & 0xFFFFFFFF for c in counter]
    state[:, 13] = [c >> 32 for c in counter]
    state[:, 14:] = nonce
    x = state.copy()
    for r in range(rounds):
        for i in range(4):
            a, b, c, d = (4 * row + (i + row * (r % 2)) % 4 for row in range(4))
            for p, q, s, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                x[:, p] += x[:, q]
                x[:, s] ^= x[:, p]
                x[:, s] = x[:, s] << np.uint32(turn) | x[:, s] >> np.uint32(32 - turn)
    return x + state


def symbols_at(key_words, slots, basis_threshold, intensity_thresholds, out, rounds=12):
    slots = [int(s) for s in slots]
    if not slots:
        return
    word = keystream(key_words, [s // 16 for s in slots], rounds)[np.arange(len(slots)), [s % 16 for s in slots]]
    bit = word & 1
    basis = (word >> 1 & 0x7FFF) >= basis_threshold
    intensity = np.searchsorted(intensity_thresholds, (word >> 16).astype(np.int64), side="right")
    out[:] = bit | basis << 1 | intensity << 2


def symbols(key_words, first_slot, basis_threshold, intensity_thresholds, out, rounds=12):
    symbols_at(key_words, range(first_slot, first_slot + len(out)), basis_threshold, intensity_thresholds, out, rounds)
