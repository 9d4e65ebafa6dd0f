"""A small recording in every format of the menu, for the tests that hold for all of them.

To add a format: one function here that writes a small whole file of it, under ``@sample``.
"""

import dataclasses
import struct
from collections.abc import Callable

import numpy as np

from qkdlab.datasets import csv, ht, nist, npz, parquet, photon_hdf5, ptu, qutag, run, sor, swabian, t3r, timestamp7
from qkdlab.datasets.ticks import to_ps
from qkdlab.datatypes import TimeTags

SAMPLES = {}


@dataclasses.dataclass(frozen=True)
class Sample:
    """One small whole file.

    Attributes
    ----------
    form : str
        The format's name on the menu.
    ending : str
        How such files are called.
    make : callable
        ``make(path)`` writes it.
    photons : int
        What an inspection finds in it.
    header : int
        Bytes before the first record: the file is cut at, and absurd numbers are put into, each of them.
    record : int
        Bytes of a record, where a file cut between two records is a whole file; 0: a cut is always found out.
    lines : bool
        Whether it is text, of which a file cut between two lines is a whole file.
    settings : dict
        Keyword arguments that the reader needs.
    inspects : bool
        Whether it holds time tags (other kinds of data are opened only).
    signed : bool
        Whether it is recognised by its content, whatever its name (two columns of numbers in a file called .csv are
        a table).
    """

    form: str
    ending: str
    make: Callable
    photons: int
    header: int = 64
    record: int = 0
    lines: bool = False
    settings: dict = dataclasses.field(default_factory=dict)
    inspects: bool = True
    signed: bool = True


def sample(form, ending, photons, name=None, **facts):
    """Enter a maker of files into :data:`SAMPLES`, under its format's name or another (several of one format)."""
    def enter(make):
        SAMPLES[name or form] = Sample(form, ending, make, photons, **facts)
        return make

    return enter


def tags(n=200, channels=4, tick_ps=1, seed=7):
    """Tags from 0.5 ms on, about a microsecond apart."""
    rng = np.random.default_rng(seed)
    return TimeTags((500_000_000 + np.cumsum(rng.integers(1000, 2_000_000, n))) // tick_ps * tick_ps,
                    rng.integers(0, channels, n))


COUNTS = """# a link of 50 km
# proof = "lim2014"
# eps_sec = 1e-9
# f_ec = 1.16
basis,intensity,probability,sent,detections,errors
key,0.5,0.6,9000000000,20000000,400000
key,0.1,0.25,3750000000,1750000,52000
key,0,0.15,2250000000,60000,28000
test,0.5,0.6,900000000,2000000,40000
test,0.1,0.25,375000000,175000,5200
test,0,0.15,225000000,6000,2800
"""


def t3r_fields(version):
    return [*t3r.IDENT, *t3r.TEXT[version], *t3r.NUMBERS, *t3r.BOARD_NAME[version], *t3r.BOARD, *t3r.RESULT]


def t3r_length(version):
    return struct.calcsize("<" + "".join(code for _, code in t3r_fields(version)))


def t3r_header(version, **changes):
    """Header of a TimeHarp 200 file."""
    known = {"Ident": b"TimeHarp 200", "FormatVersion": version.encode(), "NumberOfBoards": 1, "Resolution": 0.0625,
             "TTTRGlobClock": 100, "SyncRate": 5_000_000, "NumberOfRecords": 101} | changes
    fields = t3r_fields(version)
    values = [known.get(name, b"" if code.endswith("s") else 0) for name, code in fields]
    return struct.pack("<" + "".join(code for _, code in fields), *values)


def t3r_records():
    """90 photons on 4 routes, 10 overflows, 1 marker."""
    rng = np.random.default_rng(4)
    tag, data, route = np.sort(rng.integers(0, 65536, (10, 9))), rng.integers(0, 4096, (10, 9)), rng.integers(0, 4, (10, 9))
    photons = tag | data << 16 | route << 28
    words = np.concatenate([photons | 1 << 30, np.full((10, 1), 0x800 << 16)], axis=1).ravel()
    return np.append(words, 3 << 16).astype("<u4")


