"""Photon-HDF5: the open format of single-molecule spectroscopy (photon-hdf5.org, version 0.5), read and written.

``/photon_data/timestamps`` counts in ``timestamps_specs/timestamps_unit`` (s), ``detectors`` says which input,
``nanotimes`` the time since the last laser pulse. A file of T3 data counts laser pulses: where its timestamps unit is the
period of ``measurement_specs/laser_repetition_rate``, the time of a photon is timestamp and nanotime together; else it is
the timestamp.
"""

import contextlib
import datetime
import pathlib
import re
from fractions import Fraction

import numpy as np

import qkdlab
from qkdlab.datasets.newfile import refuse_existing
from qkdlab.datasets.picoquant import exact, joined_ps
from qkdlab.datasets.recording import Recording, SyncedTags
from qkdlab.datasets.ticks import most_ticks, to_ps
from qkdlab.datatypes import TimeTags
from qkdlab.errors import BadInput

__all__ = ["SIGNATURE", "SUFFIX", "keep", "read", "recognises", "write"]

SIGNATURE = b"\x89HDF\r\n\x1a\n"
SUFFIX = ".hdf5"

CHUNK = 1 << 14
EXACT = "qkdlab_ps"               # our attribute of a unit: the fraction of ps that its float64 of seconds rounds
ONE_PULSE = 1e-9                  # relative: the timestamps unit is the period of the laser
FORMAT = {"format_name": "Photon-HDF5", "format_version": "0.5", "format_url": "http://photon-hdf5.org/"}
TITLES = {
    "acquisition_duration": "Measurement duration in seconds.",
    "description": "What the file holds.",
    "photon_data": "Arrays with one item per photon.",
    "photon_data/timestamps": "Time of each photon, in timestamps units.",
    "photon_data/detectors": "Input of each photon.",
    "photon_data/nanotimes": "Time of each photon since the last sync, in TCSPC units.",
    "photon_data/timestamps_specs": "Meaning of the timestamps.",
    "photon_data/timestamps_specs/timestamps_unit": "Seconds in one timestamps unit.",
    "photon_data/nanotimes_specs": "Meaning of the nanotimes.",
    "photon_data/nanotimes_specs/tcspc_unit": "Seconds in one TCSPC bin.",
    "photon_data/nanotimes_specs/tcspc_num_bins": "Number of TCSPC bins.",
    "photon_data/nanotimes_specs/tcspc_range": "Seconds that the TCSPC bins span.",
    "photon_data/measurement_specs": "Kind of the measurement.",
    "photon_data/measurement_specs/measurement_type": "Name of the kind of measurement.",
    "photon_data/measurement_specs/laser_repetition_rate": "Sync rate in Hz.",
    "setup": "The apparatus.",
    "identity": "This file.",
    "provenance": "Where the data came from.",
}


# ------------------------------------------------------------------------------------------------------- reading


def recognises(head, size, path):
    """Whether the HDF5 file says that it is Photon-HDF5, or has its arrays."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return _text(file.attrs.get("format_name")) == FORMAT["format_name"] or "photon_data/timestamps" in file
    except (OSError, RuntimeError, ValueError, KeyError, TypeError):
        return False


def read(path):
    """Open a Photon-HDF5 file.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    Recording
        ``info`` has ``acquisition_duration_s``, ``description`` and the kind of measurement, where the file says.

    Raises
    ------
    BadInput
        Naming file, field and value.
    """
    path = pathlib.Path(path)
    with _opened(path) as file:
        data = file.get("photon_data")
        if data is None:
            several = [name for name in file if name.startswith("photon_data")]
            spots = f"; the file has {len(several)}, one for each spot" if several else ""
            raise BadInput(f"one group of this name is expected{spots}", where=path, field="photon_data")
        length = _arrays(data, path)
        unit = _seconds(data, "timestamps_specs/timestamps_unit", path)
        bin_ps = _seconds(data, "nanotimes_specs/tcspc_unit", path) if "nanotimes" in data else None
        rate = _number(data, "measurement_specs/laser_repetition_rate")
        counts_pulses = bin_ps is not None and rate is not None and abs(float(unit) * rate / 1e12 - 1) < ONE_PULSE
        info = {"records": length, "acquisition_duration_s": _number(file, "acquisition_duration"),
                "description": _string(file, "description"),
                "measurement_type": _string(data, "measurement_specs/measurement_type")}
    stream = _Stream(path, length, unit, bin_ps, counts_pulses)
    return Recording("photon_hdf5", path, stream, unit if bin_ps is None else bin_ps, rate, info,
                     tick_ps=1 if counts_pulses else unit)


def _arrays(data, path):
    """The common length of the arrays of photons, none longer than what is stored."""
    length = None
    for name, kinds in (("timestamps", "iu"), ("detectors", "iu"), ("nanotimes", "iu")):
        if name not in data and name != "timestamps":
            continue
        array = data[name]
        if array.ndim != 1 or array.dtype.kind not in kinds:
            raise BadInput("a 1-D array of whole numbers is expected", where=path, field=name,
                           value=f"{array.dtype} of shape {array.shape}")
        if length is not None and len(array) != length:
            raise BadInput(f"{length} timestamps, but another number of these", where=path, field=name, value=len(array))
        length = len(array)
        if (stored := _stored(array)) < length:
            raise BadInput(f"the file promises more than the {stored} items that are stored", where=path, field=name,
                           value=length)
    return length


def _stored(array):
    """Number of items that are there: a shape is but a promise."""
    if array.chunks:
        return min(array.size, array.id.get_num_chunks() * array.chunks[0])
    return min(array.size, array.id.get_storage_size() // array.dtype.itemsize)


def _seconds(data, name, path):
    """A unit in s as exact ps: as our own files note it, else as the float says."""
    value = _number(data, name)
    if value is None or not 1e-15 <= value <= 1e3:
        raise BadInput("a unit from 10^-15 to 10^3 s is expected", where=path, field=f"photon_data/{name}", value=value)
    noted = _text(data[name].attrs.get(EXACT))
    if noted is not None and re.fullmatch(r"\d{1,40}(/[1-9]\d{0,40})?", noted):
        unit = Fraction(noted)
        if abs(unit / Fraction(value) / 10**12 - 1) < Fraction(1, 10**12):
            return unit
    return exact(value * 1e12)


def _number(group, name):
    item = group.get(name)
    if item is None or not hasattr(item, "shape") or item.shape not in ((), (1,)) or item.dtype.kind not in "iuf":
        return None
    value = float(np.asarray(item[()]).reshape(-1)[0])
    return value if np.isfinite(value) else None


def _string(group, name):
    item = group.get(name)
    if item is None or not hasattr(item, "shape") or item.shape != ():
        return None
    return _text(item[()])


def _text(value):
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else None if value is None else str(value)


@contextlib.contextmanager
def _opened(path):
    """The file, with what h5py raises on damage turned into BadInput."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield file
    except BadInput:
        raise
    except FileNotFoundError:
        raise BadInput("no such file", where=path) from None
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadInput(f"damaged, or not Photon-HDF5: {' '.join(str(error).split())}", where=path) from None


