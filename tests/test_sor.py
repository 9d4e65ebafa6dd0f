"""Facts of three instruments' files, as two independent readers agree on them, and sums of our own."""

import json
import struct

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from samples import sor_file

from qkdlab import datasets
from qkdlab.cli import main
from qkdlab.datasets import sor
from qkdlab.errors import BadInput

KM, DB, SLOPE = 2, 0.001, 0.02           # tolerances: m, dB, dB/km


@pytest.fixture(scope="module")
def traces(shared):
    return {name: sor.read(shared / "otdr" / f"{name}.sor")
            for name in ("demo_ab", "sample1310_lowDR", "fibercloud_fc3200_1310_4km")}


def check(event, km, slope, loss, reflectance, code):
    assert event.distance_m == pytest.approx(1000 * km, abs=KM) and event.slope_db_per_km == pytest.approx(slope, abs=DB)
    assert event.loss_db == pytest.approx(loss, abs=DB) and event.reflectance_db == pytest.approx(reflectance, abs=DB)
    assert event.code == code


def test_format_1(traces):
    t = traces["demo_ab"]
    assert [t.about[name] for name in ("version", "instrument", "module", "cable")] == [1, "E6000A", "E6008A", "K1 AB"]
    assert t.recorded_unix_s == 886668374 and t.wavelength_nm == 1310 and t.pulse_width_ns == 1000
    assert t.refractive_index == 1.4711 and len(t) == 11776 and t.averages == 30
    assert t.distance_m[1] - t.distance_m[0] == pytest.approx(5.0947, abs=1e-4)
    assert t.inspect()["range_m"] == pytest.approx(59_995, abs=KM)
    assert t.backscatter_db == -81.5 and t.end_threshold_db == 5
    assert -t.power_db.max() == pytest.approx(15.829) and -t.power_db.min() == pytest.approx(65.535)
    assert t.length_m == pytest.approx(50_728, abs=KM) and len(t.events) == 5
    for event, facts in zip(t.events, [
            (0, 0, 0, -50, "1F9999LS"), (12.711, 0.344, 0.209, 0, "0F9999LS"), (25.351, 0.342, 0.087, -51.514, "1F9999LS"),
            (38.047, 0.344, 0.149, 0, "0F9999LS"), (50.728, 0.344, 13.232, -16.726, "1E9999LS")], strict=True):
        check(event, *facts)
    assert "end of fibre" in t.events[-1].kind
    assert t.total_loss_db is None and t.event_loss_db == pytest.approx(17.870, abs=DB)
    assert sum(e.loss_db for e in t.events[1:-1]) == pytest.approx(0.445, abs=DB)
    assert t.fit_db_per_km(2000, 49_200) == pytest.approx(0.356, abs=SLOPE)
    assert not any("checksum" in w for w in t.warnings) and any("not filled in" in w for w in t.warnings)


def test_format_2(traces):
    t = traces["sample1310_lowDR"]
    assert (t.about["version"], t.about["supplier"], t.about["instrument"]) == (2, "OptixS", "OPXOTDR")
    assert t.about["module"] == "SM/1310/1550" and t.about["fibre_type"] == 652 and t.recorded_unix_s == 1321951763
    assert (t.wavelength_nm, t.pulse_width_ns, t.refractive_index, len(t), t.averages) == (1310, 1000, 1.475, 15736, 16380)
    assert t.distance_m[1] - t.distance_m[0] == pytest.approx(5.0812, abs=1e-4)
    assert t.inspect()["range_m"] == pytest.approx(79_958, abs=KM)
    assert t.length_m == pytest.approx(17_065, abs=KM) and t.start_m == pytest.approx(-7.459, abs=KM)
    assert t.total_loss_db == 6.390 and t.return_loss_db == 32.392 and t.event_loss_db == pytest.approx(6.392, abs=DB)
    assert len(t.events) == 3 and t.events[0].distance_m == 0
    check(t.events[1], 2.020, 0.334, 0.557, -40.574, "0F9999LS")
    check(t.events[2], 17.065, 0.343, 22.820, -38.395, "1E9999LS")
    assert t.fit_db_per_km(1000, 16_000) == pytest.approx(0.366, abs=SLOPE)
    assert {"EmbData", "IITParams", "IITEvents"} < set(t.about["blocks"])
    assert t.warnings == ("the checksum is 59892, that of the bytes before it is 62998",)


