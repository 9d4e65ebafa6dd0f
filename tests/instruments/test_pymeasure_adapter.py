import pytest
from fake_devices import Script, TcpFake

from qkdlab.errors import BadInput
from qkdlab.instruments.errors import InstrumentDisconnected, InstrumentError, InstrumentTimeout
from qkdlab.instruments.pymeasure_adapter import connect

pytestmark = pytest.mark.filterwarnings("ignore:It is not known whether:FutureWarning")   # of theirs

PM100 = dict(driver="pymeasure.instruments.thorlabs:ThorlabsPM100USB", kind="PowerMeter",
             parameters={"power_w": {"attribute": "power", "unit": "W", "read_only": True},
                         "wavelength_nm": {"attribute": "wavelength", "unit": "nm", "low": 800, "high": 1700}},
             methods={"zero": "measure_power"}, line={"timeout": 60_000})
STATE = {b"*IDN?": b"THORLABS,PM100USB,P2001234,1.4.0\n", b"SYST:SENSOR:IDN?": b"S154C,12345,05-Jan-2024,1,1,289\n",
         b"MEAS:POW?": b"1.5E-06\n", b"SENSE:CORR:WAV?": b"1550\n"}


def test_their_driver_behind_our_interface():
    script = Script(always=dict(STATE))
    with TcpFake(script) as fake:
        with connect(fake.address, **PM100) as meter:
            assert [kind.__name__ for kind in meter.kinds] == ["PowerMeter"]
            assert "PM100USB" in meter.identity() and meter.power_w == 1.5e-6
            before = len(fake.received)
            with pytest.raises(BadInput, match="800 to 1700 nm"):
                meter.wavelength_nm = 400
            with pytest.raises(BadInput, match="only be read"):
                meter.power_w = 1
            assert len(fake.received) == before
            assert meter.snapshot()["power_w"]["unit"] == "W" and meter.wavelength_nm == 1550
        assert not script.surprises


def test_their_driver_on_a_dead_and_on_a_mute_line():
    with TcpFake(Script(always=dict(STATE))) as fake:
        address = fake.address
        with connect(address, **PM100 | {"line": {"timeout": 2000}}) as meter:
            fake.answer = lambda request: None
            with pytest.raises(InstrumentTimeout):
                _ = meter.power_w
            fake.answer = Script(always=dict(STATE))
            assert meter.power_w == 1.5e-6               # by a new connection
    with pytest.raises(InstrumentError):
        connect(address, **PM100)


@pytest.mark.parametrize("changes, words", [
    ({"kind": "PowerMetre"}, "did you mean 'PowerMeter'"), ({"methods": {}}, "zero"),
    ({"parameters": {"power_w": {"attribute": "power", "unit": "W"}}}, "wavelength_nm"),
    ({"parameters": {"power_w": {"attribute": "power"}}}, "unit"),
    ({"parameters": {"power_w": {"attribute": "power", "unit": "W", "lowest": 0}}}, "did you mean 'low'"),
    ({"driver": "pymeasure.instruments.thorlabs:ThorlabsPM1"}, "cannot be imported"),
    ({"safe": {"attenuation_db": 60}}, "not among"), ({"safe": {"power_w": 0}}, "not among"),
    ({"safe": {"wavelength_nm": 400}}, "safe.wavelength_nm.*at least 800"),
])
def test_mappings_that_make_no_device(changes, words):
    with pytest.raises(BadInput, match=words):
        connect("tcp://127.0.0.1:9", **(PM100 | changes))


def test_addresses():
    for wrong in ("tcp://host", "zmq://host:1"):
        with pytest.raises(BadInput):
            connect(wrong, **PM100)
    with pytest.raises(InstrumentDisconnected):
        connect("visa://nonsense?library=@py", **PM100)