class _Stream:
    """The photons, block after block: see `Recording.stream`."""

    def __init__(self, path, length, unit_ps, bin_ps, counts_pulses):
        self.path, self.unit_ps, self.bin_ps = path, unit_ps, bin_ps
        self._length, self._counts_pulses = length, counts_pulses

    @property
    def synced(self):
        """A callable like this one that yields `SyncedTags`; None where the file has no nanotimes."""
        return None if self.bin_ps is None else self._synced

    def __call__(self, tally, block_tags):
        for stamps, nanotimes, channel in self._photons(tally, block_tags):
            yield TimeTags(joined_ps(stamps, nanotimes, self.unit_ps, self.bin_ps) if self._counts_pulses else
                           to_ps(stamps, self.unit_ps), channel)

    def _synced(self, tally, block_tags):
        for photons in self._photons(tally, block_tags):
            yield SyncedTags(*photons)

    def _photons(self, tally, block_tags):
        limit = (2**63 - 2**47) // (int(self.unit_ps) + 1) if self._counts_pulses else most_ticks(self.unit_ps)
        with _opened(self.path) as file:
            data = file["photon_data"]
            if "nanotimes" in data:
                tally.dtime_sum = 0
            for start in range(0, self._length, block_tags):
                part = slice(start, min(start + block_tags, self._length))
                stamps = self._checked(data["timestamps"][part], "timestamps", limit, start).astype(np.int64)
                channel = (self._checked(data["detectors"][part], "detectors", 255, start).astype(np.uint8)
                           if "detectors" in data else np.zeros(len(stamps), np.uint8))
                nanotimes = None
                if "nanotimes" in data:
                    nanotimes = self._checked(data["nanotimes"][part], "nanotimes", 65535, start).astype(np.uint16)
                    tally.dtime_sum += int(nanotimes.sum(dtype=np.int64))
                tally.records += len(stamps)
                yield stamps, nanotimes, channel

    def _checked(self, values, field, most, start):
        if (bad := (values < 0) | (values > most)).any():
            at = int(np.argmax(bad))
            raise BadInput(f"must be from 0 to {most}", where=f"{self.path}: photon {start + at}", field=field,
                           value=int(values[at]))
        return values


# ------------------------------------------------------------------------------------------------------- writing


def keep(recording):
    """Settings of :func:`write` that another recording decides: units, and where it came from."""
    settings = {"tick_ps": recording.tick_ps, "origin": recording.path.name}
    if recording.synced and recording.stream.bin_ps is not None:
        counts_pulses = recording.tick_ps == 1 and recording.stream.unit_ps != 1
        settings |= {"tick_ps": recording.stream.unit_ps, "bin_ps": recording.stream.bin_ps, "counts_pulses": counts_pulses}
    return settings


