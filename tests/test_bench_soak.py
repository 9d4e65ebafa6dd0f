"""A live session of an hour at 1 Mcps from the simulated bench: memory, blocks, archive. Slow; QKDLAB_SOAK_S shortens it."""

import json
import os
import statistics
import subprocess
import sys

import numpy as np
import pytest

CHILD = """
import json, os, pathlib, sys
from qkdlab import bench, bench_file
folder, seconds = pathlib.Path(sys.argv[1]), float(sys.argv[2])
text = bench_file.read().text.replace("seed = 1", "seed = 1\\nspeed = 0").replace(
    "[devices.tagger]", "[devices.tagger]\\ntimeout_s = 60")
text = text.replace("[simulation]", "[session]\\nwatch_s = 10\\n[simulation]")
(folder / "bench.toml").write_text(text)
told, held = [], []
def resident_mb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
with bench.open(folder / "bench.toml") as lab:
    session = lab.session(archive=folder / "run.h5")
    for device in lab.devices.values():
        device.transport.timeout_s = 60
    def listen(event):
        if event.step == "device":
            told.append(dict(event.values))
        if event.step == "block":
            held.append((event.values["time_s"], event.values["tags"], resident_mb()))
    session.subscribe(listen)
    report = session.run(seconds)
    blocks = session.source.blocks_taken
print(json.dumps({"report": {k: report[k] for k in ("secret_bits", "reason", "qber_test")}, "told": told,
                  "blocks": blocks, "held": held}))
"""


@pytest.mark.slow
def test_memory_is_constant_no_block_is_lost_and_the_archive_is_complete(tmp_path):
    import qkdlab

    seconds = float(os.environ.get("QKDLAB_SOAK_S", 3600))
    child = subprocess.run([sys.executable, "-c", CHILD, str(tmp_path), str(seconds)], capture_output=True, text=True,
                           check=True)
    found = json.loads(child.stdout.splitlines()[-1])
    held, tags = [mb for _, _, mb in found["held"]], found["held"][-1][1]
    tenths = [(statistics.median(part), max(part)) for part in np.array_split(held, 10)]
    print(json.dumps(found | {"held": None, "tags": tags, "median and most MB in each tenth": tenths}))
    # What waits between the tagger and the session comes and goes: the median tells whether anything is kept.
    assert statistics.median(held[-len(held) // 3:]) < 1.1 * statistics.median(held[len(held) // 3 : len(held) * 2 // 3])
    assert not found["told"] and tags > 1e6 * seconds and found["report"]["secret_bits"] > 0
    assert found["blocks"] == pytest.approx(seconds / 0.2, abs=2)
    recording = qkdlab.open(tmp_path / "run.h5")
    assert recording.info["records"] == tags
    count, last = 0, -1
    for block in recording.tag_blocks():
        assert block.lost == 0 and (not len(block) or block.time_ps[0] >= last)
        count, last = count + len(block), int(block.time_ps[-1]) if len(block) else last
    assert count == tags and last * 1e-12 == pytest.approx(seconds, abs=2)
