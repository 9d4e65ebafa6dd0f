import h5py
import numpy as np
import pytest

from qkdlab import datasets
from qkdlab.datasets import photon_hdf5, run
from qkdlab.datatypes import TimeTags
from qkdlab.errors import BadInput

# What version 0.5 asks for of a file with one spot (photon-hdf5.readthedocs.io).
MANDATORY = ["acquisition_duration", "description", "photon_data/timestamps",
             "photon_data/timestamps_specs/timestamps_unit", "setup/num_pixels", "setup/num_spots",
             "setup/num_spectral_ch", "setup/num_polarization_ch", "setup/num_split_ch", "setup/modulated_excitation",
             "setup/lifetime", "setup/excitation_alternated", "identity/creation_time", "identity/software",
             "identity/software_version", "identity/format_name", "identity/format_version", "identity/format_url"]


@pytest.fixture
def small(tmp_path):
    photon_hdf5.write(tmp_path / "a.hdf5", [TimeTags([4, 8, 2**60], [0, 3, 1])], tick_ps=4)
    return tmp_path / "a.hdf5"


def test_what_others_look_for(small):
    with h5py.File(small) as file:
        assert all(name in file for name in MANDATORY)
        assert file.attrs["format_name"] == b"Photon-HDF5" and file["identity/format_version"][()] == b"0.5"
        assert file["photon_data/timestamps"][:].tolist() == [1, 2, 2**58] and file["setup/num_pixels"][()] == 4
        assert file["photon_data/timestamps_specs/timestamps_unit"][()] == pytest.approx(4e-12, rel=1e-15)
        assert file["photon_data"].attrs["TITLE"]
    recording = datasets.open(small)
    assert recording.tick_ps == 4 and recording.info["acquisition_duration_s"] == pytest.approx((2**60 - 4) * 1e-12)


def test_t3_keeps_its_dtimes(shared, tmp_path):
    for source in ("napari-flim/hazelnut_first500k.ptu", "libpicoquant/v20.ht3", "phconvert/test_noise.spc"):
        path, target = shared / "timetags" / source, tmp_path / f"{source.split('/')[1]}.hdf5"
        told = datasets.convert(path, target)
        assert not any("dtime" in line or "micro time" in line for line in told)
        before, after = datasets.open(path), datasets.open(target)
        for name in ("sync", "dtime", "channel"):
            a, b = (np.concatenate([getattr(x, name) for x in r.synced_blocks()]) for r in (before, after))
            assert np.array_equal(a, b)
        a, b = (np.concatenate([x.time_ps for x in r.tag_blocks()]) for r in (before, after))
        assert np.array_equal(a, b) and datasets.inspect(path)["dtime_sum"] == datasets.inspect(target)["dtime_sum"]


def test_runs_and_others_are_told_apart(small, tmp_path):
    run.write(tmp_path / "run.hdf5", [TimeTags([1], [0])])
    assert datasets.open(small).format == "photon_hdf5" and datasets.open(tmp_path / "run.hdf5").format == "run"
    with h5py.File(tmp_path / "other.hdf5", "w") as file:
        file["x"] = 1
    with pytest.raises(BadInput, match="not a run of qkdlab"):
        datasets.open(tmp_path / "other.hdf5")


def spoil(path, name, value=None):
    with h5py.File(path, "r+") as file:
        del file[name]
        if value is not None:
            file[name] = value


@pytest.mark.parametrize(("name", "value", "match"), [
    ("photon_data/timestamps_specs/timestamps_unit", None, "timestamps_unit"),
    *(("photon_data/timestamps_specs/timestamps_unit", x, "timestamps_unit")
      for x in (0.0, -1.0, np.nan, np.inf, 1e300, b"x")),
    ("photon_data/detectors", np.zeros(2, np.uint8), "detectors"),
    ("photon_data/detectors", np.array([0, 1, 300]), "photon 2: detectors"),
    ("photon_data/timestamps", np.zeros(3), "timestamps"),
    ("photon_data/timestamps", np.array([0, -1, 3]), "photon 1: timestamps"),
    ("photon_data/timestamps", np.array([0, 1, 2**62]), "photon 2: timestamps"),
    ("photon_data/timestamps", np.zeros((3, 1), np.int64), "timestamps")])
def test_spoilt_fields_are_named(small, name, value, match):
    spoil(small, name, value)
    with pytest.raises(BadInput, match=match):
        datasets.inspect(small)


def test_a_shape_is_but_a_promise(small):
    spoil(small, "photon_data/timestamps")
    spoil(small, "photon_data/detectors")
    with h5py.File(small, "r+") as file:
        file["photon_data"].create_dataset("timestamps", (2**40,), "i8", chunks=(1 << 14,))
    with pytest.raises(BadInput, match="promises more than the 0 items"):
        datasets.open(small)


def test_without_detectors_and_with_a_unit_that_is_no_whole_ps(small):
    spoil(small, "photon_data/detectors")
    spoil(small, "photon_data/timestamps", np.array([0, 3, 10**9]))
    spoil(small, "photon_data/timestamps_specs/timestamps_unit", 12.5e-9 / 3)
    (block,) = datasets.open(small).tag_blocks()
    assert not block.channel.any() and block.time_ps.tolist() == [0, 12_500, 12_500 * 10**9 // 3]


def test_what_does_not_fit_leaves_no_file(tmp_path):
    for tags, settings in ((TimeTags([5], [0]), {"tick_ps": 4}), (TimeTags([-4], [0]), {})):
        with pytest.raises(BadInput, match="time_ps"):
            photon_hdf5.write(tmp_path / "a.hdf5", [tags], **settings)
        assert list(tmp_path.iterdir()) == []
