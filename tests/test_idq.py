import numpy as np
import pytest

from qkdlab import datasets
from qkdlab.datasets import nist
from qkdlab.errors import BadInput

TIMES = 10**15 + np.cumsum(np.random.default_rng(1).integers(1, 10**10, 300))
SECOND = 10**12


def joined(path, **settings):
    return np.concatenate([b.time_ps for b in datasets.open(path, **settings).tag_blocks()])


def test_times_since_the_start(tmp_path):
    TIMES.astype("<u8").tofile(tmp_path / "a.bin")
    (tmp_path / "a.txt").write_text("".join(f"{t}\n" for t in TIMES))
    for name in ("a.bin", "a.txt"):
        recording = datasets.open(tmp_path / name)
        assert recording.format == "idq" and not recording.info["pairs"]
        assert np.array_equal(joined(tmp_path / name), TIMES)
        assert datasets.inspect(tmp_path / name, channel=3)["channels"] == {"3": 300}


@pytest.mark.parametrize("ending", ["\n", ";\n", "\r\n"])
def test_times_since_a_reference(tmp_path, ending):
    pairs = np.stack(np.divmod(TIMES, SECOND)[::-1], 1)
    pairs.astype("<u8").tofile(tmp_path / "a.bin")
    (tmp_path / "a.txt").write_bytes("".join(f"{t};{n}{ending}" for t, n in pairs).encode())
    for name in ("a.bin", "a.txt"):
        assert datasets.open(tmp_path / name, reference_ps=SECOND).info["pairs"]
        assert np.array_equal(joined(tmp_path / name, reference_ps=SECOND), TIMES)
        # The file does not say how long a reference lasts: nobody guesses it.
        with pytest.raises(BadInput, match=f"{name}: reference_ps: there are several reference events"):
            datasets.inspect(tmp_path / name)


def test_one_reference_needs_no_length(tmp_path):
    (tmp_path / "a.txt").write_text("5;7\n9;7\n")
    assert joined(tmp_path / "a.txt").tolist() == [5, 9]


@pytest.mark.parametrize("settings", [{"reference_ps": 0}, {"reference_ps": 1.5}, {"channel": 256}, {"channel": -1}])
def test_settings_that_cannot_be(tmp_path, settings):
    TIMES.astype("<u8").tofile(tmp_path / "a.bin")
    with pytest.raises(BadInput, match=next(iter(settings))):
        datasets.open(tmp_path / "a.bin", **settings)


def test_more_than_63_bits(tmp_path):
    np.array([1, 2, 2**63, 3], "<u8").tofile(tmp_path / "a.bin")
    report = datasets.inspect(tmp_path / "a.bin", form="idq")
    assert report["photons"] == 2 and "byte 16: more than 2^63 ps" in report["warnings"][0]
    np.array([5, 1, 5, 2**40, 5, 2], "<u8").tofile(tmp_path / "b.bin")
    report = datasets.inspect(tmp_path / "b.bin", form="idq", reference_ps=SECOND, pairs=True)
    assert report["photons"] == 1 and "byte 16: " in report["warnings"][0]


# ----------------------------------------------------------------------------------------------------------------- NIST


def test_nist_events(tmp_path):
    events = np.zeros(50, nist.EVENT)
    events["channel"], events["time"] = np.arange(50) % 7, 10**12 + np.arange(50) * 1000
    raw = bytearray(events.tobytes())
    raw[1:8], raw[16:24] = b"unknown", b"unknown!"                 # what is passed over
    (tmp_path / "a.dat").write_bytes(raw)
    recording = datasets.open(tmp_path / "a.dat")
    assert recording.format == "nist"
    report = recording.inspect()
    assert report["first_ps"] == 10**12 * 625 // 8 and report["resolution_ps"] == 78.125 and report["complete"]
    assert report["channels"]["6"] == 7 and "78.125 ps is taken" in report["warnings"][0]
    named = datasets.inspect(tmp_path / "a.dat", tick_ps=320)
    assert named["first_ps"] == 320 * 10**12 and not named["warnings"]
