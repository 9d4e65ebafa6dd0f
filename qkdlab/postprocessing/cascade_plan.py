"""What Cascade's parties agree on before the first round: variants, block sizes, frames; and the leak to expect."""

import functools
import hashlib
import math
import operator
from dataclasses import dataclass

import numpy as np

from .. import _ext
from ..errors import BadInput
from ..settings import nearest

__all__ = ["FRAME_BITS", "VARIANTS", "Agreement", "Variant", "expected_efficiency"]

FRAME_BITS = 100_000          # near the best speed: a frame's whole state stays in a core's second-level cache
_TILE_BITS = 4096             # frames are cut at whole tiles of 64 x 64 bits (see _ext/cascade_order.pxd)
_MOST_TILES = 64
_LOG_WORD = 6


@dataclass(frozen=True, slots=True)
class Variant:
    """Block sizes of the passes, as numbers of errors expected in a block, and what follows them.

    Pass 1 takes the bits in their order in the largest blocks (powers of two) with at most
    ``first_block_errors * (1 - 2 qber)`` expected errors. Each later pass takes a new order in blocks of the power of
    two nearest to its number. At the end each frame gives the parities of ``checks`` random subsets of its bits; while
    one is odd, an error is searched in it, and its partners in the passes' blocks. With ``sorts`` the second pass takes
    the words in which the first found no error before the others: what is left to find is mostly there (only where
    the first pass' blocks are whole words).
    """

    first_block_errors: float
    later_block_errors: tuple[float, ...]
    checks: int
    sorts: bool = False


VARIANTS = {
    # Least leak without thousands of rounds. Chosen by Monte-Carlo over 0.5-11 % in frames of 1e4 and 1e5 bits: 1.45 is
    # where the next smaller first block becomes better (32 bits at 2.2 % instead of 64, 8 at 7.6 % instead of 16); a
    # second pass of 10 errors a block has f 0.003 lower than one of 5, one of 20 saves 0.001 more at twice the rounds;
    # a third pass costs more than the checks find without it. 20 checks: each time an odd one is looked for, the errors
    # left pass all of them with probability 2^-20, and there are a few such times in a frame (seen: 1 wrong frame in
    # 480,000 of 1e4 bits at 0.5-8 %, none in 11,000 of 1e5 bits). Sorting takes 0.003 off f at 1-2 %, and the checks then
    # find more.
    "default": Variant(first_block_errors=1.45, later_block_errors=(10,), checks=20, sorts=True),
    # For links with delay: a third to a tenth of the rounds for 0.01-0.03 of f. Small second blocks leave few errors to
    # follow from block to block, and a third pass finds together what the checks would find one by one. Monte-Carlo as
    # above.
    "few-rounds": Variant(first_block_errors=1.15, later_block_errors=(3, 80), checks=20),
}


