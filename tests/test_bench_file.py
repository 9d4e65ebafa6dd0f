"""The bench file: what is refused and in which words, and the schema for editors."""

import tomllib

import pytest

from qkdlab import bench_file, instruments
from qkdlab.errors import BadInput

VOA = '[devices.voa]\ndriver = "keysight_attenuator"\naddress = "tcp://127.0.0.1:5025"\n'


def written(folder, text):
    path = folder / "bench.toml"
    path.write_text(text)
    return path


def test_the_shipped_file_is_simulated_and_has_what_a_session_needs():
    file = bench_file.read()
    assert file.simulate and {e.driver for e in file.devices.values()} <= set(instruments.menu.names())
    assert file.extras["laser"]["limits"]["current_a"] == [0.0, 0.08]
    assert file.tables["source"].clock_hz == 100e6 and file.tables["receiver"].channels == (1, 2, 3, 4)


@pytest.mark.parametrize(("text", "says"), [
    (VOA + "[sorce]\n", r"\[sorce\].*did you mean 'source'"),
    (VOA + "[source]\nintensites = [0.5, 0.1]\n", r"\[source\].*intensites.*did you mean 'intensities'"),
    (VOA.replace("keysight_attenuator", "keysight_atenuator"), r"\[devices.voa\].*did you mean 'keysight_attenuator'"),
    (VOA.replace("driver", "drivr"), r"\[devices.voa\].*drivr.*did you mean 'driver'"),
    (VOA.replace('address = "tcp://127.0.0.1:5025"\n', ""), r"\[devices.voa\].*address.*missing"),
    (VOA + "limits = { atenuation_db = [0, 3] }\n", r"\[devices.voa.limits\].*did you mean 'attenuation_db'"),
    (VOA + "limits = { attenuation_db = 3 }\n", r"\[devices.voa.limits\].*\[low, high\]"),
    (VOA + "limits = { attenuation_db = [3, 1] }\n", r"\[devices.voa.limits\].*\[low, high\]"),
    (VOA + "settings = { offset_db = 3 }\n", r"\[devices.voa.settings\].*can only be read"),
    (VOA + "options = { slut = 2 }\n", r"\[devices.voa.options\].*did you mean 'slot'"),
    (VOA + VOA.replace("voa", "other"), r"\[devices.other\].*the device 'voa' is at this address"),
    ("simulate = 1\n" + VOA, "simulate.*true or false"),
    ("simulate = true\n", "no device is named"),
    ("[devices]\nvoa = 3\n", "devices.voa.*a table is expected"),
    ("devices = [", "not valid TOML"),
])
def test_errors_name_file_table_key_and_the_nearest_known(tmp_path, text, says):
    path = written(tmp_path, text)
    with pytest.raises(BadInput, match=says) as caught:
        bench_file.read(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadInput, match="no such file"):
        bench_file.read(tmp_path / "none.toml")


def test_two_slots_of_one_mainframe_share_an_address(tmp_path):
    text = VOA + VOA.replace("voa", "other") + "options = { slot = 2 }\n"
    assert set(bench_file.read(written(tmp_path, text)).devices) == {"voa", "other"}


def test_the_schema_takes_the_shipped_file_and_knows_each_driver():
    jsonschema = pytest.importorskip("jsonschema")
    schema = bench_file.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    document = tomllib.loads(bench_file.read().text)
    check = jsonschema.Draft202012Validator(schema)
    assert check.is_valid(document)
    document["devices"]["attenuator"]["limits"] = {"current_a": [0, 1]}          # a laser's
    assert not check.is_valid(document)
    assert schema["properties"]["devices"]["additionalProperties"]["properties"]["driver"]["enum"] == \
        instruments.menu.names()
