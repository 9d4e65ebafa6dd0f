"""The driver that the documentation adds, word for word, against the simulated mainframe that knows the same commands."""

import pathlib
import re

import pytest

from qkdlab.errors import BadInput
from qkdlab.instruments.interfaces import Attenuator
from qkdlab.instruments.servers import SimulatedBench, World

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "howto" / "add-an-instrument.md"


def test_the_worked_example_is_a_whole_driver():
    code = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[0]
    assert len(code.splitlines()) <= 60
    made = {"__name__": "hp_8156a"}
    exec(compile(code, str(PAGE), "exec"), made)         # noqa: S102
    with SimulatedBench(World(speed=0), ["keysight_attenuator"]) as bench:
        with made["connect"](bench.address("keysight_attenuator"), attenuation_db=20) as voa:
            assert voa.kinds == (Attenuator,) and voa.attenuation_db == 20
            assert voa.wavelength_nm == pytest.approx(1550)
            voa.shutter_open = True
            said = len(bench.transcript("keysight_attenuator"))
            with pytest.raises(BadInput, match="at most 60.0 dB; 0 to 60 dB"):
                voa.attenuation_db = 90
            assert len(bench.transcript("keysight_attenuator")) == said
            voa.narrow(attenuation_db=(10, 50))
        assert not bench.world.attenuators["keysight_attenuator"].open
        assert bench.world.attenuators["keysight_attenuator"].filter.target == 60
