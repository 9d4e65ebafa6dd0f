"""Every format's own files are found as its own, and as nothing else."""

import numpy as np
import pytest
from samples import SAMPLES

from qkdlab import datasets


def forms(path):
    """Names of the formats that `path` could be."""
    raw = path.read_bytes()
    return list(datasets._candidates(raw[: datasets.HEAD_BYTES], len(raw), path))


@pytest.mark.parametrize("name", SAMPLES)
def test_a_file_is_found_as_its_own(tmp_path, name):
    path = tmp_path / f"recording{SAMPLES[name].ending}"
    SAMPLES[name].make(path)
    assert forms(path) == [SAMPLES[name].form]


@pytest.mark.parametrize("name", [name for name, sample in SAMPLES.items() if sample.signed])
@pytest.mark.parametrize("ending", ["", ".dat"])
def test_the_name_does_not_matter(tmp_path, name, ending):
    path = tmp_path / f"recording{ending}"
    SAMPLES[name].make(path)
    assert forms(path) == [SAMPLES[name].form]


@pytest.mark.parametrize("name", [name for name, sample in SAMPLES.items() if sample.signed])
def test_a_wrong_ending_misleads_nobody(tmp_path, name):
    for ending in {sample.ending for sample in SAMPLES.values() if sample.signed}:
        path = tmp_path / f"recording{ending}"
        SAMPLES[name].make(path)
        assert forms(path) == [SAMPLES[name].form], ending
        path.unlink()


@pytest.mark.parametrize("name", [name for name, sample in SAMPLES.items() if sample.signed])
def test_nor_does_the_length(tmp_path, name):
    """A longer file that begins like this is its own format's or nobody's."""
    path = tmp_path / "recording"
    SAMPLES[name].make(path)
    raw = path.read_bytes()
    for length in range(len(raw), len(raw) + 240):
        assert list(datasets._candidates(raw[: datasets.HEAD_BYTES], length, path)) in ([SAMPLES[name].form], [])


@pytest.mark.parametrize("length", [1, 8, 16, 24, 40, 48, 50, 80, 96, 240, 400, 1200, 4096, 48_000])
def test_random_bytes_are_nobodys(tmp_path, length):
    path, rng = tmp_path / "random", np.random.default_rng(length)
    for _ in range(40):
        path.write_bytes(rng.bytes(length))
        assert forms(path) == []


@pytest.mark.parametrize("text", ["hello world\n" * 50, "# time\n1 2 3\n", "{\"a\": 1}\n", "x,y\n1,2\n3,4\n", "\n\n\n",
                                  "\0" * 960, "\xff" * 960])
def test_other_files_are_nobodys(tmp_path, text):
    path = tmp_path / "other"
    path.write_bytes(text.encode("latin-1"))
    assert forms(path) == []