def t3r_file(version):
    return t3r_header(version) + t3r_records().tobytes()


def sor_file(version, points=50):
    """A fibre of 1 km in three events; the losses add up and the checksum is right."""
    two = version == 2
    general = b"EN" + b"cable\0fibre\0" + (struct.pack("<H", 652) if two else b"") + struct.pack("<H", 1550)
    general += b"A\0B\0code\0" + b"BC" + bytes(8 if two else 4) + b"me\0none\0"
    fixed = struct.pack("<I2sHi", 1_700_000_000, b"km", 15500, 0) + bytes(4 * two)
    fixed += struct.pack("<HHIIIHI", 1, 100, 1_000_000, points, 146_800, 800, 10) + bytes(2 * two + 4 + 4 * two)
    fixed += bytes(4) + struct.pack("<HHHHHH", 0, 0, 0, 0, 0, 3000) + (b"ST" + bytes(16) if two else b"")
    at = [0, 24_483, 48_967]
    events = struct.pack("<H", 3) + b"".join(
        struct.pack("<HIhhi8s", i + 1, time, 200 * (i > 0), 100 * (i == 1), -40_000, b"1F9999LS") + bytes(20 * two + 1)
        for i, time in enumerate(at))
    events += struct.pack("<iiIHiI", 300, 0, at[-1], 30_000, 0, 0)
    data = struct.pack("<IHIH", points, 1, points, 1000) + np.arange(points, dtype="<u2").tobytes()
    supplier = b"maker\0otdr\0001\0module\0002\0v1\0none\0"
    blocks = {"GenParams": general, "SupParams": supplier, "FxdParams": fixed, "KeyEvents": events, "DataPts": data,
              "Vendor": b"whatever", "Cksum": b"\0\0"}
    bodies = {name: (name.encode() + b"\0" if two else b"") + body for name, body in blocks.items()}
    entries = b"".join(name.encode() + b"\0" + struct.pack("<HI", 100 * version, len(body)) for name, body in bodies.items())
    head = (b"Map\0" if two else b"") + struct.pack("<HIH", 100 * version, 8 + 4 * two + len(entries), 1 + len(blocks))
    raw = (head + entries + b"".join(bodies.values()))[:-2]
    return raw + struct.pack("<H", sor._crc16(raw))


@sample("ptu", ".ptu", 200)
def make_ptu(path):
    ptu.write(path, [tags()])


@sample("csv", ".csv", 200, header=16, lines=True)
def make_csv(path):
    csv.write(path, [tags()])


@sample("npz", ".npz", 200)
def make_npz(path):
    npz.write(path, [tags()])


@sample("run", ".h5", 200)
def make_run(path):
    run.write(path, [tags()])


@sample("ht", ".ht3", 40, header=712)
def make_ht(path):
    path.write_bytes(ht_header(records=40) + np.arange(1, 41, dtype="<u4").tobytes())


def ht_header(records):
    """Header of a HydraHarp T3 file of format 2.0 without input channels."""
    known = {"Ident": b"HydraHarp", "FormatVersion": b"2.0", "BitsPerRecord": 32, "MeasurementMode": 3, "Resolution": 16.0,
             "BaseResolution": 1.0, "SyncRate": 1_000_000, "NumRecords": records}
    fields = [field for part in (ht.TEXT, ht.NUMBERS, ht.HARDWARE, ht.RESULT) for field in part]
    values = [known.get(name, b"" if code.endswith("s") else 0) for name, code in fields]
    return struct.pack("<" + "".join(code for _, code in fields), *values)


@sample("csv", ".csv", 200, name="csv of others", header=24, lines=True)
def make_other_csv(path):
    rows = (f"{time / 1000:.3f};{channel};x" for time, channel in zip(*pair(tags()), strict=True))
    path.write_text("\n".join(["Timestamp [ns];Detector;note", *rows]) + "\n")


@sample("npz", ".npz", 200, name="npz of others")
def make_other_npz(path):
    times, channel = pair(tags(tick_ps=4))
    with path.open("wb") as file:
        np.savez_compressed(file, time_ns=times / 1000, ch=channel.astype(np.int32))


