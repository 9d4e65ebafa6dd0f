"""Files larger than any memory bound that we set: 10 GB of records, 10^9 tags. Each in a process of its own, whose peak
memory the system tells at the end."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from qkdlab.datasets import ptu
from qkdlab.datatypes import TimeTags

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="no getrusage here")]

TEN_GB = 10**10
BILLION = 10**9
REPORT = """
import json, resource, sys
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps(found | {"peak_bytes": peak}))
"""


def in_a_process(code, *argv):
    done = subprocess.run([sys.executable, "-c", code + REPORT, *map(str, argv)], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def ten_gigabytes(tmp_path):
    """Known tags behind a hole of 10 GB, in which every record reads as a photon of input 0 at time 0."""
    known = TimeTags(10**12 + np.cumsum(np.random.default_rng(1).integers(1, 10**8, 1001)), np.arange(1001) % 4)
    small, path = tmp_path / "small.ptu", tmp_path / "large.ptu"
    ptu.write(small, [known])
    _, start = ptu.read_header(small)
    raw = small.read_bytes()
    path.write_bytes(raw[:start])
    os.truncate(path, start + TEN_GB)
    with path.open("ab") as file:
        file.write(raw[start:])
    return path, known


def test_ten_gigabytes_of_records(ten_gigabytes):
    path, known = ten_gigabytes
    found = in_a_process("""
import sys
from qkdlab import datasets
found = datasets.inspect(sys.argv[1])
""", path)
    assert found["photons"] == TEN_GB // 4 + len(known) and found["last_ps"] == known.time_ps[-1]
    assert found["channels"]["3"] == 250 and found["records"] == found["photons"] + found["overflows"]
    assert found["peak_bytes"] < 250e6


def test_ten_gigabytes_block_by_block_as_they_are_followed(ten_gigabytes):
    path, known = ten_gigabytes
    found = in_a_process("""
import sys
from qkdlab import datasets
count, last = 0, None
for block in datasets.follow(sys.argv[1], idle_seconds=0.1).tag_blocks():
    count, last = count + len(block), block
found = {"count": count, "times": last.time_ps[-1001:].tolist(), "channels": last.channel[-1001:].tolist()}
""", path)
    assert found["count"] == TEN_GB // 4 + len(known)
    assert found["times"][-100:] == known.time_ps[-100:].tolist()
    assert found["channels"][-100:] == known.channel[-100:].tolist()
    assert found["peak_bytes"] < 300e6


def test_a_billion_tags_archived_and_read_again(tmp_path):
    found = in_a_process("""
import sys, time, numpy as np
from qkdlab import datasets
from qkdlab.datasets import run
from qkdlab.datatypes import TimeTags
n, blocks = 1_000_000, 1000
rng = np.random.default_rng(1)
gaps = rng.exponential(1e6, n)                                       # 1 Mcps on four detectors, pulses of 1 GHz
times = np.cumsum(np.rint(gaps / 1000).astype(np.int64) * 1000 + 500) + np.rint(rng.normal(0, 60, n)).astype(np.int64)
times.sort()
channel, span = rng.integers(0, 4, n).astype(np.uint8), int(times[-1]) + 1000
begin = time.process_time()
with run.RunWriter(sys.argv[1]) as writer:
    for i in range(blocks):
        writer.append(TimeTags(times + i * span, channel))
wrote = time.process_time()
count, right = 0, True
for i, block in enumerate(datasets.open(sys.argv[1]).tag_blocks(n)):
    count += len(block)
    right &= np.array_equal(block.time_ps, times + i * span) and np.array_equal(block.channel, channel)
read = time.process_time()
found = {"count": count, "right": bool(right), "write_s": wrote - begin, "read_s": read - wrote}
""", tmp_path / "run.h5")
    print(found, (tmp_path / "run.h5").stat().st_size)
    assert found["count"] == BILLION and found["right"]
    assert (tmp_path / "run.h5").stat().st_size < 4 * BILLION and found["peak_bytes"] < 2e9
