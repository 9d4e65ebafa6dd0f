import numpy as np


def compress(words, mask, out):
    kept = np.unpackbits(words.view(np.uint8), bitorder="little")[
        np.unpackbits(mask.view(np.uint8), bitorder="little") == 1
    ]
    packed = np.packbits(kept, bitorder="little")
    out.view(np.uint8)[: len(packed)] = packed
