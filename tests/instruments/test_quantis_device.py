import pytest

from qkdlab.errors import BadInput
from qkdlab.instruments.errors import DeviceError, InstrumentDisconnected, InstrumentInUse
from qkdlab.instruments.quantis_device import connect


def test_a_character_device_is_read_and_a_file_counts_as_simulated(tmp_path):
    with connect("file:///dev/urandom") as source:
        assert not source.simulated and len(source.read(3_000_000)) == 3_000_000
        assert source.tested_bytes == 3_000_000 and source.snapshot()["tested_bytes"]["value"] == 3_000_000
        with pytest.raises(InstrumentInUse):
            connect("file:///dev/urandom")
        with pytest.raises(BadInput):
            source.read(-1)
    with pytest.raises(InstrumentDisconnected):
        source.read(1)
    file = tmp_path / "bytes"
    file.write_bytes(bytes(range(256)))
    with connect(f"file://{file}") as source:
        assert source.simulated and source.read(200) == bytes(range(200))
        with pytest.raises(DeviceError, match="44 bytes short"):
            source.read(100)


def test_a_card_that_vanishes_and_comes_back(tmp_path):
    file = tmp_path / "card"
    file.write_bytes(bytes(range(256)))
    with connect(f"file://{file}") as source:
        source.check()
        file.rename(tmp_path / "unplugged")
        for ask in (source.check, lambda: source.read(1)):
            with pytest.raises(InstrumentDisconnected, match="is the card in"):
                ask()
        (tmp_path / "unplugged").rename(file)
        source.check()
        assert source.read(2) == bytes([0, 1])


def test_no_card_and_a_dead_one():
    with pytest.raises(InstrumentDisconnected, match="card"):
        connect("file:///dev/there-is-no-such-card")
    with connect("file:///dev/zero") as source, pytest.raises(DeviceError, match="stuck"):
        source.read(100)