def pair(tags):
    return tags.time_ps, tags.channel


@sample("parquet", ".parquet", 200)
def make_parquet(path):
    parquet.write(path, [tags()])


@sample("photon_hdf5", ".hdf5", 200)
def make_photon_hdf5(path):
    photon_hdf5.write(path, [tags()])


@sample("spc", ".spc", 100, header=4, record=4)
def make_spc(path):
    rng = np.random.default_rng(3)
    photons = np.sort(rng.integers(0, 4096, 100)) | rng.integers(0, 16, 100) << 12 | rng.integers(0, 4096, 100) << 16
    words = np.insert(photons, np.arange(0, 100, 10), 0xC0000005)
    path.write_bytes(np.concatenate([[0x80000000 | 250], words]).astype("<u4").tobytes())


@sample("t3r", ".t3r", 90, header=t3r_length("5.0"))
def make_t3r(path):
    path.write_bytes(t3r_file("5.0"))


@sample("t3r", ".t3r", 90, name="t3r 6.0", header=t3r_length("6.0"))
def make_t3r_6(path):
    path.write_bytes(t3r_file("6.0"))


@sample("sor", ".sor", 0, header=300, inspects=False)
def make_sor(path):
    path.write_bytes(sor_file(1))


@sample("sor", ".sor", 0, name="sor 2", header=300, inspects=False)
def make_sor_2(path):
    path.write_bytes(sor_file(2))


@sample("counts", ".csv", 0, header=200, inspects=False)
def make_counts(path):
    path.write_text(COUNTS)


@sample("counts", ".json", 0, name="counts json", header=100, inspects=False)
def make_counts_json(path):
    path.write_text('{"f_ec": 1.16, "counts": [{"basis": "Z", "mu": 0.5, "p": 1, "n": 100, "m": 2},'
                    ' {"basis": "X", "mu": 0.5, "p": 1, "n": 50, "m": 3}]}')


@sample("qutag", ".qutag", 200, header=40)
def make_qutag(path):
    qutag.write(path, [tags()])


@sample("qutag", ".bin", 200, name="qutag unsigned", header=40, record=10)
def make_qutag_unsigned(path):
    """With a header unlike the known one."""
    qutag.write(path, [tags()])
    with path.open("r+b") as file:
        file.write(b"\xff" * 40)


@sample("qutag", ".qutag", 200, name="qutag compressed", header=40)
def make_qutag_compressed(path):
    recorded = tags()
    packed = np.empty(200, qutag.COMPRESSED)
    bits = recorded.time_ps % 2**37 | recorded.channel.astype(np.int64) << 37
    packed["low"], packed["high"] = bits % 2**32, bits >> 32
    path.write_bytes(struct.pack("<4xI32x", 40 + packed.nbytes) + packed.tobytes())


@sample("qutag", ".txt", 200, name="qutag text", header=0, lines=True, signed=False)
def make_qutag_text(path):
    recorded = tags()
    path.write_text("".join(f"{t},{c + 1}\n" for t, c in zip(recorded.time_ps, recorded.channel, strict=True)))


@sample("qutau", ".qutau", 200, header=40, signed=False)
def make_qutau(path):
    qutag.write(path, [tags()])


