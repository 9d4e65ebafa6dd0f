"""Hardware, real or simulated, behind the same few verbs; one file a device.

A device's module offers ``connect(address, **settings)``, which returns an object of its kinds (see
:mod:`qkdlab.instruments.interfaces`). The file's name is the name on the menu::

    voa = instruments.menu.get("keysight_attenuator").connect("tcp://192.168.0.7:5025", slot=2)
    voa.attenuation_db = 12.5

To add a device, write one file: a class with its settings declared by :class:`~qkdlab.instruments.parameters.parameter`,
and ``connect``.

Left out, because no document with the commands could be found: ID Quantique ID210, ID230 and ID Qube detectors and the
ID300 laser, PurePhotonics ITLA lasers, General Photonics MPC-20x and PolaRITE III, Siglent SDG generators, EXFO LTB
frames, Thorlabs Micro-MBC boards. Their places are kept by the interfaces and by the adapters to other people's drivers
(:mod:`~qkdlab.instruments.pymeasure_adapter`, :mod:`~qkdlab.instruments.qcodes_adapter`). There is no driver yet of kind
PhaseModulator or EnvironmentSensor.
"""

from qkdlab.instruments.instrument import close_all
from qkdlab.instruments.interfaces import TimeTagger
from qkdlab.registry import Registry

__all__ = ["TimeTagger", "close_all", "menu"]

menu = Registry("qkdlab.instruments", need="connect")
