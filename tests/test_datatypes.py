"""The vocabulary: what it refuses to show."""

import numpy as np
import pytest

from qkdlab.bits import Bits
from qkdlab.datatypes import Clicks, PulseTrain, SecretKey, SiftedKey, TimeTags, as_table

BITS = np.array([1, 0, 1, 1], np.uint8)
SLOTS = np.arange(4)
SECRETS = [
    Bits.from_numpy(BITS), SiftedKey(Bits.from_numpy(BITS), SLOTS, 0, np.zeros(4, np.uint8)),
    SecretKey(Bits.from_numpy(BITS), "id", {}, {}), PulseTrain(0, BITS), TimeTags(SLOTS, BITS), Clicks(SLOTS, BITS, BITS),
]


@pytest.mark.parametrize("secret", SECRETS, ids=lambda s: type(s).__name__)
def test_key_material_is_neither_shown_nor_written(secret):
    """In a log, a traceback or a report no bit of a key, nor of what it is made from, can be read."""
    if not isinstance(secret, Clicks):                  # whose bases are announced, its outcomes not
        assert "1, 0, 1, 1" not in repr(secret)
    assert "outcome" not in repr(secret) and "symbols" not in repr(secret)
    with pytest.raises(TypeError, match="never written out"):
        as_table({"here": [secret]})
