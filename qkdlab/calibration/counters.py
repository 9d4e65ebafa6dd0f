"""Ways to count clicks for a given time: ``count(seconds)`` gives int64 (n,), one number for each detector."""

import time

import numpy as np

from ..errors import BadInput
from .scan import positive

__all__ = ["collect", "detector_counter", "tagger_counter"]


def collect(tagger, seconds, *, block_seconds=0.1, progress=None):
    """Tags of a tagger for about `seconds`: a list of TimeTags. The tagger is stopped afterwards, whatever happens."""
    positive(seconds, "seconds", high=86400)
    taken, total = [], max(1, round(seconds / block_seconds))
    tagger.start()
    try:
        for tags in tagger.blocks(block_seconds):
            taken.append(tags)
            if progress is not None:
                progress(len(taken) / total)
            if len(taken) >= total:
                return taken
    finally:
        tagger.stop()
    raise BadInput("the tagger ended before its time: is it still there?", where="count", field="blocks", value=len(taken))


def tagger_counter(tagger, channels=(0, 1, 2, 3), *, block_seconds=0.1):
    """A counter over a TimeTagger; `channels` are the detectors' inputs in order.

    It counts whole blocks: `seconds` must be a multiple of `block_seconds`.
    """
    def count(seconds):
        if abs(seconds / block_seconds - round(seconds / block_seconds)) > 1e-9:
            raise BadInput(f"must be a multiple of {block_seconds:g} s", where="count", field="seconds", value=seconds)
        found = np.zeros(256, np.int64)
        for tags in collect(tagger, seconds, block_seconds=block_seconds):
            found += np.bincount(tags.channel, minlength=256)
        return found[list(channels)]

    count.device = tagger
    return count


def detector_counter(detector, *, wait=time.sleep):
    """A counter over a SinglePhotonDetector with ``counts`` and ``integration_time_s``; gives int64 (1,).

    The window that is read may have begun before the call, so that two of them are waited for.
    """
    def count(seconds):
        before = detector.integration_time_s
        detector.integration_time_s = seconds
        try:
            wait(2 * seconds)
            return np.array([detector.counts], np.int64)
        finally:
            detector.integration_time_s = before

    count.device = detector
    return count


def device_of(count):
    """The device behind a counter."""
    return getattr(count, "device", count)