def events(n=200):
    """Events of a timestamp7 unit: uint64 words."""
    recorded = tags(n)
    return (recorded.time_ps * 32 // 125).astype(np.uint64) << np.uint64(10) | (1 << recorded.channel).astype(np.uint64)


@sample("timestamp7", ".a1", 200, header=0, record=8)
def make_timestamp7(path):
    words = events()
    timestamp7.write(path, [TimeTags(to_ps((words >> np.uint64(10)).astype(np.int64), timestamp7.TICK_PS), words & 15)])


@sample("timestamp7", ".a1X", 198, name="timestamp7 legacy", header=0, record=8)
def make_timestamp7_legacy(path):
    """With two dummies."""
    words = events()
    words[[5, 50]] |= 16
    path.write_bytes((words << np.uint64(32) | words >> np.uint64(32)).tobytes())


@sample("timestamp7", ".a0", 200, name="timestamp7 a0", header=0, record=18)
def make_timestamp7_a0(path):
    path.write_text("".join(f"{word % 2**32:08x}\n{word >> 32:08x}\n" for word in events().tolist()))


@sample("timestamp7", ".a2", 200, name="timestamp7 a2", header=0, lines=True)
def make_timestamp7_a2(path):
    path.write_text("".join(f"{word:016x}\n" for word in events().tolist()))


@sample("qcrypto", "", 200, header=20)
def make_qcrypto(path):
    """Type 1 (raw events) in two packets."""
    words = events()
    epoch = int(words[0]) >> 47
    halves = np.stack([words >> np.uint64(32), words], 1).astype("<u4")
    path.write_bytes(b"".join(struct.pack("<iIIii", 1, epoch, 100, 49, 4) + part.tobytes() + bytes(8)
                              for part in (halves[:100], halves[100:])))


def packed_differences(steps, bases, order, base_bits):
    """Entries of a type-2 packet, with their end mark, as bytes."""
    bits = "".join((f"{s:0{order}b}" if 1 < s < 2**order else f"{0:0{order}b}{s:032b}") + f"{b:0{base_bits}b}"
                   for s, b in zip(steps, bases, strict=True)) + f"{1:0{order}b}" + "0" * base_bits
    bits += "0" * (-len(bits) % 32)
    return np.array([int(bits[i : i + 32], 2) for i in range(0, len(bits), 32)], "<u4").tobytes()


@sample("qcrypto", "", 200, name="qcrypto type 2", header=24)
def make_qcrypto_type_2(path):
    recorded = tags()
    steps = np.diff(recorded.time_ps // 125, prepend=0)
    path.write_bytes(struct.pack("<iIIiii", 0x102, 0xBA1F36C0, 200, 13, 1, 1)
                     + packed_differences(steps.tolist(), (recorded.channel & 1).tolist(), 13, 1))


@sample("swabian", ".dump", 197, header=0, record=16)
def make_swabian(path):
    """With the begin of an overflow, two missed events, and its end; channel 3 has falling edges."""
    recorded = tags()
    columns = np.zeros(200, swabian.TAG)
    columns["channel"], columns["time"] = np.array([1, 2, 3, -3])[recorded.channel], recorded.time_ps
    columns["type"][100:103], columns["channel"][[100, 102]], columns["missed"][101] = [2, 4, 3], 0, 2
    path.write_bytes(columns.tobytes())


@sample("ttbin", ".ttbin", 0, header=4, inspects=False)
def make_ttbin(path):
    path.write_bytes(b"SITT" + bytes(range(100)))


@sample("idq", ".bin", 200, header=0, record=8)
def make_idq(path):
    path.write_bytes(tags().time_ps.astype("<u8").tobytes())


def reference_pairs():
    """Times since the last millisecond, and its number."""
    return np.stack(np.divmod(tags().time_ps, 10**9)[::-1], 1)


@sample("idq", ".bin", 200, name="idq pairs", header=0, record=16, settings={"reference_ps": 10**9, "pairs": True})
def make_idq_pairs(path):
    path.write_bytes(reference_pairs().astype("<u8").tobytes())


@sample("idq", ".txt", 200, name="idq text", header=0, lines=True)
def make_idq_text(path):
    path.write_text("".join(f"{time}\n" for time in tags().time_ps))


@sample("idq", ".txt", 200, name="idq text pairs", header=0, lines=True, signed=False,
        settings={"reference_ps": 10**9, "pairs": True})
def make_idq_text_pairs(path):
    path.write_text("".join(f"{time};{index}\n" for time, index in reference_pairs()))


@sample("nist", ".dat", 200, header=0, record=24, settings={"tick_ps": 78.125})
def make_nist(path):
    recorded, columns = tags(), np.zeros(200, nist.EVENT)
    columns["channel"], columns["time"] = recorded.channel, recorded.time_ps * 8 // 625
    path.write_bytes(columns.tobytes())