def test_a_cheap_instrument(traces):
    t = traces["fibercloud_fc3200_1310_4km"]
    assert (t.about["supplier"], t.about["instrument"], t.about["fibre_type"]) == ("FIBERCLOUD", "FC3200", 652)
    assert t.recorded_unix_s == 1696932587 and t.pulse_width_ns == 160 and t.refractive_index == 1.468
    assert len(t) == 16384 and t.distance_m[1] - t.distance_m[0] == pytest.approx(0.51056, abs=1e-5) and t.averages == 15
    assert t.inspect()["range_m"] == pytest.approx(8365, abs=KM) and t.length_m == pytest.approx(4293, abs=KM)
    assert len(t.events) == 2 and "moved by the user" in t.events[0].kind and t.events[0].code == "0M9999LS"
    check(t.events[1], 4.293, 0.299, 0, 47.285, "1E9999LS")
    assert t.total_loss_db == 1 and t.event_loss_db == pytest.approx(1.284, abs=DB) and t.return_loss_db is None
    assert t.fit_db_per_km(500, 4000) == pytest.approx(0.320, abs=SLOPE)
    for word in ("checksum is 0", "+47.285 dB is above 0", "1.000 dB is not that of the events, 1.284 dB"):
        assert any(word in w for w in t.warnings), word


def test_inspect_and_distill(shared, capsys):
    path = str(shared / "otdr/demo_ab.sor")
    assert main(["inspect", path, "--json"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert table["format"] == "sor" and len(table["events"]) == 5 and table["length_m"] == pytest.approx(50_728, abs=KM)
    assert main(["inspect", path]) == 0
    assert "event 5" in capsys.readouterr().out
    assert main(["distill", path]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "OTDR trace" in error and "demo_ab.sor" in error
    with pytest.raises(BadInput, match="OTDR trace"):
        datasets.open(path)


@pytest.mark.parametrize("version", [1, 2])
def test_a_file_of_ours(tmp_path, version):
    path = tmp_path / "a.sor"
    path.write_bytes(sor_file(version))
    t = sor.read(path)
    assert t.warnings == () and t.about["version"] == version and t.event_loss_db == pytest.approx(0.3, abs=1e-3)
    assert np.allclose(t.power_db, -np.arange(50) / 1000) and t.total_loss_db == 0.3
    with pytest.raises(BadInput, match="stretch"):
        t.fit_db_per_km(5000, 6000)


@pytest.mark.parametrize("version", [1, 2])
def test_cut_at_every_byte(tmp_path, version):
    raw, path = sor_file(version), tmp_path / "cut.sor"
    for size in range(len(raw)):
        path.write_bytes(raw[:size])
        with pytest.raises(BadInput, match=r"cut\.sor"):
            sor.read(path)


@pytest.mark.parametrize(("old", "new", "field"), [
    (struct.pack("<I", 146_800), bytes(4), "refractive_index"),
    (struct.pack("<I", 146_800), b"\xff" * 4, "refractive_index"),
    (struct.pack("<HHI", 1, 100, 1_000_000), struct.pack("<HHI", 1, 100, 0), "spacing"),
    (struct.pack("<HHI", 1, 100, 1_000_000), struct.pack("<HHI", 65535, 100, 0), "pulse_widths"),
    (struct.pack("<IHIH", 50, 1, 50, 1000), struct.pack("<IHIH", 50, 1, 2**32 - 1, 1000), "points"),
    (struct.pack("<IHIH", 50, 1, 50, 1000), struct.pack("<IHIH", 50, 1, 50, 0), "scale"),
    (struct.pack("<HH", 3, 1), struct.pack("<HH", 65535, 1), "events")])
def test_absurd_values_are_named(tmp_path, old, new, field):
    raw, path = sor_file(2), tmp_path / "absurd.sor"
    assert raw.count(old) == 1
    path.write_bytes(raw.replace(old, new))
    with pytest.raises(BadInput) as caught:
        sor.read(path)
    assert caught.value.field == field and "absurd.sor" in caught.value.where


@hypothesis.settings(max_examples=200, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
@hypothesis.given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=8), st.sampled_from([1, 2]))
def test_random_changes(tmp_path, changes, version):
    raw, path = bytearray(sor_file(version)), tmp_path / "fuzz.sor"
    for at, byte in changes:
        raw[at] = byte
    path.write_bytes(raw)
    try:
        json.dumps(sor.read(path).inspect(), allow_nan=False)
    except BadInput as error:
        assert "fuzz.sor" in str(error)


def test_checksum_of_the_standard_example():
    assert sor._crc16(b"123456789") == 0x29B1               # CRC-16/CCITT-FALSE, check value of the CRC catalogue