@dataclass(frozen=True, slots=True)
class Agreement:
    """Everything that both parties must give alike, checked; see :func:`qkdlab.postprocessing.reconcile.reconcile`.

    Raises
    ------
    BadInput
        Naming the argument that has the wrong type or range.
    """

    n: int                       # bits of the key
    qber: float
    seed: int
    variant: str = "default"
    frame_bits: int = FRAME_BITS

    def __post_init__(self):
        try:
            qber = math.nan if isinstance(self.qber, str | bytes) else float(self.qber)
        except (TypeError, ValueError):
            qber = math.nan
        if not 0 < qber < 0.5:
            raise BadInput("a number between 0 and 0.5, both excluded, is expected", where="reconcile", field="qber",
                           value=self.qber)
        object.__setattr__(self, "qber", qber)
        for field, low, high in ("n", 0, 2**62), ("seed", 0, 2**64 - 1), ("frame_bits", 1, 2**62):
            object.__setattr__(self, field, whole(getattr(self, field), field, low, high))
        if not isinstance(self.variant, str) or self.variant not in VARIANTS:
            raise BadInput(f"unknown variant; {nearest(str(self.variant), VARIANTS)}", where="reconcile",
                           field="variant", value=self.variant)

    def frame_lengths(self):
        """Frames of near-equal size, about `frame_bits` each, cut at whole tiles: list of int."""
        tiles = -(-self.n // _TILE_BITS)
        frames = min(max(-(-self.n // self.frame_bits), -(-tiles // _MOST_TILES)), tiles)
        if not frames:
            return []
        size, larger = divmod(tiles, frames)
        lengths = [_TILE_BITS * (size + 1)] * larger + [_TILE_BITS * size] * (frames - larger)
        lengths[-1] -= tiles * _TILE_BITS - self.n
        return lengths

    def log_blocks(self):
        """log2 of the block size of each pass: tuple of int."""
        rules = VARIANTS[self.variant]
        lengths = self.frame_lengths()
        first = math.floor(math.log2(rules.first_block_errors * (1 - 2 * self.qber) / self.qber))
        # The later passes are over whole tiles: the zeros that fill the last one thin the errors out.
        padded = -(-self.n // _TILE_BITS) * _TILE_BITS
        diluted = self.qber * self.n / padded
        later = [round(math.log2(errors / diluted)) for errors in rules.later_block_errors]
        most = (lengths[0] - 1).bit_length()
        most_later = (-(-lengths[0] // _TILE_BITS) * _TILE_BITS).bit_length() - 2
        return min(max(first, 1), most), *(min(max(log, 1), most_later) for log in later)

    def plan(self):
        """The kernel's plan, and 16 bytes by which the parties see that they have the same."""
        return _agreed_plan(self)


def whole(value, field, low, high):
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or not low <= number <= high:
        raise BadInput(f"a whole number from {low} to {high} is expected", where="reconcile", field=field, value=value)
    return number


@functools.lru_cache(maxsize=16)
def _agreed_plan(agreed):
    rules, log_blocks = VARIANTS[agreed.variant], agreed.log_blocks()
    sorts = rules.sorts and log_blocks[0] >= _LOG_WORD
    return _plan(agreed.seed, tuple(agreed.frame_lengths()), log_blocks, rules.checks, sorts)


@functools.lru_cache(maxsize=16)
def _plan(seed, lengths, log_blocks, checks, sorts):
    digest = hashlib.blake2b(repr((seed, lengths, log_blocks, checks, sorts)).encode(), digest_size=16).digest()
    return _ext.cascade.Plan(seed, np.array(lengths, np.int64), np.array(log_blocks, np.int64), checks, sorts), digest


def expected_efficiency(qber, n):
    """Reconciliation efficiency f to plan with, for the default variant: leak over ``n h(qber)``, without verification.

    A smooth curve through Monte-Carlo means, within 0.01 of them for n >= 1e4 and qber of 0.5 % to 20 % (block sizes
    are powers of two, so the true curve has ripples of 0.004). Single keys of 1e5 bits scatter by about 0.003.

    Parameters
    ----------
    qber : float
        Error rate, between 0 and 0.5 (excluded).
    n : int
        Length of the key in bits, at least 1.

    Returns
    -------
    float

    Raises
    ------
    BadInput
        Where `qber` or `n` is out of range.
    """
    agreed = Agreement(whole(n, "n", 1, 2**62), qber, seed=0)
    qber, lengths = agreed.qber, agreed.frame_lengths()
    entropy = -qber * math.log2(qber) - (1 - qber) * math.log2(1 - qber)
    # Each frame spends 20 checks and some searches for the last errors; a search in the second pass, which finds a good
    # quarter of the errors, is longer where zeros fill up the last tile.
    padding = math.log2(-(-agreed.n // _TILE_BITS) * _TILE_BITS / agreed.n)
    return 1.020 + 0.345 * qber + 34 * len(lengths) / (agreed.n * entropy) + 0.28 * qber * padding / entropy