def write(path, blocks, *, tick_ps=1, bin_ps=None, counts_pulses=False, origin="", description=""):
    """Write a Photon-HDF5 file.

    Parameters
    ----------
    path : path-like
        Must not exist.
    blocks : iterable of TimeTags or SyncedTags
        All of one kind.
    tick_ps : Fraction or int
        Timestamps unit: every time is a multiple of it; of `SyncedTags` the sync period.
    bin_ps : Fraction or float, optional
        Of the dtime: `blocks` are `SyncedTags` then.
    counts_pulses : bool
        Whether the sync period is that of the laser, so that timestamp and nanotime add up.
    origin : str
        Name of the file that the data came from.
    description : str

    Returns
    -------
    int
        Number of photons.

    Raises
    ------
    BadInput
        Where the path exists or a time does not fit. No file is left then.
    """
    import h5py

    path = refuse_existing(path)
    if bin_ps is None and tick_ps != int(tick_ps):
        tick_ps = 1                                         # times were rounded to ps already
    try:
        with h5py.File(path, "x", track_order=True) as file:
            arrays, last = _begin(file, bin_ps is not None), -1
            for block in blocks:
                stamps = block.sync if bin_ps is not None else _ticks(block.time_ps, int(tick_ps), path)
                last = _append(arrays, stamps, block, last, path)
            _describe(file, tick_ps, bin_ps, counts_pulses, origin, description, path)
            photons = len(arrays["timestamps"])
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return photons


def _begin(file, synced):
    """Empty arrays that grow."""
    data = file.create_group("photon_data")
    kinds = {"timestamps": "<i8", "detectors": "u1"} | ({"nanotimes": "<u2"} if synced else {})
    return {name: data.create_dataset(name, (0,), kind, maxshape=(None,), chunks=(CHUNK,), shuffle=True, compression="gzip",
                                      compression_opts=1) for name, kind in kinds.items()}


def _ticks(time_ps, tick_ps, path):
    ticks, rest = np.divmod(time_ps, tick_ps)
    if rest.any():
        raise BadInput(f"not a multiple of the tick of {tick_ps} ps", where=path, field="time_ps",
                       value=int(time_ps[np.argmax(rest != 0)]))
    return ticks


def _append(arrays, stamps, block, last, path):
    """Add a block; returns its last timestamp."""
    if not len(stamps):
        return last
    if stamps.min() < 0:
        raise BadInput("times before 0 do not fit", where=path, field="time_ps", value=int(stamps.min()))
    columns = {"timestamps": stamps, "detectors": block.channel}
    if "nanotimes" in arrays:
        columns["nanotimes"] = block.dtime
    for name, array in arrays.items():
        start = len(array)
        array.resize((start + len(stamps),))
        array[start:] = columns[name]
    return int(stamps[-1])


def _describe(file, unit_ps, bin_ps, counts_pulses, origin, description, path):
    """What the format asks for beside the arrays."""
    unit_s = float(unit_ps) * 1e-12
    stamps = file["photon_data/timestamps"]
    span = (int(stamps[-1]) - int(stamps[0])) * unit_s if len(stamps) else 0.0
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
    kind = "generic"
    fields = {"acquisition_duration": span, "description": description or "Time tags of single photons.",
              "photon_data/timestamps_specs/timestamps_unit": unit_s, "photon_data/measurement_specs/measurement_type": kind}
    if bin_ps is not None:
        bins = 1 << int(max(_most(file["photon_data/nanotimes"]), 1)).bit_length()
        fields |= {f"photon_data/nanotimes_specs/{name}": value for name, value in (
            ("tcspc_unit", float(bin_ps) * 1e-12), ("tcspc_num_bins", bins), ("tcspc_range", bins * float(bin_ps) * 1e-12))}
    if counts_pulses:
        fields["photon_data/measurement_specs/laser_repetition_rate"] = 1 / unit_s
    pixels = _most(file["photon_data/detectors"]) + 1
    fields |= {f"setup/{name}": value for name, value in (
        ("num_pixels", pixels), ("num_spots", 1), ("num_spectral_ch", 1), ("num_polarization_ch", 1), ("num_split_ch", 1),
        ("modulated_excitation", 0), ("excitation_alternated", np.array([0])), ("lifetime", int(bin_ps is not None)))}
    about = {"software": "qkdlab", "software_version": qkdlab.__version__, "creation_time": now, "filename": path.name}
    fields |= {f"identity/{name}": value for name, value in {**about, **FORMAT}.items()}
    fields |= {"provenance/filename": origin or path.name}
    for name, value in fields.items():
        file[name] = np.bytes_(value.encode()) if isinstance(value, str) else value
    for name, value in (("timestamps_specs/timestamps_unit", unit_ps), ("nanotimes_specs/tcspc_unit", bin_ps)):
        if value is not None:
            file[f"photon_data/{name}"].attrs[EXACT] = np.bytes_(str(Fraction(value)))
    for name, value in FORMAT.items():
        file.attrs[name] = np.bytes_(value)
    for name, title in TITLES.items():
        if name in file:
            file[name].attrs["TITLE"] = np.bytes_(title)


def _most(array):
    """The largest item, read chunk by chunk; 0 of none."""
    return max((int(array[i : i + (1 << 20)].max()) for i in range(0, len(array), 1 << 20)), default=0)
