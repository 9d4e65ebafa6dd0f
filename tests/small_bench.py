"""A bench file of three simulated devices, for tests. They are waited for long: a machine may stand still."""

SMALL = """
simulate = true
[devices.laser]
driver = "thorlabs_cld"
address = "tcp://127.0.0.1:1"
timeout_s = 60
limits = { current_a = [0.0, 0.08] }
session = { current_a = 0.06, emission = true }
[devices.attenuator]
driver = "keysight_attenuator"
address = "tcp://127.0.0.1:2"
timeout_s = 60
session = { shutter_open = true, attenuation_db = 0.0 }
[devices.tagger]
driver = "id900"
address = "zmq://127.0.0.1:3"
timeout_s = 60
settings = { stretch_s = 0.2 }
[source]
intensities = [0.5, 0.15, 0.001]
key_basis_probability = 0.7
clock_hz = 100e6
[synchronisation]
frame_slots = 65536
header_slots = 4096
[receiver]
channels = [1, 2, 3, 4]
[distill]
block_key_bits = 20000
[session]
watch_s = 0.1
[simulation]
speed = 0
seed = 4
[channel]
distance_km = 40.0
"""


def real(path, simulated):
    """The same file with the addresses of devices that somebody else runs."""
    text = SMALL.replace("simulate = true", "simulate = false")
    for number, name in enumerate(("laser", "attenuator", "tagger"), 1):
        scheme = "zmq" if name == "tagger" else "tcp"
        text = text.replace(f"{scheme}://127.0.0.1:{number}", simulated.address(name))
    path.write_text(text)
    return path
