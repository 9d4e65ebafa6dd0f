import numpy as np
import pytest

from qkdlab.datatypes import TimeTags
from qkdlab.live import Replay


class Recorded:
    path, simulated = "a.ptu", False

    def __init__(self, *blocks):
        self._blocks = blocks

    def tag_blocks(self, tally=None):
        return iter(self._blocks)


@pytest.mark.parametrize("times", [[], [5], [0, 99, 100, 101, 250, 999], [100, 100, 100]])
def test_a_replay_is_the_recording_in_stretches(times):
    tags = TimeTags(np.array(times, np.int64), np.arange(len(times)) % 4, 7)
    later = TimeTags(tags.time_ps + 100_000, tags.channel, 7)
    replay = Replay(Recorded(tags, later), block_seconds=100e-12)
    parts = list(replay.tag_blocks(tally=None))
    assert sum((p.time_ps.tolist() for p in parts), []) == times + [t + 100_000 for t in times]
    assert sum((p.channel.tolist() for p in parts), []) == 2 * tags.channel.tolist()
    assert len(parts) == len({t // 100 for t in times}) + len({t // 500 for t in times})
    assert all(len(p) and np.ptp(p.time_ps) <= max(100, 0.005 * (p.time_ps[0] - parts[0].time_ps[0])) for p in parts)
    assert sum(p.lost for p in parts) == (14 if times else 0)
    assert replay.path == "a.ptu" and replay.simulated is False
