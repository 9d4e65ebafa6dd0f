"""What the tutorials show and ask: figures that follow sliders, and exercises that the library itself checks.

One file for each lesson, :mod:`.parts` for what they share. To add a lesson, write its file and name here what its
notebook calls.
"""

from .decoys import (
    decoys_against_eve,
    rates_against_distance,
    reach_with_decoys,
    share_to_silence,
    single_photon_yield,
)
from .finite import block_bound, block_sizes, guess_from_sample, one_long_block, price_of_safety, smallest_block
from .first_key import gains_against_distance, key_at_distance, photon_numbers, pulses, qber_with_eve
from .intercept import (
    bits_to_be_sure,
    exchange,
    intercepted,
    kept_share,
    share_to_abort,
    single_photon_link,
    watch_errors,
)
from .parts import check
from .weak_pulses import best_mean, key_without_decoys, multi_photon_share, over_fibre, photon_splitting, safe_distance

__all__ = [
    "best_mean",
    "bits_to_be_sure",
    "block_bound",
    "block_sizes",
    "check",
    "decoys_against_eve",
    "exchange",
    "gains_against_distance",
    "guess_from_sample",
    "intercepted",
    "kept_share",
    "key_at_distance",
    "key_without_decoys",
    "multi_photon_share",
    "one_long_block",
    "over_fibre",
    "photon_numbers",
    "photon_splitting",
    "price_of_safety",
    "pulses",
    "qber_with_eve",
    "rates_against_distance",
    "reach_with_decoys",
    "safe_distance",
    "share_to_abort",
    "share_to_silence",
    "single_photon_link",
    "single_photon_yield",
    "smallest_block",
    "watch_errors",
]
