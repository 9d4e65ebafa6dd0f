import pytest

from qkdlab.datatypes import DistillSettings, ReceiverSettings, SourceSettings, SynchronisationSettings
from qkdlab.errors import BadInput
from qkdlab.settings import digest, from_table, read_toml, template, to_table

SECTIONS = {"source": SourceSettings, "distill": DistillSettings}


@pytest.mark.parametrize("cls, changes, field", [
    (SourceSettings, {"probabilities": [0.5, 0.2, 0.1]}, "probabilities"),
    (SourceSettings, {"probabilities": [0.5, 0.5]}, "probabilities"),
    (SourceSettings, {"probabilities": [1.2, -0.1, -0.1]}, "probabilities"),
    (SourceSettings, {"probabilities": [1.0, 0.0, 0.0]}, "probabilities"),
    (SourceSettings, {"intensities": [0.1, 0.5, 0.0]}, "intensities"),
    (SourceSettings, {"intensities": [0.5, 0.5, 0.0]}, "intensities"),
    (SourceSettings, {"intensities": [0.5, 0.1, -0.1]}, "intensities"),
    (SourceSettings, {"intensities": 0.5}, "intensities"),
    (SourceSettings, {"clock_hz": float("nan")}, "clock_hz"),
    (SourceSettings, {"clock_hz": 10**400}, "clock_hz"),
    (SourceSettings, {"clock_hz": "fast"}, "clock_hz"),
    (SourceSettings, {"key_basis_probability": 1.5}, "key_basis_probability"),
    (SynchronisationSettings, {"header_slots": 1001}, "header_slots"),
    (SynchronisationSettings, {"header_slots": 1 << 20}, "header_slots"),
    (SynchronisationSettings, {"frame_slots": 1.5}, "frame_slots"),
    (SynchronisationSettings, {"frame_slots": float("nan")}, "frame_slots"),
    (SynchronisationSettings, {"frame_slots": float("inf")}, "frame_slots"),
    (ReceiverSettings, {"channels": [0, 1, 2, 2]}, "channels"),
    (ReceiverSettings, {"gate_ps": 0}, "gate_ps"),
    (DistillSettings, {"eps_sec": 0}, "eps_sec"),
    (DistillSettings, {"proof": "lim"}, "proof"),
    (DistillSettings, {"clamp": 1}, "clamp"),
])
def test_bad_values_are_refused_with_file_field_and_value(cls, changes, field):
    with pytest.raises(BadInput) as caught:
        from_table(cls, changes, "link.toml: [table]")
    assert caught.value.field == field and str(caught.value).startswith("link.toml: [table]: " + field)
    assert "got" in str(caught.value)


def test_unknown_keys_name_the_nearest(tmp_path):
    file = tmp_path / "link.toml"
    file.write_text("[source]\nintensitys = [0.5, 0.1, 0.0]\n")
    with pytest.raises(BadInput, match=r"link\.toml: \[source\]: intensitys: .*did you mean 'intensities'"):
        read_toml(file, SECTIONS)
    file.write_text("[sorce]\nclock_hz = 1e9\n")
    with pytest.raises(BadInput, match="did you mean 'source'"):
        read_toml(file, SECTIONS)


@pytest.mark.parametrize("content", [b"[source", b"\xff\xfe\x00", None])
def test_files_that_are_not_toml(tmp_path, content):
    file = tmp_path / "link.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BadInput, match=r"link\.toml"):
        read_toml(file, SECTIONS)


def test_a_table_goes_round():
    for settings in (SourceSettings(), ReceiverSettings(), ReceiverSettings(gate_ps=300), DistillSettings()):
        assert from_table(type(settings), to_table(settings)) == settings


def test_the_template_reads_back_as_the_defaults(tmp_path):
    from qkdlab.store import SECTIONS as EVERY

    file = tmp_path / "link.toml"
    file.write_text(template(EVERY))
    assert read_toml(file, EVERY) == {name: cls() for name, cls in EVERY.items()}
    assert "[km]" in file.read_text() and "gate_ps" in file.read_text()


def test_digest_sees_every_field():
    assert digest(DistillSettings()) == digest(DistillSettings())
    assert digest(DistillSettings()) != digest(DistillSettings(eps_sec=1e-10))
    assert digest(ReceiverSettings()) != digest(ReceiverSettings(gate_ps=300))


def test_achieved_probabilities_are_exact_and_near():
    source = SourceSettings(probabilities=(0.7, 0.2, 0.1), key_basis_probability=0.9)
    assert sum(source.achieved_probabilities) == 1
    for asked, achieved in zip(source.probabilities, source.achieved_probabilities, strict=True):
        assert (achieved * 65536).is_integer() and abs(asked - achieved) <= 2**-16
    assert abs(source.achieved_key_basis_probability - 0.9) <= 2**-16
